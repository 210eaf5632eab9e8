"""The ways people go through the app, in a real browser."""

import re

import pytest

from tests import made_up

pytestmark = pytest.mark.browser

# Counts the pixels of a WebGL chart that something was drawn on.
_DRAWN = """chart => {
    const canvas = [...chart.querySelectorAll('canvas.gl-canvas-context, canvas')];
    return canvas.reduce((most, one) => {
        const copy = document.createElement('canvas');
        copy.width = one.width; copy.height = one.height;
        if (!one.width || !one.height) return most;
        const to = copy.getContext('2d');
        to.drawImage(one, 0, 0);
        const pixels = to.getImageData(0, 0, copy.width, copy.height).data;
        let drawn = 0;
        for (let place = 3; place < pixels.length; place += 4) drawn += pixels[place] > 0;
        return Math.max(most, drawn);
    }, 0);
}"""


def charts(visit, count):
    """The charts of the page, once there are that many and all are drawn."""
    found = visit.page.locator('[data-testid="stPlotlyChart"]:has(.main-svg)')
    visit.expect(found).to_have_count(count)
    return found


@pytest.mark.parametrize("checkpoint", ["ml-100k", "beauty"])
def test_a_shipped_checkpoint_opens_without_any_data(shipped_app, visit, checkpoint):
    here = visit()
    here.open(f"{shipped_app}/?checkpoint={checkpoint}")
    assert here.page.title()
    charts(here, 2)
    here.expect(here.page.locator(".lens-card.latest")).to_have_count(1)
    assert here.page.locator('[data-testid="stPlotlyChart"] .bars .point').count() > 10
    assert "example=" in here.page.url
    here.page.get_by_text("not on this machine").wait_for()


def test_the_shipped_map_is_drawn(shipped_app, visit):
    here = visit()
    here.open(f"{shipped_app}/atlas?checkpoint=ml-100k&beside=head_1")
    *maps, _ = charts(here, 3).all()  # the last one tells how far nearest items agree
    for chart in maps:
        here.page.wait_for_function(f"chart => ({_DRAWN})(chart) > 200", arg=chart.element_handle())


def test_somebody_is_picked_and_the_address_brings_them_back(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}")
    field = here.page.get_by_label("User id", exact=True)
    field.fill("u7")
    field.press("Enter")
    here.page.wait_for_url(re.compile("user=u7"))
    here.settled()
    words = here.page.locator(".lens-words").text_content()
    latest = here.page.locator(".lens-card.latest").text_content()

    here.page.reload()
    here.expect(field).to_have_value("u7")
    here.expect(here.page.locator(".lens-words")).to_have_text(words)
    here.expect(here.page.locator(".lens-card.latest")).to_have_text(latest)

    other = visit()  # somebody else, with nothing but the address
    other.open(here.page.url)
    other.expect(other.page.locator(".lens-words")).to_have_text(words)


def test_the_browsers_way_back(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u1")
    field = here.page.get_by_label("User id", exact=True)
    field.fill("u2")
    field.press("Enter")
    here.page.wait_for_url(re.compile("user=u2"))
    here.settled()
    here.page.go_back()
    here.page.wait_for_url(re.compile("user=u1"))
    here.expect(field).to_have_value("u1")
    here.settled()
    assert "user=u1" in here.page.url


def test_another_page_keeps_the_person(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u9&k=7")
    here.goto_page("Atlas")
    here.page.wait_for_url(re.compile("/atlas.*user=u9"))
    here.settled()
    here.expect(here.page.locator("h1")).to_have_text("What does each head see in an item?")
    here.expect(here.page.get_by_label("User id", exact=True)).to_have_value("u9")
    here.goto_page("Lens")
    here.page.wait_for_url(re.compile("user=u9&k=7"))
    here.settled()


def test_titles_are_shown_as_they_are(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&items=1,2")
    cards = here.page.locator(".lens-card b")
    here.expect(cards).to_have_text([made_up.HTML_TITLE, made_up.SHORTCODE_TITLE])
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&items=5,6&k=38")
    labels = here.page.locator(".ytick text").filter(has_text=made_up.HTML_TITLE)
    here.expect(labels).to_have_count(1)


def test_an_item_is_added_to_a_history_of_ones_own(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&items=5,6")
    search = here.page.get_by_label("Search the catalogue and add an item", exact=True)
    search.click()
    search.type("NSYNC")
    here.page.get_by_role("option").first.click()
    here.page.wait_for_url(re.compile(r"items=5(,|%2C)6(,|%2C)1\b"))
    here.settled()
    here.expect(here.page.locator(".lens-card.latest b")).to_have_text(made_up.HTML_TITLE)


def square(visit, chart, number):
    """A square of a chart that one can click on, counted from 0."""
    found = visit.page.locator(f'[class*="st-key-{chart}"] .trace').last.locator(".point")
    found.nth(number).scroll_into_view_if_needed()
    return found.nth(number)


def test_a_click_on_a_square_takes_an_item_out_and_the_way_back(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7")
    before = here.page.locator(".lens-card.latest b").text_content()
    square(here, "influence", 0).click(force=True)  # the latest click is the first row
    here.page.wait_for_url(re.compile("without="))
    here.settled()
    here.expect(here.page.locator(".lens-card.latest b")).not_to_have_text(before)
    here.page.get_by_role("button", name="Back to the real history").click()
    here.page.wait_for_url(re.compile("user=u7$"))
    here.expect(here.page.locator(".lens-card.latest b")).to_have_text(before)


def test_the_desk_is_moved_and_the_address_brings_it_back(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7&part=experts")
    fader = here.page.get_by_role("slider", name="Weight of Head 2")
    fader.focus()
    fader.press("Home")  # pulled down
    here.page.wait_for_url(re.compile("gate="))
    here.settled()
    square(here, "router", 1).click(force=True)
    here.page.wait_for_url(re.compile("expert="))
    here.settled()
    words = here.page.locator(".lens-words").all_text_contents()
    assert "Head 2 0 %" in words[0]
    other = visit()
    other.open(here.page.url)
    other.expect(other.page.locator(".lens-words")).to_have_text(words)
    other.page.get_by_role("button", name="Reset the desk").click()
    other.page.wait_for_url(lambda address: "gate=" not in address)
    other.settled()


def test_the_report_is_taken_along(made_up_app, visit, tmp_path):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7&gate=0,0,1")
    here.page.get_by_role("button", name="Take it along").click()
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="Download report").click()
    download.value.save_as(tmp_path / "report.html")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Why does person u7 get this list?" in report
    assert "gate=0%2C0%2C1" in report  # the link back


def test_the_tour_on_a_stage(made_up_app, visit):
    here = visit("dark")
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7&present=on")
    here.page.get_by_role("button", name="Guided tour").click()
    for number in range(1, 6):
        here.page.get_by_role("heading", name=f"{number} of 5").wait_for()
        here.settled()
        if number < 5:
            here.page.get_by_role("button", name="Next").click()
    charts(here, 1)
    here.page.get_by_test_id("stMain").get_by_role("button", name="Leave the tour").click()
    here.page.wait_for_url(lambda address: "tour=" not in address and "gate=" not in address)
    here.settled()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", ["", "facets", "atlas", "train"])
def test_both_themes_load_without_complaint(made_up_app, visit, theme, page):
    here = visit(theme)
    here.open(f"{made_up_app}/{page}")
    colour = here.page.locator('[data-testid="stApp"]').evaluate(
        "app => getComputedStyle(app).backgroundColor"
    )
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}[theme]


def test_a_model_is_trained_and_opened(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/train")
    page = here.page
    page.get_by_label("Data set", exact=True).click()
    page.get_by_role("option", name=made_up.NAME).click()
    here.settled()
    page.get_by_text(re.compile("^Settings, ")).first.click()
    for label, value in (("Epochs, at most", "2"), ("Width", "8"), ("Clicks read", "8")):
        field = page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Enter")
        here.settled()
    name = page.get_by_label("Name of the checkpoint", exact=True)
    name.fill("from-the-browser")
    name.press("Enter")
    here.settled()
    page.locator(".st-key-start button").click()
    page.wait_for_url(re.compile("run=from-the-browser"))
    page.reload()  # the page finds the run again
    finished = page.locator(".lens-chip").filter(has_text="Finished")
    finished.wait_for(timeout=400_000)
    here.settled()
    charts(here, 2)
    page.get_by_role("button", name="Open in Lens").click()
    page.wait_for_url(re.compile("checkpoint=from-the-browser"))
    here.settled()
    here.expect(page.locator("h1")).to_have_text("Why does this person get this list?")


def test_a_run_is_stopped_while_it_trains_and_opened_as_it_is(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/train")
    page = here.page
    page.get_by_label("Data set", exact=True).click()
    page.get_by_role("option", name=made_up.NAME).click()
    here.settled()
    page.get_by_text(re.compile("^Settings, ")).first.click()
    for label, value in (("Epochs, at most", "100000"), ("Patience", "0")):
        field = page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Enter")
        here.settled()
    name = page.get_by_label("Name of the checkpoint", exact=True)
    name.fill("endless")
    name.press("Enter")
    here.settled()
    page.locator(".st-key-start button").click()
    page.wait_for_url(re.compile("run=endless"))
    lens = page.get_by_role("button", name="Open in Lens")
    page.get_by_text("It opens as it was after epoch").wait_for(timeout=400_000)
    page.get_by_role("button", name="Stop after this step").click()
    # Acknowledged at once, and never to be pressed a second time.
    stopping = page.get_by_role("button", name="Stopping after this step …")
    stopped = page.locator(".lens-chip").filter(has_text="Stopped")
    here.expect(stopping.or_(stopped).first).to_be_visible()
    stopped.wait_for(timeout=400_000)
    page.get_by_role("button", name="Resume").wait_for()
    lens.click()
    page.wait_for_url(re.compile("checkpoint=endless"))
    here.settled()
    here.expect(page.locator("h1")).to_have_text("Why does this person get this list?")
