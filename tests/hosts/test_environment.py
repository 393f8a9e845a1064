"""environment: what the environment says about the other processes, and errors in it."""

import itertools
import json
import os
import re
from typing import Any
from unittest import mock

import pytest
from training import run_child

from pipeline import UserError
from trainer.hosts.environment import Hosts, expand_counts, expand_nodes, find_hosts


def variable(cluster: Any, kind: Any = "worker", index: Any = 0, name: str = "TF_CONFIG") -> Any:
    return {name: json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


TWO = {"worker": ["a:1", "b:2"]}


def test_without_a_description_or_with_one_process_it_is_alone() -> None:
    assert find_hosts({}) is None
    assert find_hosts({"TF_CONFIG": " ", "CLUSTER_SPEC": ""}) is None
    assert find_hosts({"TF_CONFIG": "{}"}) is None
    assert find_hosts(variable({"chief": ["a:1"]}, "chief")) is None
    assert find_hosts({"SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}) is None  # a shell, no step


def test_workers_are_numbered_in_order() -> None:
    for index in (0, 1, "1"):
        expected = Hosts(addresses=("a:1", "b:2"), index=int(index), source="TF_CONFIG")
        assert find_hosts(variable(TWO, index=index)) == expected
        assert expected.is_chief == (int(index) == 0)
        assert expected.count == 2


@pytest.mark.parametrize("chief", ["chief", "master"])
def test_a_chief_comes_before_the_workers_wherever_it_stands(chief: str) -> None:
    cluster = {"worker": ["a:1", "b:2"], chief: ["c:3"]}
    indices = [
        find_hosts(variable(cluster, kind, index)).index
        for kind, index in ((chief, 0), ("worker", 0), ("worker", 1))
    ]
    assert indices == [0, 1, 2]
    assert find_hosts(variable(cluster)).addresses == ("c:3", "a:1", "b:2")


def test_vertex_pools_are_one_list_and_tf_config_goes_before_them() -> None:
    cluster = {"workerpool0": ["a:1"], "workerpool1": ["b:2", "c:3"]}
    found = find_hosts(variable(cluster, "workerpool1", 1, name="CLUSTER_SPEC"))
    assert found == Hosts(addresses=("a:1", "b:2", "c:3"), index=2, source="CLUSTER_SPEC")
    both = variable(cluster, "workerpool1", 1, name="CLUSTER_SPEC") | variable(TWO)
    assert find_hosts(both).source == "TF_CONFIG"
    # A TF_CONFIG that names nobody decides nothing.
    assert find_hosts(both | {"TF_CONFIG": "{}"}).source == "CLUSTER_SPEC"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{'a'"}, "`TF_CONFIG` is not JSON (Expecting property name"),
        ({"TF_CONFIG": "[1]"}, "`TF_CONFIG` must be a JSON object, got [1]; correct the variable"),
        ({"TF_CONFIG": '{"cluster": 3}'}, '`TF_CONFIG` must have an object "cluster", got'),
        ({"TF_CONFIG": json.dumps({"cluster": TWO})}, 'must have an object "task", got none'),
        (
            {"TF_CONFIG": json.dumps({"task": {"type": "worker", "index": 1}})},
            'must have a "cluster" where it has a "task", got {"type": "worker", "index": 1}',
        ),
        (variable({}), 'must have a "cluster" where it has a "task"'),
        (variable({}, name="CLUSTER_SPEC"), '`CLUSTER_SPEC` must have a "cluster" where it'),
        *(
            (
                {"TF_CONFIG": json.dumps({"sparseCluster": sparse, "task": task})},
                'must have a whole "cluster": of a "sparseCluster" (enableDynamicWorker: true) a',
            )
            for sparse in ({"worker": {"1": "w1:2222"}, "ps": []}, {"worker": {}, "ps": []}, {})
            for task in ({"type": "worker", "index": 1}, {"type": "chief", "index": 0})
        ),
        (variable({"worker": "a:1"}), 'must list "host:port" strings under cluster "worker", got'),
        (variable({"worker": ["a", "b"]}), 'under cluster "worker", got ["a", "b"]'),
        (variable(TWO, "chief"), 'a task "type" that the cluster has (worker), got "chief"'),
        (variable(TWO, None), 'a task "type" that the cluster has (worker), got null'),
        (
            variable(TWO, index=2),
            'a task "index" of 0 … 1, for the cluster has 2 "worker", got 2; correct the variable, '
            "which the scheduler sets, or unset it to train on this machine alone",
        ),
        (variable(TWO, index=-1), 'a task "index" of 0 … 1'),
        (variable(TWO, index=True), 'a task "index" of 0 … 1'),
        (variable(TWO, index="x"), 'a task "index" of 0 … 1, for the cluster has 2 "worker", got'),
        (variable({"worker": ["a:1", "a:1"]}), "must name every address once, got a:1, a:1"),
        (variable(TWO | {"ps": ["c:3"]}), "must not have parameter servers, which are not"),
        (variable(TWO, "ps"), "must not have parameter servers"),
        (variable(TWO, "evaluator"), "must not have an evaluator: the workers evaluate every"),
        (variable(TWO | {"boss": ["c:3"]}), "must have no tasks but chief, master, worker, got"),
        (
            variable({"workerpool0": ["a:1"], "workerpool2": ["b:2"]}, name="CLUSTER_SPEC"),
            "`CLUSTER_SPEC` must not have parameter servers",
        ),
    ],
)
def test_what_is_wrong_is_said(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as error:
        find_hosts(environment)
    assert message in str(error.value)


def slurm(nodes: str, counts: str, index: int, job: int = 5) -> dict[str, str]:
    return {
        "SLURM_PROCID": str(index),
        "SLURM_STEP_NUM_TASKS": str(sum(expand_counts(counts))),
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": counts,
        "SLURM_JOB_ID": str(job),
    }


def test_slurm_tasks_are_numbered_as_slurm_numbers_them() -> None:
    found = find_hosts(slurm("n[9-10],m5", "2(x2),1", 3))
    assert found == Hosts(
        addresses=("n9:12005", "n9:12006", "n10:12005", "n10:12006", "m5:12005"),
        index=3,
        source="SLURM_PROCID",
    )
    assert find_hosts(slurm("n1", "1", 0)) is None
    other = find_hosts(slurm("n[9-10]", "1(x2)", 0, job=20_006))
    assert other.addresses == ("n9:12006", "n10:12006")


@pytest.mark.parametrize(
    ("change", "tasks"),
    [
        ({}, ["a:0", "a:1", "a:2", "b:0", "c:0", "c:1"]),
        ({"SLURM_DISTRIBUTION": "block:cyclic"}, ["a:0", "a:1", "a:2", "b:0", "c:0", "c:1"]),
        ({"SLURM_DISTRIBUTION": "cyclic"}, ["a:0", "b:0", "c:0", "a:1", "c:1", "a:2"]),
        ({"SLURM_DISTRIBUTION": "cyclic:block,Pack"}, ["a:0", "b:0", "c:0", "a:1", "c:1", "a:2"]),
        ({"SLURM_DISTRIBUTION": "plane=2"}, ["a:0", "a:1", "b:0", "c:0", "c:1", "a:2"]),
        (
            {"SLURM_DISTRIBUTION": "plane", "SLURM_DIST_PLANESIZE": "2"},
            ["a:0", "a:1", "b:0", "c:0", "c:1", "a:2"],
        ),
    ],
)
def test_slurm_tasks_are_where_the_distribution_puts_them(
    change: dict[str, str], tasks: list[str]
) -> None:
    """As the manual of srun describes `--distribution`."""
    for index, task in enumerate(tasks):
        node, number = "abc".index(task[0]), task[-1]
        own = {"SLURM_NODEID": str(node), "SLURM_LOCALID": number}
        found = find_hosts(slurm("a,b,c", "3,1,2", index) | change | own)
        expected = tuple(f"{name[0]}:{12_005 + int(name[-1])}" for name in tasks)
        assert (found.addresses, found.index) == (expected, index)
    with pytest.raises(UserError, match=r"task 1 is number . of node ., but it is number 1 of nod"):
        find_hosts(
            slurm("a,b,c", "3,1,2", 1) | change | {"SLURM_NODEID": "2", "SLURM_LOCALID": "1"}
        )


def test_slurm_addresses_are_those_of_tensorflows_resolver() -> None:
    """But its order is the alphabet's, which is Slurm's only where numbers are padded."""
    import tensorflow as tf

    for nodes, counts in itertools.product(
        ("n[08-10]", "a1,b[2,4]", "x,y,z"), ("1(x3)", "2,1(x2)")
    ):
        environment = slurm(nodes, counts, 1)
        with mock.patch.dict(os.environ, environment):
            resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
                port_base=12_005, gpus_per_node=8, gpus_per_task=1, auto_set_gpu=False
            )
            expected = resolver.cluster_spec().as_dict()["worker"]
        assert list(find_hosts(environment).addresses) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SLURM_PROCID": "x"}, "cannot be read (invalid literal"),
        ({"SLURM_PROCID": "2"}, "must agree, got 2 nodes, [1, 1] tasks on them, task 2 of 2"),
        ({"SLURM_STEP_NODELIST": "n[1-"}, "cannot be read ('n[1-' is not a list of nodes)"),
        ({"SLURM_STEP_NODELIST": "n[1-3]"}, "must agree, got 3 nodes"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(y)"}, "'2(y)' is not a list of numbers of tasks"),
        ({"SLURM_STEP_NUM_TASKS": "3"}, "must agree"),
        ({"SLURM_DISTRIBUTION": "arbitrary"}, "is 'arbitrary'; give srun --distribution=block"),
        ({"SLURM_DISTRIBUTION": "plane"}, "cannot be read ('SLURM_DIST_PLANESIZE')"),
        ({"SLURM_NODEID": "x"}, "cannot be read (invalid literal"),
    ],
)
def test_a_slurm_step_that_does_not_add_up(change: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=r"`SLURM_\*` .*srun") as error:
        find_hosts(slurm("n[1-2]", "1(x2)", 0) | change)
    assert message in str(error.value)


def test_a_missing_slurm_variable_is_named() -> None:
    environment = slurm("n[1-2]", "1(x2)", 0)
    del environment["SLURM_STEP_NODELIST"]
    with pytest.raises(UserError, match=re.escape("cannot be read ('SLURM_STEP_NODELIST')")):
        find_hosts(environment)


def test_node_lists() -> None:
    assert expand_nodes("n[1-2],m5,o[3-4,6,7-9]") == [
        *("n1", "n2", "m5", "o3", "o4", "o6", "o7", "o8", "o9")
    ]
    assert expand_nodes("n[08-10]") == ["n08", "n09", "n10"]
    assert expand_nodes("gpu-1.cluster") == ["gpu-1.cluster"]


def test_it_needs_no_tensorflow() -> None:
    code = "import sys, trainer.hosts; print('tensorflow' in sys.modules)"
    assert run_child(code) == "False\n"
