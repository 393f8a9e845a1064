"""Keras's layers and `fit` (cuDNN's LSTM and GRU on a GPU), 10 steps a call."""

import keras
import tensorflow as tf
from timing import batch, options, report

UNITS, SIZE = options["units"], options["vocabulary_size"]
if options["precision"] == "bfloat16":
    keras.mixed_precision.set_global_policy("mixed_bfloat16")

tokens = keras.Input([options["seq_len"]], dtype="int32")
hidden = keras.layers.Embedding(SIZE, UNITS)(tokens)
for _ in range(options["layers"]):
    if options["model"] == "transformer":
        heads = max(1, UNITS // 64)
        normed = keras.layers.LayerNormalization()(hidden)
        attention = keras.layers.MultiHeadAttention(heads, UNITS // heads, use_bias=False)
        hidden = hidden + attention(normed, normed, use_causal_mask=True)
        wide = keras.layers.Dense(4 * UNITS, activation="gelu", use_bias=False)
        narrow = keras.layers.Dense(UNITS, use_bias=False)
        hidden = hidden + narrow(wide(keras.layers.LayerNormalization()(hidden)))
    else:
        kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[options["model"]]
        hidden = kind(UNITS, return_sequences=True)(hidden)
model = keras.Model(tokens, keras.layers.Dense(SIZE, dtype="float32")(hidden))
model.compile(
    keras.optimizers.Adam(1e-3),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    steps_per_execution=10,
    jit_compile=False,
)


def batches():
    while True:
        yield batch("int32")


shape = [options["batch_size"], options["seq_len"]]
signature = (tf.TensorSpec(shape, tf.int32), tf.TensorSpec(shape, tf.int32))
dataset = tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(20)


def step():
    """Ten steps of `report` are one call of `fit`."""
    step.count += 1
    if step.count % 10 == 0:
        model.fit(dataset, epochs=1, steps_per_epoch=10, verbose=0)


def memory_bytes():
    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] if gpus else None


step.count = 0
report(step, lambda: None, memory_bytes)
