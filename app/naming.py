"""What the heads are called, and why: the part of the sidebar that says it, and sets names."""

from __future__ import annotations

import streamlit as st

import cards
import resources
import state
from components import command_about, quiet
from fame.checkpoint import Checkpoint
from fame.errors import CheckpointError, FameError
from fame.head_names import read_chosen_names
from fame.presentation.names import LONGEST_NAME, HeadNames
from fame.presentation.palette import head_colour
from text import for_markdown

_POPOVER = "head-names"


def names_of_heads(opened: Checkpoint) -> None:
    """Every head's name with what it rests on, and a form for names of one's own.

    What keeps stored names from being used is told at the top of the page.
    """
    called = resources.called(opened)
    for problem in called.problems:
        state.notice(problem)
    if opened.model.heads < 2 or state.presenting():
        return
    popover = st.popover(
        "Names of the heads",
        icon=":material/label:",
        width="stretch",
        key=_POPOVER,
        on_change="rerun",
    )
    if popover.open:
        with popover:
            for head in range(opened.model.heads):
                cards.head_line(called.head(head), head_colour(head))
                quiet(called.why(head))
            _form(opened, called)


def _form(opened: Checkpoint, called: HeadNames) -> None:
    """Fields for names of one's own, where they can be kept."""
    if not resources.can_keep_names(opened):
        command = command_about(opened.path, "facets", "--name 1=NAME")
        quiet(f"Names are set where the checkpoint lies: {command}")
        return
    try:
        chosen = read_chosen_names(opened)
    except CheckpointError:  # told at the top of the page
        return
    with st.form(f"names-{opened.name}", border=False):
        for head, name in enumerate(chosen):
            st.text_input(
                f"Your name for {for_markdown(called.head(head))}",
                name or "",
                max_chars=LONGEST_NAME,
                key=_field(opened, head),
                placeholder="" if name else called.head(head),
            )
        st.form_submit_button("Keep these names", on_click=_keep, args=(opened,))
    quiet("Without a name of yours a head has the one that evidence gives it, or its number.")


def _field(opened: Checkpoint, head: int) -> str:
    return f"name-{opened.name}-{head}"


def _keep(opened: Checkpoint) -> None:
    names = {head: st.session_state[_field(opened, head)] for head in range(opened.model.heads)}
    try:
        resources.keep_names(opened, names)
    except FameError as error:
        state.notice(str(error))
