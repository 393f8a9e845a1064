"""deploy/: every file has the structure that its service asks for, and flags that exist.

The shapes are those of the Kubeflow TFJob CRD (kubeflow.org/v1) and of Vertex AI's
CustomJobSpec, as far as the files use them: an unknown field or a wrong type fails.
"""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from training import ROOT

from pipeline.files.paths import EXTRAS
from trainer import task
from trainer.config import TrainConfig
from trainer.task import build_parser

DEPLOY = ROOT / "deploy"

_VERTEX_POOL = {
    "machineSpec": {"machineType": str, "acceleratorType": str, "acceleratorCount": int},
    "replicaCount": int,
    "containerSpec": {"imageUri": str, "args": [str]},
}
VERTEX = {
    "workerPoolSpecs": [_VERTEX_POOL],
    "scheduling": {"restartJobOnWorkerRestart": bool},
    "baseOutputDirectory": {"outputUriPrefix": str},
}
_POD = {
    "terminationGracePeriodSeconds": int,
    "serviceAccountName": str,
    "containers": [
        {
            "name": str,
            "image": str,
            "args": [str],
            "resources": {"limits": {"nvidia.com/gpu": int}},
        }
    ],
}
_REPLICAS = {
    "replicas": int,
    "restartPolicy": str,
    "template": {"metadata": {"annotations": {"sidecar.istio.io/inject": str}}, "spec": _POD},
}
TFJOB = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"generateName": str},
    "spec": {"runPolicy": {"cleanPodPolicy": str}, "tfReplicaSpecs": {"Worker": _REPLICAS}},
}


def check(value: Any, shape: Any, place: str) -> None:
    """Fails unless a value has just the fields and types of a shape."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), place
        assert value.keys() == shape.keys(), place
        for name in shape:
            check(value[name], shape[name], f"{place}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), place
        assert value, place
        for index, item in enumerate(value):
            check(item, shape[0], f"{place}[{index}]")
    else:
        assert type(value) is shape, place


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def config_of(flags: list[str]) -> TrainConfig:
    """The configuration that `python -m trainer.task` makes of these flags."""
    return task.config_of(build_parser().parse_args(flags))


def flags_in(script: Path) -> list[str]:
    """The flags that a shell script gives to the trainer, with its variables as they stand."""
    lines = [line for line in script.read_text().splitlines() if not line.startswith("#")]
    text = " ".join(lines).replace("\\", " ")
    behind = re.split(r"trainer\.task|\$IMAGE ", text)[-1].partition("||")[0].rstrip('" ')
    return [word for word in shlex.split(behind) if word.startswith(("--", "$"))]


@pytest.mark.parametrize("name", ["slurm.sbatch", "tpu-vm.sh"])
def test_scripts_are_bash(name: str) -> None:
    result = subprocess.run(["bash", "-n", DEPLOY / name], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_slurm_trains_on_several_workers() -> None:
    config = config_of(flags_in(DEPLOY / "slurm.sbatch"))
    assert (config.corpus, config.output) == ("$corpus", "$run")
    assert (config.strategy, config.batch_size) == ("multi_worker", 256)


def test_the_tpu_vm_trains_on_its_own_tpu() -> None:
    config = config_of(flags_in(DEPLOY / "tpu-vm.sh"))
    assert (config.strategy, config.tpu, config.batch_size) == ("tpu", "local", 1024)


def test_kubeflow_restarts_what_was_stopped() -> None:
    job = load("kubeflow-tfjob.yaml")
    check(job, TFJOB, "job")
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    assert worker["restartPolicy"] == "ExitCode"
    container = worker["template"]["spec"]["containers"][0]
    assert container["name"] == "tensorflow"
    config = config_of(container["args"])
    assert config.strategy == "multi_worker"
    assert config.batch_size % worker["replicas"] == 0
    assert all(path.startswith("gs://") for path in (config.corpus, config.output))


def test_vertex_ai_gets_the_output_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    job = load("vertex-custom-job.yaml")
    check(job, VERTEX, "job")
    chief, workers = job["workerPoolSpecs"]
    assert chief["replicaCount"] == 1
    assert chief["containerSpec"] == workers["containerSpec"]
    base = job["baseOutputDirectory"]["outputUriPrefix"]
    monkeypatch.setenv("AIP_CHECKPOINT_DIR", f"{base}/checkpoints/")
    config = config_of(chief["containerSpec"]["args"])
    assert (config.strategy, config.output) == ("multi_worker", f"{base}/checkpoints/")


def test_the_image_has_the_libraries_of_the_stores_that_the_jobs_name() -> None:
    jobs = "".join(path.read_text() for path in DEPLOY.iterdir())
    schemes = set(re.findall(r"\b([a-z0-9]+)://", jobs))
    extras = re.findall(r"EXTRAS=([a-z0-9,_]+)", jobs + (ROOT / "docs/cloud.md").read_text())
    assert len(extras) >= 3
    assert "gs" in schemes
    for each in extras:
        assert {EXTRAS[scheme] for scheme in schemes} <= set(each.split(",")), each


def test_what_the_image_is_tried_with_is_a_command() -> None:
    script = (ROOT / ".ci/image").read_text().replace("\\\n", " ")
    found = re.search(r"trainer\.task (.*--units.*)\n", script)
    assert found is not None
    config = config_of(found[1].split())
    assert (config.corpus, config.output, config.steps) == ("corpus", "run", 4)


def test_the_image_holds_what_the_package_is_built_from() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert {"pyproject.toml", "README.md", "LICENSE", "pipeline", "textreel", "trainer"} == set(
        copied
    )
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert {f"!{name}" for name in copied} <= set(ignored)
    assert 'ENTRYPOINT ["python", "-m", "trainer.task"]' in lines
