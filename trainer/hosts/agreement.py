"""Agreement of hosts on what only one of them may know.

Between its steps a host may have got a signal, or the chief may find a save due. What they
do next must be the same on all, or their collectives would not meet.
"""

import tensorflow as tf

from trainer.hosts.environment import Hosts


class Agreement:
    """Exchanges one integer a host, by one all-reduce; by nothing where there is one host.

    Every host must make the same calls in the same order.

    Args:
        strategy: whose hosts agree.
        hosts: the processes that train together; None for this one alone.
    """

    def __init__(self, strategy: tf.distribute.Strategy, hosts: Hosts | None) -> None:
        self._strategy = strategy
        self._hosts = hosts
        self._sum = tf.function(self._sum_over_hosts)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self._hosts is None or self._hosts.is_chief

    def values(self, value: int) -> list[int]:
        """Returns what every host gave, in the order of the hosts.

        Args:
            value: what this host gives; below 2**53.
        """
        if self._hosts is None:
            return [value]
        # A sum is what every kind of collective can do, and float64 what GPUs exchange:
        # each host has an element of its own in the vector, to which the others add 0.
        given = [0.0] * self._hosts.count
        given[self._hosts.index] = float(value)
        return [int(total) for total in self._sum(tf.constant(given, tf.float64)).numpy()]

    def largest(self, value: int) -> int:
        """Returns the largest value that a host gave."""
        return max(self.values(value))

    def _sum_over_hosts(self, given: tf.Tensor) -> tf.Tensor:
        """Sums a `[hosts]` float64 vector; every replica of a host gives the same one."""
        given = self._strategy.run(lambda: given)
        total = self._strategy.reduce(tf.distribute.ReduceOp.SUM, given, axis=None)
        assert self._hosts is not None
        return total / (self._strategy.num_replicas_in_sync // self._hosts.count)
