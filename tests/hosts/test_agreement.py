"""agreement: values of all hosts, and hosts that start apart."""

import dataclasses

import pytest
import tensorflow as tf

from pipeline import UserError
from trainer.hosts.agreement import Agreement
from trainer.hosts.environment import Hosts


def test_one_host_agrees_with_itself_and_hosts_that_start_apart_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = tf.distribute.get_strategy()
    alone = Agreement(strategy, None)
    assert (alone.is_chief, alone.values(7), alone.largest(7)) == (True, [7], 7)
    alone.check_equal(7, "checkpoints")

    hosts = Hosts(addresses=("a:1", "b:2"), index=1, source="TF_CONFIG")
    second = Agreement(strategy, hosts)
    assert not second.is_chief
    monkeypatch.setattr(second, "values", lambda value: [6, value])
    second.check_equal(6, "checkpoints")
    with pytest.raises(UserError, match=r"different checkpoints in D: of steps 6, 0; it must be"):
        second.check_equal(0, "checkpoints in D")
    assert dataclasses.replace(hosts, index=0).is_chief
