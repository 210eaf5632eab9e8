"""Which column of a table holds what: the one of the exact name, else the one candidate."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fame.data.times import looks_like_times
from fame.errors import DataError

# Names as `plain` gives them. Those of the first line win over all others; of the second there may
# be only one in a table, unless it is asked for by name.
_KNOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "user": (
        ("userid", "user"),
        ("uid", "userno", "usernumber", "username", "visitorid", "visitor", "customerid",
         "customer", "reviewerid", "memberid", "accountid", "personid", "clientid", "session",
         "sessionid", "playerid", "listenerid"),
    ),
    "item": (
        ("itemid", "item"),
        ("items", "itemids", "iid", "itemno", "movieid", "movie", "parentasin", "asin", "poiid",
         "productid", "product", "articleid", "article", "venueid", "placeid", "locationid",
         "trackid", "songid", "artistid", "bookid", "isbn",
         "newsid", "videoid", "animeid", "gameid", "appid", "businessid", "recipeid", "aid",
         "sku", "stockcode"),
    ),
    "time": (
        ("timestamp", "time"),
        ("ts", "date", "datetime", "unixreviewtime", "unixtimestamp", "unixtime", "tdat",
         "createdat", "timems", "timeus", "timens", "times", "timesec", "timestampms", "eventtime",
         "eventtimestamp", "utctime", "day"),
    ),
    "rating": (("rating", "ratings"), ("overall", "stars", "score", "rate", "ratingscore")),
    "event": (
        ("event", "eventtype"),
        ("events", "eventname", "type", "action", "actiontype", "behavior", "behaviour",
         "behaviortype", "behaviourtype", "interaction", "interactiontype", "activity"),
    ),
}  # fmt: skip
ROLES = tuple(_KNOWN)
_MAY_BE_NONE = ("rating", "event")  # with an empty name
# Of two that say the same, the one that is meant.
_RATHER = (("parentasin", "asin"), ("unixreviewtime", "reviewtime"), ("userid", "sessionid"))
_MOST_EVENTS = 30  # of more than so many kinds it is no column of kinds
_NO_TIME = {"zone", "timezone", "offset", "id", "birth"}


@dataclass(frozen=True)
class Roles:
    """The columns by what they hold; ``None`` where no column does."""

    user: str
    item: str
    time: str | None
    rating: str | None
    event: str | None = None

    @property
    def named(self) -> dict[str, str | None]:
        """By role the column, for a person: that of events only where there is one."""
        found = {name: getattr(self, name) for name in ("user", "item", "time", "rating")}
        return found if self.event is None else found | {"event": self.event}

    @property
    def used(self) -> list[str]:
        return [name for name in self.named.values() if name is not None]


def plain(column: str) -> str:
    """A name without case, punctuation and RecBole's ``:type``; digits belong to it."""
    return re.sub(r"[^a-z0-9]", "", column.split(":")[0].lower())


def has_roles(columns: Sequence[str]) -> bool:
    """Whether a line is a header with a user and an item."""
    return all(_named(columns, role) for role in ("user", "item"))


def guessed(columns: Sequence[str], sample: Mapping[str, Sequence[str]]) -> dict[str, str | None]:
    """By role the one column whose name says so; ``None`` where none does, or several do.

    A column of times is known by what it holds, too.
    """
    found = {role: _named(columns, role) for role in ROLES}
    found["time"] = found["time"] or time_columns(columns, sample)
    return {role: names[0] if len(names) == 1 else None for role, names in found.items()}


def listed(names: Sequence[str]) -> str:
    """Names for a person, cut where they are long or many."""
    shown = [" ".join(name.split())[:40] for name in names[:8]]
    return ", ".join([*shown, *(["..."] if len(names) > 8 else [])])


def is_known(column: str, role: str) -> bool:
    """Whether a column's name is known to mean ``user``, ``item``, ``time`` or ``rating``."""
    return any(plain(column) in names for names in _KNOWN[role])


def choose(
    columns: Sequence[str],
    sample: Mapping[str, Sequence[str]],
    given: Mapping[str, str | None],
    *,
    header: bool,
    in_order: bool,
    fault: Callable[[str], DataError],
) -> Roles:
    """Says which column is which.

    Args:
        columns: All names.
        sample: First values of every column, as text.
        given: By role, the name that somebody gave; it wins. An empty one for rating or event says
            that no column is.
        header: Whether the names are the file's own. Without a header, users stand first and items
            next, times in the one column that holds some, and ratings in the third.
        in_order: Whether the order of the lines was asked for, so that no time is looked for.
        fault: Makes the error out of what is wrong.

    Raises:
        DataError: where user or item cannot be found, or a column of times would go unused.
    """
    none = {role for role in _MAY_BE_NONE if given.get(role) == ""}
    given = {role: None if role in none else name for role, name in given.items()}
    for role, name in given.items():
        if name is not None and name not in columns:
            raise fault(f"there is no column {name[:40]!r}, as --{role} says")
    asked = [name for name in given.values() if name is not None]
    if len(set(asked)) < len(asked):
        raise fault("--user, --item, --time, --rating and --event have to name different columns")
    user, item = (given.get(role) for role in ("user", "item"))
    if header:
        taken = set(asked)
        user = user or _only(columns, "user", taken, fault)
        item = item or _only([c for c in columns if c != user], "item", taken, fault)
    else:
        free = [name for name in columns if name not in asked]
        user = user or (free[0] if free else None)
        free = [name for name in free if name != user]
        timed = time_columns(free, sample)
        # Logs of sessions have times before items; times alone are taken for ids where they must.
        item = item or next((name for name in free if name not in timed), None)
        item = item or (free[0] if free else None)
    if user is None or item is None:
        lacking = "user or user_id" if user is None else "item or item_id"
        role = "user" if user is None else "item"
        raise fault(f"the header has no column {lacking}; say with --{role} which one it is")
    rest = [name for name in columns if name not in (user, item, given.get("rating"))]
    time = given.get("time")
    if time is None and not in_order:
        time = _time(rest, sample, header, fault)
    rating = given.get("rating")
    if rating is None and "rating" not in none:
        left = [name for name in rest if name != time]
        if header:
            found = _named(left, "rating")
            rating = found[0] if len(found) == 1 else None
        elif time is not None and left and left[0] == columns[2]:
            rating = left[0]
    event = given.get("event")
    if event is None and header and "event" not in none:
        found = _named([name for name in rest if name not in (time, rating)], "event")
        event = found[0] if len(found) == 1 and _few(sample[found[0]]) else None
    return Roles(user, item, time, rating, event)


def _few(values: Sequence[str]) -> bool:
    """Whether values are kinds of events: few, and words rather than numbers."""
    present = {value for value in values if value}
    return 0 < len(present) <= _MOST_EVENTS and not _numbers(sorted(present))


def time_columns(columns: Sequence[str], sample: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns that hold times, by their values and by what they are called."""
    return [name for name in columns if _holds_times(name, sample[name])]


def _named(columns: Sequence[str], role: str) -> list[str]:
    """The columns with the exact name of a role; else all those with another known name for it."""
    for names in _KNOWN[role]:
        for exact in names if names is _KNOWN[role][0] else ():
            same = [column for column in columns if plain(column) == exact]
            if same:
                # `item_id` over `Item-ID`: as it is written, before as it is read.
                return same[:1] if len(same) == 1 else _as_written(same, exact)
    return [column for column in columns if plain(column) in _KNOWN[role][1]]


def _as_written(same: list[str], exact: str) -> list[str]:
    written = {exact, f"{exact.removesuffix('id')}_id"}
    best = [column for column in same if column.split(":")[0] in written]
    return best if len(best) == 1 else same


def _only(
    columns: Sequence[str], role: str, taken: set[str], fault: Callable[[str], DataError]
) -> str | None:
    found = [column for column in _named(columns, role) if column not in taken]
    names = {plain(column) for column in found}
    for rather, other in _RATHER:
        if {rather, other} <= names:
            found = [column for column in found if plain(column) != other]
    if len(found) > 1:
        raise fault(
            f"the columns {listed(found)} may all be the {role}; say with --{role} which one is"
        )
    return found[0] if found else None


def _time(
    rest: list[str],
    sample: Mapping[str, Sequence[str]],
    header: bool,
    fault: Callable[[str], DataError],
) -> str | None:
    exact = [name for name in rest if header and plain(name) in _KNOWN["time"][0]]
    if len(exact) == 1:
        return exact[0]
    for name in _KNOWN["time"][0]:  # `timestamp` over `time`
        if len(same := [column for column in exact if plain(column) == name]) == 1:
            return same[0]
    found = time_columns(rest, sample)
    names = {plain(name) for name in found}
    for rather, other in _RATHER:
        if {rather, other} <= names:
            found = [name for name in found if plain(name) != other]
    if len(found) == 1:
        return found[0]
    if found:
        raise fault(
            f"the columns {listed(found)} hold times; say with --time which one orders the "
            "clicks, or with --in-order that the lines stand in order already"
        )
    return None


def _holds_times(name: str, values: Sequence[str]) -> bool:
    """Whether a column holds times: its name says so and its values may be some, or they must be.

    A known name is believed with any numbers (a day's number, say). A number of 1,600,000,000 under
    another name is a time all the same, unless the name says that it is an id.
    """
    if plain(name) in _KNOWN["time"][1]:
        return looks_like_times(values) or _numbers(values)
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()))
    if words & _NO_TIME:
        return False
    return looks_like_times(values)


def _numbers(values: Sequence[str]) -> bool:
    present = [value.strip() for value in values if value and value.strip()]
    return bool(present) and all(re.fullmatch(r"-?\d+(\.\d*)?", value) for value in present)
