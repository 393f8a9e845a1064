"""schedule: after which steps something is due, saved, over; whatever the host that knows."""

import math
import signal
from typing import Any

import pytest
import tensorflow as tf
from training import tiny

from trainer import schedule
from trainer.hosts.agreement import Agreement
from trainer.hosts.environment import Hosts
from trainer.hosts.signals import StopRequest
from trainer.schedule import Decision, EarlyStopping, SavePolicy, event_steps


def test_event_steps_are_all_multiples_and_the_last() -> None:
    for log_every in (1, 2, 5):
        for eval_every in (0, 3, 4):
            for start in (0, 1, 6, 11):
                config = tiny("c", "r", log_every=log_every, eval_every=eval_every, save_every=7)
                due = [
                    step
                    for step in range(start + 1, 13)
                    if step % log_every == 0
                    or step % 7 == 0
                    or (eval_every and step % eval_every == 0)
                    or step == 12
                ]
                assert list(event_steps(config, start)) == due


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(schedule.time, "monotonic", lambda: self.seconds)


def policy(stop_request: StopRequest | None = None, **options: Any) -> SavePolicy:
    agreement = Agreement(tf.distribute.get_strategy(), None)
    return SavePolicy(tiny("c", "r", **options), agreement, stop_request or StopRequest())


def test_saves_are_due_at_multiples_and_at_the_end() -> None:
    decide = policy(save_every=5, steps=12).decide
    assert [step for step in range(1, 13) if decide(step).save] == [5, 10, 12]


def test_saves_are_due_when_the_time_has_passed_since_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    timed = policy(save_every="1.5m", steps=12)
    clock.seconds = 89
    assert not timed.decide(1).save
    clock.seconds = 90
    assert timed.decide(2).save
    timed.saved()
    assert not timed.decide(3).save
    clock.seconds = 180
    assert timed.decide(4).save
    assert policy(save_every="2h", steps=12).decide(12).save


def test_a_signal_saves_and_stops() -> None:
    request = StopRequest()
    decide = policy(request, save_every=100, steps=12).decide
    assert decide(1) == Decision(save=False, stop_signal=None)
    request.signal_number = signal.SIGTERM
    assert decide(2) == Decision(save=True, stop_signal=signal.SIGTERM)
    assert decide(12) == Decision(save=True, stop_signal=signal.SIGTERM)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([0, 0], Decision(save=False, stop_signal=None)),
        ([1, 0], Decision(save=True, stop_signal=None)),
        ([1, 2 * signal.SIGTERM], Decision(save=True, stop_signal=signal.SIGTERM)),
        ([2 * signal.SIGINT, 2 * signal.SIGTERM], Decision(save=True, stop_signal=signal.SIGTERM)),
    ],
)
def test_what_any_host_knows_all_do(
    monkeypatch: pytest.MonkeyPatch, others: list[int], expected: Decision
) -> None:
    clock = Clock(monkeypatch)
    hosts = Hosts(addresses=("a:1", "b:2", "c:3"), index=2, source="TF_CONFIG")
    agreement = Agreement(tf.distribute.get_strategy(), hosts)
    given: list[int] = []

    def values(value: int) -> list[int]:
        given.append(value)
        return [*others, value]

    monkeypatch.setattr(agreement, "values", values)
    one_of_three = SavePolicy(tiny("c", "r", save_every="1s"), agreement, StopRequest())
    clock.seconds = math.inf  # of which only the first host takes notice
    assert one_of_three.decide(1) == expected
    assert given == [0]


def stopping_step(losses: list[float], patience: int) -> int | None:
    """Where a run with these losses, every 10 steps, stops."""
    config = tiny("corpus", "run", eval_every=10, early_stopping=patience)
    early_stopping, best = EarlyStopping(config, None), float("inf")
    for index, loss in enumerate(losses):
        step = 10 * (index + 1)
        assert early_stopping.reason_to_stop(step - 3) is None
        if loss < best:
            best = loss
            early_stopping.improved(step)
        if early_stopping.reason_to_stop(step):
            return step
    return None


def test_it_stops_after_so_many_evaluations_without_a_better_one() -> None:
    losses = [3.0, 2.5, 2.6, 2.5, 2.4, 2.6, 2.6, 2.6, 2.6]
    assert [stopping_step(losses, patience) for patience in range(5)] == [None, 30, 40, 80, 90]
    nan = float("nan")
    assert stopping_step([3.0, nan, nan], 2) == 30
    assert stopping_step([nan, nan, nan], 2) is None  # nothing to compare with


def test_the_reason_names_the_best_step_and_the_remedy() -> None:
    config = tiny("corpus", "run", eval_every=10, early_stopping=2)
    assert EarlyStopping(config, None).reason_to_stop(100) is None
    assert EarlyStopping(config, 85).reason_to_stop(90) is None
    assert EarlyStopping(config, 80).reason_to_stop(100) == (
        "stops early at step 100: its validation loss was lowest at step 80, 2 evaluations ago; "
        "`textreel generate run` takes that one. --early_stopping is 2; a larger one, or 0, lets "
        "the run go on"
    )
