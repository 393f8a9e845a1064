"""directory: outputs that cannot work, and who writes where."""

import dataclasses
import os
from pathlib import Path

import pytest
from training import tiny

from pipeline import Corpus, UserError
from trainer.hosts.environment import Hosts
from trainer.loop import train
from trainer.run.directory import own_output


def test_outputs_that_cannot_work(char_corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"`output` .*file is or lies in a file"):
        train(tiny(char_corpus.directory, tmp_path / "file"), quiet=True)
    with pytest.raises(UserError, match=r"`output` .* is the corpus; name another directory"):
        train(tiny(char_corpus.directory, char_corpus.directory), quiet=True)


def test_an_output_under_something_that_takes_no_directories(char_corpus: Corpus) -> None:
    # /dev/fd takes none, not even from root, whom permissions do not stop.
    with pytest.raises(UserError, match=r"`output` /dev/fd/run cannot be written \("):
        train(tiny(char_corpus.directory, Path("/dev/fd/run")), quiet=True)


def test_a_file_system_that_refuses(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=r"`output` .* cannot be written \(no permission\)"):
        train(tiny(char_corpus.directory, tmp_path / "run"), quiet=True)


def test_an_output_that_is_the_corpus_is_refused(char_corpus: Corpus) -> None:
    uri = f"disk:/{char_corpus.directory}"
    with pytest.raises(UserError, match=r"`output` disk://.* is the corpus"):
        train(tiny(uri, uri + "/"), quiet=True)


def test_the_first_host_writes_into_the_run_and_the_others_into_folders_that_go(
    tmp_path: Path,
) -> None:
    run = str(tmp_path / "run")
    hosts = Hosts(addresses=("a:1", "b:2"), index=1, source="TF_CONFIG")
    for chief in (None, dataclasses.replace(hosts, index=0)):
        with own_output(run, chief) as directory:
            assert directory == run
    with own_output(run, hosts) as first, own_output(run, hosts) as second:
        assert len({first, second, run}) == 3
        Path(first, "file").touch()
    assert not Path(first).exists()
    assert not Path(run).exists()
