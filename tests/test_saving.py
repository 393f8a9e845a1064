"""trainer.saving: when a run is saved and when it stops, whatever the host that knows."""

import math
import signal
from typing import Any

import pytest
import tensorflow as tf
from training import tiny

from trainer import saving
from trainer.hosts.agreement import Agreement
from trainer.hosts.environment import Hosts
from trainer.hosts.signals import StopRequest, exit_after
from trainer.saving import Decision, SavePolicy


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(saving.time, "monotonic", lambda: self.seconds)


def policy(stop: StopRequest | None = None, **options: Any) -> SavePolicy:
    agreement = Agreement(tf.distribute.get_strategy(), None)
    return SavePolicy(tiny("c", "r", **options), agreement, stop or StopRequest())


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


def test_a_signal_saves_and_stops_but_at_the_end_the_run_is_over() -> None:
    stop = StopRequest()
    decide = policy(stop, save_every=100, steps=12).decide
    assert decide(1) == Decision(save=False, stop_signal=None)
    stop.signal_number = signal.SIGTERM
    assert decide(2) == Decision(save=True, stop_signal=signal.SIGTERM)
    assert decide(12) == Decision(save=True, stop_signal=None)


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


def test_exit_codes() -> None:
    with pytest.raises(SystemExit) as error:
        exit_after(signal.SIGTERM)
    assert error.value.code == 143
    with pytest.raises(KeyboardInterrupt):
        exit_after(signal.SIGINT)
