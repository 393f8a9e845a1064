"""The algorithm of Keras's lstm_text_generation.py, written for Keras 3, with measurements.

As published: the text in lower case, every third window of 40 characters one-hot encoded in
memory, LSTM(128) -> Dense softmax, categorical cross-entropy at the character after the window,
batches of 128 in random order, RMSprop at 0.01. Left out: the samples after each epoch.
Prints one line of JSON a report: steps, seconds since the start without the validation, mean
training loss since the last report, and, with --validation, bits a character of that text.
"""

import argparse
import json
import time

BEGAN = time.perf_counter()

import keras  # noqa: E402
import numpy as np  # noqa: E402

MAXLEN, STEP = 40, 3

parser = argparse.ArgumentParser()
parser.add_argument("text")
parser.add_argument("--validation")
parser.add_argument("--optimizer", default="RMSprop")
parser.add_argument("--learning_rate", type=float, default=0.01)
parser.add_argument("--steps", type=int, help="default: one epoch")
parser.add_argument("--report_every", type=int, default=500)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()
keras.utils.set_random_seed(arguments.seed)

with open(arguments.text, encoding="utf-8") as file:
    text = file.read().lower()
chars = sorted(set(text))
char_indices = {c: i for i, c in enumerate(chars)}


def vectorized(text):
    sentences, next_chars = [], []
    for i in range(0, len(text) - MAXLEN, STEP):
        sentences.append(text[i : i + MAXLEN])
        next_chars.append(text[i + MAXLEN])
    x = np.zeros((len(sentences), MAXLEN, len(chars)), dtype=bool)
    y = np.zeros((len(sentences), len(chars)), dtype=bool)
    for i, sentence in enumerate(sentences):
        for t, char in enumerate(sentence):
            x[i, t, char_indices[char]] = 1
        y[i, char_indices[next_chars[i]]] = 1
    return x, y


x, y = vectorized(text)
model = keras.Sequential(
    [
        keras.Input((MAXLEN, len(chars))),
        keras.layers.LSTM(128),
        keras.layers.Dense(len(chars), activation="softmax"),
    ]
)
optimizer = getattr(keras.optimizers, arguments.optimizer)(arguments.learning_rate)
model.compile(loss="categorical_crossentropy", optimizer=optimizer)


class Reports(keras.callbacks.Callback):
    """Measures now and then; what the validation takes is left out of the time."""

    def on_train_begin(self, logs=None):
        self.validation = None
        self.away, self.last, self.sum = 0.0, 0, 0.0
        if arguments.validation:
            began = time.perf_counter()
            with open(arguments.validation, encoding="utf-8") as file:
                held_out = "".join(c for c in file.read().lower() if c in char_indices)
            self.validation = vectorized(held_out)
            self.away += time.perf_counter() - began

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % arguments.report_every == 0:
            self.report(batch + 1, logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.report(self.params["steps"], logs["loss"])

    def report(self, steps, mean_loss):
        if steps == self.last:
            return
        seconds = time.perf_counter() - BEGAN - self.away
        loss = (steps * mean_loss - self.sum) / (steps - self.last)
        row = {"step": steps, "seconds": seconds, "loss": float(loss)}
        self.sum, self.last = steps * mean_loss, steps
        if self.validation:
            began = time.perf_counter()
            inputs, targets = self.validation
            chosen = []
            for start in range(0, len(inputs), 1024):
                batch = slice(start, start + 1024)
                chosen.append(model.predict_on_batch(inputs[batch])[targets[batch]])
            row["bits"] = float(-np.log2(np.concatenate(chosen)).mean())
            self.away += time.perf_counter() - began
        print(json.dumps(row), flush=True)


model.fit(
    x,
    y,
    batch_size=128,
    epochs=1,
    steps_per_epoch=arguments.steps,
    verbose=0,
    callbacks=[Reports()],
)
