"""Documents within batches: loss masks, and segments for packed training. See `graph.segments`."""

import numpy as np


def mask_other_documents(
    inputs: np.ndarray, targets: np.ndarray, separator_id: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keeps of each window the document that it begins with; the rest becomes padding.

    Args:
        inputs: `[rows, seq_len]` int32.
        targets: `[rows, seq_len]` or `[rows]` int32.
        separator_id: of the vocabulary; the padding too.

    Returns:
        Inputs, targets and weights; `weights` is float32 of the shape of `targets`, 0 where a
        target is of another document than the window's first token.
    """
    segment_ids, _ = segment(inputs, separator_id)
    own = segment_ids == segment_ids[:, :1]
    in_own = own if targets.ndim == 2 else own[:, -1]
    return (
        np.where(own, inputs, np.int32(separator_id)),
        np.where(in_own, targets, np.int32(separator_id)),
        in_own.astype(np.float32),
    )


def segment(inputs: np.ndarray, separator_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the documents of each window, and the tokens of each document.

    Args:
        inputs: `[rows, seq_len]` int32.
        separator_id: of the vocabulary.

    Returns:
        `segment_ids` and `positions`, `[rows, seq_len]` int32.
    """
    begins = inputs == separator_id
    place = np.arange(inputs.shape[1], dtype=np.int32)
    first_places = np.maximum.accumulate(np.where(begins, place, np.int32(0)), axis=1)
    return np.cumsum(begins, axis=1, dtype=np.int32), place - first_places
