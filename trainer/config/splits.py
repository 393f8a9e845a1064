"""Splits of a corpus that a run reads: whether they are there, and long enough.

They are checked before TensorFlow is loaded, which takes seconds.
"""

import dataclasses

from pipeline.errors import UserError
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import check_lanes
from pipeline.reading.opening import open_corpus
from pipeline.sizes import count_text
from trainer.config.train_config import TrainConfig


def check_corpus(config: TrainConfig) -> None:
    """Opens the corpus of a run that is to be trained, and refuses what it cannot read there.

    Raises:
        UserError: there is no corpus, or a split of it is missing or too short.
    """
    corpus = open_corpus(config.corpus)
    check_splits(corpus, without_validation(corpus, config)[0])


def num_training_windows(corpus: Corpus, config: TrainConfig) -> int:
    """Rows of an epoch: the windows of the training split, or what its lanes read of it."""
    if config.lanes:
        return corpus.splits[config.train_split].num_tokens // config.seq_len
    return corpus.num_windows(
        config.train_split, seq_len=config.seq_len, stride=config.window_stride
    )


def num_measured_windows(corpus: Corpus, config: TrainConfig) -> int:
    """Windows of the validation split."""
    return corpus.num_windows(
        config.evaluated_split, seq_len=config.seq_len, stride=evaluation_stride(config)
    )


def without_validation(corpus: Corpus, config: TrainConfig) -> tuple[TrainConfig, str | None]:
    """Turns evaluation off where no split is named for it and the corpus has none that would do.

    Returns:
        The options, and what is to be said: why, where evaluation was turned off.

    Raises:
        UserError: the run is to be stopped by its evaluations.
    """
    if config.validation_split is not None or not config.eval_every:
        return config, None
    name = config.evaluated_split
    if name not in corpus.splits:
        reason = f"{config.corpus} has no split {name!r}"
    elif _shortage(corpus, config, name):
        least = "one token a lane" if config.lanes else "one window"
        reason = f"the split {name!r} of {config.corpus} is shorter than {least}"
    else:
        return config, None
    if config.early_stopping:
        raise UserError(
            f"`early_stopping`: {reason}, so there is no validation loss to stop by; name another "
            "split by --validation_split, or leave --early_stopping out"
        )
    note = (
        f"note: {reason}, so the run is not evaluated: no checkpoint is kept as its best, and no "
        "samples are shown; --validation_split names another split"
    )
    return dataclasses.replace(config, eval_every=0), note


def check_splits(corpus: Corpus, config: TrainConfig) -> None:
    """Refuses splits that are missing or too short, before anything is made."""
    wanted = [("train_split", config.train_split)]
    if config.eval_every:
        wanted.append(("validation_split", config.evaluated_split))
    for option, name in wanted:
        remedy = "" if option == "train_split" else ", or turn evaluation off with --eval_every 0"
        if name not in corpus.splits:
            raise UserError(
                f"`{option}`: {config.corpus} has no split {name!r}, only "
                f"{', '.join(corpus.splits)}; change --{option}{remedy}"
            )
        if config.lanes and option == "train_split":
            # They run across the ends of shards. No dataset yet: hosts must meet before.
            num_tokens = corpus.splits[name].num_tokens
            check_lanes(num_tokens, num_lanes=config.batch_size, seq_len=config.seq_len)
            continue
        if shortage := _shortage(corpus, config, name):
            lower = "--batch_size" if config.lanes else "--seq_len"
            raise UserError(
                f"`{option}`: the split {name!r} of {config.corpus} is too short: {shortage}; "
                f"lower {lower} or prepare more text{remedy}"
            )


def check_measured(corpus: Corpus, config: TrainConfig) -> None:
    """Refuses a split on which a run that is there cannot be measured.

    Raises:
        UserError: it is missing, or too short.
    """
    name = config.evaluated_split
    if name not in corpus.splits:
        raise UserError(
            f"no split {name!r} in {config.corpus}; it has {', '.join(corpus.splits)}; name one by "
            "`--split`"
        )
    if shortage := _shortage(corpus, config, name):
        raise UserError(
            f"the split {name!r} of {config.corpus} is too short for this run: {shortage}; name "
            "another by `--split` or prepare more text"
        )


def _shortage(corpus: Corpus, config: TrainConfig, split: str) -> str | None:
    """What a split has and what it needs to be read; None where it has it."""
    num_tokens = corpus.splits[split].num_tokens
    if config.lanes:
        if measured_seq_len(config, num_tokens):
            return None
        needed = f"{config.batch_size} lanes need {max(config.batch_size, 3)}"
    else:
        if corpus.num_windows(split, seq_len=config.seq_len):
            return None
        needed = f"one window needs {config.seq_len + 1} in one shard"
    return f"it has {count_text(num_tokens, 'token')}, {needed}"


def measured_seq_len(config: TrainConfig, num_tokens: int) -> int:
    """Tokens that a lane reads at once where a split is measured; 0 where that cannot be.

    Lanes go on with their state, so it may be less than `seq_len` in a short split.
    """
    return max(0, min(config.seq_len, num_tokens // config.batch_size, num_tokens - 2))


def evaluation_stride(config: TrainConfig) -> int:
    """Tokens between validation windows.

    Windows with a target at every place lie end to end, so that each token counts once.
    With targets `"last"` the run's own stride thins them out.
    """
    return config.seq_len if config.targets == "sequence" else config.window_stride
