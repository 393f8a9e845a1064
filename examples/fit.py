"""Keras's `model.fit` over a corpus: epochs, and validation after each.

python examples/fit.py CORPUS [--epochs 2] [--steps 100]
"""

import argparse

import keras

import pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("corpus")
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--steps", type=int, default=100, help="of an epoch")
arguments = parser.parse_args()

corpus = pipeline.open_corpus(arguments.corpus)
# Without end: `fit` takes `steps_per_epoch` batches, and goes on in the next epoch where it was.
training = corpus.windows("train", seq_len=64, batch_size=64, seed=1)
# Every window once, in the order of the text.
validation = corpus.windows("validation", seq_len=64, batch_size=16, seed=None, epochs=1)

model = keras.Sequential(
    [
        keras.layers.Embedding(corpus.vocabulary.size, 64),
        keras.layers.LSTM(128, return_sequences=True),
        keras.layers.Dense(corpus.vocabulary.size),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss)
model.fit(
    training,
    steps_per_epoch=arguments.steps,
    epochs=arguments.epochs,
    validation_data=validation,
    shuffle=False,  # the windows are; without it Keras warns that it does not
    verbose=2,
)
