"""quiet: what libraries write while TensorFlow loads is held back, unless loading fails."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest
import tensorflow as tf
from training import run_child, start_child

import trainer
from pipeline import Corpus, UserError
from trainer.quiet import import_tensorflow

FAKE = """
import os
os.write(2, b"noise\\n")
class config:
    list_physical_devices = staticmethod(lambda: print("found"))
    list_logical_devices = staticmethod(lambda: print("started"))
"""
IMPORT = """
import os, sys
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
if sys.argv[2] == "loud":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
sys.path.insert(0, sys.argv[1])
from trainer.quiet import import_tensorflow
import_tensorflow(start=sys.argv[2] != "unstarted")
os.write(2, b"afterwards\\n")
print("tensorflow" in sys.modules, os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""


@pytest.mark.parametrize(
    ("how", "out", "err"),
    [
        ("started", "found\nstarted\nTrue 2\n", "afterwards\n"),
        ("unstarted", "found\nTrue 2\n", "afterwards\n"),
        ("loud", "found\nstarted\nTrue 0\n", "noise\nafterwards\n"),
    ],
)
def test_what_is_written_meanwhile_is_held_back(
    tmp_path: Path, how: str, out: str, err: str
) -> None:
    (tmp_path / "tensorflow.py").write_text(FAKE)
    with start_child(IMPORT, str(tmp_path), how) as child:
        assert child.communicate() == (out, err)
    assert child.returncode == 0


def test_it_is_written_where_the_import_fails(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(FAKE + "raise ImportError('no such library')\n")
    with start_child(IMPORT, str(tmp_path), "started") as child:
        _, err = child.communicate()
    assert child.returncode == 1
    assert err.startswith("noise\n")
    assert "no such library" in err


def test_another_backend_of_keras_is_refused_before_tensorflow_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(UserError, match=r"`KERAS_BACKEND` must be tensorflow, got jax: .*; unset"):
        import_tensorflow()
    # In a program likewise: its options alone need no Keras.
    assert trainer.TrainConfig is not None
    for name in sorted({*trainer.__all__} - {"TrainConfig"}):
        with pytest.raises(UserError, match="`KERAS_BACKEND` must be tensorflow, got jax"):
            getattr(trainer, name)


def test_keras_that_is_there_with_another_backend_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = types.SimpleNamespace(backend=lambda: "torch")
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(backend=backend))
    with pytest.raises(UserError, match=r"got torch: .*; unset .* or import trainer before keras"):
        _ = trainer.train


def test_a_keras_json_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras's own file, read by Keras itself."""
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax"}))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    code = "from trainer.quiet import import_tensorflow as i; i(start=False); import keras; "
    assert run_child(code + "print(keras.backend.backend())") == "tensorflow\n"


def test_matplotlib_is_left_alone_and_stays_importable() -> None:
    code = (
        "import gc, sys; from trainer.quiet import import_tensorflow as i; i(start=False); "
        "import keras; print('matplotlib' in sys.modules, gc.isenabled()); "
        "import importlib.util; print(importlib.util.find_spec('matplotlib') is not None)"
    )
    assert run_child(code) == f"False True\n{importlib.util.find_spec('matplotlib') is not None}\n"


THREADS = """
import os, sys
os.sched_getaffinity = lambda process: {0, 1}
from trainer.task import build_parser, run
run(build_parser().parse_args(sys.argv[1:]))
import tensorflow as tf
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize(("model", "expected"), [("gru", 1), ("lstm", 0)])
def test_a_run_gives_an_operation_the_threads_that_suit_it(
    char_corpus: Corpus, tmp_path: Path, model: str, expected: int
) -> None:
    options = ["--steps=1", "--units=4", "--seq_len=8", "--batch_size=32", "--sample_tokens=0"]
    run = str(tmp_path / "run")
    out = run_child(THREADS, char_corpus.directory, "-o", run, f"--model={model}", *options)
    assert out.splitlines()[-1] == str(expected)


def test_threads_are_left_alone_where_tensorflow_has_started() -> None:
    import_tensorflow(operation_threads=7)
    assert tf.config.threading.get_intra_op_parallelism_threads() != 7
