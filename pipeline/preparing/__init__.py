"""Preparing: sources -> a corpus.

prepare        the steps below, in order
options        what the bytes of a corpus depend on, besides its sources
plan           sources, options -> the pieces of every shard (pure)
vocabularies   the vocabulary that is given, or made from the text by `counting`
shards         what a worker does: pieces -> a file
engines        where workers run: processes of this machine, or a Beam runner
journal        what an unfinished prepare has done
companions     the files that follow from the shards
"""
