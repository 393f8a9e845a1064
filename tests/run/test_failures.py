"""failures: what cannot go on says so in a line, with its exit code."""

import re
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from corpora import make, text
from training import tiny

from pipeline import UserError
from trainer.hosts.environment import Hosts
from trainer.loop import train
from trainer.reports import reports
from trainer.run.checkpoint import find_newest
from trainer.run.failures import LOST_HOST_CODE, explaining_failures

HOSTS = Hosts(addresses=("a:1", "b:2"), index=1, source="TF_CONFIG")


def test_a_corpus_that_goes_away_in_mid_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make(tmp_path, text(20_000), record_tokens=100)
    shard = tmp_path / "corpus/text-train.tfrecord-00000-of-00001"

    def remove_after_step_8(writer: object, tag: str, value: float, *, step: int) -> None:
        if step == 8:
            shard.unlink(missing_ok=True)

    monkeypatch.setattr(reports.EventWriter, "scalar", remove_after_step_8)
    run = tmp_path / "run"
    with pytest.raises(UserError) as error:
        train(tiny(corpus.directory, run, steps=10_000, save_every=6), quiet=True)
    assert re.fullmatch(
        rf"{shard} is gone from the corpus; bring it back, or make it again with `textreel "
        rf"repair`, and the same command resumes {run} from step \d+",
        str(error.value),
    )


def test_a_corpus_that_is_replaced_in_mid_run_is_named_and_what_is_saved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make(tmp_path, text(20_000), record_tokens=100)
    other = make(tmp_path / "other", text(20_000, seed=1), record_tokens=100)

    def replace_after_step_8(writer: object, tag: str, value: float, *, step: int) -> None:
        if step == 8:
            shutil.copytree(other.directory, corpus.directory, dirs_exist_ok=True)

    monkeypatch.setattr(reports.EventWriter, "scalar", replace_after_step_8)
    run = tmp_path / "run"
    with pytest.raises(
        UserError, match=rf"was replaced or removed .* resumes {run} from step \d+; another one"
    ):
        train(tiny(corpus.directory, run, steps=10_000, save_every=6), quiet=True)
    found = find_newest(run)
    assert found is not None
    assert found.step >= 6


@pytest.mark.parametrize(
    "kind",
    [
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    ],
)
def test_a_lost_worker_ends_the_others_with_a_code_to_retry(
    kind: type[tf.errors.OpError], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny("corpus", tmp_path)
    with pytest.raises(SystemExit) as error, explaining_failures(config, HOSTS):
        raise kind(None, None, "Graph execution error:\nbroken")
    assert error.value.code == LOST_HOST_CODE == 138
    assert capsys.readouterr().err == (
        "textreel: error: another worker was lost; the same command, on all 2 workers or another "
        f"number of them, resumes {tmp_path} from step 0\n"
    )
    with pytest.raises(kind), explaining_failures(config, None):  # alone, it is something else
        raise kind(None, None, "broken")


def test_other_errors_keep_their_traceback() -> None:
    config = tiny("corpus", "run")
    with pytest.raises(tf.errors.InternalError), explaining_failures(config, HOSTS):
        raise tf.errors.InternalError(None, None, "broken")
    with pytest.raises(tf.errors.NotFoundError), explaining_failures(config, HOSTS):
        raise tf.errors.NotFoundError(None, None, "elsewhere")


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(20_000), record_tokens=1000)
    shard = tmp_path / "corpus/text-train.tfrecord-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[10_000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(
        UserError, match=rf"{shard}: one of the records .* is missing or damaged.*repair"
    ):
        train(tiny(corpus.directory, tmp_path / "run"), quiet=True)
