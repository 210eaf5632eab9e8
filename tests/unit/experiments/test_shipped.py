"""What a shipped checkpoint may hold, so that it can be replaced."""

import shutil
from pathlib import Path

import pytest

from fame.errors import FameError
from fame.experiments.reproduce import _check_shipped_alone

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"


@pytest.mark.parametrize("name", ["beauty", "ml-100k", "ml-1m", "sports", "toys"])
def test_every_shipped_checkpoint_can_be_replaced(name: str, tmp_path: Path) -> None:
    """All that the commands `facets`, `survey` and `project` leave there is made anew."""
    for file in (CHECKPOINTS / name).iterdir():
        (tmp_path / file.name).touch()
    shutil.copy2(CHECKPOINTS / name / "config.json", tmp_path / "config.json")
    _check_shipped_alone(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FameError, match=r"notes\.txt"):
        _check_shipped_alone(tmp_path)
