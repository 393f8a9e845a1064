"""agreement: values of all hosts."""

import dataclasses

import tensorflow as tf

from trainer.hosts.agreement import Agreement
from trainer.hosts.environment import Hosts


def test_one_host_agrees_with_itself_and_the_first_is_the_chief() -> None:
    strategy = tf.distribute.get_strategy()
    alone = Agreement(strategy, None)
    assert (alone.is_chief, alone.values(7), alone.largest(7)) == (True, [7], 7)

    hosts = Hosts(addresses=("a:1", "b:2"), index=1, source="TF_CONFIG")
    second = Agreement(strategy, hosts)
    assert not second.is_chief
    assert dataclasses.replace(hosts, index=0).is_chief
