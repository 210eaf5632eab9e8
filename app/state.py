"""What a person has chosen: kept for the session, and in the address both ways.

A choice lives under its name in a store of our own, because Streamlit forgets a widget's value when
another page is opened. A widget is bound to it with :func:`key`; code reads it with :func:`get` and
changes it with :func:`put`. The address is read when a session begins and when somebody goes back
in the browser; it is written at the end of every page by :func:`publish`.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import streamlit as st

from fame.presentation.facet_sentences import COMPARED, FORMING, SHARED
from fame.presentation.text import one_line, shortened

MAX_ITEMS = 1000  # clicks that an address or an edited history may hold
MAX_K = 50
MAX_VALUES = 50  # of an item that nobody has clicked
TOUR_STEPS = 6
_PLAIN = 300  # characters up to which a list of items stays readable in the address
_PACKED = "!"  # what a packed list begins with; in an id it is quoted
_MOST_UNPACKED = 1_000_000


@dataclass(frozen=True)
class Choice:
    """A choice, its value before anybody chose, and how it is written in the address.

    ``read`` raises ``ValueError`` with half a sentence ("must be ...") where the text is no value.
    """

    default: Any
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


def _among(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    return read


def _k(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_K:
        raise ValueError(f"must be a whole number from 1 to {MAX_K}")
    return int(text)


def _items(text: str) -> tuple[str, ...]:
    if text.startswith(_PACKED):
        text = _unpacked(text[len(_PACKED) :])
    items = tuple(unquote(part) for part in text.split(",") if part.strip())
    if len(items) > MAX_ITEMS:
        raise ValueError(f"may hold at most {MAX_ITEMS:,} items, not {len(items):,}")
    return items


def _write_items(items: tuple[str, ...]) -> str:
    """Ids between commas; a long list is packed, because browsers and servers cut long addresses.

    An id is quoted first, so that one with a comma in it stays one id.
    """
    text = ",".join(quote(item, safe="") for item in items)
    if len(text) <= _PLAIN:
        return text
    packed = base64.urlsafe_b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")
    return _PACKED + packed.rstrip("=")


def _unpacked(text: str) -> str:
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(packed, _MOST_UNPACKED)  # a few bytes can unpack to gigabytes
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise ValueError
        return plain.decode("ascii")
    except (ValueError, binascii.Error, zlib.error):
        raise ValueError("must be a list of items as this page writes it") from None


def _values(text: str) -> tuple[str, ...]:
    values = tuple(
        dict.fromkeys(unquote(part.lstrip()) for part in text.split(",") if part.strip())
    )
    if len(values) > MAX_VALUES:
        raise ValueError(f"may hold at most {MAX_VALUES} values, not {len(values):,}")
    return values


def _write_values(values: tuple[str, ...]) -> str:
    """``column=value`` between commas; a comma of a value is quoted, so that it stays one value."""
    return ",".join(quote(value, safe="= ") for value in values)


def _weights(text: str) -> tuple[float, ...]:
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError("must be numbers between commas, one a head") from None
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise ValueError("must be finite numbers of at least 0")
    return weights


def _write_weights(weights: tuple[float, ...]) -> str:
    return ",".join(f"{weight:g}" for weight in weights)


def _pair(text: str) -> tuple[int, int]:
    head, _, expert = text.partition(":")
    if not all(part.isascii() and part.isdigit() and len(part) < 4 for part in (head, expert)):
        raise ValueError("must be written HEAD:EXPERT, like 0:2, counting from 0")
    return int(head), int(expert)


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(_pair(part) for part in text.split(","))


def _write_pairs(pairs: tuple[tuple[int, int], ...]) -> str:
    return ",".join(f"{head}:{expert}" for head, expert in pairs)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _step(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > TOUR_STEPS:
        raise ValueError(f"must be a whole number from 0 to {TOUR_STEPS}")
    return int(text)


PERSON, EXAMPLE, OWN = "person", "example", "own"
PARTS = (  # of Lens, one of them open
    *("lists", "ledger", "clicks", "item", "new", "experts", "mix", "changed", "truth", "others"),
)
DESK = ("gate", "mute", "solo")
QUESTIONS = (  # of Facets, all of them shown or one alone
    *("names", "lists", "tables", "probes", "causes", "apart", "shared", "gate", "accuracy"),
    *("experts", "forming", "compare"),
)

CHOICES: dict[str, Choice] = {
    "checkpoint": Choice("", _text),
    "source": Choice("", _among(PERSON, EXAMPLE, OWN)),
    "user": Choice("", _text),
    "example": Choice("", _text),
    "items": Choice((), _items, _write_items),
    "origin": Choice("", _text),  # the source that one's own history was taken from; goes unnamed
    "without": Choice((), _items, _write_items),
    "gate": Choice(None, _weights, _write_weights),
    "mute": Choice((), _pairs, _write_pairs),
    "solo": Choice((), _pairs, _write_pairs),
    "k": Choice(10, _k),
    "scores": Choice("centred", _among("centred", "next", "middle", "raw")),
    "part": Choice("lists", _among(*PARTS)),
    "of": Choice("", _text),
    "expert": Choice(None, _pair, lambda pair: f"{pair[0]}:{pair[1]}"),
    "mix": Choice("gate", _text),
    "tour": Choice(0, _step),
    "present": Choice("off", _among("on", "off")),
    "space": Choice("", _text),
    "beside": Choice("", _text),
    "colour": Choice("", _text),
    "value": Choice("", _text),
    "item": Choice("", _text),
    "chosen": Choice((), _items, _write_items),  # points of a map
    "new": Choice((), _values, _write_values),
    "overlay": Choice("on", _among("on", "off")),
    "run": Choice("", _text),
    "runs": Choice((), _names, ",".join),
    "question": Choice("all", _among("all", *QUESTIONS)),
    "shared": Choice("overlap", _among(*SHARED)),
    "pair": Choice(None, _pair, lambda pair: f"{pair[0]}:{pair[1]}"),
    "spread": Choice("people", _among("people", "length")),  # of the gate
    "measure": Choice("alone", _among("alone", "lost")),  # of each head's accuracy
    "cohort": Choice("all", _among("all", "length", "popularity", "value")),
    "favourite": Choice("", _text),  # the facet whose favourite values make cohorts
    "forming": Choice("lists", _among(*FORMING)),
    "against": Choice("", _text),  # the checkpoint that is compared with
    "compared": Choice("matches", _among(*COMPARED)),
    "figure": Choice("NDCG@10", _among("NDCG@10", "HR@10")),
}

_STORE, _ADDRESS, _NOTICES, _CHANGED = "choices", "address", "notices", "changed"
_STARTS, _ADOPTED = "starts", "adopted"
_PAGE = "page"  # the page that ran last
_DATA = "data"  # the data set that the person, the example and the items are of
_WHOSE = "whose"  # whose history the left-out clicks are of
_MODEL = "model"  # the checkpoint that the desk is set for


def starts() -> int:
    """How many runs this visitor has started: after each, the form's name begins anew."""
    return st.session_state.get(_STARTS, 0)


def count_start() -> None:
    st.session_state[_STARTS] = starts() + 1


def begin(page: str, owned: tuple[str, ...]) -> None:
    """Called first by a page: takes over what widgets and the address say.

    Args:
        page: The page's own name.
        owned: The choices that the page keeps in its address.
    """
    store = st.session_state.setdefault(_STORE, {})
    changed = st.session_state.pop(_CHANGED, False)
    for name in CHOICES:
        widget = _widget(name)
        if widget in st.session_state and st.session_state[widget] != store.get(name):
            changed = True
            store[name] = st.session_state[widget]
    if page != st.session_state.get(_PAGE):
        # A widget of another page is another widget, whatever its key: it has to start anew.
        st.session_state[_PAGE] = page
        for name in CHOICES:
            st.session_state.pop(_widget(name), None)
    address = st.query_params.to_dict()
    # A click can arrive with the address of before the last answer. Only where nothing was
    # clicked does an address that we did not write come from a person.
    if address and address != st.session_state.get(_ADDRESS) and not changed:
        _adopt(address, owned)


def page() -> str:
    """The page's own name, as :func:`begin` was told."""
    return st.session_state.get(_PAGE, "")


def adopted() -> int:
    """How many addresses that a person opened were taken over: after each, maps begin anew."""
    return st.session_state.get(_ADOPTED, 0)


def _adopt(address: dict[str, str], owned: tuple[str, ...]) -> None:
    st.session_state[_ADOPTED] = adopted() + 1
    for mark in (_DATA, _WHOSE, _MODEL):
        st.session_state.pop(mark, None)
    for name in owned:
        settle(name, CHOICES[name].default)
    for name, text in address.items():
        choice = CHOICES.get(name)
        if choice is None or name not in owned or name == "source":  # the source goes unnamed
            notice(f"The address has {shortened(name, 40)!r}, which this page does not know.")
            continue
        try:
            settle(name, choice.read(text))
        except ValueError as error:
            notice(f"In the address, {name} {error}: {shortened(text, 40)!r} is left aside.")
    sources = [s for s, name in ((PERSON, "user"), (EXAMPLE, "example")) if name in address]
    if "items" in address:  # somebody's beside it is where they were taken from
        settle("origin", sources[0] if sources else "")
        sources = [OWN]
    if sources:
        settle("source", sources[0])


def address_of(names: tuple[str, ...]) -> dict[str, str]:
    """What the address says of these choices, defaults left out."""
    return {
        name: CHOICES[name].write(value)
        for name in names
        if (value := get(name)) not in (None, CHOICES[name].default)
    }


def publish(names: tuple[str, ...]) -> None:
    """Called last by a page: writes its choices to the address."""
    address = address_of(names)
    st.session_state[_ADDRESS] = address
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)


PERSON_NAMES = ("checkpoint", "source", "user", "example", "items", "k")


def person_names() -> tuple[str, ...]:
    """The names in the address that say whose history is shown, and whose it was before."""
    named = {PERSON: ("user",), EXAMPLE: ("example",)}
    source, origin = get("source"), get("origin")
    own = ("items", *named.get(origin, ())) if source == OWN else named.get(source, ())
    return ("checkpoint", *own, "k")


def get(name: str) -> Any:
    return st.session_state.get(_STORE, {}).get(name, CHOICES[name].default)


def put(name: str, value: Any) -> None:
    """Sets what a person has chosen, in a callback."""
    settle(name, value)
    st.session_state[_CHANGED] = True


def settle(name: str, value: Any) -> None:
    """Sets a choice that nobody made: what the page shows instead, before its widget is drawn."""
    st.session_state.setdefault(_STORE, {})[name] = value
    if _widget(name) in st.session_state:
        st.session_state[_widget(name)] = value


def key(name: str) -> str:
    """The key for the widget of a choice, which starts at the choice's value."""
    widget = _widget(name)
    if widget not in st.session_state:
        st.session_state[widget] = get(name)
    return widget


def keep(name: str, value: Any) -> Any:
    """Takes over what a widget has just said."""
    st.session_state[_STORE][name] = value
    return value


def notice(sentence: str) -> None:
    """A sentence for the top of the page, shown once."""
    st.session_state.setdefault(_NOTICES, []).append(one_line(sentence))


def take_notices() -> list[str]:
    return st.session_state.pop(_NOTICES, [])


def _widget(name: str) -> str:
    return f"choice-{name}"


def of_data(name: str) -> None:
    """Forgets the person, the example and the items where they were of another data set."""
    before = st.session_state.get(_DATA)
    st.session_state[_DATA] = name
    if before is not None and before != name:
        for choice in ("user", "example", "items", "item", "colour", "value", "new", "chosen"):
            settle(choice, CHOICES[choice].default)


def of_history(checkpoint: str) -> None:
    """Forgets left-out clicks and desk of another person, and desk and values of another model."""
    whose = (get("source"), get("user"), get("example"))
    for mark, now, names in (
        (_WHOSE, whose, ("without", *DESK)),
        (_MODEL, checkpoint, (*DESK, "new")),
    ):
        before = st.session_state.get(mark)
        st.session_state[mark] = now
        if before not in (None, now):
            for name in (*names, "of", "expert"):
                settle(name, CHOICES[name].default)


def turn_to(user: str) -> None:
    """Chooses a real person in whose history the chosen expert is looked at, in a callback.

    As with any other person left-out clicks and the desk are forgotten, but not the expert.
    """
    put("source", PERSON)
    put("user", user)
    for name in ("without", *DESK, "of"):
        settle(name, CHOICES[name].default)
    st.session_state[_WHOSE] = (get("source"), get("user"), get("example"))


def presenting() -> bool:
    """Whether the presenter's mode is on: larger type, fewer controls.

    Before a page has read the address for the first time, the address says it.
    """
    if _STORE not in st.session_state:
        return st.query_params.get("present") == "on"
    return get("present") == "on"
