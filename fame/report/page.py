"""The whole report as one HTML file that needs no network: style, script and data are in it."""

from __future__ import annotations

import base64
import hashlib
import shlex
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import fame
from fame.evaluate import protocol
from fame.files import write_text
from fame.models.registry import spec_of
from fame.presentation.glossary import TERMS
from fame.presentation.palette import AGAINST, FOR, HELD_OUT, NEUTRAL
from fame.report import account, what_if
from fame.report.content import Content, document
from fame.report.markup import Html, element, json_block
from fame.report.parts import section

_TERMS = (
    *("Head (facet)", "Gate", "Expert", "Router", "Fused list", "Ledger", "Centred"),
    *("Held-out item", "Intervention", "Influence", "Deletion test"),
    *("Popularity", "Markov chain", "Item-kNN", "SASRec", "Click"),
)


def render_report(content: Content, made: datetime) -> str:
    """The report as HTML; the same content made at the same time is the same text."""
    style = _resource("report.css")
    colours = {"for": FOR, "against": AGAINST, "held-out": HELD_OUT, "neutral": NEUTRAL}
    variables = ";".join(f"--{name}:{colour}" for name, colour in colours.items())
    script = _resource("report.js")
    parts = {
        "history": account.history(content),
        "desk": what_if.desk(content),
        "lists": account.lists(content),
        "ledger": account.ledger(content),
        "held-out": account.held_out(content),
        "influence": what_if.influence(content),
        "truth": what_if.truth(content),
        "steps": what_if.steps(content),
        "experts": what_if.experts(content),
        "others": account.others(content),
        "made": _made_of(content, made),
        "words": _glossary(),
    }
    title = account.title_of(content)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"FAME Lens {fame.__version__}"),
        element("title", title),
        element("style", Html(f":root{{{variables}}}\n{style}")),
    )
    body = element(
        "body",
        _bar(parts),
        element("main", _opening(content, title), list(parts.values())),
        element("div", id="tip", role="tooltip", hidden=True),
        json_block("report-data", document(content)),
        element("script", Html(script)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def write_report(path: Path, content: Content, made: datetime) -> None:
    """Writes the report whole or not at all.

    Raises:
        FameError: where nothing can be written there.
    """
    write_text(path, render_report(content, made))


def _resource(name: str) -> str:
    return (files("fame.report") / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Nothing is fetched, and no script runs but our own, whatever a title may hold."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


_NAVIGATION = {
    "history": "History",
    "desk": "Desk",
    "lists": "Lists",
    "ledger": "Ledger",
    "held-out": "Held out",
    "influence": "Influence",
    "truth": "True?",
    "steps": "Over time",
    "experts": "Experts",
    "others": "Others",
    "made": "Made from",
    "words": "Words",
}


def _bar(parts: dict[str, Html | None]) -> Html:
    links = [
        element("a", label, href=f"#{name}")
        for name, label in _NAVIGATION.items()
        if parts[name] is not None
    ]
    return element(
        "header",
        element("strong", "FAME Lens"),
        element("nav", *links),
        element("button", "Light or dark", type="button", id="theme"),
        element("button", "Data as JSON", type="button", id="download"),
    )


def _opening(content: Content, title: str) -> Html:
    checkpoint = content.checkpoint
    shape = spec_of(checkpoint.model_config).shape_of(checkpoint.model_config)
    kicker = f"Checkpoint {checkpoint.name} · {shape} · data set {checkpoint.data.name}"
    return element(
        "div",
        element("p", kicker, class_="kicker"),
        element("h1", title),
        element("p", " ".join(account.summary(content)), class_="words"),
        account.facts(content),
        class_="opening",
    )


def _made_of(content: Content, made: datetime) -> Html:
    checkpoint, subject = content.checkpoint, content.subject
    data = checkpoint.data
    rows: dict[str, str | Html] = {
        "Checkpoint": f"{checkpoint.name}, SHA-256 {checkpoint.hash}",
        "Weights": f"SHA-256 {checkpoint.weights_hash}",
        "Data": f"{data.name}: {data.users:,} people, {data.items:,} items, "
        f"{data.interactions:,} interactions; {data.filters}",
        "Data fingerprint": data.fingerprint,
        "Protocol": protocol(data.repeats),
        "Changes": " ".join(what_if.desk_changes(content)) or "none: the model as it is",
        "Command": element("code", _command(content)),
        "Made": f"{made:%Y-%m-%d %H:%M %Z} by FAME Lens {fame.__version__}".replace("  ", " "),
    }
    if subject.link:
        rows["In the app"] = element("a", subject.link, href=subject.link, rel="noreferrer")
    if checkpoint.metrics and "test" in checkpoint.metrics:
        test = checkpoint.metrics["test"]
        figures = (f"{name} {test[name]:.4f}" for name in ("HR@10", "NDCG@10") if name in test)
        rows["Accuracy"] = ", ".join(figures) + " on the test split"
    pairs = [
        part for name, said in rows.items() for part in (element("dt", name), element("dd", said))
    ]
    return section("made", "What was this made from?", element("dl", *pairs, class_="made"))


def _command(content: Content) -> str:
    """What makes this report again."""
    subject, change = content.subject, content.subject.intervention
    names = content.names
    whose = (
        ["--user", subject.person]
        if subject.person is not None
        else ["--items", ",".join(names.id(int(item)) for item in subject.history)]
    )
    options = [*whose, "--top-k", str(content.k)]
    if change.gate is not None:
        options += ["--gate", ",".join(f"{weight:g}" for weight in change.gate)]
    options += [part for h, e in change.muted for part in ("--mute", f"{h}:{e}")]
    options += [part for h, e in change.solo for part in ("--solo", f"{h}:{e}")]
    options += [part for item in subject.without for part in ("--without", names.id(item))]
    command = ["python", "-m", "fame", "report", content.checkpoint.name, *options]
    return f"{shlex.join(command)} --out FILE.html"


def _glossary() -> Html:
    pairs = [element("div", element("dt", term), element("dd", TERMS[term])) for term in _TERMS]
    return section("words", "Words used here", element("dl", *pairs, class_="glossary"))
