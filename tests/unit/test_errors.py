"""A message is one line that somebody reads, whatever stands in it."""

import pytest

from fame.errors import DataError, FameError


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a.csv is empty.", "a.csv is empty."),
        ("a\nb.csv\r\nis\u2028empty", "a b.csv is empty"),
        ("is 'x' " + "9" * 200, "is 'x' " + "9" * 200),
        (f"not '{'a' * 300}{'b' * 300}'.", f"not '{'a' * 130}...{'b' * 64}'."),
    ],
)
def test_a_message_is_one_line_of_readable_length(message: str, shown: str) -> None:
    for kind in (FameError, DataError):
        assert str(kind(message)) == shown


def test_what_has_many_words_is_cut_in_its_middle() -> None:
    text = str(FameError("begin " + "word " * 1_000 + "end"))
    assert len(text) == 900
    assert text.startswith("begin word") and text.endswith("word end") and "..." in text
