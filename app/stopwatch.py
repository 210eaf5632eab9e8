"""How long the server takes to redraw Lens after a click; ``python -m fame bench lens`` starts it.

Streamlit's server runs in this process, without its web part: a session a visitor, scripts in
threads, caches shared. A :class:`Visitor` takes the browser's place, presses what it is shown and
waits until the last message of the answer is ready to be sent.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import os
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime import Runtime, RuntimeConfig, SessionClient
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.runtime_util import serialize_forward_msg
from streamlit.runtime.state.session_state import STREAMLIT_INTERNAL_KEY_PREFIX

APP = Path(__file__).resolve().parent
_WIDGET = re.compile(r"(Earlier)-\d+$")  # how the id of a widget that we press ends
_FADER = re.compile(r'data-act="([^"]*weigh[^"]*)"')  # what a fader of the stage says
_SLIDES = re.compile(r'data-slide="([^"]*)"')  # which click, or item of the list, a row shows
LISTED = 10  # items of the list where nobody asked for another length
STAGE = "fame-stage"  # the component of the first screen
_RUNS_AGAIN = ForwardMsg.FINISHED_EARLY_FOR_RERUN
_PATIENCE = 120.0  # seconds for one answer


class Visitor(SessionClient):
    """One person with Lens open, whose every click asks for something that is in no cache.

    Only the widget that is pressed is sent; what the others say, the session still knows.

    Args:
        address: What the browser's address says: whose history, of which checkpoint.
        seed: Visitors of different seeds click differently.
    """

    def __init__(self, server: Runtime, address: dict[str, str], seed: int) -> None:
        self._server = server
        self._query = urlencode(address)
        self._widgets: list[tuple[str, str]] = []  # what each is for, and its id
        self._stage = ""  # the id of the first screen
        self._faders: list[dict[str, object]] = []  # what its faders say
        self._slides: list[str] = []  # the rows of the first screen
        self._answered = asyncio.Event()
        self._fault = ""
        self._rng = random.Random(seed)
        # A whole round of different values, so that a fader is not moved to where it stands.
        self._weights = itertools.cycle(self._rng.sample(range(1, 100), 99))
        self._session = server.connect_session(self, {})

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        """Takes one message of the answer, made into bytes as for a browser."""
        serialize_forward_msg(msg)
        kind = msg.WhichOneof("type")
        if kind == "delta":
            self._look_at(msg.delta)
        elif kind == "page_info_changed":
            self._query = msg.page_info_changed.query_string
        elif kind == "script_finished" and msg.script_finished != _RUNS_AGAIN:
            self._answered.set()

    def _look_at(self, delta: Delta) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "button":
            found = _WIDGET.search(element.button.id)
            if found and not element.button.disabled:
                self._widgets.append((found[1], element.button.id))
        elif kind == "bidi_component" and element.bidi_component.component_name == STAGE:
            markup = json.loads(element.bidi_component.json)["html"]
            self._stage = element.bidi_component.id
            self._faders = [json.loads(html.unescape(act)) for act in _FADER.findall(markup)]
            self._slides = [html.unescape(name) for name in _SLIDES.findall(markup)]
        elif kind == "exception":
            self._fault = element.exception.message
        elif kind == "alert" and element.alert.format == element.alert.ERROR:
            self._fault = element.alert.body

    async def open(self) -> float:
        """Opens the page; like every answer in seconds until it is drawn.

        Raises:
            RuntimeError: where the page tells of a fault instead.
            TimeoutError: where no answer comes.
        """
        return await self._ask()

    async def move_a_fader(self) -> float:
        """Sets the weight of one of the heads on the mixing desk."""
        if not self._faders:
            raise RuntimeError("the page shows no fader")
        act = {**self._rng.choice(self._faders), "to": next(self._weights) / 100}
        pressed = WidgetState(id=f"{STREAMLIT_INTERNAL_KEY_PREFIX}_{self._stage}__events")
        pressed.json_trigger_value = json.dumps([{"event": "act", "value": act}])
        return await self._ask(WidgetState(id=self._stage, json_value="{}"), pressed)

    async def edit(self) -> float:
        """Moves a click of one's own history before the one that came earlier."""
        return await self._ask(WidgetState(id=self._any("Earlier"), trigger_value=True))

    async def hesitate(self, seconds: float) -> None:
        """Does nothing for about so long."""
        await asyncio.sleep(self._rng.uniform(0, 2 * seconds))

    async def look(self, least: float, most: float) -> None:
        """Looks at an answer for some seconds."""
        await asyncio.sleep(self._rng.uniform(least, most))

    def shown(self, kind: str) -> list[str]:
        """The ids in the rows of the first screen that begin with ``click-`` or ``item-``."""
        return [name.removeprefix(kind) for name in self._slides if name.startswith(kind)]

    def _any(self, name: str) -> str:
        widgets = [widget for key, widget in self._widgets if key == name]
        if not widgets:
            raise RuntimeError(f"the page shows no widget {name!r}")
        return self._rng.choice(widgets)

    async def _ask(self, *pressed: WidgetState) -> float:
        message = BackMsg()
        message.rerun_script.query_string = self._query
        message.rerun_script.widget_states.widgets.extend(pressed)
        self._answered.clear()
        self._widgets.clear()
        self._faders.clear()
        started = time.perf_counter()
        self._server.handle_backmsg(self._session, message)
        await asyncio.wait_for(self._answered.wait(), _PATIENCE)
        seconds = time.perf_counter() - started
        if self._fault:
            raise RuntimeError(f"the page said: {self._fault}")
        return seconds


class Redraws:
    """Visitors of one server; a piece of work for ``fame.bench.serve``.

    Args:
        checkpoints: The folder that holds the checkpoint which the addresses name.
        one: The address of the visitor who is to have the server alone.
        crowd: The addresses of those who are to come all at once; their histories are their own,
            so that they can be edited.
    """

    def __init__(
        self, checkpoints: str, one: dict[str, str], crowd: Sequence[dict[str, str]]
    ) -> None:
        os.environ["FAME_CHECKPOINTS"] = checkpoints
        # As ``streamlit run`` does from the folder above; started otherwise, neither is there.
        sys.path[:0] = [str(APP), str(APP.parent)]
        self._loop = asyncio.new_event_loop()
        self._one, *self._crowd = self._loop.run_until_complete(_all_in([one, *crowd]))

    def __call__(self, together: bool, clicks: int, pause: float = 0.0) -> dict[str, list[float]]:
        """``seconds`` of every redraw.

        Args:
            together: Whether the crowd comes, and edits and moves faders by turns; else the one
                visitor moves faders.
            clicks: Of each visitor, one upon the answer to the other.
            pause: Mean seconds between the answer and the next click.
        """
        visitors = self._crowd if together else [self._one]

        async def everybody() -> list[list[float]]:
            return await asyncio.gather(*(go(visitor) for visitor in visitors))

        async def go(visitor: Visitor) -> list[float]:
            seconds = []
            for click in range(clicks):
                await visitor.hesitate(pause)
                edits = together and click % 2 == 1
                seconds.append(await (visitor.edit() if edits else visitor.move_a_fader()))
            return seconds

        answers = self._loop.run_until_complete(everybody())
        return {"seconds": [seconds for answer in answers for seconds in answer]}


async def _all_in(addresses: Sequence[dict[str, str]]) -> list[Visitor]:
    """Starts the server and lets the visitors in, one after the other."""
    server = Runtime(
        RuntimeConfig(
            script_path=str(APP / "main.py"),
            media_file_storage=MemoryMediaFileStorage("/media"),
            uploaded_file_manager=MemoryUploadedFileManager("/_stcore/upload_file"),
        )
    )
    await server.start()
    visitors = [Visitor(server, address, seed) for seed, address in enumerate(addresses)]
    for visitor in visitors:
        await visitor.open()
    return visitors
