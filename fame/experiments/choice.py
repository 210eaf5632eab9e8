"""Settings for a data set that has no recipe: what the set looks like decides.

A set of short histories is trained as Amazon Beauty is, one of long histories as MovieLens 100K or
1M; batches, drawn items and width follow the set's size, and heads become facets of the columns
that people choose by (:mod:`fame.data.click_agreement`), and one may be made of the words of
titles. Held-out clicks have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from fame.config import ModelConfig, ModelName, TrainConfig
from fame.data import Dataset
from fame.data.attributes import ItemAttributes
from fame.data.click_agreement import (
    ClickAgreement,
    agreeing,
    click_agreement,
    consecutive_clicks,
    value_matrix,
)
from fame.data.head_values import TITLE, facet_names, head_values
from fame.data.registry import SETS
from fame.data.sequences import Interactions, training_prefixes, training_windows
from fame.errors import DataError, FameError
from fame.experiments.recipes import has_recipe, load_recipe
from fame.models.registry import MODELS
from fame.training.item_start import catalogue_vectors

_NAMED_HEADS = 2  # heads that are facets of columns, at most; one more is of words, or free
# Histories up to here are short: half of Amazon Beauty's have at most 6 clicks, of MovieLens 100K's
# 65. Reading every click's history by itself costs some 10 times as much there, 100 times beyond.
_SHORT = 20
_FEW_CLICKS = 20  # an item of so few has little to learn its place from but the catalogue
_SMALL = 300_000  # clicks: between MovieLens 100K and 1M
_HEAD_LOSS = 0.2  # where all heads count alike in it: what the shops had before they dealt it out
# What makes a column a facet.
_COVERED = 0.5  # of the items have a value
_ITEMS_A_VALUE = 3  # at least, in the mean
_SHARED = 0.5  # of those items have another one of their value
_AGREEING = 30  # pairs with a value in common
_DEVIATIONS = 5.0  # above what popularity gives; 40 permuted catalogues together stay below that
_LIFT = 1.1  # times what popularity gives
_NESTED = 0.95  # of the items whose value in one column tells that in another


@dataclass(frozen=True)
class Column:
    """What a share of ``head_facets`` may name, and how it fares as a facet.

    Attributes:
        name: As ``head_facets`` takes it.
        values: Different values; of levels, those of the one that people choose by most.
        covered: The share of items that have a value.
        agreement: Of items clicked in a row.
        head: The head that it is a facet of, from 0, or ``None``.
        why_not: In a few words, where it is none.
    """

    name: str
    values: int
    covered: float
    agreement: ClickAgreement
    head: int | None
    why_not: str


@dataclass(frozen=True)
class Choice:
    """What was chosen for a data set without a recipe.

    Attributes:
        settings: Keys of the two configurations; what was given is among them.
        given: What a person set.
        why: One paragraph for people.
        like: The named data set whose recipe it follows.
        columns: All columns that were looked at, those of heads first.
    """

    settings: dict[str, Any]
    given: dict[str, Any]
    why: str
    like: str
    columns: tuple[Column, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Figures:
    """What there is to see of a data set before training."""

    people: int
    items: int
    clicks: int
    length: float  # of the median history
    item_clicks: float  # of the median item, in training
    interactions: Interactions

    @classmethod
    def of(cls, dataset: Dataset) -> _Figures:
        data = dataset.interactions
        lengths = np.diff(data.offsets)
        return cls(
            people=len(data),
            items=data.num_items,
            clicks=len(data.items),
            length=float(np.median(lengths)) if len(lengths) else 0.0,
            item_clicks=float(np.median(data.train_counts[1:])) if data.num_items else 0.0,
            interactions=data,
        )

    @property
    def short(self) -> bool:
        return self.length <= _SHORT


def choose_settings(dataset: Dataset, given: Mapping[str, Any] | None = None) -> Choice:
    """Looks at a data set and chooses how a model is trained on it.

    Args:
        given: Settings that win; what depends on them is chosen to fit.
    """
    given = dict(given or {})
    figures = _Figures.of(dataset)
    words = _Words.of(dataset.items)
    columns = judge_columns(dataset)
    plain = {
        **ModelConfig().to_dict(),
        **TrainConfig().to_dict(),
        **_settings(figures, columns, words, {"model": given.get("model", "fame")}),
    }
    settings = _settings(figures, columns, words, given)
    won = {key: value for key, value in given.items() if plain.get(key) != value}
    named = _named(settings, columns)
    judged = tuple(
        sorted(named, key=lambda column: (column.head is None, column.head or 0, column.name))
    )
    why = _paragraph(dataset.interactions.name, figures, settings, judged, words.any, won)
    return Choice(settings, given, why, _like(figures), judged)


def base_settings(
    name: str,
    given: Mapping[str, Any],
    dataset: Callable[[], Dataset],
    stored: tuple[ModelConfig, TrainConfig] | None = None,
) -> tuple[dict[str, Any], str, Choice | None]:
    """What a run starts from, what that is called in a message, and the choice where one was made.

    Args:
        name: Of the data set.
        given: Settings that win over what is returned.
        dataset: Reads the data set; called only where it has to be looked at.
        stored: The configurations of the run that goes on, which come before all others.
    """
    if stored is not None:
        base = {key: value for config in stored for key, value in config.to_dict().items()}
        return base, "What the run was started with", None
    if has_recipe(name):
        return load_recipe(name, str(given.get("model", "fame"))), "The recipe", None
    choice = choose_settings(dataset(), given)
    return choice.settings, f"What was chosen for {name}", choice


def _like(figures: _Figures) -> str:
    if figures.short:
        return "beauty"
    return "ml-100k" if figures.clicks <= _SMALL else "ml-1m"


@dataclass(frozen=True)
class _Words:
    """What words there are.

    Attributes:
        any: Whether items can start from the catalogue: some share a word that others lack.
        titles: Whether a head can be made of the words of titles: most items have some, and they
            tell items apart.
    """

    any: bool
    titles: bool

    @classmethod
    def of(cls, items: pd.DataFrame) -> _Words:
        try:
            catalogue_vectors(items, 2)
        except FameError:
            return cls(any=False, titles=False)
        try:
            made = head_values(ItemAttributes.of(items), [(TITLE,)], len(items))
        except DataError:  # one word alone, say
            return cls(any=True, titles=False)
        titled = np.count_nonzero(np.diff(made.start))  # the padding has none
        return cls(any=True, titles=bool(titled >= _COVERED * len(items)))


# --- settings ---------------------------------------------------------------------------------


def _settings(
    figures: _Figures, columns: Sequence[Column], words: _Words, given: dict[str, Any]
) -> dict[str, Any]:
    """All settings of a set: its like's recipe, fitted to its size, its columns and what is given.

    Values that no configuration takes are passed on, so that they are told as they always are.
    """
    model: ModelName = given.get("model", "fame")
    shape = _heads(figures, columns, words, given)
    from_words = words.any and (figures.short or figures.item_clicks <= _FEW_CLICKS)
    head_facets = str(given.get("head_facets", shape["head_facets"]))
    recipe = load_recipe(_like(figures), _kind(model, head_facets, from_words))
    chosen = {**recipe, **_by_size(figures, recipe), **shape, "start_facets": ""}
    if chosen.get("head_loss_shares"):  # those are for the columns of the recipe's own set
        chosen |= {"head_loss_shares": "", "head_loss_weight": _HEAD_LOSS}
    free = "" in head_facets.split("/")
    chosen["item_start"] = "catalogue" if from_words and free else "random"
    if given.get("start_facets"):
        chosen["item_start"] = "catalogue"
    if given.get("label_smoothing"):
        chosen["negatives"] = 0
    return {**chosen, **given}


def _kind(model: ModelName, head_facets: str, from_words: bool) -> str:
    """Whose table of a recipe holds."""
    if head_facets:
        return model
    special = f"{model}-{'start' if from_words else 'clicks'}"
    return special if special in ("fame-start", "fame-clicks", "sasrec-clicks") else model


def _heads_rank(settings: Mapping[str, Any]) -> bool:
    """Whether the model has heads that may be facets; one that nobody knows has none."""
    model = settings.get("model", "fame")
    return model in MODELS and MODELS[model].heads_rank and settings.get("facets") != "off"


def _heads(
    figures: _Figures, columns: Sequence[Column], words: _Words, given: dict[str, Any]
) -> dict[str, Any]:
    """``heads``, ``width`` and ``head_facets`` that fit one another and what is given of them.

    Of short histories the head behind those of columns is made of the words of titles, as on Toys;
    of films that ranked worse (fame/experiments/recipes/README.md).
    """
    chosen = [column for column in columns if column.head is not None]
    names = [column.name for column in sorted(chosen, key=lambda column: column.head or 0)]
    per_head = 64 if figures.short and figures.clicks > 50_000 else 32
    if not _heads_rank(given):  # as wide as FAME would be, so that the two compare
        width = per_head * (len(names) + 1 if names else 2)
        return {"heads": 2 if given.get("width", width) % 2 == 0 else 1} | {
            "width": width,
            "head_facets": "",
        }
    if "head_facets" in given:
        names = []
    heads = given.get("heads")
    if heads is None and given.get("head_facets"):
        heads = str(given["head_facets"]).count("/") + 1
    if not isinstance(heads, int):
        heads = len(names) + 1 if names else 2
        while isinstance(given.get("width"), int) and given["width"] % heads:
            heads -= 1  # at 1 at the latest it is a divisor
    names = names[: max(heads - 1, 0)]
    if names and figures.short and words.titles:
        names.append(TITLE)
    shares = "/".join([*names, *[""] * (heads - len(names))]) if names else ""
    return {"heads": heads, "width": per_head * heads, "head_facets": shares}


def _by_size(figures: _Figures, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Batches, their average and their number, and drawn items, as many as the set has use for."""
    cut = training_prefixes if recipe.get("samples") == "prefixes" else training_windows
    samples = len(cut(figures.interactions, recipe["max_length"]))
    batch = recipe["batch_size"]
    while batch > 16 and samples < 100 * batch:  # an epoch of some 100 steps at least
        batch //= 2
    steps = max(samples // batch, 1)
    averages = (0.999, 0.998, 0.995, 0.99, 0.98)  # of about two epochs, as in the recipes
    average = next((share for share in averages if 1 / (1 - share) <= 2.5 * steps), 0.0)
    negatives = next((many for many in (1024, 256) if figures.items >= 4 * many), 0)
    return {
        "batch_size": batch,
        "weight_average": average,
        "negatives": min(negatives, recipe["negatives"]),
        # The fewer steps an epoch has, the more epochs it takes to learn as much.
        "epochs": recipe["epochs"] if steps > 250 else max(recipe["epochs"], 60),
        "patience": recipe["patience"] if steps > 250 else max(recipe["patience"], 8),
    }


# --- columns ----------------------------------------------------------------------------------


def judge_columns(dataset: Dataset) -> list[Column]:
    """Every column of a catalogue, and which two, at most, heads are to be facets of.

    The first one is that in which items clicked in a row agree most beyond what popularity gives;
    the second one that in which those agree most that do not in the first, so that the two prefer
    different things.
    """
    data, attributes = dataset.interactions, ItemAttributes.of(dataset.items)
    pairs, popularity = consecutive_clicks(data), data.train_counts[1:]
    judged: list[Column] = []
    usable: dict[str, csr_matrix] = {}
    for name, levels in facet_names(attributes).items():
        column, matrix = _judged(name, levels, attributes, pairs, popularity)
        judged.append(column)
        if not column.why_not:
            usable[name] = matrix
    chosen: list[str] = []
    reasons: dict[str, str] = {}
    left, agreements = dict(usable), {one.name: one.agreement for one in judged}
    while left and len(chosen) < _NAMED_HEADS:
        best = max(left, key=lambda name: (agreements[name].excess, name))
        chosen.append(best)
        matrix = left.pop(best)
        pairs = pairs[~agreeing(matrix, pairs)]
        for name, other in list(left.items()):
            if _tells(matrix, other) or _tells(other, matrix):
                reasons[name] = f"it says the same as {best}"
                del left[name]
                continue
            agreements[name] = click_agreement(other, pairs, popularity)
            if not _clear(agreements[name]):
                reasons[name] = f"it adds nothing to {best}"
                del left[name]
    reasons |= dict.fromkeys(left, "two others say more of what people choose")
    return [
        replace(
            one,
            head=chosen.index(one.name) if one.name in chosen else None,
            why_not=reasons.get(one.name, one.why_not),
        )
        for one in judged
    ]


def _judged(
    name: str,
    levels: Sequence[str],
    attributes: ItemAttributes,
    pairs: np.ndarray,
    popularity: np.ndarray,
) -> tuple[Column, csr_matrix]:
    """One column by itself, and which item has which value: of levels, of the most telling one."""
    items = len(popularity)
    found = []
    for level in levels:
        matrix = value_matrix(attributes.facets[level], items)
        covered = float((np.diff(matrix.indptr) > 0).mean())
        agreement = click_agreement(matrix, pairs, popularity)
        found.append((covered >= _COVERED, agreement.excess, covered, agreement, matrix))
    _, _, covered, agreement, matrix = max(found, key=lambda one: one[:2])
    values = matrix.shape[1]
    why_not = _unfit(name, matrix, covered, agreement)
    if not why_not:
        try:
            head_values(attributes, [(name,)], items)
        except DataError as error:
            why_not = str(error).rstrip(".")
    return Column(name, values, covered, agreement, None, why_not), matrix


def _unfit(name: str, matrix: csr_matrix, covered: float, agreement: ClickAgreement) -> str:
    """Why a column is no facet, in a few words; empty where it may be one."""
    times = np.asarray(matrix.sum(0)).ravel()
    with_value, values = int((np.diff(matrix.indptr) > 0).sum()), matrix.shape[1]
    alone = matrix[:, times == 1].sum() if values else 0
    if "/" in name or "," in name or name != name.strip():
        return "its name has a sign that separates names"
    if values < 2:
        return "it has one value" if values else "it has no value"
    if covered < _COVERED:
        return f"only {_percent(covered)} of the items have a value"
    if with_value < _ITEMS_A_VALUE * values or alone > (1 - _SHARED) * with_value:
        return f"its {values:,} values are nearly one an item"
    if not _clear(agreement):
        return (
            f"items clicked in a row share it in {_percent(agreement.observed)} of pairs and by "
            f"popularity alone in {_percent(agreement.chance)}, which is no clear difference"
        )
    return ""


def _clear(agreement: ClickAgreement) -> bool:
    """Whether people choose by a column, and not by popularity alone."""
    return (
        agreement.observed * agreement.pairs >= _AGREEING
        and agreement.deviations >= _DEVIATIONS
        and agreement.observed >= _LIFT * agreement.chance
    )


def _tells(one: csr_matrix, other: csr_matrix) -> bool:
    """Whether an item's value in one column tells that in another, as a brand tells its maker.

    Each item's is guessed as the most frequent one among the other items of its value; items with
    several values in a column are left out.
    """
    single = (np.diff(one.indptr) == 1) & (np.diff(other.indptr) == 1)
    if not single.any():
        return False
    first, second = one[single].indices, other[single].indices
    counts = csr_matrix(
        (np.ones(len(first)), (first, second)), shape=(one.shape[1], other.shape[1])
    ).tocsr()
    own = np.asarray(counts[first, second]).ravel() - 1  # others of the item's own pair of values
    most = counts.max(axis=1).toarray().ravel()[first]
    company = np.asarray(counts.sum(1)).ravel()[first] > 1
    # Where its own pair is the most frequent one, taking the item away may leave another ahead;
    # that is counted as right only where its own is still as frequent as any.
    right = (own >= 1) & (own + 1 >= most)
    return bool(company.any()) and float(right[company].mean()) >= _NESTED


def _named(settings: Mapping[str, Any], columns: Sequence[Column]) -> list[Column]:
    """The columns with the heads that they have by the settings."""
    shares = str(settings.get("head_facets", "")).split("/")
    found = []
    for column in columns:
        owners = [head for head, share in enumerate(shares) if column.name in share.split(",")]
        why_not = column.why_not
        if column.head is not None and not owners:
            why_not = "the settings given leave no head for it"
        head = owners[0] if owners else None
        found.append(replace(column, head=head, why_not="" if owners else why_not))
    return found


# --- words ------------------------------------------------------------------------------------


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _many(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def _paragraph(
    name: str,
    figures: _Figures,
    settings: Mapping[str, Any],
    columns: Sequence[Column],
    words: bool,
    won: Mapping[str, Any],
) -> str:
    """What was chosen and why, in one paragraph."""
    title = SETS[_like(figures)].title
    all_settings = {**ModelConfig().to_dict(), **TrainConfig().to_dict(), **settings}
    said = [
        f"{name} has no recipe, so its settings follow what it looks like: {figures.people:,} "
        f"people with {_many(figures.length)} clicks in the median, {figures.items:,} items with "
        f"{_many(figures.item_clicks)} training clicks in the median.",
        f"Histories are {'short' if figures.short else 'long'}, as those of {title}, whose recipe "
        f"it follows: {_listed(all_settings, 'samples', 'max_length', 'layers', 'score')}; for a "
        f"set of this size {_listed(all_settings, 'width', 'batch_size', 'epochs', 'negatives')}.",
    ]
    if all_settings["item_start"] == "catalogue":
        said.append(
            "Items start from the words of the catalogue (item_start=catalogue), since clicks "
            "alone say little of most of them."
        )
    else:
        why = "" if words else ", since the catalogue has no words that some items share"
        if "" not in str(all_settings["head_facets"] or "/").split("/"):
            why = ", since all heads are made of values"
        said.append(f"Items start from noise (item_start=random){why}.")
    said += _about_heads(settings, columns)
    if won:
        said.append(f"Given and kept: {_listed(won, *won)}.")
    return " ".join(said)


def _listed(settings: Mapping[str, Any], *keys: str) -> str:
    return ", ".join(f"{key}={settings[key]}" for key in keys)


def _about_heads(settings: Mapping[str, Any], columns: Sequence[Column]) -> list[str]:
    """Which heads are facets, of what, and why the other columns are not."""
    said = []
    named = [column for column in columns if column.head is not None]
    shares = str(settings.get("head_facets", "")).split("/")
    of_words = [head for head, share in enumerate(shares) if TITLE in share.split(",")]
    if named or of_words:
        parts = [
            f"head {(column.head or 0) + 1} is made of {column.name} ({column.values:,} values; "
            f"items clicked in a row share it in {_percent(column.agreement.observed)} of pairs, "
            f"by popularity alone in {_percent(column.agreement.chance)})"
            for column in named
        ]
        parts += [f"head {head + 1} is made of the words of titles" for head in of_words]
        free = shares.count("")
        left = f", and {free} head{'s are' if free > 1 else ' is'} left free" if free > 0 else ""
        said.append(
            f"Heads are facets (head_facets={settings['head_facets']}): {'; '.join(parts)}{left}."
        )
    elif _heads_rank(settings) and not settings.get("head_facets"):
        lacks = "no column is good enough for a facet" if columns else "the catalogue has no facets"
        said.append(f"There is nothing to name heads by: {lacks}, so head_facets is empty.")
    refused = [column for column in columns if column.why_not]
    if refused and _heads_rank(settings):
        reasons = "; ".join(f"{column.name} ({column.why_not})" for column in refused)
        said.append(f"Not used as facets: {reasons}.")
    return said
