"""What shall be trained? The form of a new run, what it will take, and its command line."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

import streamlit as st

import components
import resources
import state
from fame.config import ModelConfig, ModelName, TrainConfig
from fame.data import SetInfo, list_sets
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.errors import ConfigError, FameError
from fame.experiments.compare_runs import BASELINE
from fame.experiments.estimate import Estimate
from fame.experiments.recipes import build_configs, has_recipe, load_recipe
from fame.experiments.variants import variant
from fame.models.registry import MODELS, made_of_values
from fame.presentation.text import count, duration
from fame.training.event_files import check_tensorboard
from fame.training.jobs import Job, train_arguments
from fame.training.runs import name_problem
from text import for_markdown
from train_parts import import_report
from train_parts.fields import Fields

_QUICK = "ml-100k"
# Of MovieLens 100K's recipe, whose heads are facets: what two minutes on a laptop leave time for.
_QUICK_SETTINGS = {"epochs": 12, "patience": 0, "batch_size": 64, "learning_rate": 0.003}
_PRESETS = {
    "recipe": "This data set's recipe",
    "quick": "Two minutes on this machine",
    "paper": "The paper's equations",
    "beside": "SASRec beside it",
}
_PRESETS_HELP = (
    "The recipe is what the shipped tables were made with, or what is chosen for a set of one's "
    "own. Two minutes: MovieLens 100K for 12 epochs, with heads that are facets. The paper's "
    "equations: FAME as published, without what this project added. SASRec: the baseline on the "
    "same data, to compare with."
)
_PAPERS = {variant(row).model: row for row in ("paper", "sasrec-paper")}
_PRESET, _DATA, _MODEL, _FROM = "train-preset", "train-data", "train-model", "train-from"


def new_run() -> None:
    """Draws the form; starts a run where somebody presses the button."""
    components.section("What shall be trained?", "Head (facet)", "Expert", "Epoch")
    if resources.is_demo():
        st.info(resources.DEMO)
        return
    sets = {info.name: info for info in list_sets()}
    data = st.selectbox(
        "Data set", list(sets), format_func=lambda name: _label(sets[name]), key=_DATA
    )
    info = sets[data]
    components.quiet(_about(info))
    if info.place == "imported":
        with st.expander("What became of its rows"), components.guard():
            import_report.draw(info.name)
    preset = _preset()
    st.session_state.setdefault(_MODEL, "fame")
    model = st.segmented_control(
        "Model",
        list(MODELS),
        format_func=lambda name: MODELS[name].title,
        required=True,
        width="stretch",
        key=_MODEL,
        help=" ".join(spec.about for spec in MODELS.values()),
    )
    name, device = _name_and_device(data, model)
    start = _Start.of(info, model, preset)
    if start.remark:
        components.quiet(start.remark)
    fields = Fields(model, start.defaults, start.key)
    chosen = fields.draw(f"Settings, {start.origin}")
    settings = {**start.settings, **chosen, "model": model}
    configs = None
    try:
        configs = build_configs(settings, "The form")
    except ConfigError as error:
        told = fields.tell(_with_widths(str(error), settings))
    else:
        told = _take(info, *configs, device, fields)
    problem = _name_problem(name, told=True) or told
    tensorboard = st.checkbox(
        "Event files for TensorBoard",
        help="Writes the figures of every epoch for `tensorboard --logdir` beside the run as well; "
        "needs the package tensorboard.",
    )
    job = Job(data, start.wanted(settings, fields.shown), device, tensorboard=tensorboard)
    if not problem:
        _command(job, name)
    if st.button(
        _start_label(device),
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=bool(problem),
        key="start",
    ):
        try:
            _start(name, info, configs, job)
        except FameError as error:
            st.error(for_markdown(str(error)))
    if problem:
        components.quiet(f"It cannot start yet: {problem}")


# --- where it starts from ------------------------------------------------------------------------


def _preset() -> str:
    options = dict(_PRESETS)
    if source := st.session_state.get(_FROM):
        options["run"] = f"As {source}"
    return st.radio(
        "Start from",
        list(options),
        format_func=options.__getitem__,
        key=_PRESET,
        on_change=_preset_chosen,
        help=_PRESETS_HELP,
    )


def _preset_chosen() -> None:
    """Sets data set and model to what a starting point is of."""
    preset = st.session_state[_PRESET]
    if preset == "quick":
        st.session_state[_DATA], st.session_state[_MODEL] = _QUICK, "fame"
    elif preset == "beside":
        st.session_state[_MODEL] = BASELINE
    elif preset == "paper":
        st.session_state[_MODEL] = "fame"
    elif preset == "run":
        start_as(st.session_state[_FROM])


def start_as(name: str) -> None:
    """Lets the form start from the settings of a run; called by a button."""
    described = resources.description(resources.checkpoint_root() / name)
    if described is not None:
        st.session_state[_FROM], st.session_state[_PRESET] = name, "run"
        st.session_state[_MODEL] = described.model_config.model
        if described.data.name in {info.name for info in list_sets()}:
            st.session_state[_DATA] = described.data.name


def train_on(name: str) -> None:
    """Lets the form start from a data set; called by a button."""
    st.session_state[_DATA], st.session_state[_PRESET] = name, "recipe"


@dataclass(frozen=True)
class _Start:
    """What the fields start at.

    Attributes:
        settings: What is set already, beside the defaults of the configurations.
        base: What the command line takes where nothing is given.
        defaults: All settings, those of ``settings`` in their place.
        origin: Where they come from, after "Settings, ".
        remark: What has to be said of them.
        looks: Whether the run looks at the data set and chooses.
        key: What tells these fields from others.
    """

    settings: dict[str, Any]
    base: dict[str, Any]
    defaults: dict[str, Any]
    origin: str
    remark: str
    looks: bool
    key: str

    @classmethod
    def of(cls, info: SetInfo, model: ModelName, preset: str) -> _Start:
        base, remark = base_of(info, model)
        settings, origin = dict(base), "at the values of its recipe"
        key = f"{info.name}-{model}"
        if remark:
            origin = "at what was chosen for the data set"
        source = st.session_state.get(_FROM)
        described = resources.description(resources.checkpoint_root() / (source or "-"))
        if preset == "quick" and (info.name, model) == (_QUICK, "fame"):
            settings |= _QUICK_SETTINGS
            origin, key = "for two minutes", f"quick-{key}"
        elif preset == "paper" and model in _PAPERS:
            configs = variant(_PAPERS[model]).configs(info.name)
            settings = {**configs[0].to_dict(), **configs[1].to_dict()}
            origin, key, remark = "at the paper's equations", f"paper-{key}", ""
        elif preset == "run" and described and described.model_config.model == model:
            settings = {**described.model_config.to_dict(), **described.train_config.to_dict()}
            origin, key, remark = f"as {source} had them", f"{source}-{key}", ""
        settings.pop("device", None)
        configs = build_configs({**settings, "model": model}, f"The recipe of {info.name}")
        defaults = {**configs[0].to_dict(), **configs[1].to_dict()}
        looks = bool(base_of(info, model)[1])
        return cls(settings, base, defaults, origin, remark, looks, key)

    def wanted(self, settings: dict[str, Any], shown: list[str]) -> dict[str, Any]:
        """What has to be said on a command line: what a recipe does not say by itself.

        Where the run looks at the data set and chooses, one setting may change others, so all that
        the form shows are said; but of a set that is yet to be fetched only what somebody set.
        """
        model = settings["model"]
        configs = build_configs({**self.base, "model": model}, "The recipe")
        plain = {**configs[0].to_dict(), **configs[1].to_dict()}
        said = shown if self.looks and self.base else []
        return {"model": model} | {
            name: value for name, value in settings.items() if name in said or plain[name] != value
        }


def base_of(info: SetInfo, model: ModelName) -> tuple[dict[str, Any], str]:
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


# --- its parts -----------------------------------------------------------------------------------


def _label(info: SetInfo) -> str:
    """A set's name, its size and what it lacks."""
    return " · ".join(filter(None, (info.title, info.size, ", ".join(info.lacks))))


def _about(info: SetInfo) -> str:
    lacks = "It is not on this machine yet: the run fetches it first." * (info.place == "remote")
    told = info.repeats
    parts = [f"{info.description}.", f"{told[0].upper()}{told[1:]}." if told else "", lacks]
    return " ".join(filter(None, parts))


def _free_name(data: str, model: str) -> str:
    root = resources.checkpoint_root()
    taken = {path.name for path in root.glob("*")}
    number = 1
    while f"{data}-{model}-{number}" in taken:
        number += 1
    return f"{data}-{model}-{number}"


def _name_and_device(data: str, model: str) -> tuple[str, str]:
    left, right = st.columns(2)
    with left:
        name = st.text_input(
            "Name of the checkpoint",
            value=_free_name(data, model),
            key=f"name-{data}-{model}-{state.starts()}",
            help=f"Its folder in {for_markdown(str(resources.checkpoint_root()))}.",
        ).strip()
        if problem := _name_problem(name):
            st.error(for_markdown(problem))
    found = resources.devices()
    with right:
        device = st.selectbox(
            "Device", list(found), format_func=found.__getitem__, help="What this machine has."
        )
        free = resources.free_memory(device)
        if free is not None:
            components.quiet(f"{free / 2**30:.1f} GiB of its memory are free.")
    return name, device


def _name_problem(name: str, *, told: bool = False) -> str:
    """What is wrong with the name; ``told``: where it stands beside the field, only that it is."""
    try:
        problem = name_problem(resources.checkpoint_root(), name)
    except FameError as error:
        problem = str(error)
    return "the name cannot be taken." if problem and told else problem


def _with_widths(message: str, settings: dict[str, Any]) -> str:
    """Adds the nearest widths that fit, where heads do not divide the width."""
    width, heads = settings["width"], settings["heads"]
    if "must be a multiple of heads" not in message or heads < 1:
        return message
    below = width // heads * heads
    fitting = [f"{fit}" for fit in (below, below + heads) if fit]
    return f"{message} The nearest that fit: {' and '.join(fitting)}."


def _take(
    info: SetInfo, model: ModelConfig, training: TrainConfig, device: str, fields: Fields
) -> str:
    """Says what the run will take; gives what keeps it from starting."""
    if info.place == "remote":
        components.quiet("What it takes can be told once the data set is here.")
        return ""
    found, problem = resources.estimated(info.name, model, training, device)
    if problem:
        return fields.tell(problem)
    if found is None:
        _wait_for(info.name, model, training, device)
        return ""
    components.quiet(_in_words(found, training, resources.free_memory(device)))
    free = resources.free_memory(device)
    if free is not None and found.memory > free:
        st.warning(
            f"It needs about {found.memory / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free: "
            "lower the width, the clicks read or the samples a step."
        )
    return ""


@st.fragment(run_every=1)
def _wait_for(data: str, model: ModelConfig, training: TrainConfig, device: str) -> None:
    """Until it is known what a run takes: a data set is read for that."""
    found, problem = resources.estimated(data, model, training, device)
    if found is not None or problem:
        st.rerun()
    components.quiet("Looking at the data set, to say what the run will take …")


def _in_words(found: Estimate, training: TrainConfig, free: int | None) -> str:
    of_data = (
        f"{found.clicks:,} clicks of {count(found.people, 'person').replace('persons', 'people')} "
        f"on {count(found.items, 'item')}"
    )
    lacks = [] if found.titles else ["titles"]
    lacks += [] if found.columns else ["columns that heads could be facets of"]
    if lacks:
        of_data += f"; it lacks {' and '.join(lacks)}"
    memory = f"about {max(found.memory / 2**30, 0.1):.1f} GiB of memory"
    if free is not None:
        memory += f" ({free / 2**30:.1f} GiB are free)"
    told = f"{of_data}. {found.parameters:,} parameters, {memory}"
    if found.epoch_seconds is None or found.pace is None:
        return f"{told}. How long it takes can be told once a run has been here."
    whole = duration(found.epoch_seconds * training.epochs)
    where = "on this device" if found.pace.here else "elsewhere, on one CPU thread or more"
    early = "; patience may end it earlier" if training.patience else ""
    return (
        f"{told}, about {duration(max(found.epoch_seconds, 1))} an epoch, at most {whole} in all"
        f"{early} (by the pace of {found.pace.run}, {where})."
    )


def _command(job: Job, name: str) -> None:
    """The command line that does the same."""
    with st.expander("The same on the command line"):
        folder = resources.checkpoint_root() / name
        st.code(
            shlex.join(["python", *train_arguments(job, folder)]), language="bash", wrap_lines=True
        )


def _start_label(device: str) -> str:
    """The button's label; what happens where the device is taken."""
    busy = any(
        status is not None
        and status.on == device
        and (status.is_active or status.phase == "queued")
        for status in (run.status() for run in resources.runs().values())
    )
    return "Start when the device is free" if busy else "Start training"


def _start(
    name: str, info: SetInfo, configs: tuple[ModelConfig, TrainConfig] | None, job: Job
) -> None:
    if problem := _name_problem(name):  # it may have been taken meanwhile
        raise ConfigError(problem)
    assert configs is not None
    if job.tensorboard:
        check_tensorboard()
    if made_of_values(configs[0]) and info.place != "remote":
        data = resources.dataset(info.name)
        attributes = ItemAttributes.of(data.items)
        head_values(attributes, configs[0].facet_shares, data.interactions.num_items)  # or says why
    path = resources.checkpoint_root() / name
    resources.launch_run(path, job.data, job.settings, job.device, job.tensorboard)
    state.count_start()
    state.settle("run", name)
    st.rerun()
