"""Pretrained vectors of a run: what it takes from their file, at its first start and later."""

import dataclasses
from typing import Any

import keras
import numpy as np

from pipeline.files import digest, exists
from pipeline.vocabulary.base import Vocabulary
from trainer.config import TrainConfig
from trainer.embeddings.vectors import Vectors, read_vectors


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrained:
    """The file of a run's `pretrained_embeddings`.

    Attributes:
        digest: BLAKE3 of the file, in hex: it, not the path, is in the run's identity.
        dim: numbers of a vector.
        vectors: where the embeddings start from; None once the run has a checkpoint, which
            holds what they have become.
    """

    digest: str | None
    dim: int
    vectors: Vectors | None


def load_pretrained(
    config: TrainConfig, vocabulary: Vocabulary, saved: dict[str, Any] | None
) -> Pretrained | None:
    """Reads a run's file of vectors, as far as it is needed.

    Args:
        config: the run's options.
        vocabulary: symbols <-> ids.
        saved: the settings in the run's checkpoint; None without one. With them the file is
            only compared with the one that the run began with, and may be gone.

    Returns:
        What the run takes from the file; None without `pretrained_embeddings`.

    Raises:
        UserError: the file is not there or cannot be used.
        OptionError: its vectors have another size than the options say.
    """
    path = config.pretrained_embeddings
    if path is None:
        return None
    dim = config.fixed_embedding_size
    if saved is None:
        vectors = read_vectors(path, vocabulary, dim=dim)
        return Pretrained(digest=digest(path), dim=vectors.dim, vectors=vectors)
    known = digest(path) if exists(path) else saved.get("pretrained_embeddings")
    return Pretrained(digest=known, dim=dim or saved["embedding_dim"], vectors=None)


def start_from(vectors: Vectors, embedding: keras.layers.Embedding) -> None:
    """Replaces the initial vectors of a layer.

    An id that the file lacks keeps its random vector. These are scaled so that they have the root
    mean square of the vectors found: otherwise the smaller kind of the two would hardly count.

    Args:
        vectors: of some ids.
        embedding: a built layer with weights `[vectors.num_ids, vectors.dim]`.
    """
    matrix = keras.ops.convert_to_numpy(embedding.embeddings).copy()
    lacking = np.ones(len(matrix), bool)
    lacking[vectors.ids] = False
    matrix[vectors.ids] = vectors.values
    if lacking.any():
        matrix[lacking] *= _root_mean_square(vectors.values) / _root_mean_square(matrix[lacking])
    embedding.embeddings.assign(matrix)


def vectors_text(vectors: Vectors) -> str:
    """Says how many ids start from a vector of the file."""
    lacking = vectors.num_ids - len(vectors.ids)
    rest = f"; the other {lacking:,} start at random" if lacking else ""
    return f"{vectors.path}: vectors of {len(vectors.ids):,} of {vectors.num_ids:,} ids{rest}"


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
