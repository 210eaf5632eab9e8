"""Train: how well does a model learn this data?"""

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

import cards
import charts
import components
import forming
import resources
import state
import tables
from fame.checkpoint import is_checkpoint
from fame.config import ModelName
from fame.data import SetInfo, list_sets
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.errors import ConfigError, FameError
from fame.experiments.recipes import build_configs, has_recipe, load_recipe
from fame.models.registry import MODELS, made_of_values, settings_of_others
from fame.presentation.text import duration
from fame.training.runs import RunFolder, Status
from text import for_markdown

QUESTION = "How well does a model learn this data?"
LEDE = (
    "Training is a process of its own: it goes on when you close this page or the app, and this "
    "page finds it again."
)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

# What the form asks for: label, step, and why the default is what it is.
SETTINGS: dict[str, tuple[str, float, str]] = {
    "epochs": ("Epochs, at most", 1, "Passes over the data; patience usually ends a run earlier."),
    "patience": (
        "Patience",
        1,
        "Epochs without a better validation NDCG@10 before training ends; 0 never ends it. "
        "The figure wobbles from epoch to epoch, so a few are waited for.",
    ),
    "heads": (
        "Heads",
        1,
        "Each head owns an equal slice of the width and ranks the catalogue alone; more heads "
        "make thinner slices.",
    ),
    "experts": ("Experts in each head", 1, "Ways in which a head can read the history."),
    "width": (
        "Width",
        8,
        "Numbers that stand for an item; a multiple of heads. 64 is what most papers report on "
        "these data sets; more pays where each head ranks with a slice of it.",
    ),
    "layers": ("Layers", 1, "Blocks of attention; the last one holds the experts."),
    "max_length": (
        "Clicks read",
        10,
        "The latest clicks that the model sees. Short histories (shops) need 50, long ones "
        "(films) gain from 100 to 200.",
    ),
    "dropout": (
        "Dropout",
        0.05,
        "Share of the signal left out at random in training, against learning by heart: the "
        "smaller the data, the more.",
    ),
    "batch_size": ("Samples a step", 16, "More is faster by the epoch, fewer learn more by it."),
    "learning_rate": ("Learning rate", 0.0001, "The peak step size of AdamW; 0.001 suits most."),
    "head_loss_weight": (
        "Weight of each head's own loss",
        0.1,
        "Above 0 every head is also trained to rank by itself, which keeps them all alive; "
        "at 0.5 it costs no accuracy on Amazon Beauty.",
    ),
    "own_bound": (
        "Bound on what is an item's own",
        0.1,
        "Where heads are facets: how much more than its values an item may be, as a share of them; "
        "0 leaves values alone, a large number sets no bound.",
    ),
    "filter_weight": (
        "Share of the filter",
        0.1,
        "How much of a block's result its filter of frequencies makes, and how much its attention; "
        "0 leaves the filter away. 0.7 is what its authors have for Amazon Beauty.",
    ),
    "frequency_cutoff": (
        "Low frequencies",
        2,
        "How many of the lowest frequencies of a history the filter keeps as they are, an odd "
        "number; the rest is weighed. 5 is what its authors have for Amazon Beauty.",
    ),
    "seed": ("Seed", 1, "The same seed gives the same start, batches and dropout."),
}
# Settings of few values: label, what each value is called, and why one or the other.
CHOICES: dict[str, tuple[str, dict[str, str], str]] = {
    "samples": (
        "One sample is",
        {"windows": "a person's history", "prefixes": "a click and those before it"},
        "With each click a sample of its own a model ranks better where histories are short, and "
        "reads 8 times as many clicks on Amazon Beauty, 120 times as many on MovieLens 1M.",
    ),
    "item_start": (
        "Items start from",
        {"random": "noise", "catalogue": "what the catalogue says of them"},
        "Items whose titles, brands and categories share words can start near each other, which "
        "ranks better where most items have few clicks. The data set needs a catalogue for it; "
        "the trained model reads clicks alone either way.",
    ),
}


def main() -> None:
    state.begin("train", ("run", "present"))
    place = components.page_head(QUESTION, LEDE)
    form, live = st.columns([2, 3], gap="large")
    with form:
        _new_run()
    with live:
        _chosen_run()
    components.tell(place)
    _past_runs()
    state.publish(("run", "present"))


# --- a new run ---------------------------------------------------------------------------------


def _new_run() -> None:
    components.section("What shall be trained?", "Head (facet)", "Expert", "Epoch")
    if resources.is_demo():
        st.info(resources.DEMO)
        return
    sets = {info.name: info for info in list_sets()}
    data = st.selectbox("Data set", list(sets), format_func=lambda name: _label(sets[name]))
    components.quiet(f"{sets[data].description}.")
    if told := sets[data].repeats:
        components.quiet(f"{told[0].upper()}{told[1:]}.")
    model = st.segmented_control(
        "Model",
        list(MODELS),
        format_func=lambda name: MODELS[name].title,
        default="fame",
        required=True,
        width="stretch",
        help=" ".join(spec.about for spec in MODELS.values()),
    )
    found = resources.devices()
    left, right = st.columns(2)
    name = left.text_input(
        "Name of the checkpoint",
        value=_free_name(data, model),
        key=f"name-{data}-{model}-{state.starts()}",
        help=f"Its folder in {for_markdown(str(resources.checkpoint_root()))}.",
    ).strip()
    device = right.selectbox(
        "Device", list(found), format_func=found.__getitem__, help="What this machine has."
    )
    problem = _name_problem(name)
    if problem:
        st.error(for_markdown(problem))
    settings = _settings(sets[data], model)
    if st.button(
        "Start training",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=bool(problem),
    ):
        try:
            _start(name, sets[data], {"model": model, **settings}, device)
        except FameError as error:
            st.error(for_markdown(str(error)))


def _label(info: SetInfo) -> str:
    return info.title + (" (is fetched first)" if info.place == "remote" else "")


def _free_name(data: str, model: str) -> str:
    taken = {path.name for path in resources.checkpoint_root().glob("*")}
    number = 1
    while f"{data}-{model}-{number}" in taken:
        number += 1
    return f"{data}-{model}-{number}"


def _base(info: SetInfo, model: ModelName) -> tuple[dict[str, Any], str]:
    """What a run starts from, and why in a paragraph where a recipe is lacking.

    A set that has yet to be fetched is looked at by the run itself.
    """
    if has_recipe(info.name):
        return load_recipe(info.name, model), ""
    if info.place == "remote":
        return {}, "It has no recipe: the run looks at the set once it is here and chooses."
    try:
        choice = resources.choice(info.name, model)
    except FameError as error:  # the set is damaged; who starts a run on it is told so again
        return {}, str(error)
    return choice.settings, choice.why


def _settings(info: SetInfo, model: ModelName) -> dict[str, Any]:
    """The main settings, starting at the data set's recipe or at what is chosen for it.

    Of a set that has yet to be fetched, only what was set otherwise: the rest is to be chosen.
    """
    data = info.name
    base, why = _base(info, model)
    model_config, train_config = build_configs({**base, "model": model}, f"the recipe of {data}")
    defaults = {**model_config.to_dict(), **train_config.to_dict()}
    if why:
        components.quiet(why)
    unused = settings_of_others(model)
    shown = [name for name in SETTINGS if name not in unused]
    chosen = {}
    origin = "at what was chosen for the data set" if why else "at the values of its recipe"
    with st.expander(f"Settings, {origin}"):
        columns = st.columns(2)
        for place, name in enumerate(shown):
            label, step, why = SETTINGS[name]
            whole = isinstance(defaults[name], int)
            chosen[name] = columns[place % 2].number_input(
                label,
                min_value=0 if whole else 0.0,
                value=defaults[name],
                step=int(step) if whole else step,
                format="%d" if whole else "%.4f" if step < 0.01 else "%.2f",
                key=f"setting-{data}-{model}-{name}",
                help=f"{why} In configurations: `{name}`.",
            )
        for name, (label, options, why) in CHOICES.items():
            chosen[name] = st.segmented_control(
                label,
                list(options),
                format_func=options.__getitem__,
                default=defaults[name],
                required=True,
                width="stretch",
                key=f"setting-{data}-{model}-{name}",
                help=f"{why} In configurations: `{name}`.",
            )
        if MODELS[model].heads_rank:
            from_catalogue = chosen["item_start"] == "catalogue"
            dealt = st.text_input(
                "What each head starts from",
                value=defaults["start_facets"],
                placeholder="everything",
                disabled=not from_catalogue,
                key=f"setting-{data}-{model}-start_facets",
                help="Columns of the catalogue joined by commas, heads by slashes: "
                "`title,brand/category` gives titles and brands to the first head and all "
                "columns `category_...` to the second. Empty: each head starts from everything. "
                "In configurations: `start_facets`.",
            )
            chosen["start_facets"] = dealt.strip() if from_catalogue else ""
            chosen["head_facets"] = st.text_input(
                "What each head is a facet of",
                value=defaults["head_facets"],
                placeholder="nothing",
                key=f"setting-{data}-{model}-head_facets",
                help="Columns of the catalogue joined by commas, one share a head with slashes "
                "between: with three heads `genres/year/` makes items of what their genres and "
                "their years and decades have learned, and leaves the last head free. Empty: every "
                "item is one vector. In configurations: `head_facets`.",
            ).strip()
    if why and not base:
        return {name: value for name, value in chosen.items() if value != defaults[name]}
    return chosen


def _name_problem(name: str) -> str:
    """What is wrong with the name of a new checkpoint, in one sentence; empty where nothing is."""
    if not NAME.fullmatch(name):
        return (
            f"{name!r} cannot be the name of a checkpoint: use up to 64 lower-case letters, "
            "digits, dots, underscores and dashes, with a letter or digit first."
        )
    if os.path.lexists(resources.checkpoint_root() / name):  # a checkpoint or anything else
        return f"There is {name!r} in the folder of checkpoints already; choose another name."
    return ""


def _start(name: str, info: SetInfo, settings: dict[str, Any], device: str) -> None:
    if problem := _name_problem(name):  # it may have been taken meanwhile
        raise ConfigError(problem)
    base, _ = _base(info, settings["model"])
    shape, _ = build_configs({**base, **settings}, "The form")
    if made_of_values(shape) and info.place != "remote":
        data = resources.dataset(info.name)
        attributes = ItemAttributes.of(data.items)
        head_values(attributes, shape.facet_shares, data.interactions.num_items)  # or says why not
    path = resources.checkpoint_root() / name
    resources.launch_run(path, info.name, settings, device, resume=False)
    state.count_start()
    state.settle("run", name)
    st.rerun()


# --- one run -----------------------------------------------------------------------------------


def _chosen_run() -> None:
    runs = resources.runs()
    components.section("How is it going?", "Epoch", "NDCG@10")
    wanted = state.get("run")
    if wanted and wanted not in runs:
        state.notice(f"There is no run {wanted!r} in {resources.checkpoint_root()}.")
        wanted = ""
    if not runs:
        components.quiet("Nothing has been trained here yet; a run shows up when it starts.")
        return
    if not wanted:
        state.settle("run", max(runs, key=lambda name: _order(runs[name])))
    name = st.selectbox("Run", list(runs), key=state.key("run"))
    state.keep("run", name)
    if resources.is_active(runs[name]):
        _follow(runs[name].path)
    else:
        _show(runs[name])
        _after(runs[name])


def _order(run: RunFolder) -> tuple[bool, float]:
    """Active runs first, then the newest."""
    status = run.status()
    return resources.is_active(run), status.updated if status else 0.0


@st.fragment(run_every=1)
def _follow(path: Path) -> None:
    """Shows a run once a second; the page is drawn anew when it has ended."""
    run = RunFolder(path)
    if not resources.is_active(run):
        st.rerun()
    with components.guard():
        _show(run)
        _stop_button(run)
        for sentence in state.take_notices():  # the top of the page is not drawn with a fragment
            st.warning(for_markdown(sentence))


def _stop_button(run: RunFolder) -> None:
    status = run.status()
    if resources.is_demo() or status is None or status.phase not in ("preparing", "training"):
        return
    stopping = run.is_stopping()
    st.button(
        "Stopping after this step …" if stopping else "Stop after this step",
        key="stop",
        icon=":material/stop:",
        on_click=_stop,
        args=(run,),
        disabled=stopping,
        help="The best epoch so far is kept, and the run can be resumed.",
    )


def _stop(run: RunFolder) -> None:
    try:
        resources.stop_run(run)
    except FameError as error:
        state.notice(str(error))


def _show(run: RunFolder) -> None:
    status = run.status()
    if status is None:
        _show_start(run)
        return
    cards.run_line(status)
    if status.phase == "training" and status.steps:
        done = (max(status.epoch, 1) - 1 + status.step / status.steps) / max(status.epochs, 1)
        st.progress(min(done, 1.0), text=_progress_text(status))
    if status.message:
        tell = st.error if status.phase == "failed" else st.info
        tell(for_markdown(status.message))
    history = pd.DataFrame(run.history())
    if len(history):
        left, right = st.columns(2)
        with left:
            components.chart(charts.validation_curve(history), "validation")
        with right:
            components.chart(charts.loss_curve(history), "loss")
        forming.live(run.history())
    else:
        components.quiet("The curves begin when the first epoch has ended.")
    with st.expander("Log"):
        st.code(run.log_tail() or "Nothing yet.", language=None)


def _show_start(run: RunFolder) -> None:
    """A run that has not said a word: it is starting, or it failed before it could."""
    log = run.log_tail()
    if resources.is_starting(run.path):
        components.quiet("Starting: the program and the data set are being read.")
    else:
        st.error(for_markdown(log.splitlines()[-1] if log else "It ended before it began."))
    if log:
        st.code(log, language=None)


def _progress_text(status: Status) -> str:
    rate = (
        f"{status.positions_per_second:,.0f} clicks a second"
        if (status.positions_per_second)
        else "measuring the rate"
    )
    left = f"at most {duration(status.eta_seconds)} to go" if status.eta_seconds else ""
    parts = [f"Epoch {status.epoch} of {status.epochs}", f"step {status.step} of {status.steps}"]
    return " · ".join(part for part in (*parts, rate, left) if part)


def _after(run: RunFolder) -> None:
    """What can be done with a run that has ended."""
    status = run.status()
    row = st.container(horizontal=True)
    if is_checkpoint(run.path) and row.button(
        "Open in Lens", type="primary", icon=":material/center_focus_strong:"
    ):
        state.put("checkpoint", run.path.name)
        st.switch_page("views/lens.py")
    if resources.is_demo() or status is None:
        return
    if run.can_resume() or run.is_beginning():
        row.button(
            "Resume",
            icon=":material/resume:",
            on_click=_resume,
            args=(run, status),
            help="Goes on after the last whole epoch; begins again where there is none.",
        )


def _resume(run: RunFolder, status: Status) -> None:
    try:
        resources.launch_run(run.path, status.data, {}, None, resume=True)
    except FameError as error:
        state.notice(str(error))


def _past_runs() -> None:
    rows = [
        (name, status, resources.metrics(run.path))
        for name, run in resources.runs().items()
        if (status := run.status()) is not None
    ]
    if not rows:
        return
    components.section("How do the runs compare?", "NDCG@10", "HR@10", "Held-out item")
    table = tables.runs_table(rows)
    figure = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        table,
        hide_index=True,
        key="runs",
        column_config={name: figure for name in table.columns if "@" in name}
        | {"Minutes": st.column_config.NumberColumn(format="%.1f")},
    )
    components.quiet(
        "Leave-one-out: a person's last click is the test, the one before it the validation; the "
        "whole catalogue is ranked. Figures of different data sets do not compare."
    )
    components.download(table, "Runs as CSV", "runs")


main()
