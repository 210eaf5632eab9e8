"""What heads are called: after columns, by their names, and never two alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.facets.naming import Evidence
from fame.lens.faithfulness import Estimate
from fame.presentation.names import (
    UNNAMED,
    HeadNames,
    expert_name,
    facet_label,
    facet_name,
    grounds_told,
    value_name,
)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("genres", "Genre"),
        ("year", "Era"),
        ("brand", "Brand"),
        ("category_1", "Kind"),
        ("category_12", "Kind"),
        ("category", "Category"),
        ("skin_type", "Skin type"),
    ],
)
def test_a_head_is_called_after_its_column(column: str, name: str):
    assert facet_name(column) == name


def test_an_expert_has_its_number_and_what_it_serves():
    assert value_name("category_3=Wash=Go > Hair") == "Wash=Go > Hair"
    assert expert_name(0) == "Expert 1"
    assert expert_name(1, ["genres=Horror", "year=1980s"]) == "Expert 2 (Horror, 1980s)"
    assert expert_name(1, ["genres=Horror"], head="Genre") == "Genre, expert 2 (Horror)"
    assert expert_name(1, head="Head 1") == "Head 1, expert 2"
    assert len(expert_name(1, ["brand=" + "x" * 90])) == len("Expert 2 ()") + 24
    # Levels of a category may be called the same.
    assert expert_name(2, ["category_1=Nails", "category_2=Nails"]) == "Expert 3 (Nails)"


def test_a_head_with_a_name_is_called_so_and_any_other_by_its_number():
    called = HeadNames(("Genre", None))
    assert [called.head(head) for head in range(3)] == ["Genre", "Head 2", "Head 3"]
    spaces = ["Whole embedding", "Genre", "Head 2"]
    assert [called.space(space) for space in ("all", "head_0", "head_1")] == spaces
    assert called.names == ("Genre", None)
    assert UNNAMED.head(1) == "Head 2" and UNNAMED.names == ()


@pytest.mark.parametrize(
    ("given_names", "shown"),
    [
        (("Free", "Era", "Free"), ["Free (head 1)", "Era", "Free (head 3)"]),
        (("Mood", "mood"), ["Mood (head 1)", "mood (head 2)"]),
        (("Head 2", None), ["Head 2 (head 1)", "Head 2"]),
        (("Head 1", None), ["Head 1", "Head 2"]),
        (("Fused list", "score"), ["Fused list (head 1)", "score (head 2)"]),
        (("A (head 2)", "A", "A"), ["A (head 2) (head 1)", "A (head 2) (head 2)", "A (head 3)"]),
    ],
)
def test_no_two_heads_read_the_same(given_names, shown):
    called = HeadNames(given_names)
    assert [called.head(head) for head in range(len(shown))] == shown


@given(
    st.lists(
        st.none()
        | st.sampled_from(["A", "a", "A (head 1)", "A (head 2)", "Head 1", "Head 3", "Score", " "])
        | st.text(max_size=30),
        max_size=5,
    )
)
def test_heads_are_told_apart_whatever_they_are_called(names):
    called = HeadNames(tuple(names))
    shown = [called.head(head) for head in range(len(names))]
    assert len({name.casefold() for name in shown}) == len(shown)
    assert all(name.isprintable() and name.strip() for name in shown)


def test_a_stored_name_is_shown_on_one_short_line():
    called = HeadNames(("two\nlines\u202e", "x" * 90, "\n"))
    assert called.head(0) == "two lines"
    assert len(called.head(1)) == 24
    assert called.head(2) == "Head 3" and called.names[2] is None


def test_grounds_call_heads_by_their_names():
    called = HeadNames(("Genre", None), ("it leads over Head 2 and Head 1", "behind Head 1."))
    assert called.why(0) == "it leads over Head 2 and Genre"
    assert called.why(1) == "behind Genre."
    assert "has its number" in UNNAMED.why(0)


def test_no_heading_of_a_table_stands_there_twice():
    called = HeadNames(("Brand", "Era"))
    assert called.columns(3, ["Title", "brand"]) == ["Brand (head 1)", "Era", "Head 3"]


def test_stored_grounds_are_told_as_figures_are_elsewhere():
    stored = (
        "24.8% of its list share a value of category_2; leads in points over Head 1 +4.9, 95 % "
        "+2.9 to +7.1; over labels permuted +15.0, 95 % +12.1 to +18.0; no sure lead over Head 2 "
        "(-3.7, 95 % -5.5 to -2.3); the others' by -0.094, 0.024; a self-made x-1."
    )
    assert grounds_told(stored, ["Brand", "Kind"].__getitem__) == (
        "24.8 % of its list share a value of Category 2; leads in points over Brand +4.9 (95 %: "
        "+2.9 to +7.1); over labels permuted +15.0 (95 %: +12.1 to +18.0); no sure lead over Kind "
        "(−3.7, 95 % −5.5 to −2.3); the others' by −0.094, 0.024; a self-made x-1."
    )


def test_the_words_of_titles_are_called_so():
    assert (facet_name("title"), facet_label("title")) == ("Words", "Words of titles")
    stored = (
        "Nearest is title, but 5.0% of its list share a value of title with the item; none when "
        "title changes in it."
    )
    told = grounds_told(stored, ["Words"].__getitem__)
    assert told == (
        "Nearest are the words of titles, but "
        "5.0 % of its list share a word of their titles with the item; "
        "none when the words of titles change in it."
    )
    lead = Estimate(mean=0.1, low=0.05, high=0.15)
    weighed = Evidence(0, "title", 0.5, {"Head 2": lead}, [0.1, 0.2], ["Head 1", "Head 2"])
    told = [
        grounds_told(why, ["Mine", "Nearest is title, it"].__getitem__)
        for why in (weighed.shown, f"Nearest is title, but {'; '.join(weighed.lacking)}.")
    ]
    assert told[0].startswith("50.0 % of its list share a word of their titles with the item that")
    assert "by 0.100 when the words of titles change in the histories" in told[0]
    assert told[1].startswith("Nearest are the words of titles, but its list moves by 0.100 when")
    assert all("Nearest is title, it" in one for one in told)  # a name is left as it is
    assert HeadNames(("Words", None)).names == ("Words", None)  # taken by nothing else
