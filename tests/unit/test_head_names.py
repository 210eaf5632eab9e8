"""What the heads of a checkpoint are called: by a person, by evidence, or because they are free."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fame.checkpoint import Checkpoint, load_checkpoint, write_description, write_weights
from fame.config import TrainConfig
from fame.errors import CheckpointError, FameError
from fame.head_names import NAMES, choose_names, read_chosen_names, read_head_names
from fame.survey import FACETS, survey_facets
from tests import planted
from tests.tiny import TINY_SASREC, interactions_of, random_model

DATA = interactions_of(planted.sequences(), planted.ITEMS)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """A checkpoint whose heads are genre, year and free, with its ``facets.json``."""
    path = tmp_path_factory.mktemp("checkpoints") / "built"
    config = planted.built_config("genres/year/")
    write_description(path, config, TrainConfig(), DATA, planted.catalogue())
    state = planted.built_model("genres/year/").state_dict()
    write_weights(path, state)
    survey_facets(load_checkpoint(path), DATA, sample=60)
    return path


@pytest.fixture
def checkpoint(measured: Path, tmp_path: Path) -> Checkpoint:
    shutil.copytree(measured, tmp_path / "built")
    return load_checkpoint(tmp_path / "built")


def test_evidence_names_heads_and_a_free_one_is_called_free(checkpoint: Checkpoint):
    called = read_head_names(checkpoint)
    assert called.names == ("Genre", "Era", "Free") and not called.problems
    assert called.why(0).startswith("Named by evidence: ")
    assert "leads in points over Free" in called.why(0)  # Head 3 in the file
    assert called.why(2).startswith("It was given no facet")


def test_without_evidence_a_head_has_its_number_and_that_is_said(checkpoint: Checkpoint):
    (checkpoint.path / FACETS).unlink()
    called = read_head_names(checkpoint)
    assert called.names == (None, None, "Free")
    assert "Nobody has looked for evidence" in called.why(0)
    assert called.why(2) == "It was given no facet."


def test_evidence_that_is_lacking_is_told(checkpoint: Checkpoint):
    facets = json.loads((checkpoint.path / FACETS).read_text())
    facets["heads"][1] |= {"name": None, "facet": None, "why": "Nearest is year, but no."}
    (checkpoint.path / FACETS).write_text(json.dumps(facets))
    called = read_head_names(checkpoint)
    assert called.names == ("Genre", None, "Free")
    assert called.why(1) == "No evidence names it. Nearest is year, but no."


def test_a_person_names_heads_and_new_evidence_leaves_that(checkpoint: Checkpoint):
    choose_names(checkpoint, {0: " Mood ", 2: "The  rest"})
    assert read_head_names(checkpoint).names == ("Mood", "Era", "The rest")
    survey_facets(checkpoint, DATA, sample=60)
    called = read_head_names(checkpoint)
    assert called.names == ("Mood", "Era", "The rest")
    assert called.why(0).startswith("A person chose this name; by evidence it would be “Genre”.")
    assert called.why(2).startswith("A person chose this name; by evidence it would be “Free”.")
    assert not called.why(1).startswith("A person")
    choose_names(checkpoint, {0: ""})
    assert read_head_names(checkpoint).names == ("Genre", "Era", "The rest")
    choose_names(checkpoint, {2: "  "})
    assert read_head_names(checkpoint).names == ("Genre", "Era", "Free")
    assert not (checkpoint.path / NAMES).exists()


def test_a_person_names_a_head_that_evidence_does_not(checkpoint: Checkpoint):
    (checkpoint.path / FACETS).unlink()
    choose_names(checkpoint, {1: "Maker"})
    called = read_head_names(checkpoint)
    assert called.names == (None, "Maker", "Free")
    assert called.why(1).startswith("A person chose this name; by evidence it has none. Nobody")


@pytest.mark.parametrize(
    ("head", "name", "told"),
    [
        (3, "Mood", "built has heads 1 to 3 and no head 4 to be named."),
        (0, "two\nlines", "Head 1 cannot be called 'two\\nlines': a name is one line of printable"),
        (0, "a\u202eb", "one line of printable characters."),
        (0, "bell\x07", "one line of printable characters."),
        (1, "x" * 25, "a name has at most 24 characters, and this has 25."),
        (1, "x" * 100_000, "a name has at most 24 characters, and this has 100000."),
    ],
)
def test_what_can_be_no_name_is_refused_in_a_sentence(checkpoint, head, name, told):
    with pytest.raises(FameError) as refused:
        choose_names(checkpoint, {2: "Fine", head: name})
    assert told in str(refused.value) and len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)
    assert not (checkpoint.path / NAMES).exists()


def test_the_longest_name_and_a_strange_one_are_kept_as_they_are(checkpoint: Checkpoint):
    choose_names(checkpoint, {0: "x" * 24, 1: '<b onclick="x">*é*</b>'})
    assert read_chosen_names(checkpoint) == ["x" * 24, '<b onclick="x">*é*</b>', None]


DAMAGE = [
    (lambda d: "{", "not readable as JSON"),
    (lambda d: "[]", "must hold format, names, weights"),
    (lambda d: json.dumps(d | {"more": 1}), "must hold format, names, weights"),
    (lambda d: json.dumps(d | {"format": 2}), "has format 2, not 1"),
    (lambda d: json.dumps(d | {"weights": "0" * 64}), "belongs to other weights"),
    (lambda d: json.dumps(d | {"names": ["Mood"]}), "for each of the 3 heads"),
    (lambda d: json.dumps(d | {"names": "abc"}), "for each of the 3 heads"),
    (lambda d: json.dumps(d | {"names": [1, None, None]}), "has the name '1'"),
    (lambda d: json.dumps(d | {"names": ["", None, None]}), "has the name ''"),
    (lambda d: json.dumps(d | {"names": ["a\nb", None, None]}), "which no head can have"),
    (lambda d: json.dumps(d | {"names": ["x" * 25, None, None]}), "which no head can have"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_a_damaged_file_is_a_problem_and_evidence_still_names(checkpoint, damage, message):
    choose_names(checkpoint, {0: "Mood"})
    file = checkpoint.path / NAMES
    file.write_text(damage(json.loads(file.read_text())))
    called = read_head_names(checkpoint)
    assert called.names == ("Genre", "Era", "Free")
    (problem,) = called.problems
    assert message in problem and str(file) in problem and "remove it" in problem
    with pytest.raises(CheckpointError, match="remove it"):
        choose_names(checkpoint, {1: "Other"})


def test_evidence_of_other_weights_names_nothing_and_a_person_still_does(checkpoint: Checkpoint):
    choose_names(checkpoint, {0: "Mood"})
    facets = json.loads((checkpoint.path / FACETS).read_text())
    (checkpoint.path / FACETS).write_text(json.dumps(facets | {"weights": "0" * 64}))
    called = read_head_names(checkpoint)
    assert called.names == ("Mood", None, "Free")
    assert "made from other weights" in called.problems[0]


def test_names_belong_to_their_weights(checkpoint: Checkpoint):
    choose_names(checkpoint, {0: "Mood"})
    newer = replace(checkpoint, weights_hash="0" * 64)
    with pytest.raises(CheckpointError, match="belongs to other weights"):
        read_chosen_names(newer)


def test_a_folder_that_takes_no_file_is_one_sentence(checkpoint: Checkpoint):
    (checkpoint.path / NAMES).mkdir()
    with pytest.raises(FameError, match=r"names\.json is a folder"):
        choose_names(checkpoint, {0: "Mood"})


def test_a_model_of_one_head_has_none_to_name(tmp_path: Path):
    write_description(tmp_path, TINY_SASREC, TrainConfig(), DATA, planted.catalogue())
    state = random_model(TINY_SASREC, planted.ITEMS).state_dict()
    write_weights(tmp_path, {name: one.float() for name, one in state.items()})
    sasrec = load_checkpoint(tmp_path)
    assert read_head_names(sasrec).names == (None,)
    assert "only head" in read_head_names(sasrec).why(0)
    with pytest.raises(FameError, match="has one head and no head 2"):
        choose_names(sasrec, {1: "Mood"})
