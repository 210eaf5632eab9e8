"""Which column is which: exact names before others, and no column of times left over."""

from __future__ import annotations

import pytest

from fame.data.columns import Roles, choose
from fame.errors import DataError

DATE, SECONDS = "2020-01-02", "1600000000"


def chosen(columns: dict[str, str], header: bool = True, **asked: object) -> Roles:
    in_order = bool(asked.pop("in_order", False))
    given = dict.fromkeys(("user", "item", "time", "rating"), None) | asked
    sample = {name: [value, value] for name, value in columns.items()}
    return choose(list(columns), sample, given, header=header, in_order=in_order, fault=DataError)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "columns",
    [
        {"item_id": "A", "item_id2": "Z", "user_id": "u"},
        {"item_id2": "Z", "item_id": "A", "user_id": "u"},
        {"user_id": "u", "item_id": "A", "item_id.1": "Z"},
        {"user_id2": "u", "user_id": "v", "item_id": "A", "timestamp2": "9"},
        {"user_id": "u", "item_id": "A", "Item": "Z"},
        {"user_id": "u", "item_id": "A", "movie_id": "Z", "session_id": "s"},
    ],
)
def test_the_exact_name_wins_wherever_it_stands(columns: dict[str, str]) -> None:
    roles = chosen(columns)
    assert (roles.user, roles.item, roles.time) == ("user_id", "item_id", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", DATE), ("datetime", DATE), ("ts", "7"), ("event_time", DATE),
        ("unixReviewTime", SECONDS), ("t_dat", DATE), ("created_at", DATE),
        ("time_ms", SECONDS + "000"), ("unix_timestamp", SECONDS), ("UTC_time", DATE),
        ("Timestamp", "3"), ("timestamp:float", "3"), ("when", DATE), ("clicked", SECONDS),
        ("checkin", "Tue Apr 03 18:00:09 +0000 2012"),
    ],
)  # fmt: skip
def test_a_time_of_any_name_is_used_where_it_is_the_only_one(name: str, value: str) -> None:
    columns = {"user": "u", "item": "1700000000", "price": "3.5", name: value}
    assert chosen(columns).time == name
    assert chosen(columns, in_order=True).time is None
    assert chosen(columns, in_order=True, time="price").time == "price"


@pytest.mark.parametrize("name", ["runtime", "timezone_offset", "price", "time_spent", "phone_id"])
def test_what_holds_no_times_is_none(name: str) -> None:
    value = SECONDS if name == "phone_id" else "120"
    assert chosen({"user": "u", "item": "i", name: value}).time is None


def test_two_times_stop_the_import_unless_one_has_the_exact_name() -> None:
    columns = {"user": "u", "item": "i", "created_at": DATE, "shipped": DATE}
    with pytest.raises(DataError, match="created_at, shipped hold times; say with --time"):
        chosen(columns)
    assert chosen(columns, time="shipped").time == "shipped"
    assert chosen(columns | {"timestamp": "3"}).time == "timestamp"
    amazon = {"reviewerID": "u", "asin": "i", "reviewTime": "09 13, 2009"}
    assert chosen(amazon | {"unixReviewTime": SECONDS}).time == "unixReviewTime"


@pytest.mark.parametrize(
    ("columns", "user", "item"),
    [
        (["visitorid", "itemid"], "visitorid", "itemid"),
        (["customer_id", "article_id"], "customer_id", "article_id"),
        (["user_id", "asin", "parent_asin"], "user_id", "parent_asin"),
        (["userId", "movieId"], "userId", "movieId"),
        (["session", "aid"], "session", "aid"),
    ],
)
def test_known_names_of_users_and_items(columns: list[str], user: str, item: str) -> None:
    roles = chosen(dict.fromkeys(columns, "x"))
    assert (roles.user, roles.item) == (user, item)


@pytest.mark.parametrize(
    ("columns", "asked", "words"),
    [
        (["who", "item"], {}, "no column user or user_id; say with --user"),
        (["user", "what"], {}, "no column item or item_id; say with --item"),
        (["user", "movie_id", "book_id"], {}, "movie_id, book_id may all be the item"),
        (["user", "item"], {"time": "when"}, "there is no column 'when', as --time says"),
        (["user", "item"], {"user": "item", "item": "item"}, "name different columns"),
    ],
)
def test_what_cannot_be_decided_is_asked_for(
    columns: list[str], asked: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        chosen(dict.fromkeys(columns, "x"), **asked)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "1193", "5", "978300760"], ("0", "1", "3", "2")),
        (["1", DATE, "214536502", "0"], ("0", "2", "1", None)),  # a session's time before its item
        (["1", "2"], ("0", "1", None, None)),
        (["1", SECONDS], ("0", "1", None, None)),
    ],
)
def test_without_a_header_the_places_decide(
    values: list[str], expected: tuple[str | None, ...]
) -> None:
    roles = chosen({str(place): value for place, value in enumerate(values)}, header=False)
    assert (roles.user, roles.item, roles.time, roles.rating) == expected
