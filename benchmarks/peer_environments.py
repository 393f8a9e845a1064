"""Virtual environments of the peers, made from PyPI where they are not there."""

import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "datasets": ["datasets", "tiktoken"],
    "jax": ["jax", "optax"],
    "torch": ["torch", "numpy"],
}


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
