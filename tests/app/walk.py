"""Reading a page that AppTest has drawn."""

import html
import json
import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

from fame.checkpoint import load_checkpoint
from fame.data import load
from fame.survey import People, survey
from tests import made_up

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
LENS, ATLAS, TRAIN = "views/lens.py", "views/atlas.py", "views/train.py"


def query(app: AppTest, name: str) -> str | None:
    """What the address says."""
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def warnings(app: AppTest) -> str:
    """All warnings as somebody reads them, every space a plain one."""
    told = " ".join(warning.value for warning in app.warning)
    return told.replace("\\", "").replace("\u2060", "").replace("\u00a0", " ")


def html_of(app: AppTest) -> str:
    """All HTML on the page, every space a plain one.

    Styles and scripts are left out.
    """
    bodies = [element.proto.body for element in app.get("html")]
    bodies += [
        json.loads(element.proto.json).get("html", "") for element in app.get("bidi_component")
    ]
    aside = ("<style>", "<script>")
    shown = (body for body in bodies if not body.startswith(aside))
    return "\n".join(shown).replace("\u00a0", " ")


def press(app: AppTest, **act: object) -> AppTest:
    """Does what a button of the stage does: its ``data-act`` is ``act``."""
    offered = re.findall(r' data-act="([^"]*)"', html_of(app))
    buttons = [json.loads(html.unescape(found)) for found in offered]
    assert {name: value for name, value in act.items() if name != "to"} in buttons
    return send(app, act)


def send(app: AppTest, act: object) -> AppTest:
    """Sends what a browser would, whether or not a button of the stage says it."""
    found = app.get("bidi_component")
    (stage,) = [one for one in found if one.proto.component_name == "fame-stage"]
    widgets = app._tree.get_widget_states()
    pressed = widgets.widgets.add()
    pressed.id = f"$$STREAMLIT_INTERNAL_KEY_{stage.proto.id}__events"
    pressed.json_trigger_value = json.dumps([{"event": "act", "value": act}])
    return app._run(widgets)


def charts_of(app: AppTest) -> list[str]:
    """The names of the charts, in the order of the page."""
    return [chart.proto.id.split("-", 2)[2] for chart in app.get("plotly_chart")]


def labelled(app: AppTest, label: str):
    """The first button of that label."""
    return next(button for button in app.button if button.label == label)


def headings(app: AppTest) -> list[str]:
    return [heading.value for heading in app.header]


def surveyed(home: Path) -> People:
    """Makes the survey of the made-up checkpoint; gives its people."""
    checkpoint = load_checkpoint(home / "checkpoints" / made_up.NAME)
    return survey(checkpoint, load(made_up.NAME, offline=True).interactions, sample=10)[0]


def assert_calm(app: AppTest) -> None:
    """No traceback, no fault of ours told instead of one, and shares written alike everywhere."""
    assert not app.exception
    assert not [error.value for error in app.error]
    for chart in app.get("plotly_chart"):
        assert_shares_are_written_as_in_sentences(json.loads(chart.proto.spec))


def assert_shares_are_written_as_in_sentences(chart: dict) -> None:
    """``50 %``, where Plotly's own number formats leave out the space."""
    for trace in chart["data"]:
        assert not re.search(r":[^}]*%}", trace.get("hovertemplate") or "")
        assert not re.search(r"\d%", json.dumps(trace.get("hovertext") or ""))
    for name, axis in chart["layout"].items():
        if "axis" in name and "%" in (axis.get("tickformat") or ""):
            assert axis["labelalias"]["50%"] == "50 %"


# --- the form of a run ---------------------------------------------------------------------------


def field(app, name, model="fame", data=made_up.NAME):
    """The widget of a setting."""
    key = f"setting-{data}-{model}-{name}"
    kinds = (app.number_input, app.segmented_control, app.text_input)
    return next(one for kind in kinds for one in kind if one.key == key)


def start(app, name=None):
    app.selectbox[0].set_value(made_up.NAME).run()
    if name is not None:
        app.text_input(key=name_key(app)).set_value(name).run()
    button = app.button(key="start")
    return app if button.disabled else button.click().run()


def name_key(app):
    return next(one.key for one in app.text_input if one.label.startswith("Name"))
