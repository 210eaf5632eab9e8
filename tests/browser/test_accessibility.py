"""What everybody can read, hear and reach: WCAG 2.2 A and AA by axe-core, headings, keyboard."""

import re
from itertools import pairwise

import pytest

from tests.browser.looks import CUT
from tests.browser.visits import visits

pytestmark = pytest.mark.browser

VIEWS = {"Lens": "", "Facets": "facets", "Atlas": "atlas", "Train": "train"}
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    },
    "rules": {"heading-order": {"enabled": True}},
    "resultTypes": ["violations"],
}
SERIOUS = ("serious", "critical")


# Lens as it is shown: with a silent head and a muted expert, on the tour, on a stage.
STATES = {
    "touched": "&gate=1,0,0&mute=0:3&part=changed",
    "guess": "&tour=1",
    "heads": "&tour=3",
    "maps": "&tour=4",
    "on a stage": "&present=on",
}


GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}


@pytest.fixture(scope="module", params=VIEWS)
def view(request, chromium, shipped_app):
    """A view on the checkpoint whose heads have names, opened once for all that is asked of it."""
    about = "" if request.param == "Train" else "?checkpoint=ml-100k"
    with visits(chromium) as start:
        here = start()
        here.open(f"{shipped_app}/{VIEWS[request.param]}{about}")
        yield request.param, here


@pytest.fixture(scope="module", params=STATES)
def lens(request, chromium, shipped_app):
    """The Lens in one of its states."""
    with visits(chromium) as start:
        here = start()
        here.open(f"{shipped_app}/?checkpoint=ml-100k{STATES[request.param]}")
        yield here


def _show(here, theme):
    """Has the system go over to a theme, which an open page follows."""
    here.page.emulate_media(color_scheme=theme)
    ground = here.page.get_by_test_id("stApp")
    here.expect(ground).to_have_css("background-color", GROUNDS[theme])
    here.settled()


# Colours are judged as they are in the end: what is on its way there goes there at once.
_AT_ITS_END = """() => {
    const still = document.createElement("style");
    still.textContent = "*, ::before, ::after { transition: none !important }";
    document.head.append(still);
    for (const one of document.getAnimations()) // those in shadow roots too
        if (one.effect.getComputedTiming().endTime < Infinity) one.finish();
}"""


def _violations(here):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    here.page.evaluate(_AT_ITS_END)
    found = axe.Axe().run(here.page, options=RULES).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS or one["id"] == "heading-order"
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", GROUNDS)
def test_no_view_violates_wcag(view, theme):
    _, here = view
    _show(here, theme)
    told = _violations(here)
    assert not told, "\n".join(told)


@pytest.mark.parametrize("theme", GROUNDS)
def test_lens_violates_no_wcag_in_any_state(lens, theme):
    _show(lens, theme)
    told = _violations(lens)
    assert not told, "\n".join(told)


def test_a_view_is_titled_and_its_parts_are_named(view):
    name, here = view
    about = "" if name == "Train" else "ml-100k · "
    assert here.page.title() == f"{name} · {about}FAME Lens"
    levels = here.page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels)), levels

    for chart in here.page.get_by_test_id("stPlotlyChart").all():
        assert chart.get_attribute("role") == "figure"
        assert len(chart.get_attribute("aria-label")) > 20
    for picture in here.page.locator("canvas[role=img]").all():
        assert len(picture.get_attribute("aria-label")) > 20

    helps = here.page.locator('button[aria-label^="Help"]')
    names = helps.evaluate_all("all => all.map(button => button.ariaLabel)")
    assert names and "Help" not in names and len(names) == len(set(names))


# What has the focus, through shadow roots, and whether it is there to be seen.
_FOCUSED = """() => {
    let one = document.activeElement;
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    if (!one || one === document.body) return null;
    const box = one.getBoundingClientRect();
    const label = one.closest("label"); // a toggle is an unseen box in a label that is seen
    const seen = [one, label].some(
        (each) => each?.checkVisibility({ opacityProperty: true, visibilityProperty: true })
            && each.getBoundingClientRect().width > 1);
    return { seen, what: `${one.outerHTML.slice(0, 160)} ${box.width} x ${box.height}` };
}"""


def test_the_keyboard_never_stops_where_nothing_is_seen(view):
    _, here = view
    stops = []
    for _ in range(45):
        here.page.keyboard.press("Tab")
        stop = here.page.evaluate(_FOCUSED)
        if stop is None:
            break
        for _ in range(20):  # the bar over a chart fades in, slowly on a busy machine
            if stop["seen"]:
                break
            here.page.wait_for_timeout(250)
            stop = here.page.evaluate(_FOCUSED)
        stops.append(stop)
    assert len(stops) > 10
    unseen = [stop["what"] for stop in stops if not stop["seen"]]
    assert not unseen, "\n".join(unseen)


def test_the_main_path_goes_by_the_keyboard_alone(shipped_app, visit):
    """To another page, to a map, to the buttons over it."""
    here = visit()
    here.open(f"{shipped_app}/?checkpoint=ml-100k")
    link = here.page.get_by_test_id("stSidebarNav").get_by_role("link").filter(has_text="Atlas")
    for _ in range(12):
        here.page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    here.page.keyboard.press("Enter")
    here.page.wait_for_url(re.compile("/atlas"))
    here.page.locator("canvas.map").first.wait_for()
    here.settled()
    join = here.page.get_by_role("button", name="Join by lines")
    for _ in range(45):
        here.page.keyboard.press("Tab")
        if join.evaluate("button => button.getRootNode().activeElement === button"):
            break
    here.page.keyboard.press("Space")
    here.expect(join).to_have_attribute("aria-pressed", "true")


# Text in columns of letters: with more letters than pixels it is wide.
_SQUEEZED = """() => [...document.querySelectorAll("[data-testid=stMain] :is(p, h1, h2, li, div)")]
    .filter(one => one.children.length === 0 && one.textContent.trim().length > 12
        && one.getClientRects().length && one.offsetWidth < 60 && one.offsetHeight > 60
        && !one.closest("svg, .js-plotly-plot"))
    .map(one => `${one.offsetWidth} x ${one.offsetHeight}: ${one.textContent.slice(0, 60)}`)"""

# By how much the titles of the axes reach beyond their charts.
_TITLES_END = """charts => charts.flatMap(chart => {
    const right = (one) => one.getBoundingClientRect().right;
    return [...chart.querySelectorAll(".xtitle")].map((title) => right(title) - right(chart));
})"""


def test_nothing_is_cut_or_squeezed_on_a_narrow_screen(view):
    """On a phone, and on 1400 pixels at a zoom of 200 %."""
    _, here = view
    for width in (700, 390):
        here.page.set_viewport_size({"width": width, "height": 844})
        here.page.wait_for_timeout(1500)  # charts follow
        here.settled()
        main = here.page.get_by_test_id("stMain")
        assert main.evaluate("main => main.scrollWidth") <= width
        assert here.page.evaluate(CUT, ["[data-testid=stMain] *", width]) == []
        assert here.page.evaluate(_SQUEEZED) == []
        # A title of an axis has room, or can be scrolled to.
        ends = main.locator(".js-plotly-plot").evaluate_all(_TITLES_END)
        assert all(end <= 1 for end in ends), ends
