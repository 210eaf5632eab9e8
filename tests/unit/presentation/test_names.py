"""What heads are called after columns."""

import pytest

from fame.presentation.names import facet_name


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
