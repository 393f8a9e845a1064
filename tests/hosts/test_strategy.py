"""strategy: which strategy it comes to, and what does not fit together."""

import dataclasses
from typing import Any

import pytest
import tensorflow as tf
from training import tiny

from pipeline.errors import OptionError, UserError
from trainer.hosts.environment import Hosts
from trainer.hosts.strategy import choose_kind, make_strategy

HOSTS = Hosts(addresses=("a:1", "b:2", "c:3"), index=0, source="TF_CONFIG")


@pytest.mark.parametrize(
    ("options", "hosts", "num_gpus", "kind"),
    [
        ({}, None, 0, "one_device"),
        ({}, None, 1, "one_device"),
        ({}, None, 2, "mirrored"),
        ({"jit": "on"}, None, 2, "one_device"),
        ({}, HOSTS, 0, "multi_worker"),
        ({}, HOSTS, 8, "multi_worker"),
        ({"tpu": "local"}, None, 0, "tpu"),
        ({"strategy": "tpu", "tpu": "name"}, None, 2, "tpu"),
        ({"strategy": "one_device"}, None, 2, "one_device"),
        ({"strategy": "mirrored"}, None, 0, "mirrored"),
        ({"strategy": "multi_worker"}, HOSTS, 0, "multi_worker"),
    ],
)
def test_auto_is_what_the_environment_has(
    options: dict[str, Any], hosts: Hosts | None, num_gpus: int, kind: str
) -> None:
    assert choose_kind(tiny("c", "r", **options), hosts, num_gpus=num_gpus) == kind


def test_several_workers_need_their_strategy_and_it_needs_several() -> None:
    with pytest.raises(OptionError, match="'multi_worker' needs several workers, but neither TF_C"):
        make_strategy(tiny("c", "r", strategy="multi_worker"))
    for options in ({"strategy": "one_device"}, {"strategy": "mirrored"}, {"tpu": "local"}):
        with pytest.raises(
            OptionError, match="must not be used where TF_CONFIG names 3 workers: each would train"
        ):
            make_strategy(tiny("c", "r", **options), HOSTS)
    by_slurm = dataclasses.replace(HOSTS, source="SLURM_PROCID")
    with pytest.raises(OptionError, match="or unset SLURM_PROCID"):
        make_strategy(tiny("c", "r", strategy="one_device"), by_slurm)
    with pytest.raises(OptionError, match="'on' with the 3 workers that TF_CONFIG names"):
        make_strategy(tiny("c", "r", jit="on"), HOSTS)


def test_a_batch_that_the_hosts_cannot_share_is_refused_before_they_meet() -> None:
    with pytest.raises(
        OptionError, match=r"multiple of the number of hosts \(3\), got 8; change --batch_size to 9"
    ):
        make_strategy(tiny("c", "r", batch_size=8), HOSTS)


def test_a_tpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise ValueError("no such TPU\nand a long story")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", fail)
    with pytest.raises(UserError) as error:
        make_strategy(tiny("c", "r", tpu="mine"))
    assert str(error.value) == (
        "`tpu` 'mine' cannot be reached (no such TPU); give the name or the address "
        "(grpc://HOST:8470) of a TPU, or, on a TPU VM itself, --tpu local"
    )
