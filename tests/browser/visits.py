"""A page in the browser, waited for as a person would, and what went wrong in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Visit:
    """A page in the browser, and what went wrong in it."""

    def __init__(self, page) -> None:
        from playwright.sync_api import expect  # it is there, since there is a page

        self.page = page
        self.expect = expect  # waits for what is not there yet, as a person would
        expect.set_options(timeout=60_000)
        self.complaints: list[str] = []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)

    def _listen(self, message) -> None:
        # Streamlit first asks for these below the path of the page, and then finds them.
        probing = "/_stcore/" in message.location.get("url", "")
        if message.type == "error" and not probing:
            self.complaints.append(message.text)

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.settled()

    def settled(self) -> None:
        """Waits until the script has run to its end and the charts are drawn."""
        self.page.wait_for_selector("h1")
        self.page.wait_for_timeout(200)  # a click takes a moment to reach the server
        self.page.wait_for_selector('[data-test-script-state="notRunning"]')
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('[data-testid=stPlotlyChart]')]"
            ".every(chart => chart.querySelector('.main-svg'))"
        )
        assert not self.page.locator('[data-testid="stException"]').count()
        assert not self.page.locator('[data-testid="stAlertContentError"]').count()

    def goto_page(self, title: str) -> None:
        self.page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()


@contextmanager
def visits(chromium) -> Iterator[Callable[..., Visit]]:
    """Opens fresh windows, light or dark; at the end there may be no complaint from any."""
    opened, contexts = [], []

    def start(theme: str = "light") -> Visit:
        context = chromium.new_context(viewport={"width": 1400, "height": 900}, color_scheme=theme)
        contexts.append(context)
        opened.append(Visit(context.new_page()))
        return opened[-1]

    yield start
    for context in contexts:
        context.close()
    assert not [complaint for each in opened for complaint in each.complaints]
