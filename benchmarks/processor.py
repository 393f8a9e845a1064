"""The processor that a table is of: a figure says little without it."""

import os
from pathlib import Path

_EXTENSIONS = {  # as Linux has them in /proc/cpuinfo
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "amx_bf16": "AMX BF16",
    "sha_ni": "SHA",
}


def describe() -> str:
    """Cores, name and extensions, such as `2 cores of AMD EPYC (AVX2, SHA)`."""
    cpuinfo = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags", "").split()
    extensions = [text for flag, text in _EXTENSIONS.items() if flag in flags]
    name = fields.get("model name", "an unknown processor")
    return f"{os.cpu_count()} cores of {name}" + (
        f" ({', '.join(extensions)})" if extensions else ""
    )
