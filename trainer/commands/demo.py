"""`textreel demo`: the whole story on text that every machine with Python has.

The standard library's own sources, several times the 10 MB at which the script of old runs
out of memory, become a corpus, a trained model and generated "Python".
"""

import argparse
import itertools
import shlex
import sysconfig
import time
from pathlib import Path

import numpy as np

from pipeline import Corpus, PrepareOptions, UserError, open_corpus, prepare
from pipeline.commands.flags import add_output
from pipeline.commands.prepare import made_text
from pipeline.files import join
from pipeline.parsing import CommandParser
from pipeline.preparing.engines.local import default_workers
from pipeline.progress import can_show_bars
from pipeline.sizes import count_text, size_text
from pipeline.terminal import show, status

_STEPS, _QUICK_STEPS = 5000, 500
_PROMPT = "def "
# What lstm_text_generation.py used: windows of 40 characters, every 3 characters.
_ORIGINAL_SEQ_LEN, _ORIGINAL_STRIDE = 40, 3


def add_arguments(parser: CommandParser) -> None:
    """Adds what `demo` takes to its parser."""
    add_output(parser, "directory for the corpus and the run", default="textreel-demo")
    parser.add_argument("--quick", action="store_true", help="train less; under a minute in all")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the demo; prints what happens."""
    corpus_path = join(arguments.output, "corpus")
    # Each has its own: a demo that was stopped goes on, and a quick one after it is another run.
    run_path = join(arguments.output, "quick-run" if arguments.quick else "run")
    with status("reading Python's standard library"):
        files = python_sources(Path(sysconfig.get_path("stdlib")))
    _title(f"1. Text: {count_text(len(files), 'source file')} of Python's standard library")
    started, workers = time.monotonic(), default_workers()
    with status("preparing the corpus", shown=not can_show_bars()):
        manifest = prepare(
            files,
            corpus_path,
            PrepareOptions(vocabulary="char"),
            workers=workers,
            overwrite=True,
            progress=can_show_bars(),
        )
    show(made_text(manifest, seconds=time.monotonic() - started, workers=workers))

    _title("2. Training: Embedding -> LSTM -> the next character")
    from trainer.quiet import import_tensorflow

    import_tensorflow(shown=True)
    from trainer.config import TrainConfig
    from trainer.generation.sampler import generate, screen_text
    from trainer.loop import train
    from trainer.reports.meter import peak_memory

    steps = _QUICK_STEPS if arguments.quick else _STEPS
    config = TrainConfig(
        corpus=corpus_path,
        output=run_path,
        steps=steps,
        eval_every=steps,
        save_every=steps,
        sample_tokens=0,
        batch_size=32,
        learning_rate=4e-3,
        schedule="cosine",
        warmup_steps=100,
    )
    result = train(config)
    assert result.evaluation is not None

    corpus = open_corpus(corpus_path)
    _title("3. Validation: bits to write down one byte of text that was never trained on")
    with status("counting characters"):
        uniform, frequencies = baselines(corpus)
    show(f"every character as likely as any other  {uniform:5.2f}")
    show(f"characters by their frequency           {frequencies:5.2f}")
    show(f"this model                              {result.evaluation.bits_per_byte:5.2f}")

    _title(f"4. Generated Python, from {_PROMPT!r} on")
    with status("loading the model"):
        pieces = generate(run_path, prompt=_PROMPT, tokens=400, temperature=0.6)
        first = next(pieces)
    show(_PROMPT, end="")
    for piece in itertools.chain([first], pieces):
        show(screen_text(piece, corpus.vocabulary), end="")
    show()

    _title("Memory")
    num_tokens = sum(split.num_tokens for split in corpus.splits.values())
    needed = original_bytes(num_tokens, corpus.vocabulary.size)
    show(
        f"lstm_text_generation.py on this text: {size_text(needed)} (one-hot windows)\n"
        f"textreel: {size_text(peak_memory())} at most, most of it TensorFlow itself, whatever "
        "the text"
    )
    show(
        "\nnow your own text:\n"
        "  textreel prepare YOUR_TEXT -o CORPUS\n"
        "  textreel train CORPUS -o RUN\n"
        "or more from this model:\n"
        f"  textreel generate {shlex.quote(run_path)} --prompt 'class '"
    )


def python_sources(directory: Path) -> list[Path]:
    """Returns the ASCII source files below a directory, installed packages left out.

    ASCII, so that the characters are the hundred of the original example and not the
    thousands that the tests of text encodings hold.

    Raises:
        UserError: there are none.
    """
    files = [
        file
        for file in sorted(directory.rglob("*.py"))
        if not {"site-packages", "dist-packages"} & set(file.parts) and file.read_bytes().isascii()
    ]
    if not files:
        raise UserError(
            f"{directory} holds no Python sources (a stripped Python?); use your own text:"
            " textreel prepare YOUR_TEXT -o CORPUS"
        )
    return files


def baselines(corpus: Corpus) -> tuple[float, float]:
    """What the validation split costs without a model, in bits a byte.

    Returns:
        With every id equally likely; and by the frequencies of the training split, counted
        from one so that none is impossible.
    """
    from trainer.evaluation.evaluate import token_counts

    size = corpus.vocabulary.size
    train, validation = (token_counts(corpus, split) for split in ("train", "validation"))
    cost = -np.log2((train + 1) / (train.sum() + size))
    num_bytes = corpus.splits["validation"].text_bytes
    return validation.sum() * np.log2(size) / num_bytes, float(validation @ cost) / num_bytes


def original_bytes(num_characters: int, vocabulary_size: int) -> int:
    """What lstm_text_generation.py allocates: `x[windows, 40, characters]` and `y`, in bytes."""
    num_windows = max(0, num_characters - _ORIGINAL_SEQ_LEN) // _ORIGINAL_STRIDE
    return num_windows * (_ORIGINAL_SEQ_LEN + 1) * vocabulary_size


def _title(text: str) -> None:
    show(f"\n{text}\n{'-' * len(text)}")
