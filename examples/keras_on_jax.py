"""Keras on its JAX backend: `fit` over `corpus.batches`.

python examples/keras_on_jax.py CORPUS [--epochs 2] [--steps 100]
"""

import argparse
import os

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import keras

import pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("corpus")
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--steps", type=int, default=100, help="of an epoch")
arguments = parser.parse_args()

corpus = pipeline.open_corpus(arguments.corpus)
batches = corpus.batches("train", seq_len=64, batch_size=64, seed=1)

model = keras.Sequential(
    [
        keras.Input([64], dtype="int32"),
        keras.layers.Embedding(corpus.vocabulary.size, 64),
        keras.layers.GRU(128, return_sequences=True),
        keras.layers.Dense(corpus.vocabulary.size),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss)
print(f"Keras on {keras.backend.backend()}")
model.fit(
    iter(batches),
    steps_per_epoch=arguments.steps,
    epochs=arguments.epochs,
    shuffle=False,  # the windows are; without it Keras warns that it does not
    verbose=2,
)
