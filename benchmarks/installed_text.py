"""Text that every machine has: the ASCII files of the installed Python packages."""

import hashlib
import sysconfig
from pathlib import Path


def make_text(path: Path, num_bytes: int) -> None:
    """ASCII files of the installed packages, each once."""
    seen: set[bytes] = set()
    roots = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]
    written = 0
    with open(path, "wb") as out:
        for root in roots:
            for file in sorted(Path(root).rglob("*")):
                if file.suffix not in (".py", ".txt", ".md", ".rst", ".h"):
                    continue
                data = file.read_bytes() if file.is_file() else b""
                digest = hashlib.sha256(data).digest()
                if not data.isascii() or b"\0" in data or digest in seen:
                    continue
                seen.add(digest)
                out.write(data[: num_bytes - written])
                written += len(data[: num_bytes - written])
                if written == num_bytes:
                    return
    raise SystemExit(f"only {written} bytes of ASCII text are installed")
