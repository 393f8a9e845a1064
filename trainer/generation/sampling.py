"""Sampling of tokens: from logits to ids, and rows of text continued by a model in one loop.

The draw of token `i` of sample `s` depends on `(seed, s, i)` alone. One loop serves the
command line, the samples of training and what `trainer.exporting` writes, so that they agree.
It uses TensorFlow's own operations alone, and compiles into a graph.
"""

from typing import NamedTuple

import tensorflow as tf

from trainer.models.language_model import LanguageModel, State
from trainer.models.parts.random_bits import as_bits, mix


class Drawing(NamedTuple):
    """How tokens are drawn (see `Request`), as tensors.

    Attributes:
        temperature: float32 scalar.
        top_k: int32 scalar; 0: all.
        top_p: float32 scalar; 1: all.
        seed: int32, a scalar or `[batch]`.
        samples: `[batch]` int32; the number of the sample that each row is.
    """

    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    seed: tf.Tensor
    samples: tf.Tensor


class Rows(NamedTuple):
    """Rows that a model has read up to a place, the same for all.

    Attributes:
        place: int32 scalar; tokens that each row has.
        logits: `[batch, vocabulary_size]` float32, of the next token.
        state: the model's.
    """

    place: tf.Tensor
    logits: tf.Tensor
    state: State


def choose_token(
    logits: tf.Tensor,
    uniforms: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
) -> tf.Tensor:
    """Draws the next token of each row; a pure function.

    The tokens are ordered by likelihood, of equals the lower id first. The temperature
    divides the logits; `top_k` leaves that many of the first; `top_p` leaves the fewest of
    the first that together have that probability among those, and always one. The uniform
    number then picks from what is left by the inverse of its distribution function.

    Args:
        logits: `[batch, vocabulary_size]` float32.
        uniforms: `[batch]` float32, at least 0 and below 1.
        temperature: float32 scalar; 0 takes the likeliest token.
        top_k: int32 scalar; 0: all.
        top_p: float32 scalar, above 0; 1: all.

    Returns:
        `[batch]` int32 ids.
    """
    size = tf.shape(logits)[-1]
    values, ids = tf.math.top_k(logits, size)
    # Relative to the largest, so that a small temperature gives -inf, never inf.
    tempered = (values - values[:, :1]) / tf.where(temperature > 0, temperature, 1.0)
    num_left = tf.where(temperature > 0, tf.where(top_k > 0, top_k, size), 1)
    weights = tf.nn.softmax(tf.where(tf.range(size) < num_left, tempered, float("-inf")))
    before = tf.cumsum(weights, axis=-1, exclusive=True)
    # Rounding may take the sum of all to 1 too early: `top_p` 1 must leave them all.
    # The first stays in any case: a `top_p` below the least normal float32 counts as 0.
    is_first = tf.range(size) == 0
    weights = tf.where(is_first | (before < top_p) | (top_p >= 1), weights, 0.0)
    through = tf.cumsum(weights, axis=-1)
    is_before = through <= uniforms[:, tf.newaxis] * through[:, -1:]
    ranks = tf.reduce_sum(tf.cast(is_before, tf.int32), axis=-1)
    # Rounding may also take the product to the sum itself, after the last token.
    last = tf.reduce_sum(tf.cast(weights > 0, tf.int32), axis=-1) - 1
    return tf.gather(ids, tf.minimum(ranks, last), batch_dims=1)


def uniform_numbers(seed: tf.Tensor, samples: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Random numbers from `[0, 1)`, each a function of its `(seed, sample, index)` alone.

    Not `tf.random.stateless_uniform`: that takes one seed for a whole tensor, and what an
    element is may depend on the tensor's shape.

    Args:
        seed: int32, a scalar or `[batch]`.
        samples: `[batch]` int32.
        indices: `[batch]` int32.

    Returns:
        `[batch]` float32, multiples of 2**-24.
    """
    hashed = mix(as_bits(seed))
    hashed = mix(hashed + as_bits(samples) * _GOLDEN)
    hashed = mix(mix(hashed + as_bits(indices)) + _GOLDEN)
    return tf.cast(tf.bitwise.right_shift(hashed, as_bits(8)), tf.float32) * 2.0**-24


def advance(
    model: LanguageModel,
    rows: Rows,
    prompts: tf.Tensor,
    lengths: tf.Tensor,
    drawing: Drawing,
    num_tokens: tf.Tensor,
) -> tuple[tf.Tensor, Rows]:
    """Gives each row its next tokens: those of its prompt, then drawn ones.

    All rows are at one place, and a row whose prompt is over draws while others still read
    theirs. So a row's text does not depend on the other rows. With two prompts, `a b c` and
    `d`, and what is drawn in capitals:

        place      0  1  2  3  4
        row 0      a  b  c  X  Y
        row 1      d  P  Q  R  S

    Args:
        model: gives the logits, by `step`.
        rows: what `begin` or a call before returned.
        prompts: `[batch, width]` int32 ids; what follows a row's length is not read.
        lengths: `[batch]` int32; tokens of each row's prompt, at least 1.
        drawing: how tokens are drawn. A row's first drawn token has the index 0.
        num_tokens: int32 scalar; tokens of each row to go on by.

    Returns:
        The tokens, `[num_tokens, batch]` int32, and the rows after them.
    """
    width = tf.shape(prompts)[1]
    place, logits, state = rows
    tokens = tf.TensorArray(tf.int32, size=num_tokens, element_shape=[prompts.shape[0]])
    for offset in tf.range(num_tokens):
        indices = place - lengths
        drawn = choose_token(
            logits,
            uniform_numbers(drawing.seed, drawing.samples, indices),
            drawing.temperature,
            drawing.top_k,
            drawing.top_p,
        )
        given = tf.gather(prompts, tf.minimum(place, width - 1), axis=1)
        token = tf.where(indices < 0, given, drawn)
        logits, state = model.step(token, state)
        place += 1
        tokens = tokens.write(offset, token)
    # Not transposed: for int32, oneDNN would log an error, and leave it to another kernel.
    return tokens.stack(), Rows(place, logits, state)


def begin(model: LanguageModel, vocabulary_size: int, batch_size: int | tf.Tensor) -> Rows:
    """Returns rows that have read nothing.

    Args:
        model: whose state they carry.
        vocabulary_size: number of token ids.
        batch_size: number of rows.
    """
    logits = tf.zeros([batch_size, vocabulary_size])  # not read: a prompt has a token
    return Rows(tf.constant(0), logits, model.initial_state(batch_size))


_GOLDEN = 0x9E3779B9
