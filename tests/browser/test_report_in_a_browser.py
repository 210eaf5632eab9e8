"""A report opened from its file, with no network: every part of it that is alive."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fame.checkpoint import load_checkpoint
from fame.cli import app
from tests import made_up
from tests.browser.looks import CUT

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a person whose history is longer than the model reads, with something changed."""
    home = tmp_path_factory.mktemp("report") / "home"
    made_up.make(home)
    checkpoint = home / "checkpoints" / made_up.NAME
    out = home / "report.html"
    arguments = ["report", str(checkpoint), "--user", made_up.LONG, "--gate", "1,1,4"]
    with made_up.at_home(home):
        done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert made_up.HTML_TITLE in set(load_checkpoint(checkpoint).items["title"])
    return out


@pytest.fixture
def opened(chromium, report: Path) -> Iterator[object]:
    """The report in a window that is offline; whatever it asks for or complains of is a fault."""
    context = chromium.new_context(
        viewport={"width": 1400, "height": 900}, color_scheme="dark", offline=True
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: faults.append(request.url))
    page.goto(report.as_uri())
    faults.remove(report.as_uri())
    yield page
    assert not faults
    context.close()


def test_it_opens_in_the_readers_theme_and_can_be_switched(opened):
    background = "getComputedStyle(document.body).backgroundColor"
    assert opened.evaluate(background) == "rgb(18, 22, 28)"
    opened.get_by_role("button", name="Light or dark").click()
    assert opened.evaluate(background) == "rgb(255, 255, 255)"
    assert opened.evaluate("document.documentElement.scrollWidth") == 1400
    assert opened.locator("h1").inner_text() == f"Why does person {made_up.LONG} get this list?"


def test_the_same_item_lights_up_in_every_list(opened):
    first = opened.locator("#lists li").first
    item = first.get_attribute("data-item")
    first.hover()
    lit = opened.evaluate("[...document.querySelectorAll('.same')].map(e => e.dataset.item)")
    assert len(lit) > 1 and set(lit) == {item}
    assert opened.locator("#tip").inner_text().startswith(first.locator(".title").inner_text()[:4])


def test_the_list_follows_the_step(opened):
    opened.locator(".stacks [data-step='2']").hover()
    data = json.loads(opened.locator("#report-data").inner_text())
    step = data["steps"][2]
    shown = opened.locator("#step-list li").evaluate_all("all => all.map(e => e.dataset.item)")
    assert shown == step["list"]
    title = data["titles"][data["trace"]["history"][step["click"]]]
    assert opened.locator("#step-when").inner_text() == f"After click {step['click'] + 1}: {title}"
    opened.locator("#step").press("End")
    assert opened.locator(".stacks .now").get_attribute("data-step") == str(len(data["steps"]) - 1)


def test_an_expert_is_chosen(opened):
    shown = opened.locator(".panel:visible").get_attribute("id")
    opened.locator(f".expert:not([data-show='{shown}'])").first.click()
    assert opened.locator(".panel:visible").count() == 1
    assert opened.locator(".panel:visible").get_attribute("id") != shown


def test_the_matrix_is_that_of_the_item_chosen(opened):
    before = opened.locator("td[data-effect]").all_inner_texts()
    opened.locator("#influence-of").select_option("3")
    cells = opened.locator("td[data-effect]")
    assert cells.all_inner_texts() != before
    data = json.loads(opened.locator("#report-data").inner_text())
    row = int(opened.locator("tr[data-row]").first.get_attribute("data-row"))
    effect = data["influence"]["effects"][row][3]
    shown = [float(text.replace("−", "-")) for text in cells.all_inner_texts()[:4]]
    assert shown == pytest.approx([sum(effect), *effect], abs=0.0051)


def test_both_measures_of_the_deletion_test_are_there(opened):
    opened.get_by_role("button", name="Loss of the first item's score").click()
    assert opened.locator("#deletion-item svg").is_visible()
    assert not opened.locator("#deletion-list").is_visible()


def test_the_data_can_be_taken_along(opened):
    with opened.expect_download() as found:
        opened.get_by_role("button", name="Data as JSON").click()
    data = json.loads(found.value.path().read_text(encoding="utf-8"))
    assert data["person"] == made_up.LONG and len(data["trace"]["fused"]) == 10
    assert found.value.suggested_filename == f"fame-lens-{made_up.NAME}-{made_up.LONG}.json"


# Pairs of neighbours in a row of the ledger that lie on one another.
_OVERLAPS = """() => [...document.querySelectorAll(".ledger-row, .ranked li, .axis")].flatMap(
row => {
    const boxes = [...row.children].map(one => one.getBoundingClientRect()).filter(b => b.width);
    return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1
    ).map(() => row.textContent.slice(0, 60)));
})"""


@pytest.mark.parametrize("width", [390, 700])  # a phone; 1400 pixels at a zoom of 200 %
def test_nothing_is_cut_or_overlaps_on_a_narrow_screen(opened, width):
    opened.set_viewport_size({"width": width, "height": 844})
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert opened.evaluate(CUT, ["main *, header *", width]) == []
    assert opened.evaluate(_OVERLAPS) == []
    links = opened.locator("header nav a")
    assert all(link.bounding_box()["x"] < width for link in links.all())
    widths = opened.locator(".title").evaluate_all(
        "all => all.filter(one => one.offsetWidth).map(one => one.offsetWidth)"
    )
    assert min(widths) > 100  # nothing is squeezed to a column of letters


def test_on_paper_all_is_there(opened):
    """On A4: light, the whole table, every click with the held-out item, and a list of parts."""
    opened.emulate_media(media="print")
    opened.set_viewport_size({"width": 703, "height": 1000})  # A4 less its margins, at 96 dpi
    assert (
        opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    assert opened.evaluate("document.documentElement.scrollWidth") == 703
    held_out = opened.locator(".card.held-out")
    box = held_out.bounding_box()
    assert held_out.is_visible() and box["x"] + box["width"] <= 703
    for cell in opened.locator("#influence-table tr").first.locator("th").all():
        assert cell.bounding_box()["x"] + cell.bounding_box()["width"] <= 703
    last = opened.locator("#influence-table tbody tr").first.locator("td").last.bounding_box()
    assert last["x"] + last["width"] <= 703
    hidden = opened.locator("#influence-table tbody tr").evaluate_all(
        "all => all.filter(one => !one.offsetHeight).length"
    )
    assert hidden == 0
    parts = opened.locator("section").evaluate_all("all => all.map(one => '#' + one.id)")
    links = opened.locator("header nav a:visible")
    assert links.evaluate_all("all => all.map(one => one.getAttribute('href'))") == parts
    assert opened.locator("#deletion-list svg, #deletion-item svg").count() == 2
    assert all(chart.is_visible() for chart in opened.locator("#truth svg").all())
    assert opened.locator("header button:visible").count() == 0
    assert opened.pdf(prefer_css_page_size=True).startswith(b"%PDF")
