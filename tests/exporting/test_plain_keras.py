"""plain_keras: the logits of the run, and training on."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from training import tiny

from trainer.config.model import MODELS
from trainer.exporting.plain_keras import plain_model
from trainer.models import build_model

KINDS: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in MODELS),
    ("lstm", {"tied": True, "layer_norm": True, "embedding_dim": None}),
    ("gru", {"tied": True, "layer_norm": True, "embedding_dim": None}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_plain_keras_gives_the_logits_and_trains_on(
    kind: str, options: dict[str, Any], targets: str, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    settings: dict[str, Any] = {"model": kind, "targets": targets, "seq_len": 5, "dropout": 0.4}
    if kind in ("mingru", "transformer"):
        settings["embedding_dim"] = None
    model = build_model(tiny("corpus", "run", **settings, **options), 11, use_cudnn=False)
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
