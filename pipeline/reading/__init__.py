"""Reading: a corpus, or TFRecord files with an index -> batches.

corpus      the corpus as a user sees it
batches     what is asked for: window length, batch size, seed, step, host
order       position -> window: the shuffle (pure)
geometry    how large windows, spans and groups are (pure)
groups      what a host needs of a group, read and gathered, whatever a window is
spans       runs of windows -> their tokens, by seeks
windows     the `tf.data` pipeline; `segments`: documents within its batches
lanes       rows that read on, for stateful training
mixture     several corpora in one order
tfrecords   records of whomever, in the same order
reference   the slow recipe that the windows equal
damage      what reading finds damaged
"""
