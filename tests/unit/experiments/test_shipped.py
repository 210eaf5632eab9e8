"""What a shipped checkpoint may hold, so that it can be replaced."""

import shutil
from pathlib import Path

import pytest

from fame.checkpoint import load_checkpoint
from fame.errors import FameError
from fame.experiments.reproduce import _check_shipped_alone
from fame.facets.lists import PERMUTED, PROJECTED, SASREC, TURNED, UNTRAINED
from fame.survey import read_facets

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"


SHIPPED = ["beauty", "ml-100k", "ml-100k-paper", "ml-1m", "sports", "toys"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_checkpoint_can_be_replaced(name: str, tmp_path: Path) -> None:
    """All that the commands `facets`, `survey` and `project` leave there is made anew."""
    for file in (CHECKPOINTS / name).iterdir():
        (tmp_path / file.name).touch()
    shutil.copy2(CHECKPOINTS / name / "config.json", tmp_path / "config.json")
    _check_shipped_alone(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FameError, match=r"notes\.txt"):
        _check_shipped_alone(tmp_path)


@pytest.mark.parametrize("name", SHIPPED)
def test_names_of_shipped_heads_were_held_against_a_sasrec_too(name: str) -> None:
    found = read_facets(load_checkpoint(CHECKPOINTS / name))
    assert found is not None
    for own in found.lists.values():
        assert set(own["controls"]) == {PERMUTED, TURNED, PROJECTED, SASREC, UNTRAINED}
    named = [head.name for head in found.heads if head.facet]
    # Of a SASRec of MovieLens 1M a third lists genres as well as the head that is made of them.
    assert len(named) == {"ml-100k-paper": 0, "ml-1m": 1}.get(name, 2), named
    for head in found.heads:
        assert "over the best slice of a SASRec" in head.why or head.facet is None
