"""What if: steps back in time, one expert alone, a click left out, the mixing desk."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fame.lens.experts import ExpertAccount
from fame.lens.faithfulness import DRAWS, MEASURES
from fame.lens.influence import list_order
from fame.presentation.palette import AGAINST, FOR, NEUTRAL, head_colour
from fame.presentation.sentences import (
    checkpoint_sentence,
    comparison_sentence,
    faithfulness_sentence,
    most_routed_phrase,
)
from fame.presentation.text import changes, percent, points, quoted, shortened
from fame.report.charts import Move, chip, columns, deletion_chart, head_chip, slope_chart, square
from fame.report.content import Content
from fame.report.markup import Html, element
from fame.report.parts import Line, list_name, ranked_list, section

_SHOWN_CLICKS = 12  # rows of the influence matrix before "show all"


def desk(content: Content) -> Html | None:
    """What was changed, and what that did."""
    comparison = content.comparison
    if comparison is None:
        return None
    moves = [
        Move(
            key=content.names.id(item),
            title=content.names.title(item),
            before=before,
            after=after,
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
    change, called = content.subject.intervention, content.called
    said = []
    if change.gate is not None:
        shares = ", ".join(
            f"{called.head(head)} {percent(share)}" for head, share in enumerate(content.trace.gate)
        )
        said.append(f"The gate is set to {shares}.")
    said += [f"Expert {e + 1} of {called.head(h)} has all of its head." for h, e in change.solo]
    said += [f"Expert {e + 1} of {called.head(h)} is muted." for h, e in change.muted]
    said += [
        f"{quoted(content.names.title(item))} is left out of the history."
        for item in content.subject.without
    ]
    return said


def influence(content: Content) -> Html | None:
    found = content.influence
    if not len(found.items):
        return None
    heads = content.trace.heads if content.trace.experts else 0
    order = list_order(content.checkpoint.model, found).tolist()
    listed = content.fused["item"].tolist()
    picks = [
        element("option", f"{rank}. {shortened(content.names.title(item), 60)}", value=rank - 1)
        for rank, item in enumerate(listed, 1)
    ]
    head_names = [content.called.head(head) for head in range(heads)]
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
            element("th", list_name(content)),
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
        f"out takes off its score{'; the heads add up to it' if heads else ''}."
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
    item, k = int(found.items[row]), len(found.fused)
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
        f"against {DRAWS} orders that begin with the same click and go on at random. The first "
        "click was found by taking clicks away, so all orders share it, and the verdict is on what "
        "the explanation says beyond it: it holds where at most 2.5 % of the orders do as much. "
        "The grey band holds 95 % of the random orders. “The latest” begins with the same click "
        "too, and goes on as somebody would guess who knows nothing else."
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
        said = ", ".join(
            f"{content.called.head(h)} {percent(share)}" for h, share in enumerate(shares)
        )
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
        [head_chip(head, content.called) for head in range(content.trace.heads)]
        if content.trace.experts
        else []
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
        "the list had it."
    )
    if not content.trace.experts:
        lede = "Move along to see the list after every click; ● marks what they clicked next."
    if content.subject.person is not None:
        lede += " The model was trained on all of these clicks but the latest."
    return section(
        "steps",
        "How did it move as they clicked?",
        element("div", chart, aside, class_="two"),
        lede=lede,
    )


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
        rows.append(
            element(
                "div", head_chip(head, content.called), element("div", *cells), class_="experts-row"
            )
        )
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
    name = f"Expert {account.expert + 1} of {content.called.head(account.head)}"
    looks = element(
        "div",
        element("h3", "What it attends to"),
        columns(attention, tips, head_colour(account.head)),
        element("p", f"Oldest click on the left. Most: {named}.", class_="quiet"),
        _served(content, account),
    )
    k = len(content.fused)
    alone = [Line(int(item)) for item in account.alone["item"]]
    lists = [
        ranked_list(
            content,
            chip("Alone", head_colour(account.head), f"keeps {account.shared_alone} of {k}"),
            alone,
        )
    ]
    if account.without is not None:
        without = [Line(int(item)) for item in account.without["item"]]
        remark = f"keeps {account.shared_without} of {k}"
        lists.append(ranked_list(content, chip("Without it", NEUTRAL, remark), without))
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
    what = most_routed_phrase(content.people.looked_at)
    return element("p", f"Serves these people most ({what}): {said}.", class_="quiet")
