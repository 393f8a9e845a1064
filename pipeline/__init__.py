"""Text of any size -> a corpus of integer tokens -> shuffled windows for training.

    text          sources: files, directories, datasets -> pieces -> documents
    vocabulary    a text <-> its tokens, integers
    preparing     a plan cuts the sources into pieces; workers encode each into a shard
    layout        the corpus as files: records in shards, and the manifest that names them
    reading       positions of the endless training order -> windows of tokens -> batches
    indexing      where the records of any TFRecord files begin
    auditing      is the corpus whole? where does a batch come from? what will it take?

`prepare` makes a corpus from sources, once:

    sources -> plan -> shards (in parallel, resumable, the same bytes each time) -> manifest

`open_corpus` opens it, and `Corpus.windows` is a `tf.data` pipeline over one of its splits:

    step -> positions -> windows (`reading.order`) -> spans of the shards -> batches

Preparing and reading do not know each other. They meet at `layout`, which is what stands on the
disk, and at `vocabulary`. A batch is a pure function of its step, so nothing has a state that
would have to be saved, and any number of hosts reads the same batches. `mix` joins several
corpora; `reference_windows` is the slow recipe that the fast windows equal. `open_records` reads
TFRecord files that have an index in the same order, a record for a window.

Each name is imported when it is first used: a command that needs few of them starts sooner.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.errors import OptionError, UserError
    from pipeline.indexing.build import index_records
    from pipeline.layout.record_index import RecordIndex, open_index
    from pipeline.preparing.options import PrepareOptions
    from pipeline.preparing.prepare import prepare
    from pipeline.reading.corpus import Corpus
    from pipeline.reading.mixture import mix, mix_batches
    from pipeline.reading.opening import open_corpus
    from pipeline.reading.reference import reference_windows
    from pipeline.reading.tfrecords.records import Records, open_records

__all__ = [
    "Corpus",
    "OptionError",
    "PrepareOptions",
    "RecordIndex",
    "Records",
    "UserError",
    "index_records",
    "mix",
    "mix_batches",
    "open_corpus",
    "open_index",
    "open_records",
    "prepare",
    "reference_windows",
]

_MODULES = {
    "Corpus": "pipeline.reading.corpus",
    "OptionError": "pipeline.errors",
    "PrepareOptions": "pipeline.preparing.options",
    "RecordIndex": "pipeline.layout.record_index",
    "Records": "pipeline.reading.tfrecords.records",
    "UserError": "pipeline.errors",
    "index_records": "pipeline.indexing.build",
    "mix": "pipeline.reading.mixture",
    "mix_batches": "pipeline.reading.mixture",
    "open_corpus": "pipeline.reading.opening",
    "open_index": "pipeline.layout.record_index",
    "open_records": "pipeline.reading.tfrecords.records",
    "prepare": "pipeline.preparing.prepare",
    "reference_windows": "pipeline.reading.reference",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
