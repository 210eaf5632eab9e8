"""What is stored with a checkpoint: written once, read strictly, and never a history."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fame import survey as survey_module
from fame.checkpoint import Checkpoint, load_checkpoint, write_description, write_weights
from fame.config import TrainConfig
from fame.data.catalogue import values_by_facet
from fame.data.sequences import Interactions, held_out
from fame.errors import CheckpointError, DataError
from fame.facets import estimates
from fame.facets.causes import facet_causes
from fame.facets.codes import untrained_like
from fame.facets.expert_lists import expert_lists
from fame.facets.experts import ExpertsReport, ValueLift, expert_share, experts_report
from fame.facets.lists import list_agreement
from fame.facets.naming import NamedHead
from fame.lens.faithfulness import DRAWS, MEASURES, bootstrap_mean, faithfulness_of_people
from fame.lens.people import base_rates, everybodys_figures, most_routed, worth_showing
from fame.lens.reading import read_histories
from fame.survey import (
    FACETS,
    FAITHFULNESS,
    PEOPLE,
    OwnFacet,
    _own_facets,
    expert_goals_of,
    facet_values,
    own_facets,
    read_facets,
    read_faithfulness,
    read_people,
    sasrec_at,
    sasrec_beside,
    survey,
    survey_experts,
    survey_facets,
    values_with_decades,
)
from tests import planted
from tests.tiny import TINY, TINY_SASREC, cyclic_interactions, interactions_of, random_model

DATA = cyclic_interactions(people=30, num_items=40, length=9)


def make(path: Path, config=TINY, data: Interactions = DATA) -> Checkpoint:
    items = pd.DataFrame({"item_id": data.item_ids[1:], "title": data.item_ids[1:]})
    write_description(path, config, TrainConfig(), data, items)
    write_weights(path, random_model(config, data.num_items, dtype=torch.float32).state_dict())
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory) -> Checkpoint:
    checkpoint = make(tmp_path_factory.mktemp("checkpoints") / "tiny")
    survey(checkpoint, DATA, sample=8, seed=3)
    return checkpoint


def test_what_is_stored_is_what_was_found(surveyed: Checkpoint):
    examples = held_out(DATA, "test")
    histories = [DATA.split_user(user)[0].astype(np.int64) for user in range(len(DATA))]
    figures = everybodys_figures(surveyed.model, histories, examples.targets)
    people = read_people(surveyed)
    assert people is not None and people.looked_at == 30
    assert people.lists == worth_showing(figures.people, DATA.user_ids.tolist())
    assert people.base_rates == base_rates(figures.people)
    assert people.base_rates["longest"].meeting == 30  # everybody, not the twelve on the list
    assert people.experts == most_routed(figures.router, DATA.user_ids.tolist())

    stored = read_faithfulness(surveyed)
    chosen = np.sort(np.random.default_rng(3).choice(30, 8, replace=False))
    expected = faithfulness_of_people(
        surveyed.model, [histories[person] for person in chosen], draws=200, seed=3
    )
    assert stored is not None and stored.measures == expected
    assert (stored.sample, stored.seed, stored.draws, stored.list_length) == (8, 3, 200, 10)


def test_progress_is_told(tmp_path: Path):
    told = []
    survey(make(tmp_path), DATA, sample=2, on_progress=lambda *step: told.append(step))
    assert told[0] == ("Looking at 30 people", 1.0)
    assert told[1:] == [("Testing the explanations of 2 people", share) for share in (0.5, 1.0)]


def test_no_history_is_stored(surveyed: Checkpoint):
    for name in (PEOPLE, FAITHFULNESS):
        text = (surveyed.path / name).read_text()
        assert not any(f'"{item}"' in text for item in DATA.item_ids[1:])


def test_a_model_with_one_head_is_surveyed_too(tmp_path: Path):
    checkpoint = make(tmp_path, TINY_SASREC)
    found = survey(checkpoint, DATA, sample=3)
    assert found == (read_people(checkpoint), read_faithfulness(checkpoint))
    assert found[0].experts == [[]]


def test_nothing_is_there_before_it_was_made(tmp_path: Path):
    checkpoint = make(tmp_path)
    assert read_people(checkpoint) is None and read_faithfulness(checkpoint) is None


def test_nobody_to_look_at_is_said(tmp_path: Path):
    data = interactions_of([[1], [2]], 4)
    with pytest.raises(DataError, match="Nobody in data set"):
        survey(make(tmp_path, data=data), data)


def test_figures_of_other_weights_are_said_to_be_out_of_date(surveyed: Checkpoint):
    newer = replace(surveyed, weights_hash="0" * 64)
    for read in (read_people, read_faithfulness):
        with pytest.raises(CheckpointError, match="made from other weights") as caught:
            read(newer)
        assert f"python -m fame survey {surveyed.path}" in str(caught.value)


def changed(document: dict, change: dict) -> str:
    return json.dumps({**document, **change})


def rated(document: dict, name: str, rate: object) -> str:
    return changed(document, {"base_rates": {**document["base_rates"], name: rate}})


def of_format_1(document: dict) -> str:
    """What was written before base rates and verdicts were."""
    kept = {key: value for key, value in document.items() if key != "base_rates"}
    for measure in kept.get("measures", {}).values():
        del measure["verdicts"], measure["lead_on_latest"]
    return json.dumps({**kept, "format": 1})


PEOPLE_DAMAGE = [
    (lambda d: "{", "not readable as JSON"),
    (lambda d: "[]", "must hold"),
    (lambda d: changed(d, {"more": 1}), "must hold"),
    (lambda d: json.dumps({k: v for k, v in d.items() if k != "lists"}), "must hold"),
    (lambda d: "{}", "must hold"),
    (lambda d: changed(d, {"format": 9}), "has format 9, not 2"),
    (of_format_1, "has format 1, not 2"),
    (lambda d: changed(d, {"lists": {}}), "lacks some of its lists"),
    (lambda d: changed(d, {"lists": 5}), "lacks some of its lists"),
    (lambda d: changed(d, {"lists": {**d["lists"], "mine": []}}), "lacks some of its lists"),
    (lambda d: changed(d, {"lists": {**d["lists"], "longest": [{}]}}), "or of their figures"),
    (lambda d: changed(d, {"lists": {**d["lists"], "longest": [7]}}), "or of their figures"),
    (lambda d: changed(d, {"experts": d["experts"][:1]}), "lacks some of its lists"),
    (lambda d: changed(d, {"experts": None}), "lacks some of its lists"),
    (lambda d: changed(d, {"base_rates": {}}), "lacks some of its lists"),
    (lambda d: changed(d, {"base_rates": 5}), "lacks some of its lists"),
    (lambda d: changed(d, {"looked_at": None}), "lacks some of its lists"),
    (lambda d: rated(d, "longest", {"meeting": 30}), "or of their figures"),
    (lambda d: rated(d, "longest", {"meeting": 30, "median": None}), "or of their figures"),
    (lambda d: rated(d, "longest", {"meeting": 31, "median": 7.0}), "or of their figures"),
    (lambda d: rated(d, "longest", {"meeting": 11, "median": 7.0}), "or of their figures"),
    (lambda d: rated(d, "fusion_hits", {"meeting": 12, "median": 0.1}), "or of their figures"),
]
FAITHFULNESS_DAMAGE = [
    (of_format_1, "has format 1, not 2"),
    (
        lambda d: changed(d, {"measures": {"list": {**d["measures"]["list"], "verdicts": {}}}}),
        "'measures' that is not whole",
    ),
    (lambda d: changed(d, {"measures": {"list": {}}}), "'measures' that is not whole"),
    (lambda d: changed(d, {"measures": [1]}), "'measures' that is not whole"),
    (
        lambda d: changed(d, {"measures": {"mine": d["measures"]["list"]}}),
        "unknown measure 'mine'",
    ),
]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [(PEOPLE, *case) for case in PEOPLE_DAMAGE]
    + [(FAITHFULNESS, *case) for case in FAITHFULNESS_DAMAGE],
)
def test_a_damaged_file_is_one_sentence(surveyed: Checkpoint, tmp_path, name, damage, message):
    document = json.loads((surveyed.path / name).read_text())
    (tmp_path / name).write_text(damage(document))
    read = read_people if name == PEOPLE else read_faithfulness
    with pytest.raises(CheckpointError, match=message) as caught:
        read(replace(surveyed, path=tmp_path))
    assert str(tmp_path / name) in str(caught.value) and "make it again" in str(caught.value)


def test_the_documents_are_what_the_command_prints(surveyed: Checkpoint):
    document = json.loads((surveyed.path / PEOPLE).read_text())
    people = read_people(surveyed)
    assert people is not None
    assert document == {
        "format": 2, "weights": surveyed.weights_hash, "data": DATA.fingerprint, **asdict(people)
    }  # fmt: skip


@pytest.mark.parametrize("name", ["beauty", "sports", "toys", "ml-1m", "ml-100k", "ml-100k-paper"])
def test_the_shipped_surveys_are_those_of_the_shipped_weights(name: str):
    checkpoint = load_checkpoint(Path(__file__).parents[2] / "checkpoints" / name)
    people, faithfulness = read_people(checkpoint), read_faithfulness(checkpoint)
    assert people is not None and people.looked_at == checkpoint.data.users
    assert faithfulness is not None and set(faithfulness.measures) == set(MEASURES)
    assert (faithfulness.sample, faithfulness.draws) == (500, DRAWS)


# --- facets -----------------------------------------------------------------------------------

PLANTED = interactions_of(planted.sequences(), planted.ITEMS)


def make_planted(path: Path, config=None, items: pd.DataFrame | None = None) -> Checkpoint:
    built = config is None
    config = planted.built_config() if built else config
    items = planted.catalogue() if items is None else items
    write_description(path, config, TrainConfig(), PLANTED, items)
    model = planted.built_model() if built else random_model(config, planted.ITEMS)
    write_weights(path, {name: one.float() if one.is_floating_point() else one
                         for name, one in model.state_dict().items()})  # fmt: skip
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def faceted(tmp_path_factory) -> Checkpoint:
    checkpoint = make_planted(tmp_path_factory.mktemp("checkpoints") / "built")
    survey_facets(checkpoint, PLANTED, sample=120, seed=3)
    return checkpoint


def test_a_large_catalogue_is_sampled_by_popularity_and_the_file_says_so(
    faceted: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(estimates, "AMONG", 60)
    monkeypatch.setattr(survey_module, "_RANKED", 1)
    monkeypatch.setattr(survey_module, "_FEWEST", 30)
    shutil.copytree(faceted.path, tmp_path / "large")
    checkpoint = replace(faceted, path=tmp_path / "large")
    found = survey_facets(checkpoint, PLANTED, sample=120, seed=3)
    assert (found.among, found.people) == (60, 30)
    assert {one.among for one in found.agreement.values()} == {60}
    assert found.tables is not None
    assert {one.among for one in found.tables.values()} == {60}
    assert read_facets(checkpoint) == found
    causes = np.array([found.causes[facet] for facet in ("genres", "year")])
    assert (causes.argmax(0) == [0, 1]).all()  # what is planted is found in the sample too
    whole = read_facets(faceted)
    assert whole is not None
    assert (whole.among, whole.people) == (faceted.data.items, 120)


def test_a_file_of_the_version_before_lacks_what_came_since_and_is_read(
    faceted: Checkpoint, tmp_path: Path
):
    shutil.copytree(faceted.path, tmp_path / "before")
    file = tmp_path / "before" / FACETS
    document = json.loads(file.read_text())
    del document["among"]
    apart = document["disentanglement"]
    for scores in (apart["own"], *apart["controls"].values()):
        del scores["intervals"]
    for own in document["agreement"].values():
        del own["among"]
    for cohort in document["use"]["cohorts"]:
        del cohort["value"]
    for lists in document["expert_lists"]:
        del lists["people"]
    file.write_text(json.dumps(document))
    found = read_facets(replace(faceted, path=file.parent))
    assert found is not None and found.among is None
    assert found.disentanglement is not None and found.disentanglement.own.intervals == {}
    document["among"] = "many"
    file.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="lacks some of its heads"):
        read_facets(replace(faceted, path=file.parent))


def test_what_a_head_is_made_of_has_the_figures_of_the_whole_survey(faceted: Checkpoint):
    found = read_facets(faceted)
    assert found is not None
    expected = [
        OwnFacet(
            facet,
            head,
            *(found.agreement[facet].spaces[space] for space in (f"head_{head}", "all")),
            *(found.lists[facet][space]["held_out"].mean for space in (f"head_{head}", "all")),
        )
        for head, facet in enumerate(("genres", "year"))
    ]
    own = own_facets(faceted, PLANTED, sample=120, seed=3)
    for one, other in zip(own, expected, strict=True):
        assert asdict(one) == pytest.approx(asdict(other), abs=1e-12)
    # Each head is made of its facet and of nothing else here: all its nearest agree.
    assert [one.nearest for one in own] == pytest.approx([1, 1])


def test_heads_that_are_made_of_nothing_have_no_facet_of_their_own(surveyed: Checkpoint):
    assert own_facets(surveyed, DATA) == []


def test_facets_are_measured_named_and_read_back(faceted: Checkpoint, tmp_path: Path):
    found = read_facets(faceted)
    assert found is not None
    assert [head.name for head in found.heads] == ["Genre", "Era"]
    assert (found.people, found.seed, found.neighbours) == (120, 3, 10)
    assert found == survey_facets(replace(faceted, path=tmp_path), PLANTED, sample=120, seed=3)

    drawn = np.sort(np.random.default_rng(3).choice(len(PLANTED), 120, replace=False))
    split = [PLANTED.split_user(person) for person in drawn]
    histories, targets = [history.astype(np.int64) for history, _ in split], [t for _, t in split]
    values = values_by_facet(faceted.items)
    lists = list_agreement(
        faceted.model, histories, np.array(targets), values,
        faceted.items["train_count"].to_numpy(), repeats="exclude", seed=3,
        untrained=untrained_like(faceted.model, seed=3),
    )  # fmt: skip
    for facet, agreement in lists.items():
        stored = found.lists[facet]
        assert stored["people"] == 120
        for space in ("all", "head_0", "head_1"):
            assert stored[space] == {
                "held_out": bootstrap_mean(agreement.held_out[space], seed=3),
                "history": bootstrap_mean(agreement.history[space], seed=3),
            }
        assert stored["controls"] == {
            name: {space: bootstrap_mean(share, seed=3) for space, share in by_space.items()}
            for name, by_space in agreement.controls.items()
        }
    assert found.causes == facet_causes(faceted.model, histories, values, repeats="exclude", seed=3)
    assert found.expert_lists == expert_lists(
        faceted.model, histories, np.array(targets), repeats="exclude", seed=3
    )
    everybody = [PLANTED.split_user(person) for person in range(len(PLANTED))]
    use = experts_report(
        faceted.model,
        [history.astype(np.int64) for history, _ in everybody],
        np.array([target for _, target in everybody]),
        values_with_decades(faceted.items),
        own=[{"genres"}, {"year"}],
        seed=3,
    )
    assert use == ExpertsReport(
        found.expert_people, found.experts, found.expert_share, found.expert_share_interval
    )


def test_words_of_titles_are_a_facet_where_a_head_is_made_of_them(tmp_path: Path, monkeypatch):
    plain = planted.catalogue()
    titles = [f"It is of {year}" for year in plain["year"]]
    items = plain.drop(columns="year").assign(title=titles)
    monkeypatch.setattr(planted, "catalogue", lambda: items)
    config, model = planted.built_config("genres/title"), planted.built_model("genres/title")
    write_description(tmp_path, config, TrainConfig(), PLANTED, items)
    write_weights(tmp_path, model.state_dict())
    made = load_checkpoint(tmp_path)
    found = survey_facets(made, PLANTED, sample=120, seed=3)
    assert [head.name for head in found.heads] == ["Genre", "Words"]
    assert [head.facet for head in found.heads] == ["genres", "title"]
    assert read_facets(made) == found
    assert [(own.facet, own.head) for own in own_facets(made, PLANTED, sample=120)] == [
        ("genres", 0), ("title", 1),
    ]  # fmt: skip
    # "It is of" stands in every title, and tells no item from another.
    for decades in (False, True):
        words = facet_values(made, decades=decades)["title"]
        assert words == [[title[-4:]] for title in titles]
    other = replace(made, model_config=replace(made.model_config, head_facets="genres/"))
    assert list(facet_values(other)) == ["genres"]


def test_experts_are_measured_over_no_more_people_than_drawn(
    faceted: Checkpoint, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fame.survey.EXPERT_PEOPLE", 20)
    use = survey_experts(faceted, PLANTED, seed=4)
    drawn = np.sort(np.random.default_rng(4).choice(len(PLANTED), 20, replace=False))
    histories = [PLANTED.split_user(person)[0].astype(np.int64) for person in drawn]
    router = read_histories(faceted.model, histories).router.double().numpy()
    assert (use.people, use.expert_share) == (20, expert_share(router).tolist())


def test_a_year_has_its_decade_among_the_values_of_experts():
    items = pd.DataFrame({"item_id": ["a", "b"], "title": ["a", "b"], "year": [1998, None]})
    assert values_with_decades(items.astype({"year": "Int64"})) == {"year": [["1998", "1990s"], []]}
    assert values_with_decades(items) == {"year": [["1998.0", "1990s"], []]}
    named = items.assign(year=["old", "new"], brand=["x", None])
    assert values_with_decades(named) == {"year": [["old"], ["new"]], "brand": [["x"], []]}


def test_a_heads_own_facets_are_those_of_its_share_and_of_its_name(faceted: Checkpoint):
    facets = ["brand", "category_1", "category_2", "sub_category_1", "year"]

    def own(head_facets: str, *called: str | None) -> list[set[str]]:
        config = replace(TINY, heads=head_facets.count("/") + 1, width=12, head_facets=head_facets)
        made = replace(faceted, model_config=config)
        named = [NamedHead(head, facet, facet, "") for head, facet in enumerate(called)]
        return _own_facets(made, facets, named)

    assert own("category/year,brand/") == [{"category_1", "category_2"}, {"year", "brand"}, set()]
    assert own("category_2/", "year", None) == [{"category_2", "year"}, set()]
    free = replace(faceted, model_config=TINY)
    assert _own_facets(free, facets, [NamedHead(1, "Era", "year", "")]) == [set(), {"year"}]


def test_the_goal_counts_heads_that_are_made_of_a_facet_or_called_after_one(faceted: Checkpoint):
    found = read_facets(faceted)
    assert found is not None
    unnamed = [NamedHead(head, None, None, "") for head in range(2)]
    assert expert_goals_of(faceted, replace(found, heads=unnamed)).named == [0, 1]
    free = replace(faceted, model_config=TINY)
    assert expert_goals_of(free, replace(found, heads=unnamed)).named == []
    era = [unnamed[0], NamedHead(1, "Era", "year", "")]
    assert expert_goals_of(free, replace(found, heads=era)).named == [1]


def test_the_stored_facets_are_what_the_command_prints_and_hold_no_history(faceted: Checkpoint):
    text = (faceted.path / FACETS).read_text()
    facets = read_facets(faceted)
    assert facets is not None
    assert json.loads(text) == {
        "format": 2, "weights": faceted.weights_hash, "data": PLANTED.fingerprint, **asdict(facets)
    }  # fmt: skip
    assert not any(f'"{one}"' in text for one in PLANTED.item_ids[1:])


LATER = ("tables", "probes", "disentanglement", "redundancy", "use")


def test_all_measures_are_stored_and_each_says_whom_it_saw(faceted: Checkpoint):
    found = read_facets(faceted)
    assert found is not None
    assert found.tables is not None and set(found.tables) == {"genres", "year"}
    controls = {"labels_permuted", "slices_turned", "random_projection", "untrained"}
    for facet, table in found.tables.items():
        assert (table.asked, table.among) == (planted.ITEMS, planted.ITEMS)
        assert set(table.controls) == set(found.lists[facet]["controls"]) == controls
    assert found.probes is not None and set(found.probes) == {"genres", "year"}
    assert found.disentanglement is not None and found.disentanglement.items == planted.ITEMS
    assert set(found.disentanglement.controls) == controls
    # Heads that are made of one facet each, and nothing else.
    assert found.disentanglement.own.disentanglement > 0.98
    assert found.redundancy is not None and found.use is not None
    assert (found.redundancy.people, found.redundancy.items) == (120, planted.ITEMS)
    (pair,) = found.redundancy.pairs
    assert set(pair.disagreeing) <= set(PLANTED.user_ids) and pair.overlap.mean < 0.3
    assert found.use.people == len(PLANTED)


def test_a_file_of_before_the_measures_is_read_without_them(faceted: Checkpoint, tmp_path: Path):
    document = json.loads((faceted.path / FACETS).read_text())
    old = {key: own for key, own in document.items() if key not in LATER}
    (tmp_path / FACETS).write_text(json.dumps(old))
    found, whole = read_facets(replace(faceted, path=tmp_path)), read_facets(faceted)
    assert found is not None and whole is not None
    assert found == replace(whole, **dict.fromkeys(LATER))


def test_no_facets_before_they_were_measured_and_none_of_other_weights(
    faceted: Checkpoint, tmp_path: Path
):
    assert read_facets(replace(faceted, path=tmp_path)) is None
    with pytest.raises(CheckpointError, match="made from other weights") as caught:
        read_facets(replace(faceted, weights_hash="0" * 64))
    assert f"python -m fame facets {faceted.path}" in str(caught.value)


def in_first_head(document: dict, change: dict) -> str:
    first, second = document["heads"]
    return changed(document, {"heads": [{**first, **change}, second]})


def in_genres(document: dict, change: dict) -> str:
    lists = document["lists"]
    return changed(document, {"lists": {**lists, "genres": {**lists["genres"], **change}}})


def in_first_expert(document: dict, change: dict, part: str = "experts") -> str:
    first, *others = document[part]
    return changed(document, {part: [{**first, **change}, *others]})


def with_value(document: dict, change: dict) -> str:
    whole = {"value": "year=1990", "lift": 2.0, "low": 1.5, "high": 2.5, "control": 1.2}
    return in_first_expert(document, {"values": [{**whole, "next": None, **change}]})


def in_measure(document: dict, measure: str, change: dict) -> str:
    return changed(document, {measure: {**document[measure], **change}})


NOT_WHOLE = "lacks some of its heads or of their figures"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: "{", "not readable as JSON"),
        (lambda d: changed(d, {"more": 1}), "must hold"),
        (lambda d: changed(d, {"format": 1}), "has format 1, not 2"),
        (lambda d: changed(d, {"heads": d["heads"][:1]}), NOT_WHOLE),
        (lambda d: changed(d, {"heads": d["heads"][::-1]}), NOT_WHOLE),
        (lambda d: in_first_head(d, {"facet": "x"}), NOT_WHOLE),
        (lambda d: in_first_head(d, {"why": None}), NOT_WHOLE),
        (lambda d: in_first_head(d, {"name": 5}), NOT_WHOLE),
        (lambda d: changed(d, {"heads": 5}), NOT_WHOLE),
        (lambda d: changed(d, {"causes": {}}), NOT_WHOLE),
        (lambda d: changed(d, {"causes": {**d["causes"], "year": [0.5]}}), NOT_WHOLE),
        (lambda d: changed(d, {"causes": {**d["causes"], "year": [0.5, None]}}), NOT_WHOLE),
        (lambda d: changed(d, {"lists": {}, "causes": {}}), NOT_WHOLE),
        (lambda d: changed(d, {"lists": {**d["lists"], "genres": {}}}), NOT_WHOLE),
        (lambda d: in_genres(d, {"head_2": {}}), NOT_WHOLE),
        (lambda d: in_genres(d, {"head_1": {}}), NOT_WHOLE),
        (lambda d: in_genres(d, {"controls": {"mine": {"head_0": {"mean": 1}}}}), NOT_WHOLE),
        (lambda d: changed(d, {"agreement": {"genres": {}}}), NOT_WHOLE),
        (lambda d: changed(d, {"agreement": None}), NOT_WHOLE),
        (lambda d: changed(d, {"experts": d["experts"][:3]}), NOT_WHOLE),
        (lambda d: changed(d, {"experts": d["experts"][::-1]}), NOT_WHOLE),
        (lambda d: changed(d, {"expert_lists": []}), NOT_WHOLE),
        (lambda d: changed(d, {"expert_share": [0.5]}), NOT_WHOLE),
        (lambda d: changed(d, {"expert_share": [0.5, None]}), NOT_WHOLE),
        (lambda d: changed(d, {"expert_share_interval": [[0.1, 0.2], None]}), NOT_WHOLE),
        (lambda d: changed(d, {"expert_share_interval": [[0.1, 0.2], [0.1]]}), NOT_WHOLE),
        (lambda d: changed(d, {"expert_share_interval": [[0.1, 0.2]]}), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"load": "all"}), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"sharpness": None}), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"dead": 0}), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"by_chance": "x"}), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"more": 1}), NOT_WHOLE),
        (lambda d: with_value(d, {"value": "mood=x"}), NOT_WHOLE),
        (lambda d: with_value(d, {"next": "x"}), NOT_WHOLE),
        (lambda d: with_value(d, {"lift": None}), NOT_WHOLE),
        (lambda d: with_value(d, {"control": None}), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"values": [{"value": "year=1990"}]}), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"without": None}, "expert_lists"), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"alone": None}, "expert_lists"), NOT_WHOLE),
        (lambda d: in_first_expert(d, {"alone": {"stay": {"mean": 1}}}, "expert_lists"), NOT_WHOLE),
        (lambda d: changed(d, {"tables": {"mine": d["tables"]["year"]}}), NOT_WHOLE),
        (lambda d: changed(d, {"tables": {"year": {}}}), NOT_WHOLE),
        (lambda d: in_measure(d, "probes", {"year": d["tables"]["year"]}), NOT_WHOLE),
        (lambda d: in_measure(d, "disentanglement", {"facets": []}), NOT_WHOLE),
        (lambda d: in_measure(d, "redundancy", {"pairs": []}), NOT_WHOLE),
        (lambda d: in_measure(d, "use", {"gate": d["use"]["gate"][:1]}), NOT_WHOLE),
        (lambda d: in_measure(d, "use", {"people": "150"}), NOT_WHOLE),
    ],
)  # fmt: skip
def test_damaged_facets_are_one_sentence(faceted: Checkpoint, tmp_path: Path, damage, message):
    document = json.loads((faceted.path / FACETS).read_text())
    (tmp_path / FACETS).write_text(damage(document))
    with pytest.raises(CheckpointError, match=message) as caught:
        read_facets(replace(faceted, path=tmp_path))
    assert str(tmp_path / FACETS) in str(caught.value) and "make it again" in str(caught.value)


def test_a_stored_value_of_an_expert_is_read_back(faceted: Checkpoint, tmp_path: Path):
    """What the damaged ones above differ from in one place."""
    document = json.loads((faceted.path / FACETS).read_text())
    (tmp_path / FACETS).write_text(with_value(document, {}))
    found = read_facets(replace(faceted, path=tmp_path))
    assert found is not None and found.experts[0].values == [
        ValueLift("year=1990", 2.0, 1.5, 2.5, 1.2, None)
    ]


@pytest.mark.parametrize("config", [TINY_SASREC, replace(TINY, heads=1)])
def test_facets_of_a_model_with_nothing_to_name_are_measured_too(config, tmp_path: Path):
    checkpoint = make_planted(tmp_path, config)
    found = survey_facets(checkpoint, PLANTED, sample=9)
    assert found == read_facets(checkpoint)
    assert [head.name for head in found.heads] == [None] * (len(found.heads))
    assert len(found.heads) == (config.model == "fame")
    assert len(found.experts) == len(found.expert_lists) == (config.model == "fame") * 3
    assert len(found.expert_share) == (config.model == "fame")


def test_heads_of_one_expert_share_nothing_and_are_read_back(tmp_path: Path):
    checkpoint = make_planted(tmp_path, replace(TINY, experts=1))
    found = survey_facets(checkpoint, PLANTED, sample=9)
    assert found == read_facets(checkpoint)
    assert found.expert_share == [None, None] == found.expert_share_interval
    assert [lists.without for lists in found.expert_lists] == [None, None]


def test_a_catalogue_without_facets_names_no_head(tmp_path: Path):
    checkpoint = make_planted(tmp_path, TINY, planted.catalogue().drop(columns=["genres", "year"]))
    found = survey_facets(checkpoint, PLANTED, sample=9)
    assert found == read_facets(checkpoint) and not found.lists and not found.causes
    assert [head.why for head in found.heads] == ["No facet is known of the items."] * 2
    assert all(isinstance(share, float) for share in found.expert_share)
    assert [use.values for use in found.experts] == [[]] * 6


def test_an_attribute_of_one_value_and_one_of_every_items_own_name_no_head(tmp_path: Path):
    """And many heads are measured as two are."""
    items = planted.catalogue().assign(same="one", own=[f"v{i}" for i in range(planted.ITEMS)])
    checkpoint = make_planted(tmp_path, replace(TINY, heads=16, width=16, experts=1), items)
    found = survey_facets(checkpoint, PLANTED, sample=9)
    assert found == read_facets(checkpoint)
    assert len(found.heads) == 16 and not any(head.facet for head in found.heads)
    assert found.lists["same"]["head_9"]["held_out"].mean == 1, "everything shares the one value"
    assert found.causes["same"] == [0.0] * 16, "there is nothing unlike it to exchange for"
    assert found.lists["own"]["head_9"]["held_out"].mean <= 1 / 20
    assert found.probes is not None and not {"same", "own"} & set(found.probes)


def test_a_sasrec_of_the_same_data_beside_it_is_a_control(tmp_path: Path):
    checkpoint = make_planted(tmp_path / "built")
    assert sasrec_beside(checkpoint) is None
    make(tmp_path / "another", TINY_SASREC)
    (tmp_path / "broken").mkdir()
    for file in checkpoint.path.iterdir():
        (tmp_path / "broken" / file.name).write_text("{")
    make_planted(tmp_path / "later", TINY)
    assert sasrec_beside(checkpoint) is None
    make_planted(tmp_path / "narrow", replace(TINY_SASREC, width=1, heads=1))
    assert sasrec_beside(checkpoint) is None, "it cannot be cut into two slices"
    make_planted(tmp_path / "sasrec", TINY_SASREC)
    found = sasrec_beside(checkpoint)
    assert found is not None and found.name == "sasrec"
    named = sasrec_at(tmp_path / "sasrec", checkpoint)
    assert named.weights_hash == found.weights_hash
    with pytest.raises(CheckpointError, match="later is a fame, and a sasrec is asked for"):
        sasrec_at(tmp_path / "later", checkpoint)
    told = r"another was trained on other data than .* \(they differ in .*fingerprint.*\); "
    told += r"`python -m fame train --data tiny --model sasrec --out DIR` trains one of the same"
    with pytest.raises(CheckpointError, match=told):
        sasrec_at(tmp_path / "another", checkpoint)
    with pytest.raises(CheckpointError, match=r"width 1 and cannot be cut into 2 slices"):
        sasrec_at(tmp_path / "narrow", checkpoint)
    with pytest.raises(CheckpointError, match=r"narrow has no heads of its own, so there is noth"):
        sasrec_at(tmp_path / "sasrec", load_checkpoint(tmp_path / "narrow"))
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        sasrec_at(tmp_path / "none", checkpoint)
    facets = survey_facets(checkpoint, PLANTED, sasrec=found, sample=9)
    assert set(facets.lists["year"]["controls"]) == {
        *("labels_permuted", "slices_turned", "random_projection", "sasrec_slices", "untrained"),
    }  # fmt: skip
