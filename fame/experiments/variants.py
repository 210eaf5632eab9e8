"""The rows of the table: which models are compared, and how each differs from FAME as shipped.

A data set's recipe (:mod:`fame.experiments.recipes`) gives the settings of FAME, of the paper's
equations and of SASRec, which has a row beside each of them. Everything else is FAME with one
thing changed: FAME with items of one vector each (the recipe's ``[fame-start]``), because heads
that are facets of the items allow no other number of heads, and none to be left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fame.config import ModelConfig, ModelName, TrainConfig
from fame.errors import ConfigError
from fame.experiments.recipes import build_configs, load_recipe
from fame.models import registry

# Items of one vector each, whatever a recipe makes them of.
_NOT_OF_VALUES: dict[str, Any] = {
    "head_facets": "",
    "expert_view": "all",
    "head_loss_shares": "",
}
_FROM_CLICKS: dict[str, Any] = {"item_start": "random", "start_facets": "", **_NOT_OF_VALUES}
# The paper's equations as they stand: vectors of positions, plain products, the whole catalogue, no
# loss but that of the fused ranking, items that start from noise. A recipe's [paper] adds how they
# are best trained.
_AS_THE_PAPER_HAS_IT: dict[str, Any] = {
    "positions": "absolute",
    "score": "dot",
    "negatives": 0,
    "head_loss_weight": 0.0,
    **_FROM_CLICKS,
}


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    Attributes:
        name: As on the command line and in ``results.csv``.
        label: For people.
        kind: Whose settings of the recipe it takes.
        changes: What is set otherwise.
        base: The row that it is compared with.
        model: The model that it is.
        formerly: Other names that runs of these settings may stand under in ``results.csv``: a
            recipe that changes leaves its rows to this one.
    """

    name: str
    label: str
    kind: str
    changes: dict[str, Any]
    base: str = "sasrec"
    model: ModelName = "fame"
    formerly: tuple[str, ...] = ()

    def configs(self, data_name: str, **more: Any) -> tuple[ModelConfig, TrainConfig]:
        """The configurations on a data set; ``more`` are settings that win over all others.

        Raises:
            ConfigError: where a setting is wrong, or what the row changes changes nothing.
        """
        recipe = load_recipe(data_name, self.kind)
        settings = {**recipe, **self.changes, "model": self.model, **more}
        built = build_configs(settings, f"The recipe of {data_name}")
        if "own_bound" in self.changes and not registry.made_of_values(built[0]):
            raise ConfigError(
                f"{self.name} bounds what items have for themselves beside their values, and the "
                f"recipe of {data_name} makes items of none; --set head_facets=... does."
            )
        return built


MODELS = (
    Variant("fame", "FAME, trained as here", "fame", {}),
    Variant(
        "paper",
        "FAME, the paper's equations",
        "paper",
        _AS_THE_PAPER_HAS_IT,
        base="sasrec-paper",
    ),
    Variant("sasrec", "SASRec", "sasrec", {}, model="sasrec"),
    Variant(
        "sasrec-paper",
        "SASRec, trained like the paper's equations",
        "sasrec-paper",
        _AS_THE_PAPER_HAS_IT,
        model="sasrec",
    ),
)
# The registry's other models, each by its recipe, beside SASRec.
OTHERS = tuple(
    Variant(name, spec.title, name, {}, model=name)
    for name, spec in registry.MODELS.items()
    if name not in {variant.model for variant in MODELS}
)
# FAME by the recipes of before: what the catalogue says is where items start, not what they are.
FORMER = (
    Variant(
        "fame-start",
        "FAME, facets at the start only",
        "fame-start",
        _NOT_OF_VALUES,
        formerly=("fame",),
    ),
)
# FAME of values, otherwise than a recipe has it.
OF_VALUES = (
    # As light as it can be: then nothing that a head says depends on another facet.
    Variant(
        "own-view",
        "FAME, one block whose experts read their own head's part",
        "fame",
        {"layers": 1, "expert_view": "own", "expert_loss_weight": 0.1},
        formerly=("fame",),
    ),
    Variant(
        "no-words",
        "FAME, no head made of the words of titles",
        "fame-columns",
        {},
        formerly=("fame",),
    ),
    # Where all are trained so, heads come nearer to one another.
    Variant(
        "all-heads",
        "FAME, every head trained to rank by itself",
        "fame-columns",
        {"head_loss_weight": 0.2, "head_loss_shares": ""},
        formerly=("fame",),
    ),
)
# Where a recipe starts from what the catalogue says: the two models without that. Elsewhere they
# are the models themselves.
CLICKS_ALONE = (
    Variant(
        "fame-clicks",
        "FAME, from clicks alone",
        "fame-clicks",
        _FROM_CLICKS,
        base="sasrec-clicks",
        formerly=("fame",),
    ),
    Variant(
        "sasrec-clicks",
        "SASRec, from clicks alone",
        "sasrec-clicks",
        _FROM_CLICKS,
        model="sasrec",
        formerly=("sasrec",),
    ),
)
# The two models where width shows: on Sports the recipe has half of it, for want of time.
WIDE = (
    Variant(
        "fame-256",
        "FAME of width 256, facets at the start only",
        "fame-start",
        {**_NOT_OF_VALUES, "heads": 2, "width": 256},  # no three heads share 256
        base="sasrec-256",
    ),
    Variant("sasrec-256", "SASRec of width 256", "sasrec", {"width": 256}, model="sasrec"),
)
ABLATIONS = (
    Variant(
        "no-experts",
        "without experts (E = 1)",
        "fame-start",
        {**_NOT_OF_VALUES, "experts": 1},
    ),
    Variant(
        "no-facets",
        "without facet heads (one score)",
        "fame-start",
        {**_NOT_OF_VALUES, "facets": "off"},
    ),
    Variant(
        "uniform-gate",
        "uniform gate",
        "fame-start",
        {**_NOT_OF_VALUES, "gate": "uniform"},
    ),
    # The same function as SASRec: what it ranks otherwise comes of where its weights start.
    Variant(
        "neither",
        "without experts and facet heads (SASRec)",
        "fame-start",
        {**_NOT_OF_VALUES, "experts": 1, "facets": "off"},
    ),
)
# What a model is laid beside: SASRec by its recipe, and from clicks alone where that has no rows.
BASELINES = ("sasrec", "sasrec-clicks")
# How long an item's own part may be, beside what its values give it: from values alone on.
BOUNDS = ("bound-0", "bound-0.2", "bound-0.4", "bound-0.6", "bound-1")
_NAMED = (*MODELS, *OF_VALUES, *FORMER, *OTHERS, *CLICKS_ALONE, *WIDE, *ABLATIONS)
# Heads x experts of the sweep, beside 2x4, which is fame-start, and 2x1, without experts. 1x1
# tells what the map W^f alone does: it is SASRec of one attention head with W^f behind it.
SWEEP = ("1x1", "1x4", "2x2", "2x8", "4x1", "4x4", "8x2")
_GROUPS = {
    "models": [variant.name for variant in MODELS],
    "former": [variant.name for variant in FORMER],
    "others": [variant.name for variant in OTHERS],
    "clicks": [variant.name for variant in CLICKS_ALONE],
    "wide": [variant.name for variant in WIDE],
    "ablations": [variant.name for variant in ABLATIONS],
    "sweep": list(SWEEP),
    "bounds": list(BOUNDS),
}
_BOUND = re.compile(r"bound-(?P<bound>0|[1-9][0-9]?|[0-9]\.[0-9]{1,2})")
_GRID = re.compile(r"(?P<heads>[1-9][0-9]?)x(?P<experts>[1-9][0-9]?)(?P<clicks>-clicks)?")


def variant(name: str) -> Variant:
    """A row by its name: a model, an ablation, or heads x experts such as ``4x2``.

    ``4x2-clicks`` is the same from clicks alone. ``bound-0.2`` is the recipe's FAME with that
    ``own_bound``; where the recipe has the same one, FAME's runs are its runs.
    """
    for known in _NAMED:
        if known.name == name:
            return known
    if bound := _BOUND.fullmatch(name):
        share = float(bound["bound"])
        label = f"own part at most {share:g} of the values' part" if share else "values alone"
        return Variant(name, label, "fame", {"own_bound": share}, formerly=("fame",))
    grid = _GRID.fullmatch(name)
    if grid is None:
        names = ", ".join(known.name for known in _NAMED)
        raise ConfigError(
            f"--models knows {names}, heads x experts such as 4x2 or 4x2-clicks, bounds of items' "
            f"own parts such as bound-0.2, and the groups {', '.join(_GROUPS)}; not {name!r}."
        )
    heads, experts = int(grid["heads"]), int(grid["experts"])
    changes = {"heads": heads, "experts": experts}
    label = f"{heads} head{'s' * (heads != 1)} x {experts} expert{'s' * (experts != 1)}"
    if heads == experts == 1:
        label += " (SASRec and a map)"
    if grid["clicks"]:
        label += ", from clicks alone"
        return Variant(name, label, "fame-clicks", {**_FROM_CLICKS, **changes}, "sasrec-clicks")
    return Variant(name, label, "fame-start", {**_NOT_OF_VALUES, **changes})


def is_grid(name: str) -> bool:
    """Whether a row is named after its heads x experts."""
    return _GRID.fullmatch(name) is not None


def grids(rows: pd.DataFrame, data_name: str, *, from_clicks: bool = False) -> list[str]:
    """The names heads x experts among the rows of ``results.csv`` of a data set, in order."""
    names = rows.loc[rows["data"] == data_name, "model"].unique()
    found = filter(None, map(_GRID.fullmatch, names))
    wanted = [grid for grid in found if bool(grid["clicks"]) == from_clicks]
    wanted.sort(key=lambda grid: (int(grid["heads"]), int(grid["experts"])))
    return [grid.string for grid in wanted]


def bounds(rows: pd.DataFrame, data_name: str) -> list[str]:
    """The names ``bound-...`` of a data set, shortest own part first: :data:`BOUNDS` and others.

    None where the recipe's items are not made of values.
    """
    if not registry.made_of_values(variant("fame").configs(data_name)[0]):
        return []
    names = {*BOUNDS, *rows.loc[rows["data"] == data_name, "model"]}
    found = sorted(filter(_BOUND.fullmatch, names))
    return sorted(found, key=lambda name: variant(name).changes["own_bound"])


def variants(names: Sequence[str]) -> list[Variant]:
    """Rows by name, groups spelt out, none twice, in the order given."""
    spelt = [name for given in names for name in _GROUPS.get(given.strip(), [given.strip()])]
    return [variant(name) for name in dict.fromkeys(spelt)]
