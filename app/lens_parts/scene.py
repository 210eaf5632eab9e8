"""What the Lens page looks at: whose history, what was changed, and what the model says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

import resources
import state
import tables
from fame.checkpoint import Checkpoint
from fame.data.head_values import numbers_of
from fame.errors import DataError, FameError
from fame.lens.compare import Comparison, compare
from fame.lens.trace import SequenceTrace
from fame.models.sequence_model import Intervention
from fame.presentation.names import HeadNames
from pickers import Person, chosen_expert

UNTOUCHED = Intervention()


@dataclass(frozen=True)
class Scene:
    """One history under the lens.

    Attributes:
        person: Whose it is; ``person.history`` is whole.
        k: Items in every list.
        without: Items of the history that are left out.
        history: The history without them: what the model is given.
        desk: What the mixing desk does to gate and router.
        trace: What the model says, all changes made.
        real: What it says of the history as it really was, with nothing changed.
        called: What the heads are called.
        new: ``[H]`` the values, by number, of an item that nobody has clicked; ``None`` where none
            was asked for.
    """

    opened: Checkpoint
    person: Person
    k: int
    without: tuple[int, ...]
    history: np.ndarray
    desk: Intervention
    trace: SequenceTrace
    real: SequenceTrace
    called: HeadNames
    new: list[list[int]] | None

    @property
    def head_names(self) -> list[str]:
        """``[H]`` what the heads are called."""
        return self.called.heads(self.trace.heads)

    @cached_property
    def fused(self) -> pd.DataFrame:
        """The fused list of :func:`tables.fused_list`, for all who show it; nobody changes it."""
        return tables.fused_list(
            self.opened.items, self.trace, self.k, self.person.held_out, raw=False
        )

    @cached_property
    def by_head(self) -> pd.DataFrame:
        """Each head’s own list of :func:`tables.head_lists`, likewise."""
        return tables.head_lists(self.opened.items, self.trace, self.k, self.person.held_out)

    @property
    def edited(self) -> bool:
        """Whether the history is another one than it really was."""
        return not np.array_equal(self.trace.history, self.real.history)

    @property
    def touched(self) -> bool:
        return self.edited or self.desk != UNTOUCHED

    def comparison(self) -> Comparison:
        """The list as it really is against the list after all changes."""
        return compare(self.real, self.trace, self.k, held_out=self.person.held_out)


def set_up(opened: Checkpoint, person: Person, k: int) -> Scene | None:
    """The scene that the choices ask for; ``None`` as long as a composed history is empty.

    What they ask for in vain, because no item, head or expert is there, is told and left aside.
    """
    state.of_history(opened.name)
    desk = _desk(opened)
    chosen_expert(opened)
    new = _new(opened)
    if not len(person.history):
        return None
    without = _without(opened, person.history)
    history = person.history[~np.isin(person.history, without)]
    original = person.history if person.original is None else person.original
    return Scene(
        opened=opened,
        person=person,
        k=k,
        without=without,
        history=history,
        desk=desk,
        trace=resources.trace(opened, history, desk),
        real=resources.trace(opened, original),
        called=resources.called(opened),
        new=new,
    )


def _without(opened: Checkpoint, history: np.ndarray) -> tuple[int, ...]:
    index, ids = resources.item_index(opened), state.get("without")
    kept = tuple(item for item in ids if index.get(item, 0) in history)
    if len(kept) < len(ids):
        strange = next(item for item in ids if item not in kept)
        state.notice(f"The history has no item {strange!r} to leave out.")
    without = tuple(index[item] for item in kept)
    if kept and np.isin(history, without).all():
        state.notice("A history needs one click at least, so none is left out.")
        kept = without = ()
    if kept != ids:
        state.settle("without", kept)
    return without


def _desk(opened: Checkpoint) -> Intervention:
    """The desk's intervention; a part of it that this model cannot do is told and left aside."""
    model = opened.model
    desk = Intervention()
    try:
        desk = Intervention(gate=state.get("gate"))
        desk.gate_weights(model.heads)
        if model.heads == 1 and desk.gate is not None:
            raise FameError("This model has one head, so there is no gate to set.")
    except FameError as error:
        state.notice(f"{error} The gate is left as it is.")
        state.settle("gate", None)
        desk = Intervention()
    try:
        whole = replace(desk, muted=state.get("mute"), solo=state.get("solo"))
        whole.expert_mask(model.heads, model.experts)
    except FameError as error:
        state.notice(f"{error} The experts are left as they are.")
        state.settle("mute", ())
        state.settle("solo", ())
        return desk
    return whole


def _new(opened: Checkpoint) -> list[list[int]] | None:
    """The values of an item to be composed; one that the checkpoint does not know is told."""
    asked = state.get("new")
    if not asked:
        return None
    try:
        return numbers_of(asked, opened.value_names)
    except DataError as error:
        state.notice(f"{error} It is left aside.")
    known = {name for own in opened.value_names for name in own}
    asked = tuple(name for name in asked if name in known)
    state.settle("new", asked)
    return numbers_of(asked, opened.value_names) if asked else None


# --- callbacks ---------------------------------------------------------------------------------


def leave_out(item: str) -> None:
    """Takes an item, by its id, out of the history."""
    state.put("without", (*state.get("without"), item))


def put_back(item: str) -> None:
    state.put("without", tuple(other for other in state.get("without") if other != item))


def real_history() -> None:
    """Back to what the person really clicked."""
    state.put("without", ())
    if state.get("source") == state.OWN and state.get("origin"):
        state.put("source", state.get("origin"))


def reset_desk() -> None:
    for name in state.DESK:
        state.put(name, state.CHOICES[name].default)
