"""Reading in a graph of TensorFlow: batches as a `tf.data.Dataset`.

groups      what a host needs of a group, read and gathered, whatever a window is
spans       runs of windows -> their tokens, by seeks
windows     windows as `(inputs, targets)`; `segments`: documents within its batches
lanes       rows that read on, for stateful training
"""
