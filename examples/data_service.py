"""The `tf.data` service: other processes read the corpus, this one trains.

    python examples/data_service.py CORPUS [--steps 100]

Here dispatcher and worker run in this process; on a cluster they are processes of their own
(`DispatchServer`, `WorkerServer`). The dataset goes to the workers as a graph, so they need neither
textreel nor this file, but the corpus at the same path. One worker gives a consumer the batches in
their order; several give each batch as often as there are workers, so let each consumer have one,
or serve parts (`host_index`, `host_count`).
"""

import argparse

import keras
import tensorflow as tf

import pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("corpus")
parser.add_argument("--steps", type=int, default=100)
arguments = parser.parse_args()

service = tf.data.experimental.service
dispatcher = service.DispatchServer()
address = dispatcher.target.partition("://")[2]
worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=address))

corpus = pipeline.open_corpus(arguments.corpus)
windows = corpus.windows("train", seq_len=64, batch_size=64, seed=1)
served = windows.apply(
    service.distribute(processing_mode=service.ShardingPolicy.OFF, service=dispatcher.target)
)

model = keras.Sequential(
    [
        keras.layers.Embedding(corpus.vocabulary.size, 64),
        keras.layers.GRU(128, return_sequences=True),
        keras.layers.Dense(corpus.vocabulary.size),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer="adam", loss=loss)
# The windows are shuffled; without `shuffle=False` Keras warns that it does not.
model.fit(served, steps_per_epoch=arguments.steps, epochs=1, shuffle=False, verbose=2)
