"""evaluator: every validation window exactly once, whatever the batch size."""

import math
from pathlib import Path

import corpora
import keras
import numpy as np
import pytest
import tensorflow as tf
from corpora import tokens_of
from modelling import forgotten
from training import tiny

from pipeline import Corpus
from pipeline.reading.geometry import lane_starts
from trainer.config.splits import evaluation_stride
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.hosts.strategy import make_strategy
from trainer.models import build_model
from trainer.steps.assembly import assemble
from trainer.steps.optimization import Adam
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe


@pytest.mark.parametrize("targets", ["sequence", "last"])
@pytest.mark.parametrize("batch_size", [8, 7, 10_000])
def test_the_loss_is_the_mean_over_every_window_once(
    char_corpus: Corpus, targets: str, batch_size: int
) -> None:
    config = tiny(char_corpus.directory, "unused", targets=targets, stride=5, batch_size=batch_size)
    # Sequence targets lie end to end whatever the stride, so that a token counts once.
    stride = {"sequence": 16, "last": 5}[targets]
    assert evaluation_stride(config) == stride
    keras.utils.set_random_seed(0)
    strategy = make_strategy(config)
    with strategy.scope():
        model = build_model(config, char_corpus.vocabulary.size, use_cudnn=True)
        runner = StepRunner(
            ReplicaStep(
                strategy,
                model,
                Adam(),
                StepRecipe(
                    batch_size=batch_size, tokens_per_row=16 if targets == "sequence" else 1
                ),
            )
        )
    evaluator = Evaluator(char_corpus, config, runner)
    evaluation = evaluator.evaluate()
    assert evaluator.evaluate() == evaluation
    assert runner.run_evaluation.experimental_get_tracing_count() == 1

    num_windows = char_corpus.num_windows("validation", seq_len=16, stride=stride)
    windows = char_corpus.windows(
        "validation", seq_len=16, batch_size=1, stride=stride, seed=None, targets=targets
    )
    rows = windows.take(num_windows).as_numpy_iterator()
    inputs, labels = map(np.concatenate, zip(*rows, strict=True))
    losses = keras.losses.sparse_categorical_crossentropy(labels, model(inputs), from_logits=True)
    assert num_windows > 50
    assert evaluation.loss == pytest.approx(float(np.mean(losses)), rel=1e-5)

    split = char_corpus.splits["validation"]
    bits = float(np.mean(losses)) / math.log(2) * split.num_tokens / split.text_bytes
    assert evaluation.bits_per_byte == pytest.approx(bits, rel=1e-5)
    assert split.text_bytes > split.num_tokens  # the text is not ASCII


def test_figures_follow_from_the_loss() -> None:
    evaluation = Evaluation.from_loss(math.log(8), num_tokens=100, text_bytes=150)
    assert evaluation.perplexity == pytest.approx(8)
    assert evaluation.bits_per_byte == pytest.approx(2)
    assert str(evaluation) == "loss 2.0794 nats/token, perplexity 8.00, 2.0000 bits/byte"
    assert Evaluation.from_loss(1e4, num_tokens=1, text_bytes=1).perplexity == math.inf


@pytest.mark.parametrize("model", ["lstm", "gru", "mingru"])
@pytest.mark.parametrize(
    "options", [{"batch_size": 4}, {"batch_size": 1}, {"batch_size": 500}, {"batch_size": 32}]
)
def test_lanes_are_measured_with_state_which_training_does_not_lose(
    lane_corpus: Corpus, model: str, options: dict[str, int]
) -> None:
    """Against `step`, token by token: lanes warm up, read on, and forget at documents."""
    config = tiny(lane_corpus.directory, "run", model=model, lanes=True, **options)
    made = assemble(config, lane_corpus.vocabulary.size)
    lanes, num_lanes = made.lanes, config.batch_size
    assert lanes is not None
    lanes.remember(tf.nest.map_structure(lambda part: part + 0.5, lanes.recall()))
    evaluator = Evaluator(lane_corpus, config, made.runner)
    evaluation = evaluator.evaluate()
    assert evaluator.evaluate() == evaluation
    for part in tf.nest.flatten(lanes.recall()):
        np.testing.assert_array_equal(part, tf.zeros_like(part) + 0.5)

    tokens = tokens_of(lane_corpus, "validation").astype(np.int32)
    num_tokens = len(tokens)
    starts = lane_starts(num_lanes, num_tokens)
    ends = np.append(starts[1:], num_tokens)
    seq_len = min(config.seq_len, num_tokens // num_lanes)
    num_batches = -(-(ends - starts).max() // seq_len)
    warm_up = min(-(-512 // seq_len), num_batches) * seq_len
    state, nats = made.model.initial_state(num_lanes), []
    step = tf.function(made.model.step)
    for place in range(warm_up + (ends - starts).max()):
        at = (starts + place) % num_tokens
        resets = tokens[at - 1] == lane_corpus.vocabulary.separator_id
        logits, state = step(tf.constant(tokens[at]), forgotten(state, resets))
        found = keras.losses.sparse_categorical_crossentropy(
            np.roll(tokens, -1)[at], logits, from_logits=True
        )
        is_measured = (warm_up <= place) & (starts + place < ends + warm_up)
        nats.append(np.where(is_measured & (at < num_tokens - 1), found, np.nan))
    assert np.isfinite(nats).sum() == num_tokens - 1
    assert evaluation is not None
    assert evaluation.loss == pytest.approx(np.nanmean(nats), rel=1e-5)


@pytest.mark.parametrize("model", ["lstm", "gru", "mingru"])
def test_lanes_measure_what_one_reader_does(tmp_path: Path, model: str) -> None:
    """Of one document: where a lane has begun makes no difference once it has warmed up."""
    corpus = corpora.make(
        tmp_path, corpora.text(20_000), vocabulary="char", splits={"train": 0.8, "validation": 0.2}
    )
    weights: list[np.ndarray] = []
    losses = []
    for batch_size in (1, 4):
        config = tiny(corpus.directory, "run", model=model, lanes=True, batch_size=batch_size)
        made = assemble(config, corpus.vocabulary.size)
        weights = weights or made.model.get_weights()
        made.model.set_weights(weights)
        evaluation = Evaluator(corpus, config, made.runner).evaluate()
        assert evaluation is not None
        losses.append(evaluation.loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_measurement_that_is_stopped_leaves_the_lanes_as_they_were(lane_corpus: Corpus) -> None:
    config = tiny(lane_corpus.directory, "run", lanes=True)
    made = assemble(config, lane_corpus.vocabulary.size)
    assert made.lanes is not None
    made.lanes.remember(tf.nest.map_structure(lambda part: part + 0.5, made.lanes.recall()))
    made.runner.stop()
    evaluator = Evaluator(lane_corpus, config, made.runner)
    assert evaluator.evaluate() is None
    for part in tf.nest.flatten(made.lanes.recall()):
        np.testing.assert_array_equal(part, tf.zeros_like(part) + 0.5)
