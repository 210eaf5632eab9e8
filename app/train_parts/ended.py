"""What next? A model opened on the other pages; a run resumed, renamed, repeated, thrown away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

import components
import resources
import state
from fame.checkpoint import is_checkpoint
from fame.errors import FameError
from fame.files import MARK
from fame.presentation.text import count
from fame.training.runs import TRASH, RunFolder, Status, discarded
from text import for_markdown
from train_parts.form import start_as

_PAGES = {
    "Lens": ("views/lens.py", ":material/center_focus_strong:"),
    "Facets": ("views/facets.py", ":material/category:"),
    "Atlas": ("views/atlas.py", ":material/scatter_plot:"),
}


def open_buttons(run: RunFolder, status: Status | None) -> None:
    """One click opens the run's model, as of its best epoch so far."""
    if not is_checkpoint(run.path):
        return
    if status is not None and status.phase != "finished" and status.best_epoch:
        components.quiet(f"It opens as it was after epoch {status.best_epoch}, the best so far.")
    row = st.container(horizontal=True)
    for title, (page, icon) in _PAGES.items():
        if row.button(
            f"Open in {title}",
            type="primary" if title == "Lens" else "secondary",
            icon=icon,
            key=f"open-{title}",
        ):
            state.put("checkpoint", run.path.name)
            st.switch_page(page)


def what_next(run: RunFolder) -> None:
    """What can be done with a run that is at rest."""
    status = run.status()
    if status is None:
        open_buttons(run, None)
    if resources.is_demo():
        return
    name = run.path.name
    row = st.container(horizontal=True)
    if status is not None and (run.can_resume() or run.is_beginning()):
        row.button(
            "Resume",
            icon=":material/resume:",
            on_click=_resume,
            args=(run, status),
            help="Goes on after the last whole epoch; begins again where there is none.",
        )
    if resources.description(run.path) is not None:
        row.button(
            "Start from its settings",
            icon=":material/content_copy:",
            on_click=start_as,
            args=(name,),
            help="The form takes over the settings of this run.",
        )
    if not (run.path / MARK).is_file():
        return  # it came with the app
    with row.popover("Rename", icon=":material/edit:"):
        given = st.text_input("New name", value=name, key=f"rename-{name}").strip()
        st.button("Rename it", key="rename", on_click=_rename, args=(run, given))
    with row.popover("Delete", icon=":material/delete:"):
        components.quiet(f"{name} is moved into the trash, from which it can be taken back.")
        st.button("Move it into the trash", key="discard", on_click=_discard, args=(run,))


def trash() -> None:
    """What was thrown away, and a way to be rid of it."""
    thrown = discarded(resources.checkpoint_root())
    if not thrown or resources.is_demo():
        return
    row = st.container(horizontal=True, vertical_alignment="center")
    row.markdown(
        for_markdown(
            f"{count(len(thrown), 'run')} in the trash: the folder {TRASH} beside the checkpoints."
        )
    )
    with row.popover("Empty the trash"):
        components.quiet("What lies there is then gone for good.")
        st.button("Remove it for good", key="empty", on_click=_attempt(resources.empty_the_trash))


def _attempt(what: Callable[..., None]) -> Callable[..., None]:
    """A callback that tells what cannot be done at the top of the page."""

    def attempt(*arguments: Any) -> None:
        try:
            what(*arguments)
        except FameError as error:
            state.notice(str(error))

    return attempt


def _resume(run: RunFolder, status: Status) -> None:
    _attempt(resources.resume_run)(run, status.data)


def _rename(run: RunFolder, name: str) -> None:
    def rename() -> None:
        resources.rename_run(run, name)
        state.put("run", name)

    _attempt(rename)()


def _discard(run: RunFolder) -> None:
    def discard() -> None:
        resources.discard_run(run)
        state.put("run", "")

    _attempt(discard)()
