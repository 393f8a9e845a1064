"""Environment of a run: the processes that train one model together, as schedulers name them.

Three schedulers say it in three ways; all become one list of addresses and an index in it:

TF_CONFIG      Kubeflow, Vertex AI:  {"cluster": {"chief": […], "worker": […]}, "task": {…}}
CLUSTER_SPEC   Vertex AI:            {"cluster": {"workerpool0": […], …}, "task": {…}}
SLURM_*        `srun`:               the nodes, the tasks on each, and this task's number

Pure Python: no TensorFlow, and nothing but the mapping that is given is read.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.errors import UserError

# Below the ports that systems hand out by themselves. Jobs on one node must differ.
_SLURM_FIRST_PORT, _SLURM_PORTS = 12_000, 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hosts:
    """The processes of one run, and which of them this is.

    Attributes:
        addresses: `host:port` of each, in the order of the rows that they read; at least two.
            The first is the chief: it alone writes.
        index: which of the addresses is this process's.
        source: the variable that says so.
    """

    addresses: tuple[str, ...]
    index: int
    source: str

    @property
    def count(self) -> int:
        """Number of processes."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.index == 0


def find_hosts(environment: Mapping[str, str]) -> Hosts | None:
    """Reads which processes train together.

    Args:
        environment: of this process, usually `os.environ`.

    Returns:
        The processes; None where this one is alone.

    Raises:
        UserError: a variable is malformed, or gives this process a part that there is not.
    """
    hosts: Hosts | None
    for variable, pools in (
        ("TF_CONFIG", ("chief", "master", "worker")),
        ("CLUSTER_SPEC", ("workerpool0", "workerpool1")),
    ):
        if environment.get(variable, "").strip():
            found = _Cluster(variable, environment[variable])
            if not found.is_empty:
                hosts = found.hosts(pools)
                break
    else:
        hosts = _slurm_hosts(environment)
    return hosts if hosts is not None and hosts.count > 1 else None


class _Cluster:
    """A cluster and this process's task in it, as JSON in a variable."""

    def __init__(self, variable: str, text: str) -> None:
        self._variable = variable
        try:
            content = json.loads(text)
        except ValueError as error:
            raise self._error(f"is not JSON ({error})", text) from error
        self._content = self._object(content, "must be a JSON object", text)
        self.pools = self._object(
            self._content.get("cluster", {}), 'must have an object "cluster"', text
        )
        for name, addresses in self.pools.items():
            is_list = isinstance(addresses, list) and all(isinstance(a, str) for a in addresses)
            if not is_list or not all(re.fullmatch(r".+:\d+", address) for address in addresses):
                raise self._error(
                    f'must list "host:port" strings under cluster "{name}"', json.dumps(addresses)
                )

    @property
    def is_empty(self) -> bool:
        """Whether it names nobody.

        Raises:
            UserError: so it does, but this process has a task with others: alone, each of them
                would train the whole run into one output.
        """
        if "sparseCluster" in self._content:
            raise self._error(
                'must have a whole "cluster": of a "sparseCluster" (enableDynamicWorker: true) a '
                "worker knows itself alone",
                json.dumps(self._content["sparseCluster"]),
            )
        if not self.pools and self._content.get("task"):
            raise self._error(
                'must have a "cluster" where it has a "task"', json.dumps(self._content["task"])
            )
        return not self.pools

    def hosts(self, names: tuple[str, ...]) -> Hosts:
        """The hosts of the named pools, in this order."""
        self._refuse_other_pools(names)
        task = self._object(self._content.get("task"), 'must have an object "task"', "none")
        pool, index = task.get("type"), task.get("index", 0)
        if isinstance(index, str) and index.isdecimal():
            index = int(index)
        if pool not in self.pools:
            raise self._error(
                f'must give this process a task "type" that the cluster has '
                f"({', '.join(self.pools)})",
                json.dumps(pool),
            )
        size = len(self.pools[pool])
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < size:
            raise self._error(
                f'must give this process a task "index" of 0 … {size - 1}, for the cluster has '
                f'{size} "{pool}"',
                json.dumps(index),
            )
        present = [name for name in names if name in self.pools]
        before = sum(len(self.pools[name]) for name in present[: present.index(pool)])
        addresses = [address for name in present for address in self.pools[name]]
        if len(set(addresses)) < len(addresses):
            raise self._error("must name every address once", ", ".join(addresses))
        return Hosts(addresses=tuple(addresses), index=before + index, source=self._variable)

    def _refuse_other_pools(self, allowed: tuple[str, ...]) -> None:
        present = [name for name, addresses in self.pools.items() if addresses]
        task = self._content.get("task")
        if isinstance(task, dict) and isinstance(task.get("type"), str):
            present.append(task["type"])
        for name in present:
            if name in ("ps", "workerpool2"):
                raise self._error(
                    "must not have parameter servers, which are not supported; every worker "
                    "holds the whole model",
                    name,
                )
            if name in ("evaluator", "workerpool3"):
                raise self._error(
                    "must not have an evaluator: the workers evaluate every --eval_every steps",
                    name,
                )
            if name not in allowed and name in self.pools:
                raise self._error(f"must have no tasks but {', '.join(allowed)}", name)

    def _object(self, value: Any, rule: str, text: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._error(rule, text)
        return value

    def _error(self, rule: str, value: str) -> UserError:
        return UserError(
            f"`{self._variable}` {rule}, got {value}; correct the variable, which the scheduler "
            "sets, or unset it to train on this machine alone"
        )


def _slurm_hosts(environment: Mapping[str, str]) -> Hosts | None:
    """The tasks of a Slurm step, in the order of their numbers."""
    if not environment.get("SLURM_PROCID") or not environment.get("SLURM_STEP_NUM_TASKS"):
        return None
    try:
        index = int(environment["SLURM_PROCID"])
        nodes = expand_nodes(environment["SLURM_STEP_NODELIST"])
        counts = expand_counts(environment["SLURM_STEP_TASKS_PER_NODE"])
        offset = int(environment.get("SLURM_JOB_ID", "0")) % _SLURM_PORTS
        expected = int(environment["SLURM_STEP_NUM_TASKS"])
        places = _slurm_places(environment, counts)
        variables = ("SLURM_NODEID", "SLURM_LOCALID")
        told = [int(environment[name]) if name in environment else None for name in variables]
    except (KeyError, ValueError) as error:
        raise UserError(
            f"`SLURM_*` must describe the step that `srun` started, but cannot be read ({error}); "
            "start every process with srun"
        ) from error
    if len(nodes) != len(counts) or sum(counts) != expected or not 0 <= index < expected:
        raise UserError(
            f"`SLURM_*` must agree, got {len(nodes)} nodes, {counts} tasks on them, task "
            f"{index} of {expected}; start every process with srun"
        )
    own_and_placed = zip(told, places[index], strict=True)
    node, task = (placed if own is None else own for own, placed in own_and_placed)
    if (node, task) != places[index]:
        raise UserError(
            f"`SLURM_DISTRIBUTION` must say how the tasks are distributed, got "
            f"{environment.get('SLURM_DISTRIBUTION')!r}, by which task {index} is number "
            f"{places[index][1]} of node {places[index][0]}, but it is number {task} of node "
            f"{node}; give srun --distribution=block"
        )
    addresses = [f"{nodes[node]}:{_SLURM_FIRST_PORT + offset + task}" for node, task in places]
    return Hosts(addresses=tuple(addresses), index=index, source="SLURM_PROCID")


def _slurm_places(environment: Mapping[str, str], counts: list[int]) -> list[tuple[int, int]]:
    """Where each task of a step is: the node, and the number on it.

    Tasks go to the nodes in turn, so many at a time: as many as it has (block), one (cyclic)
    or the size of a plane.

    Raises:
        ValueError: a distribution of which this cannot be said.
    """
    text = environment.get("SLURM_DISTRIBUTION", "block")
    kind, _, size = re.split("[:,]", text.lower())[0].partition("=")
    if kind in ("block", "*", "pack", "nopack"):
        at_once = max(counts)
    elif kind == "cyclic":
        at_once = 1
    elif kind == "plane":
        at_once = max(1, int(size or environment["SLURM_DIST_PLANESIZE"]))
    else:
        raise ValueError(f"SLURM_DISTRIBUTION is {text!r}; give srun --distribution=block")
    return [
        (node, task)
        for first in range(0, max(counts), at_once)
        for node, count in enumerate(counts)
        for task in range(first, min(first + at_once, count))
    ]


def expand_nodes(text: str) -> list[str]:
    """Expands Slurm's list of nodes, in order.

    Example: `"n[08-10],m5"` -> `["n08", "n09", "n10", "m5"]`.

    Raises:
        ValueError: it is not such a list.
    """
    nodes = []
    for part in re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+|.", text):
        if part == ",":
            continue
        found = re.fullmatch(r"([^,\[\]]+)(?:\[([\d,-]+)\])?", part)
        if found is None:
            raise ValueError(f"{text!r} is not a list of nodes")
        prefix, numbers = found.groups()
        if numbers is None:
            nodes.append(prefix)
            continue
        for piece in numbers.split(","):
            first, _, last = piece.partition("-")
            width = len(first)
            nodes += [f"{prefix}{n:0{width}}" for n in range(int(first), int(last or first) + 1)]
    return nodes


def expand_counts(text: str) -> list[int]:
    """Expands Slurm's numbers of tasks. Example: `"2(x3),1"` -> `[2, 2, 2, 1]`.

    Raises:
        ValueError: it is not such a list.
    """
    counts = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if found is None:
            raise ValueError(f"{text!r} is not a list of numbers of tasks")
        counts += [int(found[1])] * int(found[2] or 1)
    return counts
