"""sampling: what is drawn, against a NumPy oracle; draws that depend on nothing else."""

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.generation.sampling import Drawing, advance, begin, choose_token, uniform_numbers
from trainer.models import LanguageModel


def choose(logits: Any, uniforms: Any, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    return choose_token(
        tf.constant(logits, tf.float32),
        tf.constant(uniforms, tf.float32),
        tf.constant(temperature, tf.float32),
        tf.constant(top_k),
        tf.constant(top_p, tf.float32),
    ).numpy()


def distribution(logits: Any, temperature: float, top_k: int, top_p: float) -> dict[int, float]:
    """The slow oracle: the ids that may be drawn, likeliest first, with their probabilities."""
    ids = sorted(range(len(logits)), key=lambda one: (-logits[one], one))
    if temperature == 0:
        return {ids[0]: 1.0}
    ids = ids[: top_k or len(ids)]
    weights = [np.exp((np.float64(logits[one]) - logits[ids[0]]) / temperature) for one in ids]
    kept: dict[int, float] = {}
    for one, weight in zip(ids, weights, strict=True):
        if sum(kept.values()) < top_p * sum(weights) or top_p == 1:
            kept[one] = weight
    return {one: weight / sum(kept.values()) for one, weight in kept.items()}


@pytest.mark.parametrize("top_p", [1e-40, 1e-300])
def test_the_likeliest_token_is_left_however_small_the_share(top_p: float) -> None:
    ids = choose([[0.0, 3.0, 2.0]] * 3, [0.0, 0.5, 0.999], 1.0, 0, top_p)
    assert ids.tolist() == [1, 1, 1]


@given(
    logits=st.lists(st.sampled_from([-50.0, -3.0, -1.0, 0.0, 0.5, 0.5, 2.0]), min_size=1),
    uniform=st.integers(0, 2**24 - 1).map(lambda bits: bits / 2**24),
    temperature=st.sampled_from([0.0, 1e-9, 0.3, 1.0, 2.5, 1e9]),
    top_k=st.sampled_from([0, 1, 2, 3, 1000]),
    top_p=st.sampled_from([1e-9, 0.3, 0.5, 0.77, 0.999, 1.0]),
)
@settings(max_examples=300, deadline=None)
def test_a_draw_is_that_of_the_oracle(
    logits: list[float], uniform: float, temperature: float, top_k: int, top_p: float
) -> None:
    (drawn,) = choose([logits], [uniform], temperature, top_k, top_p)
    expected = distribution(logits, temperature, top_k, top_p)
    # Where rounding decides, either neighbour is right.
    ids, limits = list(expected), np.cumsum(list(expected.values()))
    near = {
        ids[min(int((limits <= u).sum()), len(ids) - 1)] for u in (uniform - 1e-5, uniform + 1e-5)
    }
    if drawn not in near:
        slightly_more = distribution(logits, temperature, top_k, min(1.0, top_p + 1e-5))
        slightly_less = distribution(logits, temperature, top_k, max(1e-12, top_p - 1e-5))
        assert slightly_more.keys() != slightly_less.keys()
        assert drawn in slightly_more


def test_filters_in_numbers_that_can_be_seen() -> None:
    probabilities = np.array([0.1, 0.4, 0.2, 0.3])
    logits = np.tile(np.log(probabilities), (1000, 1))
    uniforms = (np.arange(1000) + 0.5) / 1000

    def counts(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> list[int]:
        drawn = choose(logits, uniforms, temperature, top_k, top_p)
        return np.bincount(drawn, minlength=4).tolist()

    assert counts() == [100, 400, 200, 300]
    assert counts(top_k=1) == counts(temperature=0) == counts(top_p=1e-9) == [0, 1000, 0, 0]
    assert counts(top_k=2) == [0, 571, 0, 429]  # 4/7, 3/7
    assert counts(top_p=0.6) == counts(top_k=2)
    assert counts(top_p=0.75) == [0, 444, 222, 334]
    # `top_p` counts what `top_k` left: 4/7 is less than 0.6, but more than 0.5.
    assert counts(top_k=2, top_p=0.6) == counts(top_k=2)
    assert counts(top_k=2, top_p=0.5) == [0, 1000, 0, 0]
    # The temperature comes first: squares 16, 9, 4, 1 of 30.
    assert counts(temperature=0.5) == [33, 533, 134, 300]
    assert counts(temperature=0.5, top_p=0.6) == [0, 640, 0, 360]


def test_of_equals_the_lower_ids_stay() -> None:
    logits, uniforms = np.zeros((100, 5)), np.arange(100) / 100
    assert set(choose(logits, uniforms, 1.0, 0, 1.0)) == {0, 1, 2, 3, 4}
    assert set(choose(logits, uniforms, 1.0, 2, 1.0)) == {0, 1}
    assert set(choose(logits, uniforms, 1.0, 0, 0.5)) == {0, 1, 2}
    assert set(choose(logits, uniforms, 0.0, 0, 1.0)) == {0}


def test_frequencies_follow_the_filtered_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=7) * 2
    uniforms = uniform_numbers(tf.constant(5), tf.zeros([40_000], tf.int32), tf.range(40_000))
    for options in itertools.product((0.5, 1.0, 2.0), (0, 3), (0.8, 1.0)):
        drawn = choose(np.tile(logits, (40_000, 1)), uniforms, *options)
        expected = np.zeros(7)
        for one, probability in distribution(logits, *options).items():
            expected[one] = probability
        np.testing.assert_allclose(np.bincount(drawn, minlength=7) / 40_000, expected, atol=0.012)


def test_uniform_numbers_are_uniform_and_of_their_own_arguments_alone() -> None:
    seeds, samples, indices = 3, 40, 500
    grid = np.array(
        [
            [uniform_numbers(tf.constant(seed), tf.fill([indices], sample), tf.range(indices))
             for sample in range(samples)]
            for seed in range(seeds)
        ]
    )  # fmt: skip
    assert ((grid >= 0) & (grid < 1)).all()
    assert len(np.unique(grid)) > 0.99 * grid.size
    histogram, _ = np.histogram(grid, bins=20, range=(0, 1))
    assert ((histogram - grid.size / 20) ** 2 / (grid.size / 20)).sum() < 43.8  # chi-squared, 0.1%
    for axis in range(3):  # neighbours by seed, by sample and by index do not correlate
        first, second = np.delete(grid, -1, axis).ravel(), np.delete(grid, 0, axis).ravel()
        assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(first))
    several = uniform_numbers(tf.constant(2), tf.constant([7, 0, 7]), tf.constant([3, 3, 9]))
    np.testing.assert_array_equal(several, [grid[2, 7, 3], grid[2, 0, 3], grid[2, 7, 9]])


def test_uniform_numbers_are_fixed_for_all_time() -> None:
    found = uniform_numbers(tf.constant(1), tf.constant([0, 0, 1]), tf.constant([0, 1, 0]))
    np.testing.assert_array_equal(found * 2.0**24, [13286490, 2988204, 5221552])


class Counting(LanguageModel):
    """Its state is a row's tokens so far, as digits; its logits take 0 … 9 in turn."""

    def initial_state(self, batch_size: Any) -> Any:
        return [tf.constant(0), tf.zeros([batch_size], tf.int64)]

    def step(self, tokens: tf.Tensor, state: Any) -> Any:
        place, digits = state
        digits = digits * 10 + tf.cast(tokens, tf.int64)
        return tf.one_hot((tokens + 1) % 10, 10) * 100.0, [place + 1, digits]


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_rows_of_any_length_go_on_side_by_side(chunk: int) -> None:
    drawing = Drawing(
        tf.constant(1.0), tf.constant(0), tf.constant(1.0), tf.constant(0), tf.range(3)
    )
    prompts, lengths = tf.constant([[1, 2, 3], [9, 0, 0], [5, 5, 0]]), tf.constant([3, 1, 2])
    model = Counting()
    step = tf.function(lambda *arguments: advance(model, *arguments), reduce_retracing=True)
    rows, found = begin(model, 10, 3), []
    for _ in range(10 // chunk):
        tokens, rows = step(rows, prompts, lengths, drawing, tf.constant(chunk))
        found.append(tokens)
    assert ["".join(map(str, row)) for row in np.concatenate(found).T] == [
        "1234567890",
        "9012345678",
        "5567890123",
    ]
    assert int(rows.place) == 10
    assert rows.state[1].numpy().tolist() == [1234567890, 9012345678, 5567890123]
