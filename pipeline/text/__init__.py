"""Text: what is read, before anything is made of it.

sources          paths -> sources, in order, each with its format
pieces           the terms: source, piece, part, format
formats          one class for each way in which sources are written
documents        a piece -> its documents, and the place of an error
directories      which files of a directory are read, and what is left out
streams          standard input and pipes, kept as files
"""
