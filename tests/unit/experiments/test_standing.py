import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from fame.checkpoint import load_checkpoint
from fame.experiments.standing import Standing, standing
from fame.presentation import sentences
from tests import made_up


@pytest.mark.parametrize(
    ("own", "weak"), [(0.111, False), (0.0621, False), (0.0599, True), (0.012, True)]
)
def test_a_model_nearer_to_popularity_than_to_the_best_is_weak(own, weak):
    others = {"SASRec": 0.112, "item-kNN": 0.05, "popularity": 0.01}
    found = Standing(own, others)
    assert found.weak is weak  # halfway lies 0.061
    assert found.counted_better == (None if own > 0.05 else "item-kNN")


def test_a_model_that_counting_is_ahead_of_is_weak_and_that_is_said():
    found = Standing(0.142, {"item-kNN": 0.196, "popularity": 0.084})
    assert found.weak and found.counted_better == "item-kNN"  # halfway lies 0.140
    said = sentences.standing_sentence(
        found.own, found.beside, weak=found.weak, counted_better=found.counted_better
    )
    assert "less than item-kNN has, which only counts: it has learnt little" in said


def test_without_popularity_nothing_is_called_weak():
    assert not Standing(0.0, {"SASRec": 0.1}).weak


def test_shipped_checkpoints_stand_beside_the_rows_of_sasrec():
    for name in ("beauty", "ml-100k", "ml-1m"):
        found = standing(load_checkpoint(f"checkpoints/{name}"))
        assert list(found.beside) == ["SASRec", "item-kNN", "popularity"]
        assert not found.weak


def test_what_is_not_known_is_left_out(tmp_path):
    made_up.make(tmp_path)
    folder = tmp_path / "checkpoints" / made_up.NAME
    checkpoint = load_checkpoint(folder)
    assert standing(checkpoint) == Standing(0.2, {"SASRec": 0.2})  # of the one that lies beside
    assert standing(replace(checkpoint, metrics=None)) is None
    shutil.rmtree(folder.parent / "sasrec")
    assert standing(checkpoint) == Standing(0.2, {})


def test_it_is_said_in_words_with_its_warning():
    others = {"SASRec": 0.112, "popularity": 0.011}
    assert (
        sentences.standing_phrase(0.111, others) == "HR@10 0.111 · SASRec 0.112 · popularity 0.011"
    )
    fine = sentences.standing_sentence(0.111, others, weak=False)
    weak = sentences.standing_sentence(0.02, others, weak=True)
    assert "11 % of people" in fine and "(11 % by SASRec, 1 % by popularity)" in fine
    assert "learnt little" in weak and "learnt little" not in fine


def head(number: int, name: str | None) -> SimpleNamespace:
    return SimpleNamespace(head=number, name=name, facet=None if name is None else "brand")


@pytest.mark.parametrize(
    ("names", "free", "said"),
    [
        (("Brand", "Kind", None), (False, False, True), "yes"),
        (("Brand", None, None), (False, False, True), "partly"),
        ((None, None), (), "no"),
        (("Brand", None), (), "partly"),
        ((None,), (True,), "no"),
    ],
)
def test_whether_heads_are_facets_is_said_by_their_names(names, free, said):
    heads = [head(number, name) for number, name in enumerate(names)]
    verdict, why = sentences.facets_verdict(heads, list(free))
    assert verdict == f"Heads are facets: {said}"
    assert why.startswith(("No head", f"{sum(n is not None for n in names)} of "))
