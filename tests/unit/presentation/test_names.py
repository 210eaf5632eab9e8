"""What heads are called after columns."""

import pytest

from fame.presentation.names import expert_name, facet_name, value_name


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
    # Levels of a category may be called the same.
    assert expert_name(2, ["category_1=Nails", "category_2=Nails"]) == "Expert 3 (Nails)"
