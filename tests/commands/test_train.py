"""train: the same flags and the same work as `python -m trainer.task`."""

from trainer import cli, task


def test_its_flags_are_those_of_the_task() -> None:
    flags = ["CORPUS", "--output", "RUN", "--units", "8", "--lanes"]
    here = vars(cli.build_parser().parse_args(["train", *flags]))
    there = vars(task.build_parser().parse_args(flags))
    assert here["run"] is task.run
    del there["parser"]
    assert {name: here[name] for name in there} == there
