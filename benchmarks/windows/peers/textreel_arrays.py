"""textreel without TensorFlow: NumPy arrays; `text` is the corpus."""

from timing import report, text

from pipeline import open_corpus

corpus = open_corpus(text + ".corpus")


def make(seq_len, stride, batch_size):
    """Shuffled batches."""
    return iter(corpus.batches("train", seq_len=seq_len, stride=stride, batch_size=batch_size))


report(make)
