"""Files in a directory that are to be sources, and what is left out there, and why.

Left out, and counted aloud:

- what is hidden: files and folders whose names begin with `.` or `_`, as Spark, Arrow and others
  have it (`.git`, `.DS_Store`, `._a.txt`, `_metadata`, `__pycache__`);
- corpora, runs, indexes and exports of our own, told by the names of their files;
- links to directories that are read anyway: each directory is read once.
"""

import dataclasses
import fnmatch
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator

from pipeline.errors import UserError
from pipeline.files import FileStatus, entries, is_in_store, is_same_file, join

HIDDEN = "hidden, their names begin with . or _ (`--hidden` takes them)"
OWN = "made by textreel"
LINKS = "links to directories that are read already"
EMPTY = "without a byte"

# What we make -> the names that its folder has, all of one of the sets.
_OWN = {
    "a corpus": ({"manifest.json", "dataset_info.json"}, {".prepare"}),
    "an index of records": ({"index.json", "offsets.npy"},),
    "a run": (
        {"run.toml", "metrics.jsonl"},
        {"run.toml", "vocabulary.json", "checkpoints"},
        {"run.toml", "tokenizer.json", "checkpoints"},
    ),
    "an export": ({"saved_model.pb", "model.keras"},),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """Which files of a directory are meant.

    Attributes:
        glob: only files whose name matches; `None` takes all.
        hidden: takes hidden files and folders, too.
        leave_out: a directory that is no source, such as the one that the corpus goes to.
    """

    glob: str | None = None
    hidden: bool = False
    leave_out: str | os.PathLike[str] | None = None

    def takes_folder(self, name: str) -> bool:
        """Whether a folder is not hidden, by its name."""
        return self.hidden or not name.startswith((".", "_"))

    def takes_file(self, name: str) -> bool:
        """Whether a file is not hidden; `glob` may name hidden ones, as `_*.txt` does."""
        return self.takes_folder(name) or (self.glob is not None and self.glob[:1] == name[0])

    def matches(self, name: str) -> bool:
        """Whether a file has a name that is asked for."""
        return self.glob is None or fnmatch.fnmatch(name, self.glob)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """What is in directories.

    Attributes:
        files: those to read, sorted by the parts of their paths.
        left_out: why -> what was left out; folders end with a slash.
        statuses: of the files, as far as the listing says it, as those of stores do.
    """

    files: list[str]
    left_out: dict[str, list[str]]
    statuses: dict[str, FileStatus]


def list_files(directory: str, choice: Choice) -> Listing:
    """Lists the files below a directory, recursively. Links to directories are followed.

    Raises:
        UserError: the directory is the output or of our own making, or has no file to read.
        OSError: a directory cannot be read.
    """
    left_out: dict[str, list[str]] = defaultdict(list)
    statuses: dict[str, FileStatus] = {}
    if is_in_store(directory):
        walk: Walk = _store_walk(directory, choice, statuses)
    else:
        walk = _walk(directory, choice, left_out)
    files = []
    for folder, folders, names in walk:
        if own := _own({*folders, *names}):
            if folder == directory:
                raise UserError(
                    f"{directory} is {own} of textreel's, no text: name what to read instead, such "
                    "as the sources that it was made of"
                )
            left_out[OWN].append(f"{folder.rstrip('/')}/")
            folders.clear()
            continue
        for name in folders:
            if not choice.takes_folder(name):
                left_out[HIDDEN].append(f"{join(folder, name)}/")
        folders[:] = [name for name in folders if choice.takes_folder(name)]
        for name in names:
            if not choice.matches(name):
                continue
            if choice.takes_file(name):
                files.append(join(folder, name))
            else:
                left_out[HIDDEN].append(join(folder, name))
    if not files:
        raise UserError(f"{directory}: {_why_nothing(choice, left_out)}; nothing to prepare")
    files.sort(key=lambda file: file[len(directory) :].split("/"))
    return Listing(
        files=files,
        left_out={why: sorted(what) for why, what in left_out.items()},
        statuses={file: statuses[file] for file in files if file in statuses},
    )


def _why_nothing(choice: Choice, left_out: dict[str, list[str]]) -> str:
    if choice.glob is not None:
        return f"no file in it matches `glob` {choice.glob!r}"
    if left_out:
        return "all of it is left out: " + "; ".join(
            f"{len(what)} {why}" for why, what in left_out.items()
        )
    return "the directory is empty"


def _own(names: set[str]) -> str:
    """Which of the things that we make a folder with such names is, or nothing."""
    for kind, sets in _OWN.items():
        if any(each <= names for each in sets):
            return kind
    return ""


Walk = Iterable[tuple[str, list[str], list[str]]]  # a folder, its folders, its files


def _store_walk(
    directory: str, choice: Choice, statuses: dict[str, FileStatus]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walks a directory of a store; notes what the listings say of its files."""
    output = str(choice.leave_out).rstrip("/")
    if directory.rstrip("/") == output:
        raise UserError(f"{directory} is the output; name what to read")
    waiting = [directory]
    while waiting:
        folder = waiting.pop(0)
        listed = entries(folder)
        folders = [
            name
            for name, status in listed.items()
            if status is not None and status.is_directory and join(folder, name) != output
        ]
        names = [name for name in listed if name not in folders and join(folder, name) != output]
        for name in names:
            status = listed[name]
            if status is not None:
                statuses[join(folder, name)] = status
        yield folder, folders, names
        waiting += [join(folder, name) for name in folders]


def _walk(directory: str, choice: Choice, left_out: dict[str, list[str]]) -> Walk:
    """Walks a directory, then what links in it lead to: each real directory once."""

    def fail(error: OSError) -> None:
        raise error

    def is_output(path: str) -> bool:
        return (
            choice.leave_out is not None
            and os.path.exists(choice.leave_out)
            and is_same_file(path, choice.leave_out)
        )

    if is_output(directory):
        raise UserError(f"{directory} is the output; name what to read")
    seen: set[str] = set()
    waiting = [directory]
    while waiting:
        links: list[str] = []
        start = waiting.pop(0)
        if start != directory and os.path.realpath(start) in seen:
            left_out[LINKS].append(f"{start}/")
            continue
        real = {start: os.path.realpath(start)}  # of the folders to come
        for folder, folders, names in os.walk(start, onerror=fail):
            place = real.pop(folder)
            if place in seen:
                folders.clear()
                continue
            seen.add(place)
            folders[:] = [name for name in folders if not is_output(os.path.join(folder, name))]
            yield folder, folders, names
            for name in folders:
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    links.append(path)
                else:
                    real[path] = os.path.join(place, name)
        waiting += sorted(links)
        for link in links:
            _refuse_way_up(link, os.path.realpath(directory))


def _refuse_way_up(link: str, root: str) -> None:
    """Refuses a link to a directory that holds all that is read, and more."""
    target = os.path.realpath(link)
    if root.startswith(target.rstrip("/") + "/"):
        raise UserError(
            f"{link} is a symbolic link to {target}, which it lies in: a loop; remove the link, or "
            "name the directories to read"
        )
