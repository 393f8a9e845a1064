"""Keras: model.fit with steps_per_execution 32; "jit": XLA, "bfloat16": mixed_bfloat16.

With `--model=transformer` KerasHub's decoder, of the same parts as nanoGPT's: pre-norm, GELU,
learned places, a tied embedding.
"""

import time

import keras
import tensorflow as tf
from timing import (
    BATCH,
    EMBEDDING,
    LEARNING_RATE,
    SEQ_LEN,
    UNITS,
    WARM_UP_STEPS,
    flags,
    ids,
    options,
    seconds,
    show,
    vocabulary_size,
)

STEPS_PER_EXECUTION = 32

if "bfloat16" in options:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
# Windows end to end, in memory; a batch is one gather in tf.data, which costs next to nothing.
num_windows = (len(ids) - 1) // SEQ_LEN
inputs = tf.constant(ids[: num_windows * SEQ_LEN].reshape(-1, SEQ_LEN))
targets = tf.constant(ids[1 : num_windows * SEQ_LEN + 1].reshape(-1, SEQ_LEN))


def gather(rows):
    rows = rows % num_windows
    return [
        tf.ensure_shape(tf.cast(tf.gather(x, rows), tf.int32), [BATCH, SEQ_LEN])
        for x in (inputs, targets)
    ]


dataset = tf.data.Dataset.random(seed=0).batch(BATCH, drop_remainder=True)
dataset = dataset.map(lambda rows: tuple(gather(rows))).prefetch(tf.data.AUTOTUNE)


def lstm():
    return keras.Sequential(
        [
            keras.layers.Embedding(vocabulary_size, EMBEDDING),
            keras.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dense(vocabulary_size, dtype="float32"),
        ]
    )


def transformer():
    from keras_hub.layers import TokenAndPositionEmbedding, TransformerDecoder

    embedding = TokenAndPositionEmbedding(vocabulary_size, SEQ_LEN, UNITS, tie_weights=True)
    tokens = keras.Input([SEQ_LEN], dtype="int32")
    hidden = embedding(tokens)
    for _ in range(int(flags["layers"])):
        block = TransformerDecoder(
            4 * UNITS, int(flags["heads"]), activation="gelu", normalize_first=True
        )
        hidden = block(hidden)
    hidden = keras.layers.LayerNormalization()(hidden)
    logits = embedding.token_embedding(hidden, reverse=True)
    return keras.Model(tokens, keras.layers.Activation("linear", dtype="float32")(logits))


model = transformer() if flags.get("model") == "transformer" else lstm()
model.compile(
    optimizer=keras.optimizers.Adam(LEARNING_RATE),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    steps_per_execution=STEPS_PER_EXECUTION,
    jit_compile="jit" in options,
)


class Clock(keras.callbacks.Callback):
    """Starts after the warm-up, and stops training when the time is over."""

    began = None

    def on_train_batch_end(self, batch, logs=None):
        if self.began is None:
            if batch + 1 >= WARM_UP_STEPS:
                self.began, self.first = time.perf_counter(), batch
        elif time.perf_counter() - self.began >= seconds:
            show(batch - self.first, time.perf_counter() - self.began, float(logs["loss"]))
            self.model.stop_training = True
            raise SystemExit


model.fit(dataset, steps_per_epoch=100_000, verbose=0, callbacks=[Clock()])
