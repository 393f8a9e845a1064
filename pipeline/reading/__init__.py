"""Reading: a corpus, or TFRecord files with an index -> batches.

opening     a directory -> a corpus
corpus      the corpus as a user sees it
batches     what is asked for: window length, batch size, seed, step, host
order       position -> window: the shuffle (pure)
geometry    how large windows, spans and groups are (pure)
shards      what is read of a split, and where it is
graph       batches as a `tf.data.Dataset`: windows, lanes
arrays      the same batches as NumPy arrays, without TensorFlow
mixture     several corpora in one order
tfrecords   records of whomever, in the same order
reference   the slow recipe that the windows equal
caching     shards from a store, kept on this machine
damage      what reading finds damaged
"""
