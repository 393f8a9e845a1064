"""Virtual environments of the peers, made from PyPI where they are not there."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGES = {
    None: ["tensorflow", "keras", "numpy", "tensorflow-datasets", "tokenizers", "gigatoken"],
    "datasets": ["datasets", "tiktoken"],
    "jax": ["jax", "optax"],
    "keras-hub": ["keras-hub", "tensorflow", "tensorflow-text", "keras", "numpy"],
    "megatron-core": ["megatron-core", "torch", "numpy", "packaging", "tokenizers"],
    "grain": ["grain", "array_record"],
    "mosaicml-streaming": ["mosaicml-streaming", "torchvision"],
    "torch": ["torch", "numpy"],
}
VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def interpreter(folder: Path, name: str | None) -> str:
    """The Python of a peer's environment; of this one without a name."""
    if name is None:
        return sys.executable
    python = folder / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
        packages = PACKAGES.get(name, [name])
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return str(python)


def versions_text(folder: Path, names: Iterable[str | None]) -> str:
    """The versions of what is compared, such as `tensorflow 2.21.0, torch 2.9.0`.

    Args:
        folder: has the environments.
        names: of environments; None: this one.
    """
    found: dict[str, str] = {}
    for name in sorted(set(names) | {None}, key=str):
        packages = PACKAGES.get(name, [str(name)])
        command = [interpreter(folder, name), "-c", VERSIONS, *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for package, version in json.loads(done.stdout).items():
            if found.setdefault(package, version) != version:
                found[f"{package} of {name}"] = version
    return ", ".join(f"{package} {version}" for package, version in found.items())
