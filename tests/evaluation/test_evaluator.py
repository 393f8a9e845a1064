"""evaluator: every validation window exactly once, whatever the batch size."""

import math

import keras
import numpy as np
import pytest
from training import tiny

from pipeline import Corpus
from trainer.config.splits import evaluation_stride
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.hosts.strategy import make_strategy
from trainer.models import build_model
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
