"""textreel: one name for both packages, and no TensorFlow before the trainer is used."""

import subprocess
import sys

import pipeline
import textreel
import trainer


def test_it_has_all_public_names() -> None:
    assert set(textreel.__all__) == {*pipeline.__all__, *trainer.__all__}
    for name in pipeline.__all__:
        assert getattr(textreel, name) is getattr(pipeline, name)
    for name in trainer.__all__:
        assert getattr(textreel, name) is getattr(trainer, name)
    assert set(textreel.__all__) <= set(dir(textreel))
    assert not hasattr(textreel, "no_such_name")


def test_importing_it_imports_no_tensorflow() -> None:
    code = "import sys, textreel; textreel.TrainConfig; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
