"""Text from data and from people, made safe for the three places that would interpret it.

A title such as ``*NSYNC <b>x</b> $5 [a](b)`` has to be shown as it is, in HTML, in Streamlit's
Markdown and in Plotly's labels.
"""

from __future__ import annotations

import html
import re

from fame.presentation.text import one_line, shortened, unbroken

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$&^=])")
_WORD_JOINER = "\u2060"  # invisible; keeps `:name:` and `:red[` from being read as shortcodes


def for_html(text: str) -> str:
    return html.escape(unbroken(one_line(text)))


def for_markdown(text: str) -> str:
    escaped = _MARKDOWN.sub(r"\\\1", unbroken(one_line(text)))
    return re.sub(r":(?=\S)", f":{_WORD_JOINER}", escaped)


def for_plotly(text: str, length: int | None = None) -> str:
    """Plotly reads a few HTML tags, and TeX between dollars where MathJax is there."""
    text = one_line(text) if length is None else shortened(text, length)
    return html.escape(text, quote=False).replace("$", "&#36;")
