"""What several parts of a report are built from: a section, and a ranked list of items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fame.report.content import Content
from fame.report.markup import Child, Html, element


def section(name: str, question: str, *body: Child, lede: str | None = None) -> Html:
    """A question, a word on how to read the answer, and the answer."""
    return element(
        "section",
        element("h2", question),
        element("p", lede, class_="quiet") if lede else None,
        body,
        id=name,
    )


@dataclass(frozen=True)
class Line:
    """A line of a ranked list: an item, and what stands beside and below its title.

    ``tag_says`` explains the tag to the mouse.
    """

    item: int
    score: str = ""
    tag: str = ""
    tag_says: str = ""
    below: str = ""


def ranked_list(content: Content, header: Html, lines: Iterable[Line]) -> Html:
    """Items in order, the held-out one and those never seen in training marked."""
    rows = []
    for rank, line in enumerate(lines, 1):
        title = content.names.title(line.item)
        target = line.item == content.subject.held_out
        unseen = content.names.unseen(line.item)
        rows.append(
            element(
                "li",
                element("span", rank, class_="rank"),
                element(
                    "span",
                    "◎ " if target else None,
                    title,
                    _unseen_mark(content) if unseen else None,
                    element("small", line.below) if line.below else None,
                    class_="title",
                ),
                element("span", line.tag, class_="tag", data_tip=line.tag_says)
                if line.tag
                else None,
                element("span", line.score, class_="score") if line.score else None,
                class_="target" if target else None,
                data_item=content.names.id(line.item),
                data_tip=f"{title}\n{content.names.facts(line.item)}".strip(),
            )
        )
    return element("div", header, element("ol", *rows, class_="ranked"), class_="list")


def _unseen_mark(content: Content) -> Html:
    known = "its place is chance" if content.trace.values is None else "known by its values alone"
    return element("sup", "†", data_tip=f"Never seen in training: {known}")


def list_name(content: Content) -> str:
    """What the list is called that the person gets."""
    return "Fused list" if content.trace.experts else "The list"
