"""A corpus of more than 65,536 ids, as Llama 3's: TFDS reads it, and it is trained on."""

import json
from pathlib import Path

import numpy as np
from corpora import prepared, text, tokens_of, write
from training import tiny

from pipeline.auditing.verify import verify
from pipeline.reading.reference import reference_windows
from pipeline.vocabulary.bpe import train_bpe
from trainer.loop import train


def test_a_corpus_of_more_than_65536_ids(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    content = text(20_000)
    tokenizer = json.loads(train_bpe([content.encode()], 300).to_json())
    separator = next(token for token in tokenizer["added_tokens"] if token["special"])
    separator["id"] = tokenizer["model"]["vocab"][separator["content"]] = 66_000
    path = write(tmp_path / "tokenizer.json", json.dumps(tokenizer))
    source = write(tmp_path / "text.txt", content)
    corpus = prepared(
        tmp_path, source, vocabulary=str(path), splits={"train": 0.8, "validation": 0.2},
        record_tokens=64, document="line",
    )  # fmt: skip
    assert (corpus.vocabulary.size, corpus.manifest.dtype) == (66_001, "int32")
    assert verify(corpus.directory).problems == ()
    expected = tokens_of(corpus, "train")
    assert expected.max() == 66_000
    dataset = tfds.builder_from_directory(corpus.directory).as_dataset(
        split="train", read_config=tfds.ReadConfig(interleave_cycle_length=1)
    )
    found = [example["tokens"] for example in dataset.as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    windows = reference_windows(corpus, "train", seq_len=15)
    rows = corpus.windows("train", seq_len=15, batch_size=4, seed=None)
    inputs, _ = next(rows.as_numpy_iterator())
    np.testing.assert_array_equal(inputs, np.stack(list(windows.take(4)))[:, :-1])
    result = train(tiny(corpus.directory, tmp_path / "run", steps=2, seq_len=15), quiet=True)
    assert np.isfinite(result.loss)
