"""HTML put together so that text can never become markup.

Whatever is not :class:`Html` already is escaped on its way in; nothing else in the report builds
HTML from text.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

from fame.presentation.text import unbroken


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]

_VOID = frozenset({"meta", "input", "br"})


def escaped(child: Child) -> str:
    """A child as HTML: escaped unless it is HTML, nothing for ``None``, several one by one."""
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return html.escape(unbroken(str(child)))
    return "".join(escaped(part) for part in child)


def element(name: str, /, *children: Child, **attributes: Any) -> Html:
    """``element("a", "text", href="#x", class_="link", data_item=5)``.

    An attribute that is ``None`` or ``False`` is left out, one that is ``True`` has no value; a
    trailing underscore is dropped and the others become hyphens.
    """
    opened = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        opened.append(key if value is True else f'{key}="{html.escape(str(value))}"')
    start = f"<{' '.join(opened)}>"
    return Html(start if name in _VOID else f"{start}{escaped(children)}</{name}>")


def json_block(name: str, document: Any) -> Html:
    """A document that scripts can read by its id; no text in it can end the block."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return element("script", Html(safe), id=name, type="application/json")
