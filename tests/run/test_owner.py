"""owner: in a store the last start owns the run; on a disk a lock does, and nothing is written."""

from pathlib import Path

import pytest

from pipeline import UserError
from trainer.run.owner import OWNER_FILE, Owner


def test_the_last_start_owns_a_run_in_a_store(tmp_path: Path) -> None:
    run = f"disk://{tmp_path}/run"
    first, second = Owner(run), Owner(run)
    with pytest.raises(UserError, match="nobody: its files were removed"):
        first.check()
    first.take()
    first.check()
    second.take()
    second.check()
    with pytest.raises(UserError, match=r"belongs to a later start now \(process \d+ on "):
        first.check()


def test_on_a_disk_nothing_is_written(tmp_path: Path) -> None:
    owner = Owner(str(tmp_path))
    owner.take()
    owner.check()
    assert not (tmp_path / OWNER_FILE).exists()
