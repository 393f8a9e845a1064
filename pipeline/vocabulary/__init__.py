"""Vocabularies: what a token is, symbols <-> ids.

One interface (`base.Vocabulary`), four kinds: `byte` and `char` (`characters`), `subword`, a
byte-level BPE, which `bpe` learns, and `sentence_pieces`, a SentencePiece model; the last two
encode text in `units`. A separator stands after every document. `loading` reads the one of a
corpus, of a run or of a file (`foreign_files`: what else it may be); `preparing.vocabularies` makes
one from text.

A subword vocabulary is a `tokenizer.json`: `tokenizer_json` reads and judges it, and `encoding` has
two libraries encode as one (`newest_characters`: where they would differ).
"""
