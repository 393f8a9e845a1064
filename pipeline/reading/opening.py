"""Opening of a corpus, wherever it lies."""

import os

from pipeline.errors import UserError
from pipeline.layout.loading import load_manifest
from pipeline.reading.caching.fetcher import find_cache
from pipeline.reading.corpus import Corpus
from pipeline.vocabulary.loading import load_vocabulary


def open_corpus(
    directory: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_bytes: int | None = None,
) -> Corpus:
    """Opens a prepared directory, which may lie in a store.

    What a corpus in a store is read for is brought to a cache on this machine: the first batch
    waits for its own ranges of the shards alone; whole shards follow, are checked, and stay for
    later runs and for other processes. `gs://` needs none, for TensorFlow reads it.

    Args:
        directory: of the corpus, or its URI.
        cache_dir: directory on this machine to keep shards in; `None`: for `gs://` no cache, for
            other stores `$XDG_CACHE_HOME/textreel`, or `~/.cache/textreel`.
        cache_bytes: what the cache may take; what does not fit is read again each time. `None`:
            no bound.

    Raises:
        OptionError: the cache is in a store itself, or its size is negative.
        UserError: it is none, it is damaged, or its vocabulary is not the one that it was
            prepared with.
    """
    given = None if cache_dir is None else os.fspath(cache_dir)
    cache = find_cache(os.fspath(directory), given, cache_bytes)
    manifest = load_manifest(directory)
    vocabulary = load_vocabulary(directory)
    if vocabulary.fingerprint != manifest.vocabulary_fingerprint:
        raise UserError(
            f"{directory}: its vocabulary is not the vocabulary that the corpus was "
            f"prepared with (fingerprint {vocabulary.fingerprint[:12]}, the manifest says "
            f"{manifest.vocabulary_fingerprint[:12]}); put the corpus's own file back"
        )
    return Corpus(os.fspath(directory), manifest, vocabulary, cache)
