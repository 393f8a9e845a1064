"""signatures: what programs without this package load says what the run says."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpora import make, text
from exports import KINDS, OPTIONS, PROMPTS, exported, model_of, nats_by_steps, nats_of, train_run
from training import run_child, tiny

from pipeline.vocabulary.characters import ByteVocabulary
from trainer.exporting.directory import export
from trainer.exporting.plain_keras import plain_model
from trainer.exporting.signatures import exported_model
from trainer.generation.sampler import generate
from trainer.models import build_model

CHILD = """
import importlib.abc, json, os, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pipeline", "trainer"):
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Refuse())
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import keras
import tensorflow as tf

prompts, options, *directories = map(json.loads, sys.argv[1:])
for directory in directories:
    model = tf.saved_model.load(directory)
    texts = model.generate(prompts, num_tokens=30, **options)["text"].numpy()
    alone = [model.generate([one], num_tokens=30, **options)["text"][0].numpy() for one in prompts]
    inputs = {"num_tokens": tf.constant(30), "prompt": tf.constant(prompts)}
    for name, value in options.items():
        inputs[name] = tf.constant(value)
    signed = model.signatures["generate"](**inputs)["text"].numpy()
    served = model.signatures["serving_default"](prompt=tf.constant(prompts))["text"].numpy()
    assert served.tolist() == model.generate(prompts)["text"].numpy().tolist()
    assert all(served.tolist())
    scores = {name: value.numpy().tolist() for name, value in model.score(prompts).items()}
    logits = keras.models.load_model(directory + "/model.keras")(tf.constant([[1, 5, 2, 0] * 4]))
    rows = [[text.hex() for text in row] for row in (texts, alone, signed)]
    print(json.dumps([*rows, scores, logits.numpy().tolist()]))
"""


def test_every_kind_loads_without_this_package_and_says_the_same(runs: dict[str, Path]) -> None:
    directories = [json.dumps(str(exported(runs, kind))) for kind in KINDS]
    lines = run_child(CHILD, json.dumps(PROMPTS), json.dumps(OPTIONS), *directories).splitlines()
    for kind, line in zip(KINDS, lines, strict=True):
        texts, alone, signed, scores, logits = json.loads(line)
        expected = [
            "".join(generate(runs[kind], prompt=one, tokens=30, allow_code=True, **OPTIONS))
            for one in PROMPTS
        ]
        decoded = [bytes.fromhex(one).decode("utf-8", "replace") for one in texts]
        assert decoded == expected
        assert texts == alone == signed
        assert len(set(expected)) == 3
        for prompt, nats, num_tokens, bits in zip(
            PROMPTS, scores["nats"], scores["num_tokens"], scores["bits_per_byte"], strict=True
        ):
            assert nats == pytest.approx(nats_of(runs[kind], prompt), rel=1e-4)
            assert num_tokens == (len(prompt.encode()) if kind == "lstm" else len(prompt))
            num_bytes = max(1, len(prompt.encode()))
            assert bits == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-5)
        if kind == "softmax":
            np.testing.assert_allclose(np.sum(logits, axis=-1), 1, rtol=1e-5)
            logits = np.log(logits)
        np.testing.assert_allclose(
            logits, model_of(runs[kind])(tf.constant([[1, 5, 2, 0] * 4])), atol=1e-5
        )


def test_seeds_may_be_one_for_each_prompt(runs: dict[str, Path]) -> None:
    model = tf.saved_model.load(str(exported(runs, "gru")))
    texts = model.generate(["lorem"] * 3, num_tokens=20, seed=[4, 5, 4])["text"].numpy()
    assert texts[0] == texts[2] != texts[1]
    assert model.generate(["lorem"], num_tokens=20, seed=5)["text"].numpy() == texts[1]
    assert model.generate(["lorem"], num_tokens=0)["text"].numpy() == b""
    greedy = {
        model.generate(["lorem"], num_tokens=20, **options)["text"].numpy().item()
        for options in ({"temperature": 0}, {"top_k": 1, "seed": 3}, {"top_p": 1e-6, "seed": 4})
    }
    assert len(greedy) == 1


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ("Qx", {}, "characters that the vocabulary lacks:"),
        ("a", {"num_tokens": -1}, "`num_tokens` must be at least 0, got"),
        ("a", {"temperature": -1.0}, "`temperature` must be at least 0, got"),
        ("a", {"top_k": -1}, "`top_k` must be at least 0"),
        ("a", {"top_p": 0.0}, "`top_p` must be above 0"),
    ],
)
def test_what_an_export_refuses(
    runs: dict[str, Path], prompt: str, options: dict[str, Any], message: str
) -> None:
    model = tf.saved_model.load(str(exported(runs, "gru")))
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        model.generate([prompt], **options)
    assert message in str(error.value)
    if prompt == "Qx":
        assert "[Q x]" in str(error.value)


def test_subwords_are_ids(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("gigatoken")
    corpus = make(tmp_path, text(6000), vocabulary="bpe:280")
    run = train_run(corpus, tmp_path / "run", eval_every=0)
    sizes = export(run, tmp_path / "out")
    assert "tokenizer.json" in sizes
    model = tf.saved_model.load(str(tmp_path / "out"))
    prompts = [corpus.vocabulary.encode(one).astype(np.int32) for one in PROMPTS]
    ids = tf.keras.utils.pad_sequences(prompts, padding="post", value=-1)
    lengths = [len(one) for one in prompts]
    rows = {"ids": tf.constant(ids), "lengths": tf.constant(lengths)}
    served = model.signatures["serving_default"](**rows)["ids"].numpy()
    assert served.tolist() == model.generate(**rows)["ids"].numpy().tolist()
    found = model.generate(ids, lengths, num_tokens=20, **OPTIONS)["ids"].numpy()
    for row, prompt in zip(found, PROMPTS, strict=True):
        expected = "".join(generate(run, prompt=prompt, tokens=20, **OPTIONS))
        assert corpus.vocabulary.decode(row) == expected
    scores = {name: value.numpy() for name, value in model.score(ids, lengths).items()}
    assert scores["num_tokens"].tolist() == lengths
    for index, prompt in enumerate(PROMPTS):
        nats = nats_of(run, prompt)
        assert scores["nats"][index] == pytest.approx(nats, rel=1e-4)
        bits = nats / math.log(2) / max(1, len(prompt.encode()))
        assert scores["bits_per_byte"][index] == pytest.approx(bits, rel=1e-4)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_a_model_of_half_precision_is_exported_too(kind: str, tmp_path: Path) -> None:
    settings = {"model": kind, "precision": "bfloat16", "dropout": 0.4, "embedding_dim": None}
    model = build_model(tiny("corpus", "run", **settings), 256, use_cudnn=False)
    module = exported_model(model, ByteVocabulary())
    tf.saved_model.save(module, str(tmp_path), signatures=module.signatures())
    loaded = tf.saved_model.load(str(tmp_path))
    # Rounding may decide a draw here, and another graph rounds in another way.
    text = loaded.generate(["lorem"], num_tokens=30, seed=2)["text"].numpy()
    assert text == loaded.generate(["lorem"], num_tokens=30, seed=2)["text"].numpy()
    assert text != loaded.generate(["lorem"], num_tokens=30, seed=3)["text"].numpy()
    nats = loaded.score(["lorem ipsum"])["nats"].numpy()
    np.testing.assert_allclose(
        nats, nats_by_steps(model, ByteVocabulary(), "lorem ipsum"), rtol=0.01
    )
    tokens = tf.constant([[1, 5, 2, 0] * 4])
    plain = plain_model(model)
    assert plain.compute_dtype == plain(tokens).dtype == "float32"
    np.testing.assert_allclose(plain(tokens), model(tokens), atol=0.05)
