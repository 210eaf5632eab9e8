"""The parts of a report, each the answer to one question: content to HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fame.lens.experts import ExpertAccount
from fame.lens.faithfulness import MEASURES, Verdict
from fame.lens.influence import list_order
from fame.lens.trace import item_ranks
from fame.lens.words import (
    account_sentence,
    because_sentence,
    changes,
    checkpoint_sentence,
    comparison_sentence,
    count,
    faithfulness_sentence,
    head_name,
    held_out_sentence,
    history_sentence,
    percent,
    points,
    quoted,
    shortened,
    without_head_sentence,
)
from fame.report.charts import (
    LedgerRow,
    Move,
    chip,
    columns,
    deletion_chart,
    head_chip,
    ledger_bars,
    share_bar,
    slope_chart,
    square,
)
from fame.report.content import Content
from fame.report.markup import Child, Html, element
from fame.report.palette import AGAINST, FOR, NEUTRAL, head_colour

_SHOWN_CLICKS = 12  # rows of the influence matrix before "show all"
_OTHERS = {
    "popularity": ("Popularity", "clicked most by everybody"),
    "markov": ("Markov chain", "what followed the latest click"),
    "sasrec": ("SASRec", "one query, no heads of its own"),
}


def section(name: str, question: str, *body: Child, lede: str | None = None) -> Html:
    """A question, a word on how to read the answer, and the answer."""
    return element(
        "section",
        element("h2", question),
        element("p", lede, class_="quiet") if lede else None,
        body,
        id=name,
    )


def title_of(content: Content) -> str:
    who = content.subject.person
    return f"Why does {f'person {who}' if who is not None else 'this history'} get this list?"


def summary(content: Content) -> list[str]:
    """What the numbers say, in two or three sentences."""
    trace, k = content.trace, len(content.fused)
    sentences = [
        history_sentence(len(trace.history), len(trace.read)),
        without_head_sentence(trace.gate, content.without_head, k),
    ]
    if k and len(content.influence.items):
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
        remark = f"{head_name(largest)} has most, {percent(trace.gate[largest])}"
        if trace.heads == 2:
            remark = " : ".join(percent(share) for share in trace.gate)
        tiles.append(_tile("Gate", share_bar(trace.gate), remark))
    if content.account is not None and subject.held_out is not None:
        title = shortened(content.names.title(subject.held_out), 40)
        where = f"of {content.account.candidates:,}, {title}"
        tiles.append(_tile("Held-out item at rank", f"{content.account.rank:,}", where))
    curve = content.curves.get("list")
    tiles.append(
        _tile("Explanation", _VERDICTS[curve.verdict][0], _VERDICTS[curve.verdict][1])
        if curve
        else _tile("Explanation", "Not tested", "too short a history")
    )
    return element("div", *tiles, class_="tiles")


_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "holds": ("Holds", "beats random deletion"),
    "unclear": ("Not borne out", "no better than chance"),
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


# --- history -----------------------------------------------------------------------------------


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
    title, k = content.names.title(item), max(len(content.fused), 1)
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


# --- lists -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    item: int
    score: str = ""
    tag: str = ""
    tag_says: str = ""
    below: str = ""


def _ranked(content: Content, header: Html, lines: Iterable[_Line]) -> Html:
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
                    _unseen_mark() if unseen else None,
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


def _unseen_mark() -> Html:
    return element("sup", "†", data_tip="Never seen in training: its place is chance")


def _whole(content: Content) -> str:
    """What the list is called that the person gets."""
    return "Fused list" if content.trace.experts else "The list"


def lists(content: Content) -> Html:
    trace = content.trace
    ranks = dict(zip(content.fused["item"].tolist(), content.fused["rank"].tolist(), strict=True))
    names = content.names
    fused = []
    for item, score in zip(content.fused["item"], content.fused["score"], strict=True):
        causes = content.causes["cause"][content.causes["item"] == item].tolist()
        because = " and ".join(shortened(names.title(cause), 28) for cause in causes)
        fused.append(_Line(item, points(score), below=f"because of {because}" if because else ""))
    found = [_ranked(content, chip(_whole(content), NEUTRAL, "what the person gets"), fused)]
    if trace.experts:
        for head, share in enumerate(trace.gate.tolist()):
            rows = content.lists[content.lists["head"] == head]
            lines = [
                _Line(
                    item,
                    points(score),
                    f"#{ranks[item]}" if item in ranks else "",
                    f"Rank {ranks.get(item)} of the fused list",
                )
                for item, score in zip(rows["item"], rows["score"], strict=True)
            ]
            found.append(_ranked(content, head_chip(head, f"gate share {percent(share)}"), lines))
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
        label, remark = _OTHERS[name]
        lines = [
            _Line(
                int(item),
                tag=f"#{ranks[item]}" if item in ranks else "",
                tag_says=f"Rank {ranks.get(item)} of the fused list",
            )
            for item in items.tolist()
        ]
        found.append(_ranked(content, chip(label, NEUTRAL, remark), lines))
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
        )
        for rank, item, own in zip(
            content.fused["rank"].tolist(), content.fused["item"].tolist(), parts, strict=True
        )
    ]
    if trace.heads == 1:
        lede = "The bar is the score that ranks the item; 0 is the average item."
        return section("ledger", "How far apart are they?", ledger_bars(rows), lede=lede)
    legend = element("div", *(head_chip(head) for head in range(trace.heads)), class_="legend")
    lede = (
        "An item's score is the exact sum of what the heads put in: gate share times the head's "
        "own score, where 0 is the average item. Bars to the right speak for an item, bars to the "
        "left against it; the diamond is the sum."
    )
    return section(
        "ledger", "What did each head put into it?", legend, ledger_bars(rows), lede=lede
    )


# --- the mix over time -------------------------------------------------------------------------


def steps(content: Content) -> Html:
    """A column a click; the list at the chosen step is filled in by the script."""
    found = content.steps
    history = content.trace.history
    upcoming = [*history[1:].tolist(), content.subject.held_out]
    listed = found.lists.groupby("click")["item"].apply(set)
    stacks = []
    for row, click in enumerate(found.clicks.tolist()):
        title = content.names.title(int(history[click]))
        shares = found.gate[row].tolist()
        said = ", ".join(f"{head_name(h)} {percent(share)}" for h, share in enumerate(shares))
        stacks.append(
            element(
                "span",
                *(
                    element("i", style=f"flex:{share:.4f} 0 0;background:{head_colour(head)}")
                    for head, share in enumerate(shares)
                ),
                data_step=row,
                class_="hit" if upcoming[click] in listed.get(click, ()) else None,
                data_tip=f"After click {click + 1:,}, {title}"
                + (f"\n{said}" if shares[1:] else ""),
            )
        )
    slider = element(
        "input",
        type="range",
        min=0,
        max=len(stacks) - 1,
        value=len(stacks) - 1,
        id="step",
        aria_label="After which click?",
    )
    legend = (
        [head_chip(head) for head in range(content.trace.heads)] if content.trace.experts else []
    )
    chart = element(
        "div",
        element("div", *legend, class_="legend"),
        element("div", *stacks, class_="stacks"),
        slider,
        class_="path",
    )
    aside = element(
        "div",
        element("p", id="step-when", class_="step-when", aria_live="polite"),
        element("ol", id="step-list", class_="ranked"),
        class_="list",
    )
    lede = (
        "Every column is the gate after one click, as if the history had ended there. Move over it "
        "to see the list of that moment; ● marks what they clicked next, and below a column that "
        "the list had it. All but the last two clicks were also what the model was trained on."
    )
    if not content.trace.experts:
        lede = "Move along to see the list after every click; ● marks what they clicked next."
    return section(
        "steps",
        "How did it move as they clicked?",
        element("div", chart, aside, class_="two"),
        lede=lede,
    )


# --- experts -----------------------------------------------------------------------------------


def experts(content: Content) -> Html | None:
    trace = content.trace
    if not trace.experts:
        return None
    accounts = {(account.head, account.expert): account for account in content.experts}
    first = max(accounts, key=lambda pair: accounts[pair].share)
    rows = []
    for head in range(trace.heads):
        cells = []
        for expert, share in enumerate(trace.router[head].tolist()):
            account = accounts.get((head, expert))
            cells.append(
                element(
                    "button",
                    square(share, head_colour(head)),
                    element("span", f"Expert {expert + 1}"),
                    element("b", percent(share)),
                    class_="expert",
                    type="button",
                    disabled=account is None,
                    data_show=f"expert-{head}-{expert}",
                    aria_pressed="true" if (head, expert) == first else "false",
                )
            )
        rows.append(element("div", head_chip(head), element("div", *cells), class_="experts-row"))
    panels = [_expert(content, account, pair == first) for pair, account in accounts.items()]
    lede = (
        "The filled part of a square is the expert's share within its head. What an expert does to "
        "the list cannot be read off its share, so it is tried: the list with this expert alone in "
        "its head, and without it. Choose one."
    )
    return section(
        "experts",
        "Which experts read the history?",
        element("div", *rows, class_="experts", data_group="expert"),
        element("div", *panels, class_="panels"),
        lede=lede,
    )


def _expert(content: Content, account: ExpertAccount, shown: bool) -> Html:
    trace, names = content.trace, content.names
    read, attention = trace.read, account.attention
    tips = [
        f"Click {trace.seen_from + place + 1:,}, {names.title(int(item))}: {share:.1%}"
        for place, (item, share) in enumerate(zip(read, attention, strict=True))
    ]
    most = np.argsort(-attention, kind="stable")[:3]
    named = ", ".join(
        f"{quoted(names.title(int(read[place])))} ({percent(attention[place])})" for place in most
    )
    name = f"Expert {account.expert + 1} of {head_name(account.head)}"
    looks = element(
        "div",
        element("h3", "What it attends to"),
        columns(attention, tips, head_colour(account.head)),
        element("p", f"Oldest click on the left. Most: {named}.", class_="quiet"),
        _served(content, account),
    )
    k = len(content.fused)
    alone = [_Line(int(item)) for item in account.alone["item"]]
    lists = [
        _ranked(
            content,
            chip("Alone", head_colour(account.head), f"keeps {account.shared_alone} of {k}"),
            alone,
        )
    ]
    if account.without is not None:
        without = [_Line(int(item)) for item in account.without["item"]]
        remark = f"keeps {account.shared_without} of {k}"
        lists.append(_ranked(content, chip("Without it", NEUTRAL, remark), without))
    else:
        lists.append(
            element(
                "p", "Its head has no other expert, so there is no list without it.", class_="quiet"
            )
        )
    return element(
        "div",
        element("h3", chip(name, head_colour(account.head), f"share {percent(account.share)}")),
        element("div", looks, *lists, class_="lists"),
        id=f"expert-{account.head}-{account.expert}",
        class_="panel",
        hidden=not shown,
    )


def _served(content: Content, account: ExpertAccount) -> Html | None:
    """Whom else the expert serves most, where a survey found out."""
    if content.people is None:
        return None
    rows = content.people.experts[account.head][account.expert][:6]
    said = ", ".join(f"{row['user']} ({percent(row['share'])})" for row in rows)
    return element("p", f"Serves these people most: {said}.", class_="quiet")


# --- influence ---------------------------------------------------------------------------------


def influence(content: Content) -> Html | None:
    found = content.influence
    if not len(found.items) or not len(content.fused):
        return None
    heads = content.trace.heads if content.trace.experts else 0
    order = list_order(content.checkpoint.model, found).tolist()
    listed = content.fused["item"].tolist()
    picks = [
        element("option", f"{rank}. {shortened(content.names.title(item), 60)}", value=rank - 1)
        for rank, item in enumerate(listed, 1)
    ]
    head_names = [head_name(head) for head in range(heads)]
    header = [
        element(
            "tr",
            element("th", "Left out", rowspan=2, class_="what"),
            element("th", f"Items of the top {found.fused.size} replaced", colspan=1 + heads),
            element(
                "th",
                element("label", "Points taken off ", element("select", *picks, id="influence-of")),
                colspan=1 + heads,
                class_="gap",
            ),
        ),
        element(
            "tr",
            element("th", _whole(content)),
            *(element("th", name) for name in head_names),
            element("th", "Score", class_="gap"),
            *(element("th", name) for name in head_names),
        ),
    ]
    body = [_influence_row(content, row, place, heads) for place, row in enumerate(order)]
    more = None
    if len(order) > _SHOWN_CLICKS:
        more = element(
            "button", f"Show all {len(order)}", type="button", class_="more", data_more="influence"
        )
    table = element(
        "table",
        element("thead", *header),
        element("tbody", *body),
        class_=f"influence{' many' if heads > 4 else ''}",
        id="influence-table",
    )
    lede = (
        "Every row is a past item, left out with all its clicks, and the model run again. On the "
        "left: how many items leave the list. On the right, for the item chosen: what leaving it "
        "out takes off its score; the heads add up to it. "
    )
    colours = element(
        "p",
        chip("speaks for the item", FOR),
        chip("speaks against it", AGAINST),
        class_="legend",
    )
    return section(
        "influence",
        "Which clicks does it hang on?",
        element("div", table, class_="scroll"),
        more,
        colours,
        lede=lede,
    )


def _influence_row(content: Content, row: int, place: int, heads: int) -> Html:
    found, names = content.influence, content.names
    item, k = int(found.items[row]), max(len(found.fused), 1)
    clicks = [place + 1 for place in found.places[row]]
    when = f"click{'s' * (len(clicks) > 1)} {', '.join(map(str, clicks))}"
    counts = [int(found.replaced[row]), *found.replaced_by_head[row, :heads].tolist()]
    first = content.effects[row, 0]
    values = [float(first.sum()), *first[:heads].tolist()]
    reach = float(np.abs(content.effects[:, 0].sum(-1)).max()) or 1.0
    return element(
        "tr",
        element("th", names.title(item), element("small", when), scope="row", class_="what"),
        *(
            element(
                "td",
                number or "·",
                style=f"--tint:{55 * number / k:.0f}%",
                data_tip=f"Without {names.title(item)} {changes(number, k)}",
            )
            for number in counts
        ),
        *(
            element(
                "td",
                points(value),
                class_=f"{'for' if value > 0 else 'against'}{'' if column else ' gap'}",
                data_effect=column,
                style=f"--tint:{70 * min(abs(value) / reach, 1):.0f}%",
            )
            for column, value in enumerate(values)
        ),
        data_item=names.id(item),
        data_row=row,
        class_="extra" if place >= _SHOWN_CLICKS else None,
    )


# --- is it true? -------------------------------------------------------------------------------


def truth(content: Content) -> Html:
    tabs, panels = [], []
    for measure, curve in content.curves.items():
        shown = measure == "list"
        tabs.append(
            element(
                "button",
                MEASURES[measure].capitalize(),
                type="button",
                data_show=f"deletion-{measure}",
                aria_pressed="true" if shown else "false",
            )
        )
        panels.append(
            element(
                "div",
                element("p", faithfulness_sentence(curve), class_=f"verdict {curve.verdict}"),
                deletion_chart(curve),
                id=f"deletion-{measure}",
                hidden=not shown,
            )
        )
    if not content.curves:
        panels.append(element("p", faithfulness_sentence(None), class_="verdict unclear"))
    whole = []
    if content.faithfulness is not None:
        for measure, measured in content.faithfulness.measures.items():
            said = checkpoint_sentence(measure, measured)
            whole.append(element("p", said, class_=f"verdict {measured.verdict}"))
    aside = [
        element("h3", "For this checkpoint as a whole"),
        *whole,
        *(element("p", notice, class_="quiet") for notice in content.notices),
    ]
    lede = (
        "The clicks that the explanation names are taken away, the most influential first, and set "
        "against taking away as many at random. The grey band holds 95 % of the random draws. At "
        "one click the explanation wins by construction, so the verdict counts from two on. “The "
        "latest” is what somebody would guess who knows nothing else."
    )
    return section(
        "truth",
        "Is the explanation true?",
        element(
            "div",
            element("div", element("div", *tabs, class_="tabs", data_group="deletion"), *panels),
            element("div", *aside),
            class_="two",
        ),
        lede=lede,
    )


# --- the desk, the held-out item ---------------------------------------------------------------


def desk(content: Content) -> Html | None:
    """What was changed, and what that did."""
    comparison = content.comparison
    if comparison is None:
        return None
    moves = [
        Move(
            key=content.names.id(item),
            title=content.names.title(item),
            before=None if before is None else int(before),
            after=None if after is None else int(after),
            held_out=item == content.subject.held_out,
        )
        for item, before, after in zip(
            comparison.moves["item"].tolist(),
            _optional(comparison.moves["rank_before"]),
            _optional(comparison.moves["rank_after"]),
            strict=True,
        )
    ]
    made = element("ul", *(element("li", change) for change in desk_changes(content)))
    return section(
        "desk",
        "What changed at the mixing desk?",
        made,
        element("p", comparison_sentence(comparison), class_="words"),
        slope_chart(moves, content.k),
    )


def _optional(ranks: pd.Series) -> list[int | None]:
    return [
        None if missing else int(rank) for rank, missing in zip(ranks, ranks.isna(), strict=True)
    ]


def desk_changes(content: Content) -> list[str]:
    """The changes made, one a line; experts and heads count from 1."""
    change = content.subject.intervention
    said = []
    if change.gate is not None:
        shares = ", ".join(
            f"{head_name(head)} {percent(share)}" for head, share in enumerate(content.trace.gate)
        )
        said.append(f"The gate is set to {shares}.")
    said += [f"Expert {e + 1} of {head_name(h)} has all of its head." for h, e in change.solo]
    said += [f"Expert {e + 1} of {head_name(h)} is muted." for h, e in change.muted]
    said += [
        f"{quoted(content.names.title(item))} is left out of the history."
        for item in content.subject.without
    ]
    return said


def held_out(content: Content) -> Html | None:
    account, item = content.account, content.subject.held_out
    if account is None or item is None:
        return None
    trace, names = content.trace, content.names
    rank, by_head = item_ranks(trace, item)
    cards = [_rank_card(chip(_whole(content), NEUTRAL), rank, account.candidates)]
    if trace.experts:
        cards += [
            _rank_card(head_chip(head), own, account.candidates) for head, own in enumerate(by_head)
        ]
    body: list[Child] = [
        element("p", held_out_sentence(names.title(item), rank, by_head, account.candidates)),
        element("div", *cards, class_="ranks"),
    ]
    if account.in_history:
        body.append(element("p", account_sentence(account, names.title(item), "")))
    elif account.rival is not None:
        rival = names.title(account.rival)
        rows = [
            LedgerRow(
                account.rank,
                names.id(item),
                names.title(item),
                account.by_head["contribution"].to_numpy(),
                held_out=True,
            ),
            LedgerRow(
                account.rival_rank or 0,
                names.id(account.rival),
                rival,
                account.by_head["rival_contribution"].to_numpy(),
            ),
        ]
        rows.sort(key=lambda row: row.rank)
        body += [
            element("h3", "Why not higher?" if account.lead < 0 else "Why is it in the list?"),
            element("p", account_sentence(account, names.title(item), rival)),
            ledger_bars(rows),
        ]
    return section("held-out", "Would they have found what they really chose?", *body)


def _rank_card(header: Html, rank: int, candidates: int) -> Html:
    return element(
        "div", header, element("b", f"{rank:,}"), element("small", f"of {candidates:,}"),
        class_="rank-card",
    )  # fmt: skip
