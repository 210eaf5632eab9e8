"""Take it along: the report as one file, the trace as JSON, and the address that says all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

import components
import pickers
import resources
import state
from fame.lens.answer import trace_answer
from fame.report.content import Subject, gather
from fame.report.page import render_report
from lens_parts.scene import Scene


def take_along(scene: Scene, names: tuple[str, ...]) -> None:
    """The downloads of the sidebar; both are made when they are asked for.

    Args:
        names: The choices that make up the page's address.
    """
    popover = st.popover("Take it along", icon=":material/ios_share:", width="stretch")
    subject = Subject(  # now: when the file is asked for, no session may be at hand
        history=scene.person.history,
        person=state.get("user") if state.get("source") == state.PERSON else None,
        held_out=scene.person.held_out,
        without=scene.without,
        intervention=scene.desk,
        link=_link(names),
    )
    with popover:
        st.download_button(
            "Download report",
            lambda: _report(scene, subject),
            file_name=f"lens-{scene.opened.name}.html",
            mime="text/html",
            icon=":material/description:",
            key="report",
            on_click="ignore",
            width="stretch",
            help="One file with everything on this page; it opens without a network. "
            "Making it takes some seconds.",
        )
        st.download_button(
            "Trace as JSON",
            lambda: _trace(scene),
            file_name=f"trace-{scene.opened.name}.json",
            mime="application/json",
            icon=":material/data_object:",
            key="trace",
            on_click="ignore",
            width="stretch",
            help="The same as: python -m fame trace CHECKPOINT --json",
        )
        components.quiet(
            "The address of this page holds every choice, edits and the desk included: copy it, "
            "and somebody else sees the same."
        )


def _link(names: tuple[str, ...]) -> str | None:
    """The whole address of what is shown; ``None`` where it is not known."""
    place = urlsplit(st.context.url or "")
    if place.scheme not in ("http", "https"):
        return None
    query = urlencode(state.address_of(names))
    return urlunsplit(place._replace(path=place.path or "/", query=query, fragment=""))


def _report(scene: Scene, subject: Subject) -> str:
    data = pickers.people_of(scene.opened)
    baselines = None if data is None else resources.baselines(data)
    content = gather(scene.opened, subject, k=scene.k, baselines=baselines)
    return render_report(content, datetime.now(UTC))


def _trace(scene: Scene) -> str:
    answer = trace_answer(
        scene.trace,
        scene.opened.items,
        top_k=scene.k,
        held_out=scene.person.held_out,
        value_names=scene.opened.value_names,
        names=scene.called.names,
        new=scene.new,
    )
    return json.dumps(answer, ensure_ascii=False, indent=2)
