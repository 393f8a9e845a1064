"""Vocabularies: what a token is, symbols <-> ids.

One interface (`base.Vocabulary`), three kinds: `byte` and `char` (`characters`), and `subword`, a
byte-level BPE. A separator stands after every document. `loading` reads the one of a corpus, of a
run or of a file; `preparing.vocabularies` makes one from text.
"""
