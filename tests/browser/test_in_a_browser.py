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
    here.expect(here.page.locator(".stage .click.latest")).to_have_count(1)
    here.expect(here.page.locator(".stage .row")).to_have_count(10)
    # A stream from the clicks to each expert, and from each head to each row that it speaks for.
    assert here.page.locator(".stage svg.flow path").count() > 3 + 10
    charts(here, 0)  # nothing waits for a chart
    assert "example=" in here.page.url
    here.page.get_by_text("not on this machine").wait_for()


def test_the_shipped_map_is_drawn(shipped_app, visit):
    here = visit()
    here.open(f"{shipped_app}/atlas?checkpoint=ml-100k&beside=head_1")
    charts(here, 1)  # how far nearest items agree
    maps = here.page.locator(".atlas figure")
    here.expect(maps).to_have_count(2)
    for one in maps.all():
        here.page.wait_for_function(f"chart => ({_DRAWN})(chart) > 200", arg=one.element_handle())
    # What the marks mean is said where they are, and needs no scrolling.
    here.expect(here.page.locator(".atlas .marks li")).not_to_have_count(0)
    here.expect(here.page.locator(".atlas .marks")).to_be_in_viewport()


class Maps:
    """The maps of the Atlas page, and where their points lie."""

    def __init__(self, here, app, **choices):
        self.here, self.page = here, here.page
        address = "&".join(f"{name}={value}" for name, value in choices.items())
        here.open(f"{app}/atlas?checkpoint={made_up.NAME}&overlay=off&{address}")
        here.expect(self.page.locator("canvas.map")).to_have_count(2)

    def asked(self, expression):
        atlas = self.page.locator(".atlas")
        return atlas.evaluate(f"root => {{ const atlas = root.parentNode.atlas; {expression} }}")

    def points(self, number):
        """Where the points of a map are seen on the page."""
        box = self.page.locator("canvas.map").nth(number).bounding_box()
        at = self.asked(f"return atlas.data.items.map((_, place) => atlas.at({number}, place));")
        return [(box["x"] + x, box["y"] + y) for x, y in at]

    def darkness(self, number):
        """How much is drawn where each point lies, from 0 to 255."""
        return self.asked(
            f"""const canvas = atlas.canvases[{number}]; const c = canvas.getContext("2d");
            const ratio = window.devicePixelRatio;
            return atlas.data.items.map((_, place) => {{
                const [x, y] = atlas.at({number}, place);
                return c.getImageData(x * ratio, y * ratio, 1, 1).data[3]; }});"""
        )

    def draw_around(self, *corners):
        self.page.get_by_role("button", name="Draw around points").click()
        self.page.mouse.move(*corners[0])
        self.page.mouse.down()
        for corner in (*corners[1:], corners[0]):
            self.page.mouse.move(*corner, steps=3)
        self.page.mouse.up()
        self.page.locator(".lens-words").wait_for()
        self.here.settled()


def test_points_chosen_in_one_map_light_up_in_the_other(made_up_app, visit):
    maps = Maps(visit(), made_up_app)
    box = maps.page.locator("canvas.map").first.bounding_box()
    left, right = box["x"] + 2, box["x"] + box["width"] / 2
    top, bottom = box["y"] + 2, box["y"] + box["height"] - 2
    meant = [left < x < right for x, _ in maps.points(0)]
    maps.page.locator("canvas.map").first.hover()
    maps.page.mouse.wheel(0, -1)  # hardly any zoom, but a view of one's own
    seen = maps.asked("return atlas.views.get(0).zoom;")
    maps.draw_around((left, top), (right, top), (right, bottom), (left, bottom))
    chosen = maps.asked("return atlas.data.items.map((_, place) => atlas.chosen.has(place));")
    assert sum(a == b for a, b in zip(chosen, meant, strict=True)) >= len(meant) - 1
    told = maps.page.locator(".lens-words").inner_text()
    assert told.startswith(f"{sum(chosen)} items")
    maps.page.get_by_text("that you drew around").wait_for()
    assert maps.asked("return atlas.views.get(0).zoom;") == seen  # a look at something stays
    for number in range(2):
        drawn = maps.darkness(number)
        lit = [d > 200 for d, is_chosen in zip(drawn, chosen, strict=True) if is_chosen]
        faint = [d < 120 for d, is_chosen in zip(drawn, chosen, strict=True) if not is_chosen]
        assert sum(lit) > 0.9 * len(lit) and sum(faint) > 0.7 * len(faint)  # some lie on others

    lines = maps.page.locator(".maps")  # of which the lines are one canvas
    count = f"lines => ({_DRAWN})({{ querySelectorAll: () => [lines.lastChild] }})"
    assert lines.evaluate(count) == 0
    maps.page.get_by_role("button", name="Join by lines").click()
    maps.page.wait_for_function(f"lines => ({count})(lines) > 500", arg=lines.element_handle())
    maps.page.get_by_role("button", name="Choose none").click()
    maps.here.expect(maps.page.locator(".lens-words")).to_have_count(0)


def test_a_click_on_a_point_looks_it_up(made_up_app, visit):
    maps = Maps(visit(), made_up_app)
    at = maps.points(1)
    apart = [min(abs(x - a) + abs(y - b) for a, b in at if (a, b) != (x, y)) for x, y in at]
    place = apart.index(max(apart))  # a point that cannot be mistaken for another one
    maps.page.mouse.click(*at[place])
    item, title = maps.asked(f"return [atlas.data.items[{place}], atlas.data.hover[{place}][0]];")
    maps.page.wait_for_url(re.compile(r"[?&]item=\d+"))
    maps.here.settled()
    field = maps.page.get_by_label("Look up an item", exact=True)
    maps.here.expect(field).to_have_value(title)
    marks = maps.asked("return atlas.data.maps[0].marks;")
    assert [item - 1, "Looked up"] in marks


def test_another_head_is_shown_without_the_rest_of_the_page(made_up_app, visit):
    maps = Maps(visit(), made_up_app)
    maps.page.evaluate("document.querySelector('h1').dataset.same = 'yes'")
    maps.page.get_by_label("Map of", exact=True).click()
    maps.page.get_by_role("option", name="Head 3", exact=True).click()
    maps.page.wait_for_url(re.compile("space=head_2"))
    maps.here.expect(maps.page.locator("figcaption").first).to_have_text("Head 3")
    maps.here.settled()
    maps.page.go_back()
    maps.here.expect(maps.page.locator("figcaption").first).to_have_text("Head 1")


@pytest.mark.parametrize("page", ["Facets", "Atlas", "Train"])
def test_one_press_leads_back_from_a_page(made_up_app, visit, page):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint=made-up&user=u9")
    lens = here.page.url
    here.goto_page(page)
    here.page.wait_for_url(re.compile(f"/{page.lower()}" + ("" if page == "Train" else r"\?")))
    here.settled()
    here.page.go_back()
    here.page.wait_for_url(lens)
    here.settled()
    here.expect(here.page.locator("h1")).to_have_text("Why does this person get this list?")
    assert here.page.url == lens


def test_somebody_is_picked_and_the_address_brings_them_back(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}")
    field = here.page.get_by_label("User id", exact=True)
    field.fill("u7")
    field.press("Enter")
    here.page.wait_for_url(re.compile("user=u7"))
    here.settled()
    words = here.page.locator(".lens-words").text_content()
    latest = here.page.locator(".stage .click.latest").text_content()
    here.expect(here.page.locator(".stage-first")).to_have_count(0)  # what stood in is gone

    here.page.reload()
    here.expect(field).to_have_value("u7")
    here.expect(here.page.locator(".lens-words")).to_have_text(words)
    here.expect(here.page.locator(".stage .click.latest")).to_have_text(latest)

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
    cards = here.page.locator(".stage .click .title")
    here.expect(cards).to_have_text([made_up.SHORTCODE_TITLE, made_up.HTML_TITLE])
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&items=5,6&k=38&part=ledger")
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
    here.expect(here.page.locator(".stage .click.latest .title")).to_have_text(made_up.HTML_TITLE)


def square(visit, chart, number):
    """A square of a chart that one can click on, counted from 0."""
    found = visit.page.locator(f'[class*="st-key-{chart}"] .trace').last.locator(".point")
    found.nth(number).scroll_into_view_if_needed()
    return found.nth(number)


def test_a_click_on_a_square_takes_an_item_out_and_the_way_back(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7&part=clicks")
    before = here.page.locator(".stage .click.latest .title").text_content()
    square(here, "influence", 0).click(force=True)  # the latest click is the first row
    here.page.wait_for_url(re.compile("without="))
    here.settled()
    here.expect(here.page.locator(".stage .click.out .title")).to_have_text(before)
    here.page.get_by_role("button", name="Back to the real history").click()
    here.page.wait_for_url(lambda address: "without=" not in address)
    here.settled()
    here.expect(here.page.locator(".stage .click.out")).to_have_count(0)


def test_the_desk_is_moved_and_the_address_brings_it_back(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7&part=experts")
    fader = here.page.get_by_role("slider", name="Weight of Head 2")
    fader.focus()
    fader.press("Home")  # pulled down
    here.page.wait_for_url(re.compile("gate="))
    here.settled()
    here.expect(fader).to_be_focused()  # whoever uses the keyboard goes on where they were
    square(here, "router", 1).click(force=True)
    here.page.wait_for_url(re.compile("expert="))
    here.settled()
    words = here.page.locator(".lens-words").all_text_contents()
    assert re.search(r"Head\s2\s0\s%", words[0])
    other = visit()
    other.open(here.page.url)
    other.expect(other.page.locator(".lens-words")).to_have_text(words)
    other.page.get_by_role("button", name="Reset the desk").click()
    other.page.wait_for_url(lambda address: "gate=" not in address)
    other.settled()


def test_a_click_on_a_bar_chooses_its_expert_and_one_on_a_dot_its_heads(shipped_app, visit):
    here = visit()
    here.open(f"{shipped_app}/facets?question=experts")
    bars = here.page.locator('[class*="st-key-facets-experts"] .trace.bars .point')
    here.expect(bars).to_have_count(12)
    bars.nth(5).click(force=True, position={"x": 20, "y": 10})
    here.page.wait_for_url(re.compile(r"expert=1(:|%3A)1"))
    here.settled()
    here.expect(here.page.get_by_text("What are the lists with it alone")).to_be_visible()
    here.open(f"{shipped_app}/facets?question=shared")
    dots = here.page.locator('[class*="st-key-facets-shared"] .trace').first.locator(".point")
    dots.nth(0).click(force=True)
    here.page.wait_for_url(re.compile(r"pair=(0(:|%3A)2|1(:|%3A)2)"))


_ROWS = "rows => rows.map(row => row.dataset.slide)"


def test_rows_and_streams_follow_the_desk(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7")
    rows, streams = here.page.locator(".stage .row"), here.page.locator(".stage svg.flow path")
    here.expect(rows).to_have_count(10)
    before, drawn = rows.evaluate_all(_ROWS), streams.count()
    here.page.get_by_role("button", name="Solo Head 3").click()
    here.page.wait_for_url(re.compile("gate=0%2C0%2C1|gate=0,0,1"))
    here.settled()
    assert rows.evaluate_all(_ROWS) != before
    assert 0 < streams.count() < drawn  # the silent heads put nothing in
    only = here.page.locator('.stage svg.flow path:not([data-of="2"])')
    here.expect(only).to_have_count(0)
    expert = here.page.locator('[data-key="expert-2-0"]')
    expert.click()
    here.page.wait_for_url(re.compile("mute=2"))
    here.settled()
    here.expect(expert).to_have_attribute("aria-pressed", "true")


def test_everything_of_the_first_screen_is_on_it(shipped_app, visit):
    here = visit()
    here.page.set_viewport_size({"width": 1400, "height": 900})
    here.open(f"{shipped_app}/")
    here.expect(here.page.locator(".stage .row")).to_have_count(10)
    last = here.page.locator(".stage .row").last.bounding_box()
    assert last["y"] + last["height"] <= 900
    heads = here.page.locator(".stage .head").last.bounding_box()
    assert heads["y"] + heads["height"] <= 900


def test_the_report_is_taken_along(made_up_app, visit, tmp_path):
    here = visit()
    here.open(f"{made_up_app}/?checkpoint={made_up.NAME}&user=u7&gate=0,0,1")
    here.page.get_by_text("More", exact=True).click()
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
    for number in range(1, 7):
        here.page.get_by_role("heading", name=f"{number} of 6").wait_for()
        here.settled()
        if number < 6:
            here.page.keyboard.press("ArrowRight")  # the keys of a presenter
    here.page.get_by_test_id("stMain").get_by_role("button", name="Leave the tour").click()
    here.page.wait_for_url(lambda address: "tour=" not in address and "gate=" not in address)
    here.settled()


def _own_log() -> list[dict[str, object]]:
    """Clicks and a catalogue, as a browser sends files."""
    clicks = "visitorId,POI_id,UTC_time\n" + "".join(
        f"v{person},p{(7 * person + 3 * place * place) % 20},2012-06-{16 + place:02d}\n"
        for person in range(30)
        for place in range(6)
    )
    places = "POI_id,title,kind\n" + "".join(f"p{k},Place {k},kind {k % 3}\n" for k in range(20))
    return [
        {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": text.encode()}
        for name, text in (("visits", clicks), ("places", places))
    ]


def test_a_log_of_ones_own_becomes_a_model_that_is_opened(made_up_app, visit):
    here = visit()
    here.open(f"{made_up_app}/train")
    page = here.page
    for place, file in enumerate(_own_log()):
        page.get_by_test_id("stFileUploaderDropzoneInput").nth(place).set_input_files(file)
        page.get_by_text(file["name"], exact=True).wait_for()
        here.settled()
    page.get_by_text("user = visitorId, item = POI_id, time = UTC_time").wait_for()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("button", name="Train on visits").click()
    page.get_by_text("What became of its rows").wait_for()
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
    charts(here, 3)  # validation, loss, and how facets formed
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
