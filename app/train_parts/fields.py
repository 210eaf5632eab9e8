"""The settings that the form of a run asks for: what each is called, does, and may not be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from fame.models.registry import MODELS, settings_of_others
from text import for_markdown

# Settings that are numbers: label, step, and one sentence on what it does.
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
        "Numbers that stand for an item; every head owns an equal slice of them, so it is a "
        "multiple of the heads. 64 is what most papers report on "
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
    "expert_loss_weight": (
        "Weight of the experts' own loss",
        0.1,
        "Above 0 the router of each head is trained to be sharp for a history and even over all, "
        "so that experts part the histories among them.",
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
    "expert_view": (
        "What experts read",
        {"all": "the whole history", "own": "their head's slice"},
        "With its own slice alone nothing that a head says depends on what the items are to other "
        "heads; that needs heads that are facets and one layer.",
    ),
    "item_start": (
        "Items start from",
        {"random": "noise", "catalogue": "what the catalogue says of them"},
        "Items whose titles, brands and categories share words can start near each other, which "
        "ranks better where most items have few clicks. The data set needs a catalogue for it; "
        "the trained model reads clicks alone either way.",
    ),
}


# Settings that are lists, a share a head: label, what stands for nothing, what they say.
LISTS: dict[str, tuple[str, str, str]] = {
    "head_facets": (
        "What each head is a facet of",
        "nothing",
        "Columns of the catalogue joined by commas, one share a head with slashes between: "
        "`genres/year/` makes items of three heads out of what their genres and their years and "
        "decades have learned, and leaves the last head free. `title` stands for the words of "
        "titles. The number of shares is the number "
        "of heads. Empty: every item is one vector.",
    ),
    "start_facets": (
        "What each head starts from",
        "everything",
        "Columns of the catalogue joined by commas, heads by slashes: `title,brand/category` gives "
        "titles and brands to the first head and all columns `category_...` to the second. Empty: "
        "each head starts from everything.",
    ),
    "head_loss_shares": (
        "What each head counts in the heads' own loss",
        "all alike",
        "Numbers, one a head with slashes between: `0/1/0.5` trains the second head to rank by "
        "itself, the third half as much, and the first only as a part of the whole. A head that "
        "need not rank well alone learns less of what other heads are for.",
    ),
}
LABELS = {
    name: about[0]
    for table in (SETTINGS, CHOICES, LISTS)
    for name, about in table.items()  # type: ignore[attr-defined]
}
# What most people look at; the others stand under "More settings".
_MAIN = (
    *("epochs", "patience", "heads", "experts", "width", "layers", "max_length", "dropout"),
    *("batch_size", "learning_rate", "seed"),
)
# Lists that say nothing until another setting does.
_IDLE: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "start_facets": lambda chosen: chosen.get("item_start") != "catalogue",
    "head_loss_shares": lambda chosen: not chosen.get("head_loss_weight"),
}
_OF_RANKING_HEADS = frozenset({"head_facets", "start_facets", "head_loss_shares"})


class Fields:
    """The fields of a model's settings, and the places beside them for what is wrong."""

    def __init__(self, model: str, defaults: Mapping[str, Any], key: str) -> None:
        """Args:
        defaults: What the fields start at.
        key: What tells these fields from those of other starting points.
        """
        self.model, self.defaults, self.key = model, defaults, key
        unused = set(settings_of_others(model))  # type: ignore[arg-type]
        if not MODELS[model].heads_rank:  # type: ignore[index]
            unused |= _OF_RANKING_HEADS
        self.shown = [name for name in LABELS if name not in unused]
        self._places: dict[str, DeltaGenerator] = {}

    def draw(self, title: str) -> dict[str, Any]:
        """Draws all fields and gives what they say."""
        chosen: dict[str, Any] = {}
        main = st.expander(title)
        more = st.expander("More settings: what heads, experts and items are made of")
        # How many heads there are may be told by what they are facets of, which stands below.
        places = {}
        for box, names in ((main, _MAIN), (more, [n for n in self.shown if n not in _MAIN])):
            columns = box.columns(2)
            names = [name for name in names if name in self.shown]
            for index, name in enumerate(names):
                wide = name not in SETTINGS
                places[name] = box.container() if wide else columns[index % 2].container()
        for name in sorted(places, key=lambda name: (name != "head_facets", name in _IDLE)):
            with places[name]:
                chosen[name] = self._field(name, chosen)
                self._places[name] = st.container()
        return {name: chosen[name] for name in self.shown}

    def _field(self, name: str, chosen: Mapping[str, Any]) -> Any:
        key, default = f"setting-{self.key}-{name}", self.defaults[name]
        if name in LISTS:
            label, placeholder, does = LISTS[name]
            idle = name in _IDLE and _IDLE[name](chosen)
            said = st.text_input(
                label,
                value=default,
                placeholder=placeholder,
                disabled=idle,
                key=key,
                help=f"{does} In configurations: `{name}`.",
            ).strip()
            return "" if idle else said
        if name in CHOICES:
            label, options, does = CHOICES[name]
            return st.segmented_control(
                label,
                list(options),
                format_func=options.__getitem__,
                default=default,
                required=True,
                width="stretch",
                key=key,
                help=f"{does} In configurations: `{name}`.",
            )
        label, step, does = SETTINGS[name]
        whole = isinstance(default, int)
        shares = chosen.get("head_facets", "").count("/") + 1 if chosen.get("head_facets") else 0
        if name == "heads" and shares:
            st.number_input(
                label,
                value=shares,
                disabled=True,
                key=f"{key}-of-{shares}",
                help="As many as there are shares in “What each head is a facet of”, under “More "
                "settings”. In configurations: `heads`.",
            )
            return shares
        return st.number_input(
            label,
            min_value=0 if whole else 0.0,
            value=default,
            step=int(step) if whole else step,
            format="%d" if whole else "%.4f" if step < 0.01 else "%.2f",
            key=key,
            help=f"{does} In configurations: `{name}`.",
        )

    def tell(self, message: str) -> str:
        """Says what is wrong beside the field that it is about; gives it in the field's words."""
        name, sentence = in_words(message, self.shown)
        if name:
            self._places[name].error(for_markdown(sentence))
        return sentence


_NAMES = "|".join(sorted(LABELS, key=len, reverse=True))
# A setting's name where it is meant as one: `width (64)`, `dropout must`, `head_facets`.
_NAMED = re.compile(
    rf"\b({_NAMES})\b(?= ?[(=]| must )|\b({'|'.join(n for n in LABELS if '_' in n)})\b"
)


def in_words(message: str, shown: list[str]) -> tuple[str, str]:
    """The setting that an error is about (empty where it is none of the form's), and the error.

    What configurations call ``width (64)`` is called as its field is.
    """
    sentence = re.sub(r"^The (form|command line|recipe of \S+): ", "", message)
    found = [name for name in re.findall(r"[a-z_]+", sentence) if name in LABELS]
    told = _NAMED.sub(lambda name: f"“{LABELS[name[0]]}”", sentence)
    about = next((name for name in found if name in shown), "")
    if about == "heads" and "multiple of heads" in sentence:
        about = "width"
    return about, told
