"""Store whose objects are files of this machine: `disk://a/b` is `/a/b`, where tests look."""

import os
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.files.paths import EXTRAS


class DiskStore(LocalFileSystem):
    """As stores have it: no directories to be made, none that are empty, objects put whole."""

    protocol = "disk"

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "auto_mkdir": True})

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return super()._strip_protocol("/" + str(path).removeprefix("disk://").lstrip("/"))

    def put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **options: Any) -> None:
        if mode == "create" and os.path.exists(rpath):
            raise FileExistsError(rpath)
        super().put_file(lpath, rpath, **options)

    def rm_file(self, path: str) -> None:
        super().rm_file(path)
        folder = os.path.dirname(self._strip_protocol(path))
        while not os.listdir(folder):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


fsspec.register_implementation("disk", DiskStore, clobber=True)
EXTRAS["disk"] = "test"
