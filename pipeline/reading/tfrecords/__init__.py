"""Records of any TFRecord files, by an index of where they begin: files -> batches.

records     the files as a user sees them
dataset     the `tf.data` pipeline
runs        runs of records -> their contents, by seeks
"""
