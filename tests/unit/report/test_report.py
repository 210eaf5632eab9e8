"""The whole report: whole, safe, the same as the command line's account, and never half written."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fame.data.sequences import held_out
from fame.errors import FameError
from fame.files import write_json
from fame.head_names import NAMES, choose_names
from fame.lens.answer import trace_answer
from fame.lens.faithfulness import deletion_curves
from fame.lens.influence import history_influence, item_effects
from fame.lens.trace import fused_table, item_ranks, leave_out, trace_history
from fame.models.sequence_model import Intervention
from fame.presentation import text
from fame.presentation.glossary import TERMS
from fame.report import content as content_module
from fame.report import page
from fame.report.content import Subject, document
from fame.report.page import render_report, write_report
from fame.survey import PEOPLE, survey
from tests.tiny import TINY
from tests.unit.report.conftest import DATA, NASTY, make

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
HISTORY = [7, 9, 3, 12, 1, 20, 5, 8]  # the model reads five; 7 and 8 have the nasty title
DESK = Intervention(gate=(1.0, 3.0), muted=((0, 1),), solo=((1, 2),))


class Page(HTMLParser):
    """What a browser would make of it: elements, ids, scripts and text, every space a plain one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text: dict[str, str] = {}  # by the enclosing section
        self.scripts: list[tuple[dict, str]] = []
        self._section, self._script = "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "section":
            self._section = attributes["id"]
        if tag == "script":
            self._script = attributes

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, text):
        if self._script is not None:
            self.scripts.append((self._script, text))
        else:
            plain = text.replace("\u00a0", " ")
            self.text[self._section] = self.text.get(self._section, "") + plain

    def document(self) -> dict:
        return json.loads(self.scripts[0][1])


SUBJECTS = {
    "person": {"history": HISTORY, "person": "<u&1>", "held_out": 30, "link": "https://x.y/?a=1&b"},
    "desk": {"history": HISTORY, "intervention": DESK, "without": (9, 7), "held_out": 9},
    "one": {"history": [7]},
    "sasrec": {"history": HISTORY, "model": "sasrec", "held_out": 30},
    "known": {"history": [8, 8, 3], "held_out": 3, "k": 50, "counted": False},
}


@pytest.fixture(scope="module", params=SUBJECTS)
def case(request, told):
    content = told(**SUBJECTS[request.param])
    return request.param, content, Page(render_report(content, NOW))


def test_nothing_runs_but_our_own_script_and_nothing_is_fetched(case):
    _, content, found = case
    kinds = [attributes.get("type") for attributes, _ in found.scripts]
    assert kinds == ["application/json", None]
    policy = next(a["content"] for tag, a in found.elements if "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(found.scripts[1][1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"'sha256-{digest}'" in policy
    assert {"img", "link", "iframe", "object", "base"}.isdisjoint(tag for tag, _ in found.elements)
    for tag, attributes in found.elements:
        assert not any(key.startswith("on") or key in ("src", "srcset") for key in attributes), tag
        if tag == "a":
            href = attributes["href"]
            assert href.startswith("#") or href == content.subject.link


def test_titles_are_text(case):
    _, content, found = case
    if 7 in content.trace.history or 8 in content.trace.history:
        assert NASTY in found.text["history"]
    assert "<i>Odd</i>, War" in found.text["history"]


def test_every_part_is_there_that_there_is_something_to_tell_of(case):
    name, _, found = case
    ids = [a["id"] for tag, a in found.elements if tag == "section"]
    always = ["history", "lists", "ledger", "truth", "steps", "made", "words"]
    extra = {
        "person": ["held-out", "influence", "experts", "others"],
        "desk": ["desk", "held-out", "influence", "experts", "others"],
        "one": ["experts", "others"],
        "sasrec": ["held-out", "influence", "others"],
        "known": ["held-out", "influence", "experts", "others"],
    }[name]
    assert sorted(ids) == sorted(always + extra)
    links = [a["href"] for tag, a in found.elements if tag == "a" and a["href"].startswith("#")]
    assert set(links) <= {f"#{section}" for section in ids}
    every = [a["id"] for _, a in found.elements if "id" in a]
    assert len(every) == len(set(every))
    shown = {a["data-show"] for _, a in found.elements if "data-show" in a}
    assert shown <= set(every) | {a["data-show"] for _, a in found.elements if "disabled" in a}


def test_it_says_what_it_was_made_from(case):
    name, content, found = case
    said = found.text["made"]
    checkpoint = content.checkpoint
    for part in (checkpoint.hash, checkpoint.weights_hash, DATA.fingerprint, "leave-one-out"):
        assert part in said
    assert "2026-01-02 03:04 UTC" in said
    assert str(checkpoint.path) not in " ".join(found.text.values())
    options = {
        "person": "--user '<u&1>' --top-k 5 --out",
        "desk": "--gate 1,3 --mute 0:1 --solo 1:2 --without i9 --without i7 --out",
        "one": "--items i7 --top-k 5",
    }
    assert options.get(name, "python -m fame report") in said
    assert "The gate is set to Head 1 25 %, Head 2 75 %." in said or name != "desk"


def test_the_data_is_the_command_lines_account(case):
    _, content, found = case
    data = found.document()
    subject, model = content.subject, content.checkpoint.model
    history = subject.history
    for item in subject.without:
        history = leave_out(history, item)
    trace = trace_history(model, history, intervention=subject.intervention)
    expected = trace_answer(
        trace, content.checkpoint.items, top_k=content.k, held_out=subject.held_out
    )
    assert data["trace"] == json.loads(json.dumps(expected))
    assert data == json.loads(json.dumps(document(content)))
    ids = content.checkpoint.items["item_id"].tolist()
    for step, prefix in zip(data["steps"][::-1], range(len(history), 0, -1), strict=False):
        wanted = fused_table(
            trace_history(model, history[:prefix], intervention=subject.intervention), content.k
        )["item"]
        assert step["list"] == [ids[item - 1] for item in wanted]
    effects = np.array(data["influence"]["effects"])
    assert effects.shape[0] == len(data["influence"]["left_out"])
    mentioned = {row["item"] for row in data["trace"]["fused"]} | set(data["trace"]["history"])
    mentioned |= {item for step in data["steps"] for item in step["list"]}
    assert mentioned <= set(data["titles"])
    twin = f"{NASTY} ∙ item i7"  # as two items of the catalogue are called
    assert data["titles"].get("i7", twin) == twin


def test_the_lists_show_every_item_with_its_rank(case):
    _, content, found = case
    for title in (content.names.title(int(item)) for item in content.fused["item"]):
        assert title in found.text["lists"] and title in found.text["ledger"]


def test_the_same_is_the_same_text(told):
    content = told(HISTORY)
    assert render_report(content, NOW) == render_report(content, NOW)


def test_the_desk_tells_before_and_after(told):
    content = told(**SUBJECTS["desk"])
    found = Page(render_report(content, NOW))
    said = found.text["desk"]
    assert "Expert 3 of Head 2 has all of its head." in said
    assert "Expert 2 of Head 1 is muted." in said
    assert "“Place 9” is left out of the history." in said
    comparison = content.comparison
    assert comparison is not None
    before = fused_table(trace_history(content.checkpoint.model, np.array(HISTORY)), 5)["item"]
    assert found.document()["comparison"]["before"] == [f"i{item}" for item in before]
    assert told(HISTORY).comparison is None


def test_what_was_changed_holds_in_every_part(told):
    content = told(**SUBJECTS["desk"])
    model, rest = content.checkpoint.model, content.trace.history
    influence = history_influence(model, rest, 5, intervention=DESK)
    np.testing.assert_array_equal(content.influence.fused, content.fused["item"])
    np.testing.assert_array_equal(content.influence.replaced, influence.replaced)
    items = content.fused["item"].to_numpy()
    np.testing.assert_array_equal(content.effects, item_effects(model, influence, items))
    curves = deletion_curves(model, influence, intervention=DESK)
    for measure, curve in content.curves.items():
        np.testing.assert_array_equal(curve.random, curves[measure].random)
    assert {account.head for account in content.experts if account.without is None} == {1}


def test_figures_stand_where_they_belong(told):
    """The matrix shows the first item's effects, and the cards the held-out item's ranks."""
    content = told(**SUBJECTS["person"])
    found = Page(render_report(content, NOW))
    rank, by_head = item_ranks(content.trace, 30)
    for place, name in ((rank, "Fused list"), *zip(by_head, ("Head 1", "Head 2"), strict=True)):
        assert f"{name}{place}of " in found.text["held-out"]
    for row, item in enumerate(content.influence.items):
        shown = [content.effects[row, 0].sum(), *content.effects[row, 0]]
        cells = "".join(text.points(value) for value in shown)
        counts = [content.influence.replaced[row], *content.influence.replaced_by_head[row]]
        before = "".join(str(number or "·") for number in counts)
        places = [place + 1 for place in content.influence.places[row]]
        title = content.names.title(int(item))
        assert f"{title}click {places[0]}{before}{cells}" in found.text["influence"]


def test_an_item_in_the_history_is_said_not_to_be_recommended(told):
    found = Page(render_report(told(**SUBJECTS["known"]), NOW))
    said = found.text["held-out"]
    assert "is in their history" in said and "no list here" in said
    assert "stands at rank" not in said and "–in the history" in said


def test_items_never_seen_in_training_are_marked(told, checkpoints):
    unseen = set(np.flatnonzero(DATA.train_counts[1:] == 0) + 1)
    content = told(HISTORY, k=30)
    listed = set(content.fused["item"]) & unseen
    assert listed, "the example has none"
    found = Page(render_report(content, NOW))
    assert "† never seen in training" in found.text["lists"]
    assert content.names.unseen(int(next(iter(listed))))


def test_accounts_are_made_of_the_largest_experts(told, monkeypatch):
    monkeypatch.setattr(content_module, "MOST_EXPERTS", 2)
    content = told(HISTORY)
    shares = sorted(content.trace.router.ravel())[-2:]
    assert sorted(account.share for account in content.experts) == shares
    found = Page(render_report(content, NOW))
    disabled = [a for tag, a in found.elements if "disabled" in a]
    assert len(disabled) == 4


def test_the_survey_is_told_and_a_stale_one_is_not(tmp_path):
    checkpoint = make(tmp_path / "surveyed", TINY)
    subject = Subject(np.array(HISTORY))
    missing = content_module.gather(checkpoint, subject)
    assert "has not been made yet; `python -m fame survey` makes it" in missing.notices[0]
    survey(checkpoint, DATA, sample=5)
    surveyed = content_module.gather(checkpoint, subject)
    assert not surveyed.notices
    found = Page(render_report(surveyed, NOW))
    assert "over 5 people" in found.text["truth"]
    looked_at = len(held_out(DATA, "test"))
    said = f"Serves these people most (the largest shares among {looked_at} people"
    assert said in found.text["experts"]
    stored = json.loads((checkpoint.path / PEOPLE).read_text())
    write_json(checkpoint.path / PEOPLE, stored | {"weights": "0" * 64})
    stale = content_module.gather(checkpoint, subject)
    assert "is out of date or damaged" in stale.notices[0]
    assert stale.people is None and stale.faithfulness is None
    assert str(tmp_path) not in render_report(stale, NOW)


def test_sasrec_beside_it_is_laid_beside(told, checkpoints):
    content = told(HISTORY)
    expected = fused_table(trace_history(checkpoints["sasrec"].model, np.array(HISTORY)), 5)
    assert content.others["sasrec"].tolist() == expected["item"].tolist()
    assert list(content.others) == ["popularity", "markov", "item_knn", "sasrec"]
    assert "SASRec" in Page(render_report(content, NOW)).text["others"]


def test_a_history_of_the_whole_catalogue_leaves_nothing_to_explain(told):
    with pytest.raises(FameError, match="nothing left to recommend"):
        told(list(range(1, 41)))


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "", "ftp://x"])
def test_a_link_that_is_no_address_is_refused(link):
    with pytest.raises(FameError, match="must begin with http"):
        Subject(np.array([1]), link=link)


def test_a_report_is_whole_or_not_there(told, tmp_path, monkeypatch):
    content = told([7])
    file = tmp_path / "new" / "report.html"
    write_report(file, content, NOW)
    before = file.read_text()
    assert before == render_report(content, NOW)

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(FameError, match=r"could not be written \(Input/output error\)"):
        write_report(file, content, NOW.replace(year=2027))
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]
    assert file.read_text() == before


def test_a_report_that_cannot_be_written_is_one_sentence(told, tmp_path):
    with pytest.raises(FameError, match="is a folder"):
        write_report(tmp_path, told([7]), NOW)
    (tmp_path / "file").write_text("")
    with pytest.raises(FameError, match="could not be written"):
        write_report(tmp_path / "file" / "report.html", told([7]), NOW)


def test_every_word_in_the_glossary_is_explained(told):
    said = Page(render_report(told([7]), NOW)).text["words"]
    for term in page._TERMS:
        assert TERMS[term] in said


def test_named_heads_are_called_by_their_names_in_all_of_it(tmp_path):
    checkpoint = make(tmp_path / "named", TINY)
    choose_names(checkpoint, {0: "Genre", 1: "<img src=x>*Era*"})
    for subject in (SUBJECTS["person"], SUBJECTS["desk"]):
        history = np.array(subject["history"])
        content = content_module.gather(checkpoint, Subject(**subject | {"history": history}), k=5)
        told = render_report(content, NOW)
        assert not re.search(r"\bHead \d", told)
        assert "<img" not in told.split("<script")[0] + Page(told).scripts[0][1]
        found = Page(told)
        for part in ("lists", "ledger", "held-out", "influence", "experts"):
            assert "Genre" in found.text[part] and "<img src=x>*Era*" in found.text[part], part
        assert found.document()["trace"]["names"] == ["Genre", "<img src=x>*Era*"]
        tips = [attributes.get("data-tip") or "" for _, attributes in found.elements]
        assert any(tip.startswith("A person chose this name") for tip in tips)
    (checkpoint.path / NAMES).write_text("{")
    damaged = content_module.gather(checkpoint, Subject(np.array([7])), k=5)
    assert "Stored names of heads are out of date" in damaged.notices[-1]
    told = render_report(damaged, NOW)
    assert "Head 1" in told and str(tmp_path) not in told
