"""Layout: the corpus as files. All that preparing writes and reading believes.

names          what the files are called
records        tokens <-> the records of a shard
manifest       what the corpus is; written last
dataset_info   what makes it a dataset of TFDS
array_record   the same records for random access
record_index   where the records of any TFRecord files begin
"""
