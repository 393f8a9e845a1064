"""Plots of a corpus: frequencies of tokens, lengths of documents, shards, origins of rows."""

import numpy as np

from pipeline.reading.corpus import Corpus
from trainer.pages.content import Content
from trainer.pages.origins import Origins
from trainer.pages.plots import Drawing, Line, Plot

_MOST_BARS = 60
_NUM_BINS = 30
_MOST_BATCHES = 8  # in a table
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_RANKS = (1, 2, 5)  # of each power of ten, in a table


def corpus_plots(corpus: Corpus, content: Content, origins: Origins | None) -> dict[str, Plot]:
    """Draws what there is to see of a corpus: name -> plot."""
    plots = [_draw_ranks(content)]
    if len(content.lengths):
        plots.append(_draw_lengths(content))
    if len(corpus.manifest.shards) > 1:
        plots.append(_draw_shards(corpus))
    if origins is not None:
        plots.append(_draw_origins(origins))
    return {plot.name: plot for plot in plots}


def _draw_ranks(content: Content) -> Plot:
    counts = np.sort(content.token_counts[content.token_counts > 0])[::-1]
    ranks = np.arange(1, len(counts) + 1)
    kept = np.unique(np.geomspace(1, len(counts), 300).round().astype(int)) - 1
    drawing = Drawing("ranks")
    drawing.axes[0].set(xscale="log", yscale="log")
    drawing.draw_lines([Line(label="tokens", x=ranks[kept], y=counts[kept])])
    shown = [unit * 10**power for power in range(7) for unit in _RANKS]
    rows = [rank for rank in shown if rank <= len(counts)]
    return Plot(
        name="ranks",
        title="How often tokens come, by rank",
        reading="Both scales are logarithmic. In natural text, words and subwords come near a "
        "straight line that falls; a long flat foot is of ids that came only a few times.",
        svg=drawing.svg(x="rank", y=["times"]),
        columns=("rank", "times", "share"),
        rows=tuple(
            (f"{rank:,}", f"{counts[rank - 1]:,}", f"{counts[rank - 1] / counts.sum():.3%}")
            for rank in rows
        ),
    )


def _draw_lengths(content: Content) -> Plot:
    lengths = np.maximum(content.lengths, 1)
    low, high = int(lengths.min()), int(lengths.max())
    drawing = Drawing("lengths")
    edges = np.geomspace(low, high + 1, min(_NUM_BINS, high - low + 2))
    drawing.axes[0].set(xscale="log")
    drawing.draw_bars(edges, np.histogram(lengths, edges)[0])
    quantiles = np.quantile(content.lengths, _QUANTILES)
    return Plot(
        name="lengths",
        title="Lengths of documents",
        reading="The scale of lengths is logarithmic. A peak at the left is of documents that are "
        "hardly more than a line.",
        svg=drawing.svg(x="tokens of a document", y=["documents"], whole=True),
        columns=("of the documents, so many are no longer", "tokens"),
        rows=(
            *(
                (f"{share:.0%}" if share else "the shortest", f"{value:,.0f}")
                for share, value in zip(_QUANTILES, quantiles, strict=True)
            ),
            ("mean", f"{content.lengths.mean():,.1f}"),
        ),
    )


def _draw_shards(corpus: Corpus) -> Plot:
    tokens = {
        name: np.array([shard.num_tokens for shard in split.shards], np.float64)
        for name, split in corpus.splits.items()
        if split.shards
    }
    every = np.concatenate(list(tokens.values()))
    drawing = Drawing("shards")
    if few := len(every) <= _MOST_BARS:
        drawing.draw_bars(np.arange(len(every) + 1) + 0.5, every)
        x, y = "shard", "tokens"
    else:
        counts, edges = np.histogram(every, _NUM_BINS)
        drawing.draw_bars(edges, counts)
        x, y = "tokens of a shard", "shards"
    return Plot(
        name="shards",
        title="Sizes of shards",
        reading=(
            f"All {len(every)} shards, split after split: {', '.join(tokens)}."
            if few
            else f"All {len(every):,} shards, of {', '.join(tokens)}."
        ),
        svg=drawing.svg(x=x, y=[y], whole=True),
        columns=("split", "shards", "smallest", "median", "largest"),
        rows=tuple(
            (
                name,
                f"{len(sizes):,}",
                f"{sizes.min():,.0f}",
                f"{np.median(sizes):,.0f}",
                f"{sizes.max():,.0f}",
            )
            for name, sizes in tokens.items()
        ),
    )


def _draw_origins(origins: Origins) -> Plot:
    drawing = Drawing("origins", panels=2)
    batches = np.repeat(np.arange(len(origins.shuffled)), origins.shuffled.shape[1])
    for panel, places in enumerate((origins.shuffled, origins.in_order)):
        drawing.axes[panel].set_ylim(-0.03, 1.03)
        drawing.axes[panel].xaxis.get_major_locator().set_params(integer=True)
        drawing.draw_points(panel, batches, places.reshape(-1))

    def span(places: np.ndarray) -> str:
        return f"{places.min():.1%} to {places.max():.1%}"

    return Plot(
        name="origins",
        title="Where the rows of the first batches come from",
        reading="A point is a row; its height is the place of its text in the split, from the "
        "beginning (0) to the end (1). Above, shuffled: rows from everywhere in every batch. "
        "Below, without a shuffle: neighbours.",
        svg=drawing.svg(x="batch", y=["shuffled", "unshuffled"]),
        columns=("batch", "shuffled: rows from", "unshuffled: rows from"),
        rows=tuple(
            (step, span(origins.shuffled[step]), span(origins.in_order[step]))
            for step in range(min(_MOST_BATCHES, len(origins.shuffled)))
        ),
    )
