"""How is it going? The queue, one run while it trains, its curves and its log.

What is redrawn by itself is little: a line of figures every two seconds, curves every ten, the log
only where it is open; and files are read once for all who look.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

import cards
import charts
import components
import forming
import resources
import state
from fame.errors import FameError
from fame.presentation.text import duration
from fame.training.jobs import having, waiting
from fame.training.runs import RunFolder, Status, may_be_ended
from text import for_markdown
from train_parts import ended

# What a stop does, by what the run is doing.
_STOPS = {
    "starting": "Stop before it begins",
    "preparing": "Stop after this step",
    "training": "Stop after this step",
    "naming": "Leave out the rest",
    "surveying": "Leave out the rest",
}
_LINES = 400  # of a log that are searched and shown


def chosen_run() -> None:
    """Draws the run that was chosen, or the one that trains."""
    components.section("How is it going?", "Epoch", "NDCG@10")
    with components.guard():
        resources.keep_the_queue_going()
    _queue()
    runs = resources.trained()
    wanted = state.get("run")
    if wanted and wanted not in runs:
        state.notice(f"There is no run {wanted!r} in {resources.checkpoint_root()}.")
        wanted = ""
    if not runs:
        components.quiet("Nothing has been trained here yet; a run shows up when it starts.")
        return
    if not wanted:
        state.settle("run", max(runs, key=lambda name: _order(runs[name])))
    name = st.selectbox("Run", list(runs), key=state.key("run"))
    state.keep("run", name)
    run = runs[name]
    status = run.status()
    moving = status is not None and (status.is_active or status.phase == "queued")
    if status is None:
        cards.checkpoint_line(resources.description(run.path), resources.metrics(run.path))
    else:
        _pulse(run.path, status.phase, moving)
    _curves(run.path, moving)
    _log(run.path, moving)
    if not moving:
        ended.what_next(run)


def _order(run: RunFolder) -> tuple[bool, float]:
    """Active runs first, then the newest."""
    status = run.status()
    return (status is not None and status.is_active), status.updated if status else 0.0


def _queue() -> None:
    """What waits, in its order; anybody may take it out again."""
    names = [folder.name for folder in waiting(resources.checkpoint_root())]
    for place, name in enumerate(names, start=1):
        row = st.container(horizontal=True, vertical_alignment="center")
        row.markdown(f"{place}. in the queue: **{for_markdown(name)}**")
        if not resources.is_demo():
            row.button(
                "Take out of the queue",
                key=f"take-out-{name}",
                on_click=_stop,
                args=(RunFolder(resources.checkpoint_root() / name),),
            )


def _pulse(path: Path, phase: str, moving: bool) -> None:
    """The line and the figures of a run; redrawn by itself while it moves."""

    def draw() -> None:
        run = RunFolder(path)
        status = run.status()
        if status is None or (moving and not (status.is_active or status.phase == "queued")):
            st.rerun()
        if phase == "queued" and status.phase != "queued":
            st.rerun()
        with components.guard():
            _show(run, status)
            _stop_buttons(run, status)
            ended.open_buttons(run, status)
            for sentence in state.take_notices():  # the page's top is not drawn with a fragment
                st.warning(for_markdown(sentence))

    st.fragment(draw, run_every=2 if moving else None)()


def _show(run: RunFolder, status: Status) -> None:
    cards.run_line(status)
    if status.phase == "queued":
        components.quiet(_waits_for(run, status))
        return
    if status.phase == "starting":
        components.quiet("Starting: the program and the data set are being read.")
    if status.phase == "training" and status.steps:
        done = (max(status.epoch, 1) - 1 + status.step / status.steps) / max(status.epochs, 1)
        st.progress(min(done, 1.0), text=_progress_text(status))
        cards.figures(_figures(status))
    if status.phase == "evaluating" and status.to_rank:
        st.progress(status.ranked / status.to_rank, text=_ranked_text(status))
        cards.figures(_figures(status))
    if run.is_stopping():
        components.quiet(
            "Stopping after this step … The best epoch so far is kept, and the run can be resumed."
        )
    if status.message:
        tell = st.error if status.phase in ("failed", "lost", "damaged") else st.info
        tell(for_markdown(status.message))
        if status.phase in ("failed", "lost") and (words := run.log_tail(5)):
            components.quiet("The last words of its log:")
            st.code(words, language=None)


def _waits_for(run: RunFolder, status: Status) -> str:
    """Who has the device that a run waits for, and what they do with it."""
    told = []
    for folder in having(run.path.parent, status.on):
        now = RunFolder(folder).status()
        doing = cards.phase_label(now.phase) if now else "at work"
        told.append(f"{folder.name} ({doing[0].lower()}{doing[1:]})")
    have = "has" if len(told) == 1 else "have"
    who = f", which {' and '.join(told)} {have} now" if told else ""
    return f"It waits for its device{who}, and then starts by itself."


def _figures(status: Status) -> list[tuple[str, str]]:
    """The figures of a step, those that are known; after training what it takes alone."""
    found = []
    learns = status.phase == "training"
    if learns and status.loss is not None:
        found.append(("Loss", f"{status.loss:.4f}"))
    if learns and status.learning_rate:
        found.append(("Learning rate", f"{status.learning_rate:.2g}"))
    if learns and status.positions_per_second:
        found.append(("Clicks a second", f"{status.positions_per_second:,.0f}"))
    if status.host_memory_mb:
        found.append(("Memory", f"{status.host_memory_mb / 1000:.1f} GB"))
    if status.peak_memory_mb and status.on.startswith("cuda"):
        found.append(("Of the GPU, at most", f"{status.peak_memory_mb / 1000:.1f} GB"))
    if status.eta_seconds:
        found.append(("At most to go", duration(status.eta_seconds)))
    return found


def _progress_text(status: Status) -> str:
    at = f"Epoch {status.epoch} of {status.epochs}"
    if status.to_rank:
        return f"{at} · {_ranked_text(status)}"
    return f"{at} · step {status.step} of {status.steps}"


def _ranked_text(status: Status) -> str:
    return f"{status.ranked:,} of {status.to_rank:,} people ranked"


def _stop_buttons(run: RunFolder, status: Status) -> None:
    if resources.is_demo():
        return
    stopping = run.is_stopping()
    if status.phase in _STOPS:
        st.button(
            "Stopping after this step …" if stopping else _STOPS[status.phase],
            key="stop",
            icon=":material/stop:",
            on_click=_stop,
            args=(run,),
            disabled=stopping,
            help="The best epoch so far is kept, and the run can be resumed.",
        )
    if may_be_ended(run):
        with st.popover("It does not stop"):
            components.quiet("Ends its process at once: what its epoch has done so far is lost.")
            st.button("End it now", key="end", on_click=_end, args=(run,))


def _stop(run: RunFolder) -> None:
    _try(resources.stop_run, run)


def _end(run: RunFolder) -> None:
    _try(resources.end_run, run)


def _try(what: Callable[[RunFolder], None], run: RunFolder) -> None:
    try:
        what(run)
    except FameError as error:
        state.notice(str(error))


def _curves(path: Path, moving: bool) -> None:
    """Loss and validation by epoch; redrawn by itself while the run moves."""

    def draw() -> None:
        rows, broken = resources.history(RunFolder(path))
        if broken:
            components.quiet(
                f"{broken} of the lines of metrics.jsonl are no rows, and are left out."
            )
        if not len(rows):
            if moving:
                components.quiet("The curves begin when the first epoch has ended.")
            return
        with components.guard():
            _draw_curves(rows)
            forming.live(RunFolder(path).history())

    st.fragment(draw, run_every=10 if moving else None)()


def _draw_curves(rows: pd.DataFrame) -> None:
    left, right = st.columns(2)
    if "valid_NDCG@10" in rows:
        with left:
            components.chart(charts.validation_curve(rows), "validation")
    with right:
        components.chart(charts.loss_curve(rows), "loss")


def _log(path: Path, moving: bool) -> None:
    """The end of the log, and a search in it; read only where somebody wants it."""
    if not st.toggle("Log", key="log-open"):
        return

    def draw() -> None:
        wanted = st.text_input("Search the log", key="log-search", placeholder="epoch").strip()
        lines = RunFolder(path).log_tail(_LINES).splitlines()
        found = [line for line in lines if wanted.lower() in line.lower()]
        nothing = f"No line has {wanted!r}." if wanted and lines else "Nothing yet."
        st.code("\n".join(found) or nothing, language=None, height=320)

    st.fragment(draw, run_every=5 if moving else None)()
