"""Reading without TensorFlow: the batches of `graph` as NumPy arrays.

batches     what a user iterates over
groups      what a host needs of a group, read and gathered, whatever a window is
spans       runs of windows -> their tokens, by seeks
windows     windows as `(inputs, targets)`; `segments`: documents within its batches
lanes       rows that read on, for stateful training
records     records of any TFRecord files
"""
