"""identity: another run is refused, with both sides of every difference."""

from pathlib import Path

import pytest
from checkpoints import IDENTITY, build, checkpointer
from options import config_of

from pipeline import UserError
from trainer.run.checkpoint import find_newest
from trainer.run.checkpointer import Checkpointer
from trainer.run.identity import RunIdentity, difference_texts


def test_differences_name_both_values() -> None:
    assert difference_texts(config_of().identity(), config_of(units=8, seq_len=32).identity()) == [
        "`units`: the run has 256, now 8",
        "`seq_len`: the run has 64, now 32",
        "`stride`: the run has 64, now 32",
    ]
    shorter, longer = (config_of(schedule="cosine", steps=steps).identity() for steps in (50, 60))
    assert difference_texts(shorter, longer) == [
        "`decay_steps`: the run has 50, now 60 (where it is not given, it is --steps; give "
        "--decay_steps 50)"
    ]


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (
            RunIdentity(corpus="d" * 64, vocabulary="v" * 64, settings=IDENTITY.settings),
            "this corpus is not the one the run was trained on: the run's corpus has the "
            "fingerprint cccccccccccccccc, the one given dddddddddddddddd; give the run's own "
            "corpus, or train into another --output",
        ),
        (
            RunIdentity(corpus="d" * 64, vocabulary="w" * 64, settings=IDENTITY.settings),
            "this vocabulary is not the one the run was trained on: the run's vocabulary has the "
            "fingerprint vvvvvvvvvvvvvvvv, the one given wwwwwwwwwwwwwwww",
        ),
        (
            RunIdentity(corpus="c" * 64, vocabulary="v" * 64, settings={"units": 16, "seed": 1}),
            "other settings: `units`: the run has 8, now 16; `seed`: the run has 0, now 1. "
            "Give the run's settings to resume it, or train into another --output",
        ),
    ],
)
def test_another_run_is_refused_with_both_sides(
    tmp_path: Path, identity: RunIdentity, message: str
) -> None:
    checkpointer(tmp_path, *build(seed=1)).save(1)
    with pytest.raises(UserError) as error:
        Checkpointer(tmp_path, identity=identity, keep=2).go_on_from(find_newest(tmp_path), None)
    assert message in str(error.value)
