"""stateful: chunks of a split, and models that read it in order beside a plain loop of steps."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from modelling import SIZE, make
from training import tiny

from pipeline import Corpus
from pipeline.errors import OptionError, UserError
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.stateful import overlapping, stateful_nats
from trainer.loop import train
from trainer.models import LanguageModel

TOKENS = np.random.default_rng(3).integers(SIZE, size=1300).astype(np.uint8)


def nats_of_steps(model: LanguageModel, tokens: np.ndarray, separator_id: int = -1) -> float:
    """Token by token; the state is forgotten after a separator."""
    state, total, step = model.initial_state(1), 0.0, tf.function(model.step)
    for before, token, target in zip([-1, *tokens], tokens[:-1], tokens[1:], strict=False):
        if before == separator_id:
            state = model.initial_state(1)
        logits, state = step(tf.constant([token], tf.int32), state)
        total -= float(tf.nn.log_softmax(logits)[0, target])
    return total


def test_every_token_but_the_first_is_predicted_once() -> None:
    for length in (2, 3, 5):
        for overlap in range(1, length):
            for num_tokens in range(14):
                tokens, seen = np.arange(1, num_tokens + 1, dtype=np.uint16), []
                pieces = np.split(tokens, [1, 4, 4])
                for chunk, weights in overlapping(pieces, length, overlap):
                    assert (chunk.shape, weights.shape) == ((length,), (length - 1,))
                    (counted,) = np.nonzero(weights)
                    np.testing.assert_array_equal(np.diff(chunk[: counted[-1] + 2]), 1)
                    seen += chunk[1:][counted].tolist()
                assert seen == list(range(2, num_tokens + 1))


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize("model", ["lstm", "gru", "mingru"])
def test_a_state_is_carried_through_the_split(model: str, lanes: bool) -> None:
    made, config = make(model, layers=2), tiny("corpus", "run", model=model, lanes=lanes)
    nats, num_tokens = stateful_nats(made, config, np.split(TOKENS, [5, 700]), separator_id=3)
    assert num_tokens == len(TOKENS) - 1
    expected = nats_of_steps(made, TOKENS, separator_id=3 if lanes else -1)
    assert nats == pytest.approx(expected, rel=1e-5)
    assert nats != pytest.approx(nats_of_steps(made, TOKENS, -1 if lanes else 3), rel=1e-5)


@pytest.mark.parametrize("model", ["transformer", "own_models:functional"])
@pytest.mark.parametrize("seq_len", [1, 6, 7])
def test_windows_overlap_by_half(model: str, seq_len: int) -> None:
    tokens, stride, expected = TOKENS[:40], (seq_len + 1) // 2, 0.0
    made = make(model, seq_len=seq_len, dropout=0.0)
    config = tiny("corpus", "run", model=model, embedding_dim=None, seq_len=seq_len)
    for place in range(1, len(tokens)):
        # The first of the windows that reach the place.
        start = max(0, -(-(place - seq_len) // stride)) * stride
        window = np.zeros([1, seq_len], np.int32)
        part = tokens[start : min(start + seq_len, len(tokens))]
        window[0, : len(part)] = part
        log_probabilities = tf.nn.log_softmax(made(window))[0, place - 1 - start]
        expected -= float(log_probabilities[tokens[place]])
    nats, num_tokens = stateful_nats(made, config, [tokens], separator_id=3)
    assert (nats, num_tokens) == (pytest.approx(expected, rel=1e-5), len(tokens) - 1)


@pytest.mark.parametrize("model", ["lstm", "mingru", "transformer", "own_models:functional"])
def test_a_model_learns_from_a_text_that_repeats_itself(model: str) -> None:
    made, config = make(model, dropout=0.0), tiny("corpus", "run", model=model, seq_len=7)
    before = made.get_weights()
    text = [np.tile(TOKENS[:30], 100)]
    nats, num_tokens = stateful_nats(made, config, text, separator_id=3)
    assert stateful_nats(made, config, text, 3, learning_rate=0.0) == (nats, num_tokens)
    learned, same_number = stateful_nats(made, config, text, 3, learning_rate=0.1)
    assert same_number == num_tokens
    assert learned < 0.995 * nats
    for weight, kept in zip(made.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_a_chunk_is_measured_before_the_weights_move_by_its_mean_gradient() -> None:
    made, config, length = make("lstm", dropout=0.0), tiny("corpus", "run"), 512
    tokens = TOKENS[: 2 * length + 11]
    found = stateful_nats(made, config, [tokens], separator_id=3, learning_rate=0.2)
    state, expected = made.initial_state(1), 0.0
    weights = [weight.value for weight in made.trainable_variables]
    for start in range(0, len(tokens) - 1, length):
        chunk = tf.constant(tokens[np.newaxis, start : start + length + 1].astype(np.int32))
        with tf.GradientTape() as tape:
            head, state = made.read(chunk[:, :-1], tf.fill([1, chunk.shape[1] - 1], False), state)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(chunk[:, 1:], head.logits())
            loss = tf.reduce_mean(losses)
        expected += float(tf.reduce_sum(losses))
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.2 * tf.convert_to_tensor(gradient))
    assert found == (pytest.approx(expected, rel=1e-5), len(tokens) - 1)


def test_a_run_is_measured_in_every_way_and_stays_as_it_is(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    train(tiny(char_corpus.directory, tmp_path / "run", steps=30), quiet=True)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    both = evaluate(tmp_path / "run", stateful=True, dynamic=True)
    resting = evaluate(tmp_path / "run", dynamic=True, dynamic_learning_rate=0.0)
    assert resting.stateful is None
    assert resting.dynamic == both.stateful
    assert both.dynamic is not None
    assert both.dynamic != both.stateful
    with pytest.raises(UserError, match="`dynamic_learning_rate` must be so small that the loss"):
        evaluate(tmp_path / "run", dynamic=True, dynamic_learning_rate=1e300)
    now = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert now == files
    alone = evaluate(tmp_path / "run")
    assert alone.stateful is None
    assert both.evaluation == alone.evaluation
    assert both.stateful is not None
    assert both.stateful.num_tokens == char_corpus.splits["validation"].num_tokens - 1
    ratio = both.stateful.evaluation.loss / both.evaluation.loss
    assert 0.9 < ratio < 1.1
    assert ratio != 1
    assert both.stateful.bits_per_character == pytest.approx(both.bits_per_character * ratio)


def test_predictions_after_whole_windows_alone_have_no_state(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    train(tiny(char_corpus.directory, tmp_path, steps=1, targets="last"), quiet=True)
    with pytest.raises(OptionError, match=r"`stateful` must not be given .* leave --stateful out"):
        evaluate(tmp_path, stateful=True)
    with pytest.raises(OptionError, match=r"`dynamic` must not be given .* leave --dynamic out"):
        evaluate(tmp_path, dynamic=True)
