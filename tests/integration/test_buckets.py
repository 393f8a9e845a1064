"""From bucket to bucket: sources, corpus, run, evaluation, text, export; nothing copied by hand."""

import io
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import corpora
import numpy as np
import pytest
import storage
from storage_proxy import Fault, Request
from training import ROOT, checkpoint_arrays, tiny

from pipeline import UserError, open_corpus
from pipeline.cli import parse_arguments
from pipeline.files import entries, names_in, read_bytes, read_text, write_text
from trainer.cli import build_parser
from trainer.loop import train
from trainer.reports.metrics import read_metrics
from trainer.run.owner import OWNER_FILE
from trainer.run.stored import find, readable

TINY = "--layers 1 --units 8 --embedding_dim 4 --seq_len 16 --batch_size 8 --sample_tokens 5"
EVENTS = "--save_every 2 --eval_every 2 --log_every 2"


def run(*command: str) -> str:
    """A command's output, of this process."""
    output = io.StringIO()
    with redirect_stdout(output):
        arguments = parse_arguments(build_parser(), " ".join(command).split())
        arguments.run(arguments)
    return output.getvalue()


@pytest.mark.parametrize("server", ["google", "s3", "azure"])
def test_the_walk_of_the_docs(
    server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    store: storage.Store = request.getfixturevalue(server)
    bucket = store.new_bucket()
    write_text(f"{bucket}/texts/a.txt", corpora.text(6_000))
    write_text(f"{bucket}/texts/b.txt", corpora.text(3_000, seed=1))
    splits = "--splits train=0.8,validation=0.2"
    run(f"prepare {bucket}/texts/ --output {bucket}/corpus {splits} --workers 1")
    walk = f"train {bucket}/corpus --output {bucket}/run {TINY} {EVENTS}"
    run(f"{walk} --steps 2")
    assert "resuming at step 2" in run(f"{walk} --steps 4")
    assert "windows: loss" in run(f"evaluate {bucket}/run")
    assert len(run(f"generate {bucket}/run --tokens 5")) >= 5
    run(f"export {bucket}/run --output {bucket}/export")
    assert "saved_model.pb" in names_in(f"{bucket}/export")
    found = find(f"{bucket}/run/checkpoints")
    assert found is not None
    assert (found.step, found.lost) == (4, {})
    steps = [entry["step"] for entry in read_metrics(f"{bucket}/run") if entry["kind"] == "train"]
    assert steps == [2, 4]
    assert not [scheme for scheme in ("gs:", "s3:", "az:") if Path(scheme).exists()]
    is_kept = (tmp_path / "caches" / "textreel").exists()
    assert is_kept == (server != "google")  # TensorFlow reads that where it is
    # The same weights as from files of this machine.
    corpus = open_corpus(f"{bucket}/corpus")
    local = tmp_path / "corpus"
    local.mkdir()
    for name, status in entries(corpus.directory).items():
        if status is not None and not status.is_directory:
            (local / name).write_bytes(read_bytes(f"{corpus.directory}/{name}"))
    run(f"train {local} --output {tmp_path}/run {TINY} {EVENTS} --steps 4")
    straight = checkpoint_arrays(tmp_path / "run" / "checkpoints" / "ckpt-4")
    with readable(found.path) as plain:
        walked = checkpoint_arrays(Path(plain))
    assert walked.keys() == straight.keys()
    for name in straight:
        if name != "sums/.ATTRIBUTES/VARIABLE_VALUE":
            np.testing.assert_array_equal(walked[name], straight[name], err_msg=name)


def test_a_later_start_owns_the_run(s3: storage.Store, tmp_path: Path) -> None:
    corpus = corpora.make(tmp_path, corpora.text(3_000)).directory
    uri = s3.new_bucket() + "/run"

    def another(request: Request) -> Fault | None:
        if request.method == "PUT" and "ckpt-2.data" in request.path:
            s3.proxy.fault = lambda request: None
            write_text(f"{uri}/{OWNER_FILE}", "process 7 on another\n")
        return None

    s3.proxy.fault = another
    with pytest.raises(UserError, match=r"belongs to a later start now \(process 7 on another"):
        train(tiny(corpus, uri, steps=6, save_every=2, log_every=2, layers=1), quiet=True)
    found = find(f"{uri}/checkpoints")
    assert found is not None
    assert (found.step, found.lost) == (2, {})
    assert train(tiny(corpus, uri, steps=4, save_every=2, layers=1), quiet=True).start_step == 2
    assert read_text(f"{uri}/{OWNER_FILE}") != "process 7 on another\n"


CHILD = """
import sys
from pathlib import Path
import tensorflow as tf
from trainer.run.storing import store
directory = sys.argv[1]
for step in (3, 6):
    weights = tf.Variable(tf.fill([50], float(step)))
    state = tf.train.Checkpoint(step=tf.Variable(step, dtype=tf.int64), weights=weights)
    if step == 6:
        print("first is saved", flush=True)
        sys.stdin.readline()
    store(state, directory, step)
print("second is saved", flush=True)
"""


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["kill", "kill_after"])
def test_a_save_that_is_killed_at_any_request(kind: str, s3: storage.Store) -> None:
    """A save is whole or not there, and what was saved before it stays; the next one goes on."""
    command = [sys.executable, "-c", CHILD]
    for number in range(40):
        directory = s3.new_bucket() + "/run/checkpoints"
        s3.proxy.reset()
        child = subprocess.Popen(
            [*command, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"first is saved\n"
        s3.proxy.reset()
        s3.proxy.fault = lambda request, at=number, pid=child.pid: (
            Fault(**{kind: pid}) if request.number == at else None
        )
        said = child.communicate(b"\n")[0]
        s3.proxy.reset()
        found = find(directory)
        assert found is not None
        assert found.lost == {}
        assert found.step in (3, 6)
        if said:
            assert found.step == 6
            break
    else:
        raise AssertionError("it never comes to its end")
    assert number > 5
