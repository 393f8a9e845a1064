"""README.md of an export: what is in it, and how to call it."""

from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.sentence_pieces import SentencePieceVocabulary
from trainer.config import TrainConfig
from trainer.exporting.graph_text import graph_text

_TEXT = """\
```python
import tensorflow as tf

model = tf.saved_model.load({output!r})
result = model.generate(["Once upon a time"], num_tokens=200, temperature=0.7, seed=1)
print(result["text"][0].numpy().decode("utf-8", "replace"))
print(model.score(["How likely is this?"])["bits_per_byte"].numpy())
```

`generate(prompt, num_tokens, temperature, top_k, top_p, seed)` takes prompts `[batch]` of any
lengths and returns the `text` after each; an empty prompt begins a document. The same seed gives
the same text; `seed` is one number, or one for each prompt. `score(text)` returns `nats`,
`num_tokens` and `bits_per_byte` of each text. Both are signatures too; those take every argument.
`serving_default`, what a model server calls unless told otherwise, takes `prompt` alone.
"""

_TOKENIZERS = """\
```python
import tensorflow as tf
from tokenizers import Tokenizer

model = tf.saved_model.load({output!r})
tokenizer = Tokenizer.from_file({output!r} + "/tokenizer.json")
ids = tokenizer.encode("Once upon a time", add_special_tokens=False).ids
result = model.generate([ids], [len(ids)], num_tokens=200, temperature=0.7, seed=1)
print(tokenizer.decode(result["ids"][0].numpy(), skip_special_tokens=False))
```
"""

_SENTENCE_PIECES = """\
```python
import tensorflow as tf
from sentencepiece import SentencePieceProcessor

model = tf.saved_model.load({output!r})
tokenizer = SentencePieceProcessor(model_file={output!r} + "/tokenizer.model")
ids = tokenizer.encode("Once upon a time")
result = model.generate([ids], [len(ids)], num_tokens=200, temperature=0.7, seed=1)
print(tokenizer.decode(result["ids"][0].numpy().tolist()))
```
"""

_IDS = """
The tokens are subwords (`{vocabulary}`): TensorFlow has no operation for them, so the functions
take and return ids. `generate(ids, lengths, num_tokens, temperature, top_k, top_p, seed)` takes
prompts `[batch, width]`, of which a row's first `lengths` ids count, and returns the `ids` after
each; a prompt of length 0 begins a document. `score(ids, lengths)` returns `nats`, `num_tokens` and
`bits_per_byte` of each row. Both are signatures too; those take every argument. `serving_default`,
what a model server calls unless told otherwise, takes `ids` and `lengths` alone.
"""

_KERAS = """
`model.keras` is the network alone, ids `[batch, seq_len]` -> {outputs}: `keras.models.load_model`
loads it{needs}. Its ids are those of `{vocabulary}`.
"""


def readme_text(config: TrainConfig, vocabulary: Vocabulary, output: str) -> str:
    """Returns the text of the README.md.

    Args:
        config: of the run.
        vocabulary: of the run.
        output: where the export will be.
    """
    text = _TEXT
    if graph_text(vocabulary) is None:
        is_model = vocabulary.kind == SentencePieceVocabulary.kind
        text = (_SENTENCE_PIECES if is_model else _TOKENIZERS) + _IDS
    needs = " where the code of its own layers is imported" if config.is_custom_model else ""
    return (
        f"# A language model ({config.model}), exported by textreel\n\n"
        + text.format(output=output, vocabulary=vocabulary.file_name)
        + _KERAS.format(outputs=config.outputs, needs=needs, vocabulary=vocabulary.file_name)
    )
