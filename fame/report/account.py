"""What the list is and what it is made of: the person, the lists, the ledger, the held-out item."""

from __future__ import annotations

import numpy as np

from fame.lens.faithfulness import Verdict
from fame.lens.trace import item_ranks
from fame.presentation.names import OTHER_LISTS
from fame.presentation.palette import NEUTRAL
from fame.presentation.sentences import (
    account_sentence,
    because_sentence,
    held_out_sentence,
    history_sentence,
    without_head_sentence,
)
from fame.presentation.text import changes, count, percent, points, quoted, shortened
from fame.presentation.values import BY_VALUE, head_lines
from fame.report.charts import LedgerRow, chip, head_chip, ledger_bars, share_bar, value_lines
from fame.report.content import Content
from fame.report.markup import Child, Html, element
from fame.report.parts import Line, list_name, ranked_list, section


def title_of(content: Content) -> str:
    who = content.subject.person
    return f"Why does {f'person {who}' if who is not None else 'this history'} get this list?"


def summary(content: Content) -> list[str]:
    """What the numbers say, in two or three sentences."""
    trace = content.trace
    sentences = [
        history_sentence(len(trace.history), len(trace.read)),
        without_head_sentence(trace.gate, content.without_head, len(content.fused), content.called),
    ]
    if len(content.influence.items):
        sentences.append(_because(content, content.fused["item"].tolist()[0]))
    return sentences


def _because(content: Content, item: int) -> str:
    rows = content.causes[content.causes["item"] == item]
    named = zip(rows["cause"].tolist(), rows["effect"].tolist(), strict=True)
    causes = [(content.names.title(cause), effect) for cause, effect in named]
    return because_sentence(content.names.title(item), causes)


def facts(content: Content) -> Html:
    """The four figures at the top."""
    trace, subject = content.trace, content.subject
    tiles = [
        _tile(
            "Clicks read",
            f"{len(trace.read):,}",
            f"of {len(trace.history):,}" if trace.seen_from else "the whole history",
        ),
    ]
    if trace.experts:
        largest = int(np.argmax(trace.gate))
        remark = f"{content.called.head(largest)} has most, {percent(trace.gate[largest])}"
        if trace.heads == 2:
            remark = " : ".join(percent(share) for share in trace.gate)
        tiles.append(_tile("Gate", share_bar(trace.gate, content.called), remark))
    if content.account is not None and subject.held_out is not None:
        title = shortened(content.names.title(subject.held_out), 40)
        rank, where = content.account.rank, f"of {content.account.candidates:,}, {title}"
        if rank is None:
            tiles.append(_tile("Held-out item", "In no list", f"it is in the history: {title}"))
        else:
            tiles.append(_tile("Held-out item at rank", f"{rank:,}", where))
    curve = content.curves.get("list")
    tiles.append(
        _tile("Explanation", _VERDICTS[curve.verdict][0], _VERDICTS[curve.verdict][1])
        if curve
        else _tile("Explanation", "Not tested", "too short a history")
    )
    return element("div", *tiles, class_="tiles")


_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "holds": ("Holds", "beyond its first click"),
    "unclear": ("Unclear", "beyond its first click, like chance"),
    "fails": ("Does not hold", "random clicks matter more"),
}


def _tile(label: str, figure: Child, remark: str) -> Html:
    return element(
        "div",
        element("span", label, class_="label"),
        element("div", figure, class_="figure"),
        element("span", remark, class_="remark"),
        class_="tile",
    )


def history(content: Content) -> Html:
    trace, influence = content.trace, content.influence
    lost = dict(zip(influence.items.tolist(), influence.replaced.tolist(), strict=True))
    cards = []
    if trace.seen_from:
        cards.append(
            element(
                "div",
                element("b", f"{trace.seen_from:,}"),
                "earlier, too far back to be read",
                class_="card earlier",
            )
        )
    for place in range(trace.seen_from, len(trace.history)):
        item = int(trace.history[place])
        latest = place == len(trace.history) - 1
        when = f"Click {place + 1:,}{', the latest' if latest else ''}"
        cards.append(_card(content, item, when, "latest" if latest else "", lost.get(item)))
    held_out = content.subject.held_out
    if held_out is not None:
        cards.append(_card(content, held_out, "◎ Held out", "held-out"))
    left_out = [quoted(content.names.title(item)) for item in content.subject.without]
    said = history_sentence(len(trace.history), len(trace.read))
    if left_out:
        said += f" Left out of it: {', '.join(left_out)}."
    if lost:
        said += (
            f" The bar in a card: how many of the {count(len(content.fused), 'recommendation')} "
            "leave the list when that click is left out."
        )
    strip = element("div", *cards, class_="strip", tabindex=0, aria_label="History")
    return section("history", "What does the model know?", strip, lede=said)


def _card(content: Content, item: int, when: str, kind: str, replaced: int | None = None) -> Html:
    title, k = content.names.beside_facts(item), len(content.fused)
    bar = None
    if replaced is not None:
        bar = element(
            "span",
            element("i", style=f"width:{100 * replaced / k:.0f}%"),
            class_="meter",
            data_tip=f"Without it {changes(replaced, k)}",
        )
    return element(
        "div",
        element("span", when, class_="when"),
        element("b", title),
        element("small", content.names.facts(item)),
        bar,
        class_=f"card {kind}",
        data_item=content.names.id(item),
        data_tip=title,
    )


def lists(content: Content) -> Html:
    trace = content.trace
    ranks = dict(zip(content.fused["item"].tolist(), content.fused["rank"].tolist(), strict=True))
    names = content.names
    fused = []
    for item, score in zip(content.fused["item"], content.fused["score"], strict=True):
        causes = content.causes["cause"][content.causes["item"] == item].tolist()
        because = " and ".join(shortened(names.title(cause), 28) for cause in causes)
        fused.append(Line(item, points(score), below=f"because of {because}" if because else ""))
    found = [ranked_list(content, chip(list_name(content), NEUTRAL, "what the person gets"), fused)]
    if trace.experts:
        for head, share in enumerate(trace.gate.tolist()):
            rows = content.lists[content.lists["head"] == head]
            lines = [
                Line(
                    item,
                    points(score),
                    f"#{ranks[item]}" if item in ranks else "",
                    f"Rank {ranks.get(item)} of the fused list",
                )
                for item, score in zip(rows["item"], rows["score"], strict=True)
            ]
            found.append(
                ranked_list(
                    content, head_chip(head, content.called, f"gate share {percent(share)}"), lines
                )
            )
    lede = (
        "Hold the mouse over an item to find it in every list. A tag such as #3 is the item's rank "
        "in the fused list; numbers are points of score above the average item; “because of” names "
        "the clicks whose leaving out costs the item most."
    )
    unseen = any(
        names.unseen(int(item)) for item in [*content.fused["item"], *content.lists["item"]]
    )
    note = element("p", "† never seen in training", class_="quiet") if unseen else None
    question = "What is recommended, and what by each head alone?"
    if not trace.experts:
        question = "What is recommended?"
    return section("lists", question, element("div", *found, class_="lists"), note, lede=lede)


def others(content: Content) -> Html | None:
    """What simpler recommenders would have shown."""
    if not content.others:
        return None
    ranks = dict(zip(content.fused["item"].tolist(), content.fused["rank"].tolist(), strict=True))
    found = []
    for name, items in content.others.items():
        label, remark = OTHER_LISTS[name]
        lines = [
            Line(
                int(item),
                tag=f"#{ranks[item]}" if item in ranks else "",
                tag_says=f"Rank {ranks.get(item)} of the fused list",
            )
            for item in items.tolist()
        ]
        found.append(ranked_list(content, chip(label, NEUTRAL, remark), lines))
    return section(
        "others",
        "What would simpler recommenders have shown?",
        element("div", *found, class_="lists"),
    )


def ledger(content: Content) -> Html:
    trace = content.trace
    parts = content.fused[[f"head_{head}" for head in range(trace.heads)]].to_numpy()
    rows = [
        LedgerRow(
            rank,
            content.names.id(item),
            content.names.title(item),
            own,
            item == content.subject.held_out,
            _by_value(content, item),
        )
        for rank, item, own in zip(
            content.fused["rank"].tolist(), content.fused["item"].tolist(), parts, strict=True
        )
    ]
    if trace.heads == 1:
        lede = "The bar is the score that ranks the item; 0 is the average item."
        return section(
            "ledger", "How far apart are they?", ledger_bars(rows, content.called), lede=lede
        )
    legend = element(
        "div", *(head_chip(head, content.called) for head in range(trace.heads)), class_="legend"
    )
    lede = (
        "An item's score is the exact sum of what the heads put in: gate share times the head's "
        "own score, where 0 is the average item. Bars to the right speak for an item, bars to the "
        "left against it; the diamond is the sum."
    )
    if content.by_value:
        lede += f" {BY_VALUE}"
    return section(
        "ledger",
        "What did each head put into it?",
        legend,
        ledger_bars(rows, content.called),
        lede=lede,
    )


def _by_value(content: Content, item: int) -> Html | None:
    """An item's score down to its values, where it is made of any."""
    if item not in content.by_value:
        return None
    lines = head_lines(content.by_value[item], content.checkpoint.value_names)
    return value_lines(lines, content.called.heads(content.trace.heads))


def held_out(content: Content) -> Html | None:
    account, item = content.account, content.subject.held_out
    if account is None or item is None:
        return None
    trace, names = content.trace, content.names
    rank, by_head = item_ranks(trace, item)
    cards = [_rank_card(chip(list_name(content), NEUTRAL), rank, account.candidates)]
    if trace.experts:
        cards += [
            _rank_card(head_chip(head, content.called), own, account.candidates)
            for head, own in enumerate(by_head)
        ]
    said = held_out_sentence(names.title(item), rank, by_head, account.candidates, content.called)
    body: list[Child] = [
        element("p", said),
        element("div", *cards, class_="ranks"),
    ]
    if account.rank is not None and account.rival is not None:
        rival = names.title(account.rival)
        rows = [
            LedgerRow(
                account.rank,
                names.id(item),
                names.title(item),
                account.by_head["contribution"].to_numpy(),
                held_out=True,
                below=_by_value(content, item),
            ),
            LedgerRow(
                account.rival_rank or 0,
                names.id(account.rival),
                rival,
                account.by_head["rival_contribution"].to_numpy(),
                below=_by_value(content, account.rival),
            ),
        ]
        rows.sort(key=lambda row: row.rank)
        body += [
            element("h3", "Why not higher?" if account.lead < 0 else "Why is it in the list?"),
            element("p", account_sentence(account, names.title(item), rival, content.called)),
            ledger_bars(rows, content.called),
        ]
    return section("held-out", "Would they have found what they really chose?", *body)


def _rank_card(header: Html, rank: int | None, candidates: int) -> Html:
    figure, remark = (
        ("–", "in the history") if rank is None else (f"{rank:,}", f"of {candidates:,}")
    )
    return element(
        "div", header, element("b", figure), element("small", remark), class_="rank-card"
    )  # fmt: skip
