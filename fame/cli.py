"""The command line: thin wrappers that parse, call the library and print.

With ``--json`` standard output is one JSON document and nothing else; progress and warnings go to
standard error. Exit status: 0 done, 2 bad input (one sentence), 1 a fault of ours, 130 interrupted.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fame import data
from fame.data.report import summary_lines
from fame.errors import FameError
from fame.files import check_file, disk_is_full
from fame.models.registry import MODELS

if TYPE_CHECKING:
    import numpy as np

    from fame.checkpoint import Checkpoint
    from fame.experiments.variants import Variant
    from fame.facets.agreement import Agreement
    from fame.grown import Fitted
    from fame.models.sequence_model import Intervention
    from fame.presentation.names import HeadNames
    from fame.survey import Facets
    from fame.training.loop import Progress, Ranked

# Modules that need torch or UMAP are imported inside their commands: `--help` and `data` start
# without them.


def _speaks() -> bool:
    """Whether this process speaks; of those that a launcher started together, only the first."""
    return os.environ.get("RANK", "0") == "0"


class _OneSentence(TyperGroup):
    """Says a mendable error in its one sentence; any other error keeps its traceback."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except FameError as error:
            if _speaks():
                typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(130) from error
        except Exception as error:
            if disk_is_full(error):
                sentence = "The disk is full; make room and run again."
            elif isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
                # Wherever it is looked at first, it is a name out of the command.
                sentence = f"{str(error.filename)[:40]!r}... is too long for a file; shorten it."
            else:
                raise
            if _speaks():
                typer.echo(f"Error: {sentence}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_OneSentence,
    help="Facet-aware multi-head mixture-of-experts recommenders, and a lens to look into them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(
    help="Find, fetch, describe, import and make up data sets.", no_args_is_help=True
)
app.add_typer(data_app, name="data")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
SetName = Annotated[str, typer.Argument(metavar="NAME", help="A name out of `data list`.")]
CheckpointPath = Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint folder.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a file that is there already.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


@app.callback()
def _start() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)


def print_json(document: Any) -> None:
    """Prints the one document that ``--json`` promises."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


class StderrProgress:
    """Progress as lines on standard error; on a terminal the last line is written over."""

    def __init__(self) -> None:
        self._text = ""

    def __call__(self, text: str, share: float | None) -> None:
        if share is not None and sys.stderr.isatty():
            end = "\n" if share >= 1 else ""
            print(f"\r{text}: {share:4.0%}", end=end, file=sys.stderr, flush=True)
        elif text != self._text:
            print(text, file=sys.stderr)
        self._text = text


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """Lists the data sets and where each of them is."""
    sets = data.list_sets()
    if as_json:
        print_json([asdict(info) for info in sets])
        return
    places = {
        "local": "in FAME_DATA",
        "cached": "fetched",
        "imported": "imported",
        "remote": "to be fetched",
    }
    for info in sets:
        typer.echo(f"{info.name:<17} {places[info.place]:<13} {info.description}")


@data_app.command("fetch")
def data_fetch(name: SetName, as_json: AsJson = False) -> None:
    """Fetches a data set where it is not at hand, and describes it."""
    _describe(data.load(name, progress=StderrProgress()), as_json)


@data_app.command("show")
def data_show(name: SetName, as_json: AsJson = False) -> None:
    """Describes a data set; fetches it where it is not at hand."""
    _describe(data.load(name, progress=StderrProgress()), as_json)


UserColumn = Annotated[str | None, typer.Option("--user", help="The column of users.")]
ItemColumn = Annotated[str | None, typer.Option("--item", help="The column of items.")]
TimeColumn = Annotated[str | None, typer.Option("--time", help="The column of times.")]
RatingColumn = Annotated[str | None, typer.Option("--rating", help="The column of ratings.")]
EventColumn = Annotated[
    str | None,
    typer.Option("--event", help="The column of kinds of events, such as view or purchase."),
]
Separator = Annotated[
    str | None,
    typer.Option("--sep", help="What stands between columns: a character, '::' or tab."),
]
NoQuotes = Annotated[bool, typer.Option("--no-quotes", help="Quotes are letters as any other.")]
Zone = Annotated[
    str | None,
    typer.Option("--timezone", help="Of dates that say none, like Europe/Paris. Default: UTC."),
]


@data_app.command("import")
def data_import(
    path: Annotated[Path, typer.Argument(help="A table, sequences, or a folder; see above.")],
    name: Annotated[str, typer.Option(help="What to call it: small letters, digits, - and _.")],
    items: Annotated[
        Path | None, typer.Option(help="A catalogue: item_id, title, any facet columns.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the imported set of that name.")
    ] = False,
    repeats: Annotated[
        str | None,
        typer.Option(
            metavar="recommend|exclude",
            help="Whether what is in the history may be recommended again. Default: recommend "
            "where at least 5 % of the test targets were chosen before.",
        ),
    ] = None,
    user: UserColumn = None,
    item: ItemColumn = None,
    time_column: TimeColumn = None,
    rating: RatingColumn = None,
    event: EventColumn = None,
    sep: Separator = None,
    no_quotes: NoQuotes = False,
    timezone: Zone = None,
    core: Annotated[
        int, typer.Option(help="Drop users and items with fewer interactions, until none is left.")
    ] = 0,
    min_rating: Annotated[
        float | None, typer.Option(help="Drop interactions with a lower rating.")
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(metavar="KIND,KIND,...", help="Drop interactions of other kinds."),
    ] = None,
    session_gap: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Make each session a history of its own: it ends where more time passes than this "
            "between two clicks of a person. A number and s, m, h or d, like 30m.",
        ),
    ] = None,
    dedupe: Annotated[
        bool, typer.Option("--dedupe", help="Keep one of equal persons, items and times.")
    ] = False,
    skip_bad: Annotated[
        int, typer.Option(metavar="N", help="Drop up to N rows that cannot be read.")
    ] = 0,
    in_order: Annotated[
        bool,
        typer.Option(
            "--in-order",
            help="Lines stand in order: they are the order, or with --time that of equal times.",
        ),
    ] = False,
    facet: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A facet although it looks like none: free text, ids, addresses or coordinates; "
            "may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Brings your own interactions in, and says what became of every row.

    The content decides what a file is: text with any separator, JSON (lines, arrays, lists of
    events), Parquet (also a folder of parts), RecBole's files, packed or not; a line "user item
    item ..." for every user; a folder of MovieLens. Columns are found by name and shown before
    anything is kept. Equal times come in a random order that the set fixes, unless --in-order asks
    otherwise.
    """
    if repeats not in (None, "recommend", "exclude"):
        raise FameError(f"--repeats must be recommend or exclude, not {repeats!r}.")
    wishes = data.Wishes(
        user=user,
        item=item,
        time=time_column,
        rating=rating,
        event=event,
        sep=_separator(sep),
        quotes=not no_quotes,
        timezone=timezone,
        core=core,
        min_rating=min_rating,
        events=_listed(events, "--events"),
        session_gap=session_gap,
        dedupe=dedupe,
        skip_bad=skip_bad,
        in_order=in_order,
        facets=tuple(facet or ()),
    )
    data.import_file(
        path,
        name,
        items=items,
        replace=replace,
        repeats=repeats,  # type: ignore[arg-type]
        wishes=wishes,
        told=lambda text: typer.echo(text, err=True),
    )
    _describe(data.load(name), as_json)


@data_app.command("append")
def data_append(
    name: SetName,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Newer clicks.")],
    items: Annotated[
        Path | None,
        typer.Option(help="Titles and values of new items, or of known ones that changed."),
    ] = None,
    user: UserColumn = None,
    item: ItemColumn = None,
    time_column: TimeColumn = None,
    rating: RatingColumn = None,
    event: EventColumn = None,
    sep: Separator = None,
    no_quotes: NoQuotes = False,
    timezone: Zone = None,
    skip_bad: Annotated[
        int | None, typer.Option(metavar="N", help="Drop up to N rows that cannot be read.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Adds newer clicks to an imported set, and says what became of every row.

    The file is read by the columns and cleaned by the options of the import (core, min-rating,
    events, session-gap, dedupe, in-order), so that the set is what importing all files at once
    would give: the core is that of all rows, and lets earlier ones in that it had left out;
    sessions are cut anew. Rows that the set has already (person, item and time) count once.
    Histories stay in order of time; at equal times newer clicks stand last. The options here are
    for a file that is written otherwise than the first one.
    """
    given = {
        "user": user,
        "item": item,
        "time": time_column,
        "rating": rating,
        "event": event,
        "sep": _separator(sep),
        "quotes": False if no_quotes else None,
        "timezone": timezone,
        "skip_bad": skip_bad,
    }
    data.append_file(
        path,
        name,
        items=items,
        reading={key: value for key, value in given.items() if value is not None},
        told=lambda text: typer.echo(text, err=True),
    )
    _describe(data.load(name), as_json)


def _separator(text: str | None) -> str | None:
    """A tab is hard to type."""
    return {"tab": "\t", "\\t": "\t"}.get(text or "", text)


def _listed(text: str | None, option: str) -> tuple[str, ...]:
    """The values between commas; none where the option is not given."""
    values = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    if text is not None and not values:
        raise FameError(f"{option} needs at least one value.")
    return values


@data_app.command("generate")
def data_generate(
    kind: Annotated[str, typer.Argument(metavar="ml-20m|facets", help="What it is made like.")],
    out: Annotated[Path, typer.Option(help="The file to write: .csv or .parquet.")],
    users: Annotated[int | None, typer.Option(help="Default: 138,493, or 8,000 in facets.")] = None,
    items: Annotated[int | None, typer.Option(help="Default: 26,744, or 2,000 in facets.")] = None,
    interactions: Annotated[
        int | None, typer.Option(help="Default: 144.4 a user, or 40 in facets.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal files.")] = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Makes up interactions to measure and to test with.

    "ml-20m" has the shape of MovieLens 20M, and nothing in it to learn but popularity. In "facets"
    one of two independent attributes of the items decides each click; they are written beside the
    file as a catalogue.
    """
    from fame.data import synthetic

    made, catalogue = synthetic.generate(
        kind,
        out,
        users=users,
        items=items,
        interactions=interactions,
        seed=seed,
        overwrite=overwrite,
    )
    if as_json:
        print_json(
            {
                "file": str(out),
                "items_file": None if catalogue is None else str(catalogue),
                "users": len(made),
                "items": made.num_items,
                "interactions": len(made.items),
                "fingerprint": made.fingerprint,
            }
        )
        return
    command = ["python", "-m", "fame", "data", "import", str(out), "--name", made.name]
    command += [] if catalogue is None else ["--items", str(catalogue)]
    typer.echo(
        f"{len(made.items):,} interactions with {made.num_items:,} items by {len(made):,} people\n"
        f"Bring them in with: {shlex.join(command)}"
    )


def _describe(dataset: data.Dataset, as_json: bool) -> None:
    summary = dataset.summary()
    if as_json:
        print_json(summary)
        return
    typer.echo(summary["name"])
    for label, value in summary_lines(summary).items():
        typer.echo(f"  {label:<16} {value}")


@app.command()
def train(
    data_name: Annotated[str, typer.Option("--data", help="A name out of `data list`.")],
    out: Annotated[Path, typer.Option(help="The folder of the run and its checkpoint.")],
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file of settings, in place of the set's recipe, or of what is chosen for "
            "a set without one."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(MODELS)}; all but the first are baselines."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data at most.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of initialisation, batches, dropout.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CHECKPOINT",
            help="Start from this trained model, with its settings: items go over by id, values by "
            "name; new ones start as in any training.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
    projection: Annotated[
        bool, typer.Option(help="Make the UMAP projection when training has ended.")
    ] = True,
    facets: Annotated[
        bool, typer.Option(help="Look which heads are facets when training has ended.")
    ] = True,
    survey: Annotated[
        bool,
        typer.Option(help="Look at everybody when training has ended, as `survey` does."),
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write event files beside the run, for tensorboard --logdir."
        ),
    ] = False,
) -> None:
    """Trains a model and leaves a checkpoint; Ctrl-C keeps the best epoch, --resume goes on.

    For a data set without a recipe settings are chosen by what it looks like; what was chosen and
    why is told, and kept in choice.json and the model card.
    """
    from fame.config import parse_setting, split_settings
    from fame.experiments.choice import base_settings
    from fame.experiments.model_card import render_card
    from fame.experiments.recipes import build_configs, read_recipe
    from fame.training.train import stored_settings
    from fame.training.train import train as run_training
    from fame.training.warm_start import Start, start_settings

    flags = {"model": model, "device": device, "epochs": epochs, "seed": seed}
    given = dict(parse_setting(setting) for setting in settings or [])
    given |= {key: value for key, value in flags.items() if value is not None}
    kind = str(given.get("model", "fame"))
    split_settings(given, "The command line")

    @cache
    def dataset() -> data.Dataset:
        return data.load(data_name, progress=StderrProgress())

    choice = begin = None
    if start is not None:
        begin = Start(_load_checkpoint(start, "cpu"), given)
    if config is not None:
        base, where = read_recipe(config, kind), str(config)
        if begin is not None:
            begin = Start(begin.checkpoint, {**base, **given})
    elif begin is not None:
        base, where = start_settings(begin.checkpoint), f"What {start} was trained with"
    else:
        stored = stored_settings(out) if resume else None
        base, where, choice = base_settings(data_name, given, dataset, stored)
    model_config, train_config = build_configs(
        {**base, **given}, "The command line" if given else where
    )
    dataset()  # its own progress comes before the training bar
    with _training_bar() as (on_step, on_ranked, on_phase):
        finished = run_training(
            dataset(),
            model_config,
            train_config,
            out,
            resume=resume,
            projection=projection,
            facets=facets,
            survey=survey,
            tensorboard=tensorboard,
            card=render_card,
            choice=None if choice is None else choice.to_dict(),
            start=begin,
            on_step=on_step,
            on_ranked=on_ranked,
            on_phase=on_phase,
        )
    if not finished:
        if _speaks():
            typer.echo(f"Stopped; go on with the same command and --resume ({out}).", err=True)
        raise typer.Exit(130)


@contextmanager
def _training_bar() -> Iterator[
    tuple[Callable[[Progress], None], Callable[[Ranked], None], Callable[[str], None]]
]:
    """A progress bar over an epoch's steps, then over the people whom its validation ranks, with
    rate and time left, at the end over those of all rankings, and the log above it."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    phases = {
        "evaluating": "Ranking both splits",
        "projecting": "Projecting with UMAP",
        "naming": "Looking which heads are facets",
        "surveying": "Looking at everybody",
    }
    with ExitStack() as stack:
        stack.enter_context(logging_redirect_tqdm([logging.getLogger()]))
        bar: tqdm | None = None
        shown: tuple[type, int | None] | None = None

        def show(at: Progress | Ranked, done: int, total: int, told: str) -> None:
            nonlocal bar, shown
            if bar is None:  # not before the first step: a refusal stays one line
                layout = "{desc} {bar} {postfix}"
                bar = stack.enter_context(
                    tqdm(file=sys.stderr, mininterval=0.5, miniters=1, bar_format=layout)
                )
            doing = "Ranking" if at.epoch is None else f"Epoch {at.epoch}/{at.epochs}"
            bar.set_description_str(doing, refresh=False)
            if at.eta_seconds is not None:
                told += f", at most {tqdm.format_interval(max(at.eta_seconds, 0))} left"
            bar.set_postfix_str(told, refresh=False)
            if shown != (type(at), at.epoch):  # a bar that only falls back waits for its old height
                shown = type(at), at.epoch
                bar.reset(total)
            bar.update(done - bar.n)

        def on_step(progress: Progress) -> None:
            pace = f"{progress.positions_per_second:,.0f} clicks/s"
            show(progress, progress.step, progress.steps, f"loss {progress.loss:.3f}, {pace}")

        def on_ranked(ranked: Ranked) -> None:
            told = f"{ranked.done:,} of {ranked.people:,} people ranked"
            show(ranked, ranked.done, ranked.people, told)

        def on_phase(phase: str) -> None:
            if phase in phases:
                logging.getLogger("fame").info("%s ...", phases[phase])

        yield on_step, on_ranked, on_phase


@app.command()
def evaluate(
    checkpoint: CheckpointPath,
    data_name: Annotated[
        str | None, typer.Option("--data", help="Default: the set it was trained on.")
    ] = None,
    split: Annotated[str, typer.Option(help="test or valid.")] = "test",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Ranks the whole catalogue for every person of a split.

    Where targets repeat, also tells the figures over novel and over repeated targets apart.
    """
    from fame.evaluate import counting, examples_of, protocol
    from fame.evaluate import evaluate as run_evaluation

    if split not in ("test", "valid"):
        raise FameError(f"--split must be test or valid, not {split!r}.")
    loaded = _load_checkpoint(checkpoint, device)
    loaded, found = _fitted(loaded, data_name)
    histories = found.dataset.interactions
    if histories.repeats != loaded.data.repeats:
        typer.echo(
            f"Note: {loaded.name} was trained on a set with repeats={loaded.data.repeats} and "
            f"{histories.name} has repeats={histories.repeats}, which these figures follow.",
            err=True,
        )
    started = time.perf_counter()
    people = len(examples_of(histories, split))  # type: ignore[arg-type]
    progress = StderrProgress()
    figures = run_evaluation(
        loaded.model,
        histories,
        split,  # type: ignore[arg-type]
        on_read=counting(lambda done, _: progress(f"Ranking {people:,} people", done / people)),
    )
    answer = {
        "users": figures.pop("users"),
        "split": split,
        **figures,
        "seconds": time.perf_counter() - started,
        "fingerprint": found.fingerprint,
        "repeats": histories.repeats,
        **_grown(found),
    }
    if as_json:
        print_json(answer)
        return
    how = protocol(histories.repeats)
    typer.echo(f"{split} split of {histories.name}, {answer['users']:,} people; {how}")
    apart = {name: figures.pop(name) for name in ("novel", "repeated") if name in figures}
    if apart:
        heads = "".join(f"{name:>10}" for name in ("all", *apart))
        typer.echo(f"  {'targets':<8}{heads}")
        users = "".join(f"{own['users']:>10,}" for own in (answer, *apart.values()))
        typer.echo(f"  {'people':<8}{users}")
    for name in figures:
        values = [own[name] for own in (figures, *apart.values())]
        cells = "".join("         –" if value is None else f"{value:>10.4f}" for value in values)
        typer.echo(f"  {name:<8}{cells if apart else f' {figures[name]:.4f}'}")
    typer.echo(f"  {answer['seconds']:.1f} s")


User = Annotated[str | None, typer.Option(help="A user id of the data set.")]
Items = Annotated[
    str | None, typer.Option(metavar="ID,ID,...", help="A history of item ids, oldest first.")
]
Item = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID",
        help="The same, an id at a time: may be repeated, and takes commas and spaces as they are.",
    ),
]
Gate = Annotated[
    str | None,
    typer.Option(metavar="W1,W2,...", help="Weights >= 0 that replace the gate's shares."),
]
Mute = Annotated[list[str] | None, typer.Option(metavar="H:E", help="Take an expert out; from 0.")]
Solo = Annotated[
    list[str] | None, typer.Option(metavar="H:E", help="Give an expert all of its head.")
]
Without = Annotated[
    list[str] | None, typer.Option(metavar="ID", help="Leave a click out of the history.")
]


@app.command()
def trace(
    checkpoint: CheckpointPath,
    user: User = None,
    items: Items = None,
    item: Item = None,
    top_k: Annotated[int, typer.Option(min=1, help="Length of every list.")] = 10,
    gate: Gate = None,
    mute: Mute = None,
    solo: Solo = None,
    without: Without = None,
    new: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN=VALUE,...",
            help="Where an item would stand that nobody has clicked, by its values.",
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Scores not centred over items.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows what every head recommends after a history, and how the gate fuses it."""
    from fame.data.head_values import values_named
    from fame.lens.answer import trace_answer
    from fame.lens.trace import leave_out, trace_history
    from fame.presentation.item_names import item_names

    asked = _asked_items(user, items, item)
    loaded = _load_checkpoint(checkpoint, "cpu")
    made_of = None if new is None else values_named(new, loaded.value_names)
    loaded, history, held_out, found = _history(loaded, user, asked)
    for left_out in without or []:
        history = leave_out(history, loaded.item_index(left_out))
    traced = trace_history(
        loaded.model,
        history,
        repeats=loaded.data.repeats,
        intervention=_intervention(gate, mute, solo),
    )
    answer = trace_answer(
        traced,
        loaded.items,
        top_k=top_k,
        held_out=held_out,
        raw=raw,
        value_names=loaded.value_names,
        new=made_of,
        names=_head_names(loaded).names,
    ) | _grown(found)
    if as_json:
        print_json(answer)
    else:
        names = item_names(loaded.items)
        _print_trace(answer, lambda own: names[loaded.item_index(own)])


@app.command()
def report(
    checkpoint: CheckpointPath,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Where the report goes.")],
    user: User = None,
    items: Items = None,
    item: Item = None,
    top_k: Annotated[int, typer.Option(min=1, max=50, help="Length of every list.")] = 10,
    gate: Gate = None,
    mute: Mute = None,
    solo: Solo = None,
    without: Without = None,
    link: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the same can be seen in the app.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Writes one HTML file that tells everything about one list, and opens without a network."""
    from datetime import UTC, datetime

    from fame.baselines import CountingBaselines
    from fame.report.content import Subject, gather
    from fame.report.page import write_report

    check_file(out, overwrite=overwrite)
    asked = _asked_items(user, items, item)
    loaded = _load_checkpoint(checkpoint, "cpu")
    loaded, history, held_out, found = _history(loaded, user, asked)
    subject = Subject(
        history=history,
        person=user,
        held_out=held_out,
        without=tuple(loaded.item_index(left_out) for left_out in without or []),
        intervention=_intervention(gate, mute, solo),
        link=link,
    )
    baselines = None if found is None else CountingBaselines(found.dataset.interactions)
    content = gather(loaded, subject, k=top_k, baselines=baselines)
    write_report(out, content, datetime.now(UTC))
    typer.echo(f"The report is in {out}.", err=True)
    for notice in content.notices:
        typer.echo(notice, err=True)


@app.command()
def recommend(
    checkpoint: CheckpointPath,
    out: Annotated[Path, typer.Option(metavar="FILE.parquet", help="Where the lists go.")],
    users: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A user id a line, or a table with user_id. Default: everybody."
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Length of every list.")] = 10,
    data_name: Annotated[
        str | None, typer.Option("--data", help="Default: the set it was trained on.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="test|valid",
            help="Only what stands before that split's item, as `evaluate` and `trace` have it. "
            "Default: all that a person did.",
        ),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Writes the lists of some or all people, with what each head gave to every item.

    One row an item: user, rank, item, title, score, head_0, head_1 and so on, which sum to the
    score; and by_value where items are made of values. Scores are centred over items.
    """
    from fame.recommend import people_in, people_known, write_recommendations

    if split not in (None, "test", "valid"):
        raise FameError(f"--split must be test or valid, not {split!r}.")
    if out.suffix.lower() != ".parquet":
        raise FameError(f"{out}: lists are written as Parquet; give it a name ending in .parquet.")
    check_file(out, overwrite=overwrite)
    loaded = _load_checkpoint(checkpoint, device)
    loaded, found = _fitted(loaded, data_name)
    histories = found.dataset.interactions
    started = time.perf_counter()
    people = people_known(histories, split) if users is None else people_in(users, histories)  # type: ignore[arg-type]
    rows = write_recommendations(
        loaded,
        histories,
        people,
        top_k,
        out,
        split=split,  # type: ignore[arg-type]
        on_progress=StderrProgress(),
    )
    answer = {
        "file": str(out),
        "users": len(people),
        "without_history": len(histories) - len(people) if users is None else 0,
        "rows": rows,
        "seconds": time.perf_counter() - started,
        **_grown(found),
    }
    if as_json:
        print_json(answer)
        return
    typer.echo(f"{rows:,} rows for {len(people):,} people in {answer['seconds']:.1f} s: {out}")
    if answer["without_history"]:
        where = f"before the {split} item" if split else "that the model knows"
        typer.echo(f"{answer['without_history']:,} people have nothing {where}.")


@app.command()
def export(
    checkpoint: CheckpointPath,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE|DIR", help="A .parquet or .npz file, or a folder."),
    ],
    kind: Annotated[
        str,
        typer.Option("--format", metavar="parquet|npy|projector", help="What it is written as."),
    ] = "parquet",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Writes the sub-embeddings of every item: of the whole embedding and of each head.

    "parquet" has a row an item: item_id, title, and lists all, head_0, head_1 and so on. "npy" has
    the same names as arrays of one .npz file. "projector" is a folder that TensorBoard's Embedding
    Projector opens: tensorboard --logdir DIR.
    """
    from fame.export import export as write_export

    loaded = _load_checkpoint(checkpoint, "cpu")
    written = write_export(loaded, out, kind, overwrite=overwrite)
    files, widths = written.files, written.widths
    if as_json:
        print_json(
            {
                "files": [str(file) for file in files],
                "format": kind,
                "items": len(loaded.items),
                "spaces": widths,
            }
        )
        return
    told = ", ".join(f"{space} ({width})" for space, width in widths.items())
    typer.echo(f"{len(loaded.items):,} items in {told}: {files[0] if len(files) == 1 else out}")


@app.command()
def push(
    checkpoint: CheckpointPath,
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="What it is called there.")],
    private: Annotated[
        bool, typer.Option("--private", help="Only its owner may see it. Default: everybody.")
    ] = False,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
    as_json: AsJson = False,
) -> None:
    """Puts a checkpoint on the Hugging Face Hub, where fame.load("hf://OWNER/NAME") opens it.

    Weights, settings, figures, card and the catalogue with its titles go there; no history, no id
    of a person, and nothing else that lies in the folder. Log in before, with hf auth login.
    """
    from fame.hub import push as push_checkpoint

    pushed = push_checkpoint(
        _load_checkpoint(checkpoint, "cpu"), repo_id, private=private, message=message
    )
    if as_json:
        print_json(asdict(pushed))
        return
    typer.echo(f"Pushed {', '.join(pushed.files)}: {pushed.url}")
    if pushed.left_out:
        typer.echo(f"Not pushed: {', '.join(pushed.left_out)}")


@app.command()
def survey(
    checkpoint: CheckpointPath,
    sample: Annotated[
        int, typer.Option(min=1, help="People whose explanations are put to the test.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and of what is drawn.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Looks at everybody once: people worth showing, and whether explanations hold.

    Stores both with the checkpoint, as people.json and faithfulness.json: user ids and figures. The
    example on which its named heads differ most goes into opening.json: the app opens there.
    """
    from fame.lens.people import RULES
    from fame.opening import write_opening
    from fame.presentation.sentences import base_rate_phrase, checkpoint_sentence
    from fame.survey import survey as run_survey

    loaded = _load_checkpoint(checkpoint, device)
    histories = _fitted(loaded, None, place=False)[1].dataset.interactions
    people, faithfulness = run_survey(
        loaded, histories, sample=sample, seed=seed, on_progress=StderrProgress()
    )
    opening = write_opening(loaded)
    if as_json:
        print_json(
            {
                "people": asdict(people),
                "faithfulness": asdict(faithfulness),
                "opening": asdict(opening),
            }
        )
        return
    for name, rows in people.lists.items():
        users = ", ".join(str(row["user"]) for row in rows[:5]) or "nobody"
        usual = base_rate_phrase(name, people.base_rates[name], people.looked_at)
        typer.echo(f"{name:<16} {RULES[name].shows} ({usual}): {users}")
    for measure, measured in faithfulness.measures.items():
        typer.echo(checkpoint_sentence(measure, measured))
    if opening.example:
        typer.echo(f"Its heads differ most on the example {opening.example}: {opening.lead:.2f}.")
    else:
        typer.echo("No example shows its heads apart: none has a name by evidence that it shows.")


@app.command()
def facets(
    checkpoint: CheckpointPath,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEAD=NAME",
            help="Call a head so from now on, heads counted from 1, and measure nothing; no name "
            "takes a chosen one away. May be repeated.",
        ),
    ] = None,
    sasrec: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="A SASRec of the same data, which is cut into slices as one more control; where "
            "none is named, one that lies beside the checkpoint is taken.",
        ),
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="People whose lists are looked at.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and of what is drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Says which heads are facets of the items, and names those for which the evidence holds.

    Nearest items come from the checkpoint alone. Lists, controls and causes need the data set that
    it was trained on, where that is on this machine; what was found is then stored with the
    checkpoint, as facets.json.
    """
    from fame.facets.agreement import NEIGHBOURS, facet_agreement
    from fame.facets.estimates import items_among
    from fame.opening import write_opening
    from fame.survey import (
        FACETS,
        facet_values,
        rests_on_sasrec,
        sasrec_at,
        sasrec_beside,
        survey_facets,
    )

    loaded = _load_checkpoint(checkpoint, "cpu")
    if name:
        _choose_names(loaded, name, as_json)
        return
    control = sasrec_beside(loaded) if sasrec is None else sasrec_at(sasrec, loaded)
    found = None
    try:
        held = _fitted(loaded, None, offline=True, place=False)[1]
        histories = held.dataset.interactions
    except FameError as error:
        known, remedy = loaded.data.name, ""
        if known not in {info.name for info in data.list_sets()}:
            remedy = f" Import it again with `python -m fame data import PATH --name {known}`."
        typer.echo(
            f"Only tables were measured; lists and names need histories. {error}{remedy}", err=True
        )
        among = items_among(loaded.items["train_count"].to_numpy())
        agreement = facet_agreement(loaded.model, facet_values(loaded), among=among)
    else:
        # Names that rest on less would take the place of those that are stored.
        weaker = control is None and rests_on_sasrec(loaded)
        found = survey_facets(
            loaded,
            histories,
            sasrec=control,
            sample=sample,
            seed=seed,
            stored=not weaker,
            on_progress=StderrProgress(),
        )
        if weaker:
            typer.echo(
                f"{loaded.path / FACETS} stays as it is: it was held against a SASRec too, and "
                f"none is named or lies beside. `python -m fame train --data {loaded.data.name} "
                "--model sasrec --out DIR` trains one for --sasrec DIR.",
                err=True,
            )
        else:
            write_opening(loaded)
        agreement = found.agreement
    if as_json:
        tables = {column: asdict(facet) for column, facet in agreement.items()}
        unknown = dict.fromkeys(("lists", "causes", "heads", "experts", "expert_share"))
        print_json(
            asdict(found)
            if found is not None
            else {"neighbours": NEIGHBOURS, "agreement": tables, **unknown}
        )
        return
    if agreement:
        _print_agreement(agreement)
    else:
        typer.echo("The catalogue of this checkpoint knows no facets.")
    if found is not None:
        called = _head_names(loaded)
        _say_names(loaded, called)
        _print_experts(loaded, found, called)


def _print_agreement(agreement: dict[str, Agreement]) -> None:
    from fame.facets.agreement import NEIGHBOURS
    from fame.presentation.names import head_name

    typer.echo(f"Share of an item's {NEIGHBOURS} nearest items that agree with it")
    spaces = list(next(iter(agreement.values())).spaces)
    titles = ["Whole", *(head_name(head) for head in range(len(spaces) - 1))]
    typer.echo(f"{'':<14}" + "".join(f"{title:>8}" for title in titles) + "  chance  items asked")
    for column, facet in agreement.items():
        shares = "".join(f"{facet.spaces[space]:>8.1%}" for space in spaces)
        typer.echo(f"{column:<14}{shares}{facet.chance:>8.1%}  {facet.asked:>11,}")


def _print_experts(loaded: Checkpoint, found: Facets, called: HeadNames) -> None:
    """Whom each expert serves, and what the lists are without it."""
    from fame.presentation.names import expert_name
    from fame.presentation.sentences import changed_phrase, goals_sentence, served_phrase
    from fame.survey import expert_goals_of

    goals = expert_goals_of(loaded, found)
    if not found.experts:
        typer.echo(goals_sentence(goals, called))
        return
    typer.echo(f"Whom experts serve, over {found.expert_people:,} people")
    pairs = zip(found.experts, found.expert_lists, strict=True)
    for head, experts in groupby(pairs, key=lambda pair: pair[0].head):
        share, interval = found.expert_share[head], found.expert_share_interval[head]
        said = "one expert, so there is nothing to share out"
        rows = list(experts)
        if share is not None and interval is not None:
            said = (
                f"share of person and expert {share:.2f} ({interval[0]:.2f} to {interval[1]:.2f}), "
                f"sharpness {rows[0][0].sharpness:.2f}"
            )
        typer.echo(f"{called.head(head)}: {said}")
        for use, lists in rows:
            typer.echo(
                f"  {expert_name(use.expert, use.named_after)}: load {use.load:.1%}"
                f"{' (dead)' if use.dead else ''}; {served_phrase(use)}; {changed_phrase(lists)}"
            )
    typer.echo(goals_sentence(goals, called))


def _choose_names(loaded: Checkpoint, wanted: list[str], as_json: bool) -> None:
    """Keeps the names that a person chose, and says what every head is called now."""
    from fame.head_names import choose_names

    chosen: dict[int, str] = {}
    for text in wanted:
        number, equals, name = text.partition("=")
        if not (equals and re.fullmatch(r"[0-9]{1,4}", number)):
            raise FameError(f"A name is given as HEAD=NAME, like 1=Mood, not {text[:40]!r}.")
        if int(number) - 1 in chosen:
            raise FameError(f"Head {int(number)} is named twice; give it one name.")
        chosen[int(number) - 1] = name
    choose_names(loaded, chosen)
    called = _head_names(loaded)
    if as_json:
        print_json({"names": called.names})
        return
    _say_names(loaded, called)


def _say_names(loaded: Checkpoint, called: HeadNames) -> None:
    from fame.presentation.names import head_name

    for head in range(loaded.model.heads):
        typer.echo(f"{head_name(head)} ({called.names[head] or 'no name'}): {called.why(head)}")


@app.command()
def project(checkpoint: CheckpointPath) -> None:
    """Writes the UMAP projection of the whole embedding and of every head."""
    from fame.projection import project as run_projection
    from fame.projection import write_projection

    loaded = _load_checkpoint(checkpoint, "cpu")
    progress = StderrProgress()
    projection = run_projection(
        loaded.model,
        loaded.items["item_id"].tolist(),
        on_space=lambda space, done, total: progress(
            f"Projecting {space} ({done + 1} of {total})", None
        ),
    )
    write_projection(loaded.path, projection, loaded.weights_hash)
    for space, share in projection.preservation.items():
        typer.echo(f"{space:<8} {share:.0%} of the 15 nearest neighbours kept in the picture")


def _rows_asked_for(
    models: str, data_name: str, settings: list[str] | None, device: str
) -> tuple[list[Variant], dict[str, Any]]:
    """The rows of a table that --models names, and the settings that win over their recipes.

    A wrong setting is told here, before any data is read.
    """
    from fame.config import parse_setting
    from fame.experiments.variants import variants

    wanted = variants(models.split(","))
    given = {**dict(parse_setting(setting) for setting in settings or []), "device": device}
    for variant in wanted:
        variant.configs(data_name, **given)
    return wanted, given


@app.command()
def reproduce(
    data_name: SetName,
    models: Annotated[
        str,
        typer.Option(
            help="Rows, joined by commas: fame, paper (the paper's equations), sasrec; own-view, "
            "no-words and all-heads (former recipes of heads that are facets, FAME itself where "
            "there was none); fame-start "
            "(facets are where items start, not what they are), and that as no-experts, no-facets, "
            "uniform-gate, neither, heads x experts such as 4x2, or 4x2-clicks from clicks alone; "
            "bsarec; bound-0.2 and the like (how long items' own parts may be); or the groups "
            "models, former, others, clicks, wide, ablations, sweep, bounds."
        ),
    ] = "models",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every model, seeds from 0.")] = 5,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Wins over every recipe; may be repeated."),
    ] = None,
    device: Device = "auto",
    out: Annotated[Path, typer.Option(help="The folder of results.csv.")] = Path("checkpoints"),
    ship: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Then make a checkpoint of the first row's run with the median validation figure.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Trains the rows of a set's table over seeds; a run that has its row is not run again."""
    from fame.experiments.gains import Gain, brackets_in_words
    from fame.experiments.reproduce import Row, check_ship
    from fame.experiments.reproduce import reproduce as run_table
    from fame.experiments.reproduce import ship as make_checkpoint
    from fame.experiments.results import Results

    wanted, given = _rows_asked_for(models, data_name, settings, device)
    if ship is not None:
        check_ship(ship)
    dataset = data.load(data_name, progress=StderrProgress())
    results = Results(out)
    with _training_bar() as (on_step, on_ranked, _):
        summary = run_table(
            dataset,
            wanted,
            seeds,
            results,
            settings=given,
            on_run=lambda text: typer.echo(f"Training {text}", err=True),
            on_step=on_step,
            on_ranked=on_ranked,
        )
    if summary is None:
        typer.echo("Stopped; go on with the same command.", err=True)
        raise typer.Exit(130)
    if ship is not None:
        row = Row.of(wanted[0], dataset, seeds, given, results)
        seed = make_checkpoint(dataset, row, results, ship)
        typer.echo(f"The checkpoint of seed {seed} is in {ship}.", err=True)
    if as_json:
        print_json(summary)
        return
    typer.echo(f"{data_name}, {seeds} seed{'s' * (seeds != 1)}; {summary['protocol']}")
    for name, figures in summary["baselines"].items():
        typer.echo(
            f"  {name:<13} HR@10 {figures['HR@10']:.4f}          NDCG@10 {figures['NDCG@10']:.4f}"
        )
    for name, row in summary["models"].items():
        mean, std = row["mean"], row["std"]
        hr, ndcg = (
            f"{mean[metric]:.4f}" + (f" ± {std[metric]:.4f}" if seeds > 1 else "         ")
            for metric in ("HR@10", "NDCG@10")
        )
        typer.echo(
            f"  {name:<13} HR@10 {hr} NDCG@10 {ndcg}  "
            f"({row['seconds']:.0f} s a run, median validation: seed {row['median_seed']})"
        )
    bases = {row.name: row.base for row in wanted}
    for name, gains in summary["gains_over_sasrec"].items():
        words = "; ".join(f"{metric} {Gain(**gain).in_words()}" for metric, gain in gains.items())
        typer.echo(f"  {name} over {bases[name]}: {words}")
    found = [gain for gains in summary["gains_over_sasrec"].values() for gain in gains.values()]
    if found:
        interval = any(gain["low"] is not None for gain in found)
        typer.echo(brackets_in_words(seeds, interval=interval).capitalize())


@app.command()
def cold(
    data_name: SetName,
    models: Annotated[
        str, typer.Option(help="Rows as in `reproduce`, joined by commas.")
    ] = "fame,sasrec",
    share: Annotated[float, typer.Option(help="Of the items, taken out of training.")] = 0.05,
    seeds: Annotated[
        int, typer.Option(min=1, help="Draws of the items and runs of every model, seeds from 0.")
    ] = 3,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Wins over every recipe; may be repeated."),
    ] = None,
    device: Device = "auto",
    out: Annotated[Path, typer.Option(help="Runs are kept in runs/ below it.")] = Path(
        "checkpoints"
    ),
    as_json: AsJson = False,
) -> None:
    """Ranks items that were in no training history, for the people who clicked them."""
    from fame.experiments.cold import cold_markdown, cold_table
    from fame.experiments.results import Results

    wanted, given = _rows_asked_for(models, data_name, settings, device)
    dataset = data.load(data_name, progress=StderrProgress())
    with _training_bar() as (on_step, on_ranked, _):
        table = cold_table(
            dataset,
            wanted,
            seeds,
            Results(out),
            share=share,
            settings=given,
            on_run=lambda text: typer.echo(f"Training {text}", err=True),
            on_step=on_step,
            on_ranked=on_ranked,
        )
    if table is None:
        typer.echo("Stopped; go on with the same command.", err=True)
        raise typer.Exit(130)
    if as_json:
        print_json(table)
    else:
        typer.echo(cold_markdown(table), nl=False)


@app.command()
def results(
    out: Annotated[Path, typer.Option(help="The folder of results.csv.")] = Path("checkpoints"),
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Put the tables between the marks of this file."),
    ] = None,
) -> None:
    """Makes the tables of all runs in results.csv, as Markdown."""
    from fame.experiments.results import Results
    from fame.experiments.results_page import results_markdown, write_into

    if write is None:
        typer.echo(results_markdown(Results(out)), nl=False)
    else:
        write_into(write, Results(out))
        typer.echo(f"The tables are in {write}.", err=True)


@app.command()
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[train|rank|loss|lens|data|faults|serve|gpu]...",
            help="Default: all but faults, serve and gpu.",
        ),
    ] = None,
    data_name: Annotated[
        str, typer.Option("--data", help="A name out of `data list`, or synthetic:ml-20m.")
    ] = "beauty",
    scale: Annotated[
        float,
        typer.Option(help="Size of the made-up set, or of 3,000 faulty inputs, as a share of all."),
    ] = 1.0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of every figure.")] = 5,
    budget: Annotated[
        float, typer.Option(min=1, help="Seconds a repeat; longer epochs are extrapolated.")
    ] = 60.0,
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this contender; may be repeated.")
    ] = None,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="For lens and serve; default: shipped ones."),
    ] = None,
    peer: Annotated[str | None, typer.Option(help="recbole: measure its SASRec beside ours.")] = (
        None
    ),
    peer_python: Annotated[
        str | None, typer.Option(help="The Python of an environment that has the peer.")
    ] = None,
    peer_repeats: Annotated[
        int, typer.Option(min=1, help="Epochs of the peer: they are long.")
    ] = 1,
    sessions: Annotated[int, typer.Option(min=1, help="People at once, for serve.")] = 30,
    seconds: Annotated[float, typer.Option(min=1, help="How long they click, for serve.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Measures training, ranking, the loss and the lens; peers beside us where they are named.

    "faults" counts what becomes of damaged and odd files, settings and names, and of work that is
    killed or has nowhere to write. "serve" has many people click at once on the app's real server,
    and holds what they see against the library. "gpu" tries, in six minutes at most, all that is
    built for a GPU, and stands alone.
    """
    from fame.bench.benches import Options, run
    from fame.bench.gpu import bench_gpu
    from fame.bench.peers import Peer
    from fame.bench.tables import machine_line, table
    from fame.config import parse_setting

    if "gpu" in (names or []):
        if names != ["gpu"]:
            raise FameError("bench gpu stands alone: it runs the other benches that it needs.")
        answer = bench_gpu(
            device or "cuda", scale=scale, say=lambda text: typer.echo(text, err=True)
        )
        if as_json:
            print_json({"format": 1, **answer})
            return
        typer.echo(machine_line(answer["machine"]))
        for name, step in answer["steps"].items():
            typer.echo(f"{name:<10} {step['seconds']:6.1f} s  {step.get('why', 'done')}")
        for name, goal in answer["goals"].items():
            figure = "not measured" if goal["figure"] is None else f"{goal['figure']:.4g}"
            typer.echo(f"{name}: {figure}, goal at most {goal['goal']:.4g}")
        return
    if (peer is None) != (peer_python is None):
        raise FameError("--peer and --peer-python go together: the peer, and the Python it is in.")
    flags = {"device": device, "precision": precision}
    given = dict(parse_setting(setting) for setting in settings or [])
    given |= {key: value for key, value in flags.items() if value is not None}
    options = Options(
        names=names or (),
        data=data_name,
        scale=scale,
        settings=given,
        repeats=repeats,
        budget=budget,
        only=only or (),
        peer=Peer(peer, peer_python, peer_repeats) if peer and peer_python else None,
        checkpoints=checkpoints or (),
        sessions=sessions,
        seconds=seconds,
    )
    machine, reports = run(options, lambda text: typer.echo(text, err=True))
    if as_json:
        answers = {name: report.to_json() for name, report in reports.items()}
        print_json({"format": 1, "machine": machine, "benches": answers})
        return
    typer.echo(machine_line(machine))
    typer.echo("Median (least .. most) of the repeats; contenders took turns.")
    for report in reports.values():
        typer.echo("")
        typer.echo(table(report))


def _load_checkpoint(path: Path, device: str) -> Checkpoint:
    from fame.checkpoint import load_checkpoint
    from fame.training.loop import resolve_device

    return load_checkpoint(path, resolve_device(device))


def _fitted(
    checkpoint: Checkpoint, data_name: str | None, *, offline: bool = False, place: bool = True
) -> tuple[Checkpoint, Fitted]:
    """The histories to use with a checkpoint, and the checkpoint with the items that it can add.

    Another catalogue is refused; that a set has grown, or has other histories, is said.

    Args:
        place: Whether new items are ranked from their values, where they can be.
    """
    from fame.grown import fitted, with_new_items

    name = data_name or checkpoint.data.name
    dataset = data.load(name, offline=offline, progress=StderrProgress())
    checkpoint = with_new_items(checkpoint, dataset) if place else checkpoint
    found = fitted(checkpoint, dataset)
    told = [] if found.growth is None else found.growth.sentences()
    if found.other:
        told = [
            f"The histories of {name} differ from those {checkpoint.name} was trained on, so its "
            "figures are not the model card's."
        ]
    for sentence in told:
        typer.echo(f"Note: {sentence}", err=True)
    return checkpoint, found


def _grown(found: Fitted | None) -> dict[str, Any]:
    """What a JSON answer says of a set that has grown; nothing of one that has not."""
    growth = None if found is None else found.growth
    return {} if growth is None else {"grown": growth.to_json()}


def _asked_items(user: str | None, items: str | None, item: list[str] | None) -> list[str]:
    """The item ids of a history; empty where a person's is asked for."""
    if sum(given is not None for given in (user, items, item or None)) != 1:
        raise FameError(
            "Give --user ID, --items ID,ID,... or one --item ID after another: exactly one of the "
            "three."
        )
    ids = item or [part.strip() for part in (items or "").split(",") if part.strip()]
    if user is None and not ids:
        raise FameError("--items needs at least one item id.")
    return ids


def _history(
    checkpoint: Checkpoint, user: str | None, items: list[str]
) -> tuple[Checkpoint, np.ndarray, int | None, Fitted | None]:
    """A history's item indices; of a user also the item held out behind it, and everybody's.

    Of a set that has grown the checkpoint comes with the new items that it can rank.
    """
    import numpy as np

    if user is not None:
        checkpoint, found = _fitted(checkpoint, None)
        histories = found.dataset.interactions
        return checkpoint, *histories.split_user(histories.user_index(user)), found
    return checkpoint, np.array([checkpoint.item_index(item) for item in items]), None, None


def _intervention(gate: str | None, mute: list[str] | None, solo: list[str] | None) -> Intervention:
    from fame.models.sequence_model import Intervention

    return Intervention(
        gate=None if gate is None else tuple(_number(part) for part in gate.split(",")),
        muted=tuple(_head_expert(text) for text in mute or []),
        solo=tuple(_head_expert(text) for text in solo or []),
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FameError(f"--gate takes numbers like 0.5,0.5, not {text!r}.") from None


def _head_expert(text: str) -> tuple[int, int]:
    head, colon, expert = text.partition(":")
    if not (colon and head.isdigit() and expert.isdigit()):
        raise FameError(f"An expert is written HEAD:EXPERT, like 0:2, not {text!r}.")
    return int(head), int(expert)


def _head_names(loaded: Checkpoint) -> HeadNames:
    """What the heads are called; what keeps stored names from being used is told."""
    from fame.head_names import read_head_names

    called = read_head_names(loaded)
    for problem in called.problems:
        typer.echo(f"Stored names of heads are left aside: {problem}", err=True)
    return called


def _print_trace(answer: dict[str, Any], called: Callable[[str], str]) -> None:
    """Prints an answer; ``called`` gives an item's name by its id."""
    from fame.lens.compare import NOTHING_LEFT

    seen = len(answer["history"]) - answer["seen_from"]
    typer.echo(f"History of {len(answer['history'])} clicks; the model reads the latest {seen}.")
    for head, (share, ranking) in enumerate(zip(answer["gate"], answer["heads"], strict=True)):
        name = answer["names"][head]
        typer.echo(f"\nHead {head}{f' ({name})' if name else ''}, gate share {share:.0%}")
        if answer["router"]:
            shares = ", ".join(f"{expert:.0%}" for expert in answer["router"][head])
            typer.echo(f"  experts: {shares}")
        for row in ranking:
            typer.echo(f"  {row['rank']:>3}  {row['score']:+8.3f}  {called(row['item'])}")
    typer.echo(f"\nFused, with the {answer['ledger']} share of each head")
    for rank, row in enumerate(answer["fused"], 1):
        shares = "  ".join(f"{share:+z.3f}" for share in row["by_head"])
        typer.echo(f"  {rank:>3}  {row['score']:+8.3f} = {shares}  {called(row['item'])}")
    if not answer["fused"]:
        typer.echo(NOTHING_LEFT)
    if held_out := answer["held_out"]:
        by_head = ", ".join(str(rank) for rank in held_out["rank_by_head"])
        where = f"rank {held_out['rank']} (by head: {by_head})"
        if held_out["rank"] is None:
            where = "which is in the history and so in no list: it has no rank and counts as a miss"
        typer.echo(f"\nWhat came next: {called(held_out['item'])}, {where}")
    if new := answer.get("new"):
        by_head = ", ".join(str(rank) for rank in new["rank_by_head"])
        typer.echo(
            f"\nA new item of {', '.join(new['values'])}: rank {new['rank']} (by head: {by_head})"
        )
