"""Text: what is read, before anything is made of it.

sources          paths -> sources, in order, each with its format
pieces           the terms: source, piece, part, format
formats          one class for each way in which sources are written
documents        a piece -> its documents, and the place of an error
standard_input   kept as a file
"""
