"""The badge of every view on a checkpoint: does it rank well, and are its heads facets?"""

from __future__ import annotations

import streamlit as st

import resources
from fame.checkpoint import Checkpoint
from fame.errors import FameError
from fame.presentation import sentences
from text import for_html


def badge(opened: Checkpoint) -> None:
    """One line under the page's question; what nobody has measured is not in it."""
    pills = [_ranks(opened), _facets(opened)]
    st.html(f'<div class="lens-badge">{"".join(pill for pill in pills if pill)}</div>')


def _ranks(opened: Checkpoint) -> str:
    found = resources.standing(opened)
    if found is None:
        return ""
    said = sentences.standing_phrase(found.own, found.beside)
    hint = sentences.standing_sentence(
        found.own, found.beside, weak=found.weak, counted_better=found.counted_better
    )
    return _pill(said, hint, "poor" if found.weak else "")


def _facets(opened: Checkpoint) -> str:
    try:
        found = resources.facets(opened)
    except FameError:  # told where the names are
        return ""
    if found is None or opened.model.heads < 2:
        return ""
    free = [not share for share in opened.model_config.facet_shares]
    said, hint = sentences.facets_verdict(found.heads, free)
    return _pill(said, hint, "")


def _pill(said: str, hint: str, kind: str) -> str:
    return f'<span class="{kind}" title="{for_html(hint)}">{for_html(said)}</span>'
