"""Indexing: where the records of TFRecord files begin, so that any of them is one seek away.

paths     what a user names -> the files
framing   one pass over a file: its lengths and their checksums -> where its records begin
parts     a file -> its part of the index, kept until all are there
build     all files in parallel, resumable -> an index (`layout.record_index`)
"""
