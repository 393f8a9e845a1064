"""A run that cannot go on: the error says so, and what was saved stays whole."""

import re
from pathlib import Path

import pytest
import tensorflow as tf
from corpora import make, text
from training import checkpoint_arrays, run_child, tiny

from pipeline import Corpus, UserError
from trainer.hosts.environment import Hosts
from trainer.loop import train
from trainer.reports import reports
from trainer.run.checkpoint import DIRECTORY
from trainer.run.failures import LOST_HOST_CODE, explaining_failures

HOSTS = Hosts(addresses=("a:1", "b:2"), index=1, source="TF_CONFIG")

# A limit on the size of files stands for a disk without room: it needs no privileges.
FULL = """
import resource, sys
from pathlib import Path
from training import tiny
from trainer.loop import train
corpus, run = sys.argv[1:]
options = {"units": 64, "steps": 6}
train(tiny(corpus, run, **options), quiet=True)
size = next(Path(run, "checkpoints").glob("*.data*")).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
try:
    train(tiny(corpus, run, **options | {"steps": 12}), quiet=True)
except ValueError as error:
    print(type(error).__name__, error)
print(sorted(path.name for path in Path(run, "checkpoints").iterdir()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(train(tiny(corpus, run, **options | {"steps": 12}), quiet=True).start_step)
"""


def test_without_room_for_a_checkpoint_the_last_one_stays_whole(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    error, files, start_step = run_child(FULL, char_corpus.directory, str(tmp_path)).splitlines()
    folder = tmp_path / DIRECTORY
    assert error.startswith(f"UserError {folder}: the checkpoint of step 12 cannot be written (")
    assert "those that are there stay whole. Make room, and the same command goes on" in error
    assert files == str(["checkpoint", "ckpt-6.data-00000-of-00001", "ckpt-6.index"])
    assert start_step == "6"
    assert checkpoint_arrays(str(folder / "ckpt-12"))


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
