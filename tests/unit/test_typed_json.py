"""JSON back into dataclasses: what was written, and nothing else."""

import json
from dataclasses import asdict, dataclass

import pytest

from fame.typed_json import read_as


@dataclass(frozen=True)
class Inner:
    name: str
    share: float


@dataclass(frozen=True)
class Outer:
    count: int
    known: bool
    parts: dict[str, list[Inner]]
    rest: Inner | None


WHOLE = Outer(3, True, {"a": [Inner("x", 0.5), Inner("y", 2.0)], "b": []}, None)


def test_what_was_written_is_read_back():
    for one in (WHOLE, Outer(0, False, {}, Inner("z", -1.0))):
        assert read_as(Outer, json.loads(json.dumps(asdict(one)))) == one
    read = read_as(Inner, {"name": "x", "share": 2})
    assert read == Inner("x", 2.0) and type(read.share) is float


@pytest.mark.parametrize(
    "change",
    [
        {"count": 3.0},
        {"count": True},
        {"count": "3"},
        {"known": 1},
        {"known": None},
        {"parts": None},
        {"parts": []},
        {"parts": {"a": {}}},
        {"parts": {"a": [{"name": "x"}]}},
        {"parts": {"a": [{"name": "x", "share": None}]}},
        {"parts": {"a": [{"name": "x", "share": "0.5"}]}},
        {"parts": {"a": [{"name": "x", "share": 0.5, "more": 1}]}},
        {"rest": 5},
        {"rest": {}},
        {"more": 1},
    ],
)
def test_anything_else_is_refused(change):
    with pytest.raises(ValueError):
        read_as(Outer, asdict(WHOLE) | change)
    with pytest.raises(ValueError):
        read_as(Outer, {"count": 3})


@dataclass(frozen=True)
class Grown:
    name: str
    added: str = ""


def test_a_field_that_came_later_may_be_missing():
    assert read_as(Grown, {"name": "x"}) == Grown("x")
    assert read_as(Grown, {"name": "x", "added": "y"}) == Grown("x", "y")
    for wrong in ({"added": "y"}, {"name": "x", "added": 1}, {"name": "x", "more": 1}):
        with pytest.raises(ValueError):
            read_as(Grown, wrong)
