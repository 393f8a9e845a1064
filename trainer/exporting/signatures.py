"""Signatures of an exported model: its functions `generate` and `score`, in TensorFlow alone.

Of bytes and characters they take and return text, of subwords ids. Rows of different lengths
stand in one batch and know nothing of each other.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.vocabulary.base import Vocabulary
from trainer.exporting.graph_text import GraphText, graph_text
from trainer.generation.request import Request
from trainer.generation.sampling import Drawing, advance, begin
from trainer.models import LanguageModel

_DRAWING = [
    tf.TensorSpec([], tf.int32, "num_tokens"),
    tf.TensorSpec([], tf.float32, "temperature"),
    tf.TensorSpec([], tf.int32, "top_k"),
    tf.TensorSpec([], tf.float32, "top_p"),
    tf.TensorSpec(None, tf.int32, "seed"),
]
_TEXTS = tf.TensorSpec([None], tf.string, "text")
_PROMPTS = tf.TensorSpec([None], tf.string, "prompt")
_IDS = [tf.TensorSpec([None, None], tf.int32, "ids"), tf.TensorSpec([None], tf.int32, "lengths")]


class ExportedModel(tf.Module):
    """What both kinds have: the functions `generate`, `generate_by_default` and `score`."""

    def signatures(self) -> dict[str, Any]:
        """The functions by their names in a SavedModel.

        `serving_default` is what model servers call when a request names none: `generate`, with
        the defaults of `Request` for all but the prompts.
        """
        named = {name: getattr(self, name) for name in ("generate", "score")}
        return named | {"serving_default": self.generate_by_default}


class TextModel(ExportedModel):
    """A model that takes and returns text.

    Args:
        core: what works on ids.
        text: text <-> ids.
    """

    def __init__(self, core: "Core", text: GraphText) -> None:
        super().__init__()
        self._core, self._text, self._weights = core, text, core.weights()

    @tf.function(input_signature=[_PROMPTS, *_DRAWING])
    def generate(
        self,
        prompt: tf.Tensor,
        num_tokens: tf.Tensor = Request.tokens,
        temperature: tf.Tensor = Request.temperature,
        top_k: tf.Tensor = Request.top_k,
        top_p: tf.Tensor = Request.top_p,
        seed: tf.Tensor = Request.seed,
    ) -> dict[str, tf.Tensor]:
        """Returns what follows each prompt: the text of `textreel generate` with its seed.

        Args:
            prompt: `[batch]` strings; an empty one begins a document.
            num_tokens: int32 scalar; tokens to generate.
            temperature: float32 scalar; see `Request`, as for the others.
            top_k: int32 scalar.
            top_p: float32 scalar.
            seed: int32, a scalar or `[batch]`.

        Returns:
            `text`: `[batch]` strings, without the prompts.
        """
        ids = self._text.encode(prompt)
        generated = self._core.generate(ids, num_tokens, temperature, top_k, top_p, seed)
        return {"text": self._text.decode(generated)}

    @tf.function(input_signature=[_PROMPTS])
    def generate_by_default(self, prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns what follows each prompt, with the defaults of `generate`."""
        return self.generate(prompt)

    @tf.function(input_signature=[_TEXTS])
    def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns how hard each text is to predict, as the beginning of a document.

        Args:
            text: `[batch]` strings.

        Returns:
            `nats`: `[batch]` float32, minus the natural logarithm of the text's probability;
            `num_tokens`: `[batch]` int32; `bits_per_byte`: `[batch]` float32.
        """
        return self._core.score(self._text.encode(text), tf.strings.length(text))


class IdModel(ExportedModel):
    """A model that takes and returns ids: who uses subwords needs their tokenizer as well.

    Args:
        core: what works on ids.
        num_bytes: `[vocabulary_size]` int32; the bytes of text of each id.
    """

    def __init__(self, core: "Core", num_bytes: np.ndarray) -> None:
        super().__init__()
        self._core, self._num_bytes, self._weights = core, num_bytes, core.weights()

    @tf.function(input_signature=[*_IDS, *_DRAWING])
    def generate(
        self,
        ids: tf.Tensor,
        lengths: tf.Tensor,
        num_tokens: tf.Tensor = Request.tokens,
        temperature: tf.Tensor = Request.temperature,
        top_k: tf.Tensor = Request.top_k,
        top_p: tf.Tensor = Request.top_p,
        seed: tf.Tensor = Request.seed,
    ) -> dict[str, tf.Tensor]:
        """Returns the ids that follow each prompt: those of `textreel generate` with its seed.

        Args:
            ids: `[batch, width]` int32 prompts.
            lengths: `[batch]` int32; ids of each prompt, the rest of its row is not read.
            num_tokens: as of `TextModel.generate`, and so on.
            temperature: float32 scalar.
            top_k: int32 scalar.
            top_p: float32 scalar.
            seed: int32, a scalar or `[batch]`.

        Returns:
            `ids`: `[batch, num_tokens]` int32, without the prompts.
        """
        prompts = tf.RaggedTensor.from_tensor(ids, lengths)
        return {"ids": self._core.generate(prompts, num_tokens, temperature, top_k, top_p, seed)}

    @tf.function(input_signature=_IDS)
    def generate_by_default(self, ids: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the ids that follow each prompt, with the defaults of `generate`."""
        return self.generate(ids, lengths)

    @tf.function(input_signature=_IDS)
    def score(self, ids: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns how hard each row is to predict; see `TextModel.score`.

        Args:
            ids: `[batch, width]` int32.
            lengths: `[batch]` int32; ids of each row.
        """
        rows = tf.RaggedTensor.from_tensor(ids, lengths)
        num_bytes = rows.with_flat_values(tf.gather(self._num_bytes, rows.flat_values))
        return self._core.score(rows, tf.reduce_sum(num_bytes, axis=1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Core:
    """Generating and scoring on ids; no `tf.Module`, so the model is not saved for itself.

    Attributes:
        model: gives the logits, by `step`.
        vocabulary: of the model.
    """

    model: LanguageModel
    vocabulary: Vocabulary

    def weights(self) -> list[tf.Variable]:
        """The model's variables, which a saved graph must own."""
        return [variable.value for variable in self.model.variables]

    def generate(
        self,
        ids: tf.RaggedTensor,
        num_tokens: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        top_p: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the ids that follow each row, `[batch, num_tokens]` int32."""
        num_tokens = _checked(num_tokens, num_tokens >= 0, "`num_tokens` must be at least 0")
        temperature = _checked(temperature, temperature >= 0, "`temperature` must be at least 0")
        top_k = _checked(top_k, top_k >= 0, "`top_k` must be at least 0 (0: all)")
        top_p = _checked(top_p, top_p > 0, "`top_p` must be above 0 (1: all)")
        # A document begins after a separator: what stands in the row of an empty prompt. (To
        # join ragged rows would transpose int64, about which oneDNN logs an error.)
        separator = self.vocabulary.separator_id
        prompts, lengths = ids.to_tensor(separator), tf.cast(ids.row_lengths(), tf.int32)
        all_empty = tf.cast(tf.shape(prompts)[1] == 0, tf.int32)
        prompts = tf.pad(prompts, [[0, 0], [0, all_empty]], constant_values=separator)
        lengths = tf.maximum(lengths, 1)
        batch, width = tf.unstack(tf.shape(prompts))
        # The seed may be one for all; of no known rank, it would leave none to what it draws.
        seeds = tf.ensure_shape(tf.broadcast_to(seed, [batch]), [None])
        drawing = Drawing(temperature, top_k, top_p, seeds, tf.zeros([batch], tf.int32))
        rows = begin(self.model, self.vocabulary.size, batch)
        tokens, _ = advance(self.model, rows, prompts, lengths, drawing, width + num_tokens)
        # Each row's own stretch of the places, [batch, num_tokens].
        places = lengths[:, tf.newaxis] + tf.range(num_tokens)
        columns = tf.broadcast_to(tf.range(batch)[:, tf.newaxis], tf.shape(places))
        return tf.gather_nd(tokens, tf.stack([places, columns], axis=-1))

    def score(self, ids: tf.RaggedTensor, num_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns how hard each row is to predict after a separator.

        Args:
            ids: `[batch, (n)]` int32.
            num_bytes: `[batch]` int32, of each row's text.
        """
        targets, lengths = ids.to_tensor(), tf.cast(ids.row_lengths(), tf.int32)
        batch, width = tf.unstack(tf.shape(targets))
        state = self.model.initial_state(batch)
        token = tf.fill([batch], self.vocabulary.separator_id)
        nats = tf.zeros([batch])
        for place in tf.range(width):
            logits, state = self.model.step(token, state)
            token = targets[:, place]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=token, logits=logits)
            nats += tf.where(place < lengths, losses, 0.0)
        bits = nats / math.log(2)
        return {
            "nats": nats,
            "num_tokens": lengths,
            "bits_per_byte": tf.math.divide_no_nan(bits, tf.cast(num_bytes, tf.float32)),
        }


def _checked(value: tf.Tensor, holds: tf.Tensor, rule: str) -> tf.Tensor:
    """Returns a value that nothing reads before its rule was checked."""
    with tf.control_dependencies([tf.debugging.Assert(holds, [rule + ", got", value])]):
        return tf.identity(value)


def exported_model(model: LanguageModel, vocabulary: Vocabulary) -> ExportedModel:
    """Makes what `tf.saved_model.save` writes of a built model."""
    core = Core(model=model, vocabulary=vocabulary)
    text = graph_text(vocabulary)
    if text is not None:
        return TextModel(core, text)
    lengths = [len(vocabulary.decode_bytes([token])) for token in range(vocabulary.size)]
    return IdModel(core, np.array(lengths, np.int32))
