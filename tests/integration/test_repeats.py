"""Logs in which people choose the same again, from import to trace, against counts in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fame.checkpoint import load_checkpoint
from fame.data.sequences import Interactions
from fame.experiments.model_card import render_card
from fame.metrics import FIGURES
from tests import reference
from tests.integration.conftest import CommandLine
from tests.tiny import interactions_of
from tests.twin import twin_scores

PEOPLE, PLACES, VISITS = 40, 15, 9
CHOICES = pytest.mark.parametrize("choice", ["recommend", "exclude"])


def visits() -> Interactions:
    """Everybody has three places and goes there by turns; a third end somewhere new."""
    rng = np.random.default_rng(7)
    rows = []
    for person in range(PEOPLE):
        own = rng.permutation(PLACES)[:4] + 1
        last = own[3] if person % 3 == 0 else own[0]
        rows.append([*(int(own[visit % 3]) for visit in range(VISITS - 1)), int(last)])
    return interactions_of(rows, PLACES)


def as_csv(data: Interactions) -> str:
    rows = [
        f"{data.user_ids[user]},{data.item_ids[item]},{time}"
        for user in range(len(data))
        for time, item in enumerate(data.sequence(user))
    ]
    return "\n".join(["user,item,timestamp", *rows]) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("visits")


@pytest.fixture(scope="module")
def trained(fame: CommandLine, folder: Path) -> dict[str, Path]:
    """A checkpoint under either choice; the first one is the default for such a log."""
    (folder / "visits.csv").write_text(as_csv(visits()))
    found = {}
    for choice, asked in (("recommend", ()), ("exclude", ("--repeats", "exclude"))):
        name, out = f"visits-{choice}", folder / choice
        done = fame("data", "import", str(folder / "visits.csv"), "--name", name, *asked)
        assert done.returncode == 0, done.stderr
        assert "65 % of the test targets were chosen before" in done.stdout
        shape = ("width=16", "layers=1", "batch_size=16", "max_length=8")
        settings = [part for setting in shape for part in ("--set", setting)]
        arguments = ("--data", name, "--out", str(out), "--epochs", "2", "--no-projection")
        done = fame("train", *arguments, *settings, "--device", "cpu")
        assert done.returncode == 0, done.stderr
        found[choice] = out
    return found


def twin(
    checkpoint: Path, choice: str, held_back: int
) -> tuple[list[int | None], list[bool], list[list[int]]]:
    """Ranks, whether the target repeats, and whole lists, one person at a time."""
    model = load_checkpoint(checkpoint).model.double()
    items = load_checkpoint(checkpoint).items["item_id"].tolist()
    index = {f"i{item}": items.index(f"i{item}") + 1 for item in range(1, PLACES + 1)}
    data = visits()
    ranks, repeated, lists = [], [], []
    for user in range(len(data)):
        whole = [index[data.item_ids[item]] for item in data.sequence(user)]
        history, target = whole[:-held_back], whole[-held_back]
        scores = twin_scores(model, history).tolist()
        allowed = reference.candidates(PLACES, set(history), choice)
        ranks.append(reference.rank(scores, target, set(history), choice))
        repeated.append(target in history)
        lists.append([items[item - 1] for item in sorted(allowed, key=lambda v: -scores[v])])
    return ranks, repeated, lists


@CHOICES
@pytest.mark.parametrize(("split", "held_back"), [("test", 1), ("valid", 2)])
def test_evaluate_tells_all_novel_and_repeated_targets(
    fame: CommandLine, trained: dict[str, Path], choice: str, split: str, held_back: int
) -> None:
    done = fame("evaluate", str(trained[choice]), "--split", split, "--json")
    assert done.returncode == 0 and "Note" not in done.stderr
    answer = json.loads(done.stdout)
    ranks, repeated, _ = twin(trained[choice], choice, held_back)
    assert answer["repeats"] == choice
    assert (None in ranks) == (choice == "exclude")
    groups = {
        "novel": [rank for rank, again in zip(ranks, repeated, strict=True) if not again],
        "repeated": [rank for rank, again in zip(ranks, repeated, strict=True) if again],
    }
    for told, own in ((answer, ranks), *((answer[name], groups[name]) for name in groups)):
        assert told["users"] == len(own)
        for name in FIGURES:
            if own:
                expected = reference.figure(own, name)
                assert told[name] == pytest.approx(expected, abs=1e-9), name
            else:
                assert told[name] is None
    if choice == "exclude":
        assert not any(answer["repeated"][name] for name in FIGURES)


@CHOICES
def test_trace_ranks_the_held_out_item_where_it_is_in_the_list(
    fame: CommandLine, trained: dict[str, Path], choice: str
) -> None:
    ranks, repeated, lists = twin(trained[choice], choice, 1)
    for user in range(6):
        arguments = ("--user", f"u{user}", "--top-k", str(PLACES))
        answer = json.loads(fame("trace", str(trained[choice]), *arguments, "--json").stdout)
        listed = [row["item"] for row in answer["fused"]]
        assert listed == lists[user]
        held_out = answer["held_out"]
        assert held_out["rank"] == ranks[user]
        said = fame("trace", str(trained[choice]), *arguments).stdout
        if held_out["rank"] is None:
            assert repeated[user] and held_out["item"] not in listed
            assert "is in the history and so in no list: it has no rank" in said
        else:
            assert listed[held_out["rank"] - 1] == held_out["item"]
            assert f"rank {held_out['rank']} (by head" in said
        for own, rank in zip(answer["heads"], held_out["rank_by_head"], strict=True):
            found = [row["item"] for row in own]
            expected = found.index(held_out["item"]) + 1 if held_out["item"] in found else None
            assert rank == expected
        if choice == "exclude":
            assert not set(listed) & set(answer["history"])


@CHOICES
def test_the_files_of_a_checkpoint_say_it(trained: dict[str, Path], choice: str) -> None:
    checkpoint = load_checkpoint(trained[choice])
    metrics, card = checkpoint.metrics, (trained[choice] / "README.md").read_text()
    assert metrics is not None
    assert checkpoint.data.repeats == metrics["repeats"] == choice
    assert metrics["repeated_targets"] == 26 / 40
    for figures in (metrics["test"], *metrics["baselines"].values()):
        assert (figures["novel"]["users"], figures["repeated"]["users"]) == (14, 26)
    assert "65 % of the test targets were chosen before; what is in the history is" in card
    row = next(line for line in card.splitlines() if line.startswith("| FAME | repeated |"))
    assert f"| 26 | {metrics['test']['repeated']['HR@5']:.4f} |" in row
    assert card == render_card(checkpoint)
    # Popularity counts the training part, and one ranking serves everybody.
    data = visits()
    counts = data.train_counts.tolist()
    ranks = []
    for user in range(len(data)):
        whole = data.sequence(user).tolist()
        ranks.append(reference.rank(counts, whole[-1], set(whole[:-1]), choice))
    for name in FIGURES:
        expected = reference.figure(ranks, name)
        assert metrics["baselines"]["popularity"][name] == pytest.approx(expected, abs=1e-9)


def test_another_sets_choice_is_followed_and_said(
    fame: CommandLine, trained: dict[str, Path]
) -> None:
    arguments = ("--data", "visits-exclude", "--json")
    done = fame("evaluate", str(trained["recommend"]), *arguments)
    answer = json.loads(done.stdout)
    assert answer["repeats"] == "exclude"
    assert not any(answer["repeated"][name] for name in FIGURES)
    assert "trained on a set with repeats=recommend and visits-exclude has repeats=exclude" in (
        done.stderr
    )


def test_who_has_seen_everything_gets_an_answer(
    fame: CommandLine, trained: dict[str, Path]
) -> None:
    everything = ",".join(f"i{item}" for item in range(1, PLACES + 1))
    for choice, length in (("exclude", 0), ("recommend", PLACES)):
        arguments = ("--items", everything, "--top-k", str(PLACES))
        answer = json.loads(fame("trace", str(trained[choice]), *arguments, "--json").stdout)
        assert [len(own) for own in (*answer["heads"], answer["fused"])] == [length] * 3
        said = fame("trace", str(trained[choice]), *arguments)
        assert said.returncode == 0
        assert ("nothing left to recommend" in said.stdout) == (choice == "exclude")


def test_the_report_says_that_what_they_chose_is_in_no_list(
    fame: CommandLine, trained: dict[str, Path], tmp_path: Path
) -> None:
    for choice in ("exclude", "recommend"):
        out = tmp_path / f"{choice}.html"
        done = fame("report", str(trained[choice]), "--user", "u1", "--out", str(out))
        assert done.returncode == 0, done.stderr
        page = out.read_text()
        assert ("is in their history" in page) == (choice == "exclude")
        assert ("stands at rank" in page) == (choice == "recommend")
        assert f'"repeats": "{choice}"' in page or f'"repeats":"{choice}"' in page
