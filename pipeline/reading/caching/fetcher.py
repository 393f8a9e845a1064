"""Cache of a corpus in a store: what a graph asks for is brought to files of this machine.

TensorFlow reads files of this machine, and of `gs://`. A graph that reads another store would need
functions of Python, which cannot be saved, nor served by another process, and hold its lock. So a
graph asks by a file, and waits for the answer, which is a file too; a thread of this process
answers:

    FOLDER/ID.ask       the ranges of shards that a group of the order needs
    FOLDER/ID.records   these ranges end to end
    FOLDER/ID.ready     `ok`, or what went wrong: the graph waits for it
    FOLDER/ID.done      the graph has read the answer, which is removed

A graph that was stopped while it waited takes its answer never: it goes after ten minutes.

What is asked for first comes first: a range of a shard that is not here is read from the store, by
one request; a shard of which a group needs a quarter is fetched whole, which takes far fewer.
Behind that another thread fetches whole shards, in the order in which they were first asked for,
and keeps them for later groups, epochs, runs and processes.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import OptionError, UserError, first_line
from pipeline.files import digest, fetch_file, is_in_store, join, read_range
from pipeline.layout.manifest import FILE_NAME, Manifest, Shard
from pipeline.layout.sealed import is_unchanged
from pipeline.locks import NoLocksError, held
from pipeline.reading.damage import replaced_message, unread_message
from pipeline.terminal import show

READY = "ok"
_REQUESTS = 32  # to the store, under way at once
_WHOLE = 4  # a shard is fetched whole where a group needs so little a part of it
_AT_ONCE_BYTES = 64 * 2**20  # of shards that are fetched whole, so far as there are several
_BEHIND_SECONDS = 1.0  # that whole shards wait for what is asked
_LOOK_SECONDS = 0.01  # between two looks for what is asked
_LOOKS = 60_000  # until an answer that nobody took goes; a process that is suspended looks not


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cache:
    """Where shards from a store are kept.

    Attributes:
        directory: on this machine; processes may share it.
        max_bytes: what all shards in it may take together; `None`: all that come. Those of other
            corpora go first, the one that was not used for longest before others.
    """

    directory: str
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.max_bytes is not None and self.max_bytes < 0:
            raise OptionError(f"`cache_bytes` must be at least 0, got {self.max_bytes}")


def find_cache(corpus: str, cache_dir: str | None, cache_bytes: int | None) -> Cache | None:
    """Returns the cache of a corpus; `None` where TensorFlow reads it where it is.

    Args:
        corpus: its directory, or its URI.
        cache_dir: as the user gave it; `None`: `gs://`, which TensorFlow reads itself, has no
            cache, and other stores one in the user's directory for such.
        cache_bytes: what it may take; `None`: all that comes.

    Raises:
        OptionError: the directory is in a store itself, or the number is negative.
    """
    if not is_in_store(corpus) or (cache_dir is None and corpus.startswith("gs://")):
        return None
    if cache_dir is not None and is_in_store(cache_dir):
        raise OptionError(f"`cache_dir` must be a directory of this machine, got {cache_dir}")
    if cache_dir is None:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        cache_dir = join(base, "textreel")
    return Cache(directory=os.path.abspath(cache_dir), max_bytes=cache_bytes)


class _ReplacedError(UserError):
    """Says that the corpus is another one now."""


class Fetcher:
    """Answers what graphs ask for of a split; its threads end with the process.

    Args:
        corpus: the URI of the corpus.
        manifest: of it.
        split: the name of the split.
        cache: where shards are kept.

    Attributes:
        folder: where a graph asks.
    """

    def __init__(self, corpus: str, manifest: Manifest, split: str, cache: Cache) -> None:
        self._corpus, self._manifest, self._cache = corpus, manifest, cache
        self._shards = manifest.splits[split].shards
        self._kept = Path(cache.directory, manifest.digest[:32])
        self._kept.mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.TemporaryDirectory(prefix="textreel-asked-")
        self.folder = self._scratch.name
        self._pool = concurrent.futures.ThreadPoolExecutor(_REQUESTS)
        largest = max((shard.disk_bytes for shard in self._shards), default=1)
        at_once = max(1, min(_REQUESTS, _AT_ONCE_BYTES // max(1, largest)))
        self._whole_pool = concurrent.futures.ThreadPoolExecutor(at_once)
        self._shard_locks = [threading.Lock() for _ in self._shards]
        self._room_lock = threading.Lock()
        self._coming: dict[Path, int] = {}  # files that are being fetched, and what they will take
        self._tried: set[int] = set()
        self._wanted: collections.deque[int] = collections.deque()
        self._seen: set[int] = set()
        self._is_idle, self._is_over = threading.Event(), threading.Event()
        for work in (self._answer_all, self._keep_all):
            threading.Thread(target=work, name="textreel-cache", daemon=True).start()

    def _answer_all(self) -> None:
        answered: dict[str, int] = {}  # ask: the look at which it was answered
        for look in itertools.count():
            names = sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else None
            if names is None:
                return  # the process ends
            asked = [name for name in names if name.endswith(".ask")]
            taken = [name.removesuffix(".done") for name in names if name.endswith(".done")]
            left = [ask for ask, since in answered.items() if look - since > _LOOKS]
            for ask in taken + left:
                self._forget(ask)
                answered.pop(ask, None)
            for name in asked:
                content = Path(self.folder, name).read_text()
                if content.endswith("."):  # it is written whole
                    self._is_idle.clear()
                    ask = name.removesuffix(".ask")
                    self._answer(ask, content)
                    answered[ask] = look
            self._is_idle.set()
            time.sleep(_LOOK_SECONDS)

    def _forget(self, ask: str) -> None:
        for end in ("records", "ready", "done"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.folder}/{ask}.{end}")

    def _answer(self, ask: str, content: str) -> None:
        path = f"{self.folder}/{ask}"
        try:
            numbers = list(map(int, content.removesuffix(".").split()))
            parts = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
            self._write(f"{path}.records", parts)
            said = READY
        except Exception as error:  # whatever it is: a graph waits
            said = str(error)
            if not isinstance(error, _ReplacedError):
                said = said if isinstance(error, UserError) else f"{self._corpus}: {error!r}"
                said = unread_message(" ".join(said.split()))
        os.unlink(f"{path}.ask")
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            file.write(said + "\n")
        os.replace(f"{path}.part", f"{path}.ready")

    def _write(self, path: str, parts: list[tuple[int, int, int]]) -> None:
        """Writes ranges end to end: shard, first byte, and bytes, of which it may have fewer."""
        self.bring([(shard, num_bytes) for shard, _, num_bytes in parts])
        with open(path, "wb") as file:
            place = 0
            for (_, _, num_bytes), data in zip(
                parts, self._pool.map(lambda part: self.read(*part), parts), strict=True
            ):
                file.seek(place)
                file.write(data)
                place += num_bytes
        if not is_unchanged(join(self._corpus, FILE_NAME), self._manifest.digest):
            raise _ReplacedError(replaced_message(self._corpus))

    def _want(self, index: int) -> None:
        if index not in self._seen:
            self._seen.add(index)
            self._wanted.append(index)

    def bring(self, needed: Iterable[tuple[int, int]]) -> None:
        """Fetches the shards whole of which much is needed, and wants the others.

        Args:
            needed: shards, by their indices in the split, and bytes of them that are to be read.
        """
        sums: collections.Counter[int] = collections.Counter()
        for index, num_bytes in needed:
            sums[index] += num_bytes
            self._want(index)
        whole = [i for i, total in sums.items() if total * _WHOLE >= self._shards[i].disk_bytes]
        for _ in self._whole_pool.map(self._keep_or_say, whole):
            pass

    def read(self, index: int, start: int, num_bytes: int) -> bytes:
        """Reads a range of a shard from the cache, or from the store until it is there.

        Args:
            index: of the shard, in the split.
            start: the first byte.
            num_bytes: how many; fewer at the end of the shard.

        Raises:
            UserError: the store cannot be read.
        """
        self._want(index)
        shard = self._shards[index]
        stop = min(start + num_bytes, shard.disk_bytes)
        with contextlib.suppress(OSError), open(self._kept / shard.file, "rb") as file:
            file.seek(start)
            return file.read(stop - start)
        return read_range(join(self._corpus, shard.file), start, stop)

    def _keep_all(self) -> None:
        while not self._is_over.is_set():
            self._is_idle.wait(_BEHIND_SECONDS)
            if self._wanted:
                self._keep_or_say(self._wanted.popleft())
            else:
                time.sleep(10 * _LOOK_SECONDS)

    def _keep_or_say(self, index: int) -> None:
        """Fetches a shard, once, while there is room; what goes wrong is said here."""
        with self._shard_locks[index]:  # another thread may be at it
            if index in self._tried or self._is_over.is_set():
                return
            self._tried.add(index)
            shard = self._shards[index]
            try:
                self._keep(shard)
            except RuntimeError:
                self._is_over.set()  # no thread can be started: the process ends
            except Exception as error:
                show(f"textreel: warning: {shard.file}: {first_line(error)}", file=sys.stderr)
                if isinstance(error, OSError):
                    self._is_over.set()

    def _keep(self, shard: Shard) -> None:
        """Fetches a shard, whole, and checks it."""
        whole = self._kept / shard.file
        if whole.exists():
            os.utime(whole)
            return
        beside = self._kept / f".{shard.file}.incomplete"
        with contextlib.ExitStack() as stack:
            try:
                lock = held(self._kept / f".{shard.file}.lock", busy=lambda holder: holder)
                stack.enter_context(lock)
            except UserError:
                return  # another process fetches it
            except NoLocksError as error:
                raise OSError(f"no locks, so nothing is kept in {self._kept}") from error
            stack.callback((self._kept / f".{shard.file}.lock").unlink, missing_ok=True)
            if not self._make_room(beside, shard.disk_bytes):
                return
            stack.callback(self._coming.pop, beside)
            start = min(beside.stat().st_size, shard.disk_bytes) if beside.exists() else 0
            uri = join(self._corpus, shard.file)
            fetch_file(uri, beside, num_bytes=shard.disk_bytes, start=start)
            if digest(beside) != shard.blake3:
                beside.unlink()
                raise UserError(
                    f"{uri} is not what its manifest says: it is damaged, or was cut off in its "
                    "way; it is not kept"
                )
            os.replace(beside, whole)

    def _make_room(self, path: Path, num_bytes: int) -> bool:
        """Says whether a file that will be so long may come; if not, no other does."""
        most = self._cache.max_bytes
        if most is None:
            self._coming[path] = num_bytes
            return True
        with self._room_lock:
            found = [each for each in Path(self._cache.directory).glob("*/*") if each.is_file()]
            sizes = {each: each.stat() for each in found if not each.name.endswith(".lock")}
            taken = {each: status.st_size for each, status in sizes.items()} | self._coming
            taken.pop(path, None)  # its beginning
            free = most - sum(taken.values())
            for each in sorted(sizes, key=lambda each: sizes[each].st_mtime):
                if free >= num_bytes:
                    break
                if each.parent != self._kept:
                    each.unlink(missing_ok=True)
                    free += sizes[each].st_size
            if free >= num_bytes:
                self._coming[path] = num_bytes
                return True
            if not self._is_over.is_set():
                self._is_over.set()
                show(
                    f"textreel: the cache {self._cache.directory} is full (--cache_bytes): the "
                    f"rest of {self._corpus} is read from the store again in every epoch",
                    file=sys.stderr,
                )
            return False


class Fetchers:
    """The fetchers of a corpus, made when they are needed, by each process its own.

    Args:
        corpus: its directory, or its URI.
        manifest: of it.
        cache: where shards are kept; `None` where they are read from where they are.
    """

    def __init__(self, corpus: str, manifest: Manifest, cache: Cache | None) -> None:
        self._arguments, self._cache = (corpus, manifest), cache
        self._made: dict[tuple[int, str], Fetcher] = {}
        self._locks: dict[int, threading.Lock] = {}

    def of(self, split: str) -> Fetcher | None:
        """The fetcher of a split; `None` where there is no cache.

        Raises:
            OSError: the cache cannot be made.
        """
        key = os.getpid(), split  # a fork copies no threads
        if self._cache is not None and key not in self._made:
            # Threads that read come all at once. Of this process: a fork may copy a held lock.
            with self._locks.setdefault(os.getpid(), threading.Lock()):
                if key not in self._made:
                    self._made[key] = Fetcher(*self._arguments, split, self._cache)
        return self._made.get(key)

    def __reduce__(self) -> tuple[type, tuple[str, Manifest, Cache | None]]:
        return Fetchers, (*self._arguments, self._cache)
