"""People who choose the same again: what the page says is true of the list that it shows."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from fame.baselines import CountingBaselines
from fame.checkpoint import load_checkpoint
from fame.data import import_file, load
from fame.data.sequences import Repeats
from tests import made_up, reference
from tests.app.walk import TRAIN, assert_calm, html_of
from tests.twin import twin_scores

ITEMS = 30
CHOICES = pytest.mark.parametrize("choice", ["recommend", "exclude"])


@pytest.fixture
def places(home) -> Callable[[Repeats], str]:
    """Imports people whose last click repeats, and makes the checkpoint ``places``."""

    def make(choice: Repeats) -> str:
        rng, rows = np.random.default_rng(4), ["user,item"]
        for user in range(12):
            visited = rng.permutation(ITEMS)[:7]
            clicks = [*visited, *visited[:2]] if user % 3 else [*visited, visited[0], ITEMS]
            rows += [f"u{user},{item}" for item in clicks]
        (home / "places.csv").write_text("\n".join(rows) + "\n")
        import_file(home / "places.csv", "places", repeats=choice)
        made_up.write_checkpoint(home / "checkpoints" / "places", made_up.FAME, 5, "places")
        return "places"

    return make


def titles_in(html: str) -> list[str]:
    """The titles in a list of cards, in its order."""
    return re.findall(r'class="title" title="([^"]*)"', html)


def twin_of(home, user: str, choice: Repeats) -> tuple[list[int], int, int | None, int]:
    """The whole list, the held-out item, its rank and how many are ranked, counted slowly."""
    checkpoint = load_checkpoint(home / "checkpoints" / "places")
    data = load("places", offline=True).interactions
    history, target = data.split_user(data.user_index(user))
    scores = twin_scores(checkpoint.model.double(), history.tolist()).tolist()
    allowed = reference.candidates(data.num_items, set(history.tolist()), choice)
    ranked = sorted(allowed, key=lambda item: -scores[item])
    return (
        ranked,
        target,
        reference.rank(scores, target, set(history.tolist()), choice),
        len(ranked),
    )


@CHOICES
def test_what_they_really_chose_stands_where_the_page_says(open_app, home, places, choice):
    """u1's last click repeats; u0's does not."""
    name = places(choice)
    for user in ("u1", "u0"):
        ranked, target, rank, candidates = twin_of(home, user, choice)
        app = open_app(checkpoint=name, user=user, k="50")
        assert_calm(app)
        items = load_checkpoint(home / "checkpoints" / name).items["title"].tolist()
        title = items[target - 1]
        said = html_of(app)
        fused = said.split('<ol class="lens-list">')[1].split("</ol>")[0]
        shown = titles_in(fused)
        assert shown == [items[item - 1] for item in ranked]
        if rank is None:
            assert user == "u1" and choice == "exclude" and title not in shown
            assert "it is in the history, and what is in the history is in no list here" in said
            assert "it counts as a miss" in said
            assert 'class="target"' not in said and 'class="row target"' not in said
            assert "data-count" not in said
        else:
            assert shown[rank - 1] == title
            counter = f'data-count="{rank}">{rank}</span> <small>of {candidates}</small>'
            assert counter in said
            assert 'class="row target"' in said and 'class="target"' in said


@CHOICES
def test_every_part_of_the_page_bears_it(open_app, home, places, choice):
    name = places(choice)
    for part in ("clicks", "item", "experts", "mix", "truth", "others"):
        app = open_app(checkpoint=name, user="u1", part=part, gate="1,0,2", without="")
        assert_calm(app)
    data = load("places", offline=True).interactions
    history, _ = data.split_user(data.user_index("u1"))
    lists = CountingBaselines(data).lists(history, 10, repeats=choice)
    items = load_checkpoint(home / "checkpoints" / name).items["title"].tolist()
    app = open_app(checkpoint=name, user="u1", part="others", k="10")
    for label, own in (("Popularity", "popularity"), ("Markov chain", "markov")):
        block = html_of(app).split(f"{label}</span>")[1].split("</ol>")[0]
        shown = titles_in(block)
        assert shown == [items[item - 1] for item in lists[own]]
        assert bool(set(lists[own].tolist()) & set(history.tolist())) == (choice == "recommend")


def test_leaving_the_repeated_click_out_makes_it_a_candidate_again(open_app, home, places):
    name = places("exclude")
    data = load("places", offline=True).interactions
    _, target = data.split_user(data.user_index("u1"))
    app = open_app(checkpoint=name, user="u1", part="changed", without=str(data.item_ids[target]))
    assert_calm(app)
    page = " ".join(element.value for element in app.markdown) + html_of(app)
    assert "was in the history and can now be recommended, at rank" in page
    assert "in the history → " in page


def test_the_train_page_says_a_sets_choice_and_its_share(open_app, places):
    places("exclude")
    app = open_app(TRAIN)
    app.selectbox[0].set_value("places").run()
    assert_calm(app)
    said = " ".join(caption.value for caption in app.caption) + html_of(app)
    assert "66.7 % of the test targets were chosen before; as asked for with" in said
    app.selectbox[0].set_value(made_up.NAME).run()
    said = " ".join(caption.value for caption in app.caption) + html_of(app)
    assert "3.23 % of the test targets were chosen before (less than 5 %), so" in said
