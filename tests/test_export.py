"""trainer.export: what programs without this package load, and that it says what the run says."""

import json
import math
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from corpora import make, text
from training import run_child, tiny

from pipeline import Corpus, OptionError, UserError, open_corpus
from pipeline.vocabulary.base import REPLACEMENT, ByteVocabulary, CharVocabulary
from trainer.config import MODELS, run_config
from trainer.export import export_run
from trainer.export.graph_text import graph_text
from trainer.export.plain_keras import plain_model
from trainer.export.signatures import exported_model
from trainer.generation.request import Request
from trainer.generation.sampler import generate, load_sampler
from trainer.loop import train
from trainer.models import build_model
from trainer.run.checkpoint import restore_weights

KINDS = ("lstm", "gru", "transformer", "own")
PROMPTS = ["lorem ", "", "日本語 ipsum dolor sit amet, naïve"]
OPTIONS: dict[str, Any] = {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "seed": 7}


def train_run(corpus: Corpus, directory: Path, **changes: Any) -> Path:
    settings = {"steps": 3, "save_every": 3, "learning_rate": 0.02, "layers": 1, **changes}
    if settings.get("model") == "transformer":
        settings |= {"embedding_dim": None, "layers": 2}
    train(tiny(corpus.directory, directory, **settings), quiet=True)
    return directory


@pytest.fixture(scope="module")
def runs(
    char_corpus: Corpus, byte_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A run of every kind; LSTM and the targets `"last"` on bytes, the others on characters."""
    directory = tmp_path_factory.mktemp("runs")
    made = {
        "lstm": train_run(byte_corpus, directory / "lstm", targets="last", stride=9, layers=2),
        "gru": train_run(char_corpus, directory / "gru", model="gru"),
        "transformer": train_run(char_corpus, directory / "transformer", model="transformer"),
        "own": train_run(char_corpus, directory / "own", model="own_models:functional"),
    }
    for kind, run in made.items():
        export_run(run, directory / "exports" / kind)
    return made


def exported(runs: dict[str, Path], kind: str) -> Path:
    return runs[kind].parent / "exports" / kind


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
            "".join(generate(runs[kind], prompt=one, tokens=30, **OPTIONS)) for one in PROMPTS
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
        np.testing.assert_allclose(
            logits, model_of(runs[kind])(tf.constant([[1, 5, 2, 0] * 4])), atol=1e-5
        )


def model_of(run: Path) -> Any:
    model = build_model(run_config(run), vocabulary_of(run).size, use_cudnn=False)
    restore_weights(run, model)
    return model


def vocabulary_of(run: Path) -> Any:
    return open_corpus(run_config(run).corpus).vocabulary


def nats_of(run: Path, prompt: str) -> float:
    return nats_by_steps(model_of(run), vocabulary_of(run), prompt)


def nats_by_steps(model: Any, vocabulary: Any, prompt: str) -> float:
    """The slow oracle: a step a token from the separator on."""
    ids = vocabulary.encode(prompt).astype(np.int32)
    state, nats = model.initial_state(1), 0.0
    for token, target in zip([vocabulary.separator_id, *ids], ids, strict=False):
        logits, state = model.step(tf.constant([int(token)]), state)
        nats -= float(tf.nn.log_softmax(logits)[0, int(target)])
    return nats


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


def test_the_graphs_of_text_are_the_vocabularies() -> None:
    texts = ["", "日本語", "a\0b\r\n", "\ufeff𝄞", "é" * 50]
    characters = CharVocabulary([*map(ord, "".join(texts)), REPLACEMENT])
    for vocabulary in (ByteVocabulary(), characters):
        graph = graph_text(vocabulary)
        assert graph is not None
        ids = graph.encode(tf.constant(texts))
        for row, one in zip(ids, texts, strict=True):
            assert row.numpy().tolist() == vocabulary.encode(one).tolist()
            assert graph.decode(row[tf.newaxis]).numpy()[0].decode() == one
    graph = graph_text(characters)
    assert graph is not None
    lenient = characters.with_unknown("replace")
    assert graph.encode(tf.constant(["aQ日"])).to_list() == [lenient.encode("aQ日").tolist()]


def test_subwords_are_ids(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("gigatoken")
    corpus = make(tmp_path, text(6000), vocabulary="bpe:280")
    run = train_run(corpus, tmp_path / "run", eval_every=0)
    sizes = export_run(run, tmp_path / "out")
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


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_plain_keras_gives_the_logits_and_trains_on(
    kind: str, targets: str, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    settings: dict[str, Any] = {"model": kind, "targets": targets, "seq_len": 5, "dropout": 0.4}
    if kind == "transformer":
        settings["embedding_dim"] = None
    model = build_model(tiny("corpus", "run", **settings), 11, use_cudnn=False)
    for weight in model.trainable_variables:
        weight.assign(weight * 3)
    plain_model(model).save(tmp_path / "model.keras")
    plain = keras.models.load_model(tmp_path / "model.keras")
    tokens = np.random.default_rng(0).integers(11, size=(3, 9)).astype(np.int32)
    np.testing.assert_allclose(plain(tokens), model(tokens), atol=2e-5)
    assert not np.allclose(plain(tokens, training=True), plain(tokens))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(optimizer="sgd", loss=loss)
    labels = tokens if targets == "sequence" else tokens[:, 0]
    before = plain.evaluate(tokens, labels, verbose=0)
    plain.fit(tokens, labels, epochs=5, verbose=0)
    assert plain.evaluate(tokens, labels, verbose=0) < before


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


def test_a_directory_says_what_is_in_it_and_its_example_runs(runs: dict[str, Path]) -> None:
    directory = exported(runs, "lstm")
    names = sorted(path.name for path in directory.iterdir())
    assert names == [
        "README.md",
        "assets",
        "fingerprint.pb",
        "model.keras",
        "saved_model.pb",
        "variables",
        "vocabulary.json",
    ]
    assert sorted(path.name for path in directory.parent.iterdir()) == sorted(KINDS)
    readme = (directory / "README.md").read_text()
    example = readme.split("```python\n")[1].split("```")[0]
    variables: dict[str, Any] = {}
    exec(example, variables)
    expected = generate(runs["lstm"], prompt="Once upon a time", tokens=200, seed=1)
    found = variables["result"]["text"][0].numpy().decode("utf-8", "replace")
    assert found == "".join(expected)


def test_an_output_is_replaced_on_request_alone(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "deep" / "out"
    sizes = export_run(runs["gru"], output)
    assert sizes == {
        str(path.relative_to(output)): path.stat().st_size
        for path in output.rglob("*")
        if path.is_file()
    }
    with pytest.raises(OptionError, match=r"`output` .* is there; .* replace it with --overwrite"):
        export_run(runs["lstm"], output)
    assert os.listdir(output.parent) == ["out"]

    def fail(*_: Any) -> str:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr("trainer.export.directory.readme", fail)
        with pytest.raises(OSError, match="disk full"):
            export_run(runs["lstm"], output, overwrite=True)
    assert os.listdir(output.parent) == ["out"]
    assert "gru" in (output / "README.md").read_text()
    export_run(runs["lstm"], output, overwrite=True)
    assert "lstm" in (output / "README.md").read_text()
    assert os.listdir(output.parent) == ["out"]

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OptionError, match=r"`output` .* is there, and is no export"):
        export_run(runs["gru"], tmp_path / "mine", overwrite=True)
    with pytest.raises(UserError, match="has no best checkpoint"):
        export_run(runs["gru"], tmp_path / "best", checkpoint="best")
    assert not (tmp_path / "best").exists()


def test_a_uri_is_an_output_whose_saved_model_comes_last(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []
    copy = tf.io.gfile.copy

    def note(source: str, target: str, overwrite: bool) -> None:
        copied.append(target.removeprefix(f"file://{tmp_path}/out/"))
        assert not (tmp_path / "out" / "saved_model.pb").exists()
        copy(source, target, overwrite)

    monkeypatch.setattr(tf.io.gfile, "copy", note)
    for kind in ("gru", "lstm"):
        copied.clear()
        sizes = export_run(runs[kind], f"file://{tmp_path}/out/", overwrite=True)
        assert sorted(copied) == sorted(sizes)
        assert copied[-1] == "saved_model.pb"
    model = tf.saved_model.load(f"file://{tmp_path}/out")
    text = model.generate(["lorem"], num_tokens=9)["text"][0].numpy().decode("utf-8", "replace")
    assert text == load_sampler(runs["lstm"]).texts(Request(prompt="lorem", tokens=9), 1)[0]
