import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fame import opening
from fame.checkpoint import load_checkpoint
from fame.facets.naming import NamedHead
from fame.opening import (
    OPENING,
    Opening,
    best_opening,
    find_opening,
    heads_apart,
    read_opening,
    write_opening,
)
from fame.presentation.evidence import ItemFacts
from tests import made_up


@pytest.fixture
def known() -> ItemFacts:
    """Eight items: brands in pairs, kinds in fours."""
    return ItemFacts(
        pd.DataFrame(
            {
                "item_id": list("abcdefgh"),
                "title": list("ABCDEFGH"),
                "brand": list("pqpqrsrs"),
                "kind": list("xxxxyyyy"),
                "train_count": 1,
            }
        )
    )


def traced(heads: list[list[float]], read: list[int]) -> SimpleNamespace:
    """A trace of nothing but scores: ``heads`` has those of the items from 1 on."""
    scores = np.array([[-np.inf, *own] for own in heads])
    gate = np.full(len(heads), 1 / len(heads))
    return SimpleNamespace(
        heads=len(heads),
        head_scores=scores,
        scores=gate @ np.nan_to_num(scores, neginf=-1e9),
        gate=gate,
        candidates=np.array([False, *[True] * 8]),
        read=np.array(read),
    )


# One head scores brand p first, the other kind y.
BY_BRAND = [19, 1, 18, 2, 3, 4, 3, 4]
BY_KIND = [1, 2, 3, 2, 9, 8, 7, 6]
COLUMNS = {0: ["brand"], 1: ["kind"]}


def test_heads_that_list_by_their_facets_are_apart(known):
    read = [1, 3, 5]  # brand p twice, kind x twice
    apart = heads_apart(traced([BY_BRAND, BY_KIND], read), known, COLUMNS, k=2)
    # Two of two of brand p and none of the other's; two of two of kind y and none of the other's.
    assert apart == 1
    assert heads_apart(traced([BY_BRAND, BY_BRAND], read), known, COLUMNS, k=2) == 0
    # Under the wrong names: of the two of head 1 one is of brand s, and all of head 2 of kind x.
    assert heads_apart(traced([BY_KIND, BY_BRAND], read), known, COLUMNS, k=2) == 0.75
    # The fused list agrees with a history of brand p, and with none of brands q and s.
    assert heads_apart(traced([BY_BRAND, BY_KIND], [2, 4, 6, 8]), known, COLUMNS, k=2) == 1
    assert known.held_by(np.array([2, 6])) == frozenset()
    assert heads_apart(traced([BY_BRAND, BY_KIND], [2, 6]), known, COLUMNS, k=2) == 0


@pytest.fixture
def checkpoint(tmp_path):
    made_up.make(tmp_path)
    return load_checkpoint(tmp_path / "checkpoints" / made_up.NAME)


def named(monkeypatch, *names: str | None) -> None:
    heads = [
        NamedHead(head, name, None if name is None else "genres", "why")
        for head, name in enumerate(names)
    ]
    monkeypatch.setattr(opening, "read_facets", lambda checkpoint: SimpleNamespace(heads=heads))


def test_without_names_no_example_is_better(checkpoint, monkeypatch):
    assert find_opening(checkpoint) == Opening("", 0.0, 0.0)
    named(monkeypatch, "Genre", None, None)
    found = find_opening(checkpoint)
    assert found.named == pytest.approx(1 / 3)
    assert found.example in ("", "best-known") and (found.lead > 0) == (found.example != "")


def test_what_is_stored_is_read_for_these_weights_alone(checkpoint, monkeypatch):
    named(monkeypatch, "Genre", None, None)
    assert read_opening(checkpoint.path) is None
    found = write_opening(checkpoint)
    assert read_opening(checkpoint.path) == found
    stored = json.loads((checkpoint.path / OPENING).read_text())
    for damage in (
        {"weights": "0" * 64},
        {"format": 2},
        {"lead": "large"},
        {"more": 1},
    ):
        (checkpoint.path / OPENING).write_text(json.dumps(stored | damage))
        assert read_opening(checkpoint.path) is None
    for text in ("", "[]", "{", "nonsense"):
        (checkpoint.path / OPENING).write_text(text)
        assert read_opening(checkpoint.path) is None


def test_the_best_has_most_names_then_the_largest_lead(tmp_path, monkeypatch):
    stored = {
        "a": Opening("x", 0.5, 0.9),
        "b": Opening("y", 1.0, 0.2),
        "c": Opening("z", 1.0, 0.3),
        "d": None,
        "e": Opening("", 1.0, 0.0),
    }
    monkeypatch.setattr(opening, "read_opening", lambda path: stored[path.name])
    folders = [tmp_path / name for name in stored]
    assert best_opening(folders) == (tmp_path / "c", stored["c"])
    assert best_opening(folders[3:]) is None
