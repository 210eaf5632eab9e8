"""The two configurations: what a model is, and how it is trained.

Both are frozen and validated when they are built, so that a configuration that exists is one that
can run. The names are the ones in ``config.json``, in ``--set key=value``, in the recipes and in
the app's form.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args, get_type_hints

from fame.errors import ConfigError

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")

ModelName = Literal["fame", "sasrec", "bsarec"]
Precision = Literal["auto", "fp32", "bf16"]
Switch = Literal["off", "on"]
Samples = Literal["windows", "prefixes"]
Score = Literal["dot", "cosine", "fused-cosine"]
Positions = Literal["absolute", "relative"]
GateKind = Literal["learned", "uniform"]
ItemStart = Literal["random", "catalogue"]
ExpertView = Literal["all", "own"]

# Settings that came after runs and checkpoints had been stored, by the format of ``config.json``
# (fame/checkpoint.py) that has them first, with the value that all runs before them had. That is
# history, never today's default: an entry is not changed once it stands here. Older checkpoints are
# read with these values, and the key of a run (fame/experiments/results.py) leaves such a setting
# out where it has this value, so that a new setting makes no strangers of old rows.
ADDED_SETTINGS: Mapping[int, Mapping[str, Any]] = {
    2: {"filter_weight": 0.7, "frequency_cutoff": 5},
    3: {"head_facets": "", "own_bound": 0.6},
    4: {"expert_view": "all", "expert_loss_weight": 0.0},
    5: {"head_loss_shares": ""},
}


class _Config:
    """Reading from mappings and strings, with the same checks for every configuration."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str) -> Self:
        """Builds a configuration; ``ConfigError`` names ``where`` and the key that is wrong."""
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where} must be a table of settings, not {values!r}.")
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"{where} has the unknown key {unknown[0]!r}; known keys are "
                f"{', '.join(sorted(known))}."
            )
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    def _check_types(self) -> None:
        """Integers stay integers, numbers are finite, choices are among the choices."""
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            choices = get_args(kind)
            if choices:
                if value not in choices:
                    raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
            elif kind is int:
                if isinstance(value, bool) or not isinstance(value, int):
                    raise ConfigError(f"{name} must be a whole number, not {value!r}.")
            elif kind is float:
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ConfigError(f"{name} must be a number, not {value!r}.")
                try:
                    value = float(value)
                except OverflowError:  # a whole number of more than 308 digits
                    value = math.inf
                if not math.isfinite(value):
                    raise ConfigError(f"{name} must be finite, not {value!r}.")
                object.__setattr__(self, name, value)
            elif not isinstance(value, kind):
                raise ConfigError(f"{name} must be {kind.__name__}, not {value!r}.")

    def _check_range(self, name: str, low: float, high: float, *, below: bool = False) -> None:
        value = getattr(self, name)
        if not low <= value <= high or (below and value == high):
            upper = f"below {high:g}" if below else f"at most {high:g}"
            raise ConfigError(f"{name} must be at least {low:g} and {upper}, not {value!r}.")


@dataclass(frozen=True)
class ModelConfig(_Config):
    """The shape of a model.

    Args:
        model: ``fame``, or a baseline: ``sasrec``, ``bsarec``.
        width: D, the length of an item embedding.
        heads: H, the facets; also the attention heads of the standard blocks. Divides ``width``.
        experts: E, the experts in each head of FAME's last block; other models have none.
        layers: L blocks in all; the last one is FAME's.
        max_length: T, how many of the latest clicks the model reads.
        dropout: After the embeddings and on every residual branch. There is none inside the
            attention: the fused CPU kernel becomes several times slower with it.
        positions: ``absolute``: a learned vector for every position, added to the item's, as in the
            paper. ``relative``: instead of those a learned number for every distance back in time
            and every attention head (in FAME's last block every expert) is added to the attention's
            logits, so that "three clicks ago" means the same in histories of all lengths.
        score: ``dot``: ``P_h(v) = <x_v^h, F_h>`` as it stands. ``cosine``: ``x_v`` and each head's
            query ``W^f_h^T F_h`` have length 1, so every head scores by ``cos / temperature`` and
            neither popular items nor loud heads win by length. The mean of such queries is short
            where they point apart, so the fused score is sharp only where they agree, and training
            makes them agree. ``fused-cosine``: all scores of a person are then multiplied by the
            one number that gives the fused query length 1 as well, so that heads lose nothing by
            being different. Without facets that is ``cosine``. ``P(v) = sum_h g_h P_h(v)`` in all.
        temperature: Divides the cosine; the dot product has no use for it.
        gate: ``uniform`` gives all heads equal shares always; an ablation.
        facets: ``off`` merges the heads through an output matrix into one state and one score, as
            in a standard block, and keeps the experts inside the attention; an ablation. The model
            then has one head to look at, and no gate; with one expert it is SASRec.
        head_facets: What each head is a facet of: shares of the catalogue's columns, one a head, as
            ``genres/year/`` or ``brand/category/``, several columns in a share as ``brand,year``.
            An item is then made of the learned vectors of its values, see
            :mod:`fame.models.item_values`, and a head sees its own slice of it alone (``W^f`` is
            block-diagonal). A head with an empty share is free: it knows items by themselves.
            ``category`` stands for all columns ``category_...``, ``title`` for the words of titles,
            and a year has its decade as one more value. Empty: items are one vector each, as in the
            paper. Only for heads that rank by themselves.
        own_bound: How long what an item has for itself may be in such a head, as a share of what
            its values give it; 0 = values alone, so that items of the same values are one to that
            head; a number larger than anything = no bound.
        expert_view: What the experts of a head read: ``all`` of the backbone's states, as in the
            paper, or the head's ``own`` slice of them. With ``own`` nothing that a head says of a
            history depends on what the history's items are to other heads; only for items made of
            values (``head_facets``) and one block, since a block before it would mix the slices.
        filter_weight: BSARec's alpha: the share of a block's frequency filter in its states, beside
            attention; 0 leaves the filter away. Other models have none.
        frequency_cutoff: BSARec's c: how many of the ``max_length`` frequencies of a sequence pass
            its low-pass filter, the lowest first; odd, since all but the constant one are pairs.
    """

    model: ModelName = "fame"
    width: int = 64
    heads: int = 2
    experts: int = 4
    layers: int = 2
    max_length: int = 50
    dropout: float = 0.4
    positions: Positions = "absolute"
    score: Score = "dot"
    temperature: float = 0.07
    gate: GateKind = "learned"
    facets: Switch = "on"
    head_facets: str = ""
    own_bound: float = 0.6
    expert_view: ExpertView = "all"
    filter_weight: float = 0.7
    frequency_cutoff: int = 5

    def __post_init__(self) -> None:
        self._check_types()
        self._check_range("temperature", 1e-3, 100)
        self._check_range("width", 1, 4096)
        self._check_range("heads", 1, 64)
        self._check_range("experts", 1, 64)
        self._check_range("layers", 1, 24)
        self._check_range("max_length", 1, 4096)
        self._check_range("dropout", 0, 1, below=True)
        self._check_range("filter_weight", 0, 1)
        self._check_range("frequency_cutoff", 1, 4095)
        if self.frequency_cutoff % 2 == 0:
            raise ConfigError(
                f"frequency_cutoff must be odd, not {self.frequency_cutoff}: one frequency is "
                "constant, and all others come in pairs."
            )
        if self.width % self.heads:
            raise ConfigError(
                f"width ({self.width}) must be a multiple of heads ({self.heads}), "
                "because every head owns an equal slice of it."
            )
        self._check_range("own_bound", 0, 1e9)
        shares = self.facet_shares
        if shares and len(shares) != self.heads:
            raise ConfigError(
                f"head_facets={self.head_facets} has {len(shares)} shares and there are "
                f"{self.heads} heads; separate one share a head by /, an empty one for a free head."
            )
        for head, share in enumerate(shares):
            if "" in share or len(set(share)) < len(share):
                raise ConfigError(
                    f"head_facets={self.head_facets} names no column, or one twice, in the share "
                    f"{','.join(share)!r} of head {head}; write columns as brand,year."
                )
        if self.expert_view == "own" and not (shares and self.layers == 1):
            lacks = "layers=1" if shares else "head_facets"
            raise ConfigError(
                f"expert_view=own lets a head read its own slice of the items alone, which needs "
                f"{lacks}; set that, or expert_view=all."
            )
        if shares and not any(shares):
            raise ConfigError(
                f"head_facets={self.head_facets} names no column for any head; leave it empty."
            )

    @property
    def facet_shares(self) -> tuple[tuple[str, ...], ...]:
        """``[H]`` the columns that each head is a facet of, none for a free one; or nothing."""
        if not self.head_facets:
            return ()
        shares = [part.split(",") if part.strip() else [] for part in self.head_facets.split("/")]
        return tuple(tuple(name.strip() for name in share) for share in shares)

    @property
    def head_width(self) -> int:
        """K = D / H."""
        return self.width // self.heads


@dataclass(frozen=True)
class TrainConfig(_Config):
    """How a model is trained.

    Args:
        epochs: Passes over all targets, at most.
        samples: What one sample is. ``windows``: a person's history (pieces of long ones), with a
            target at every position. ``prefixes``: one target and the clicks before it, so that a
            history of n clicks is read n - 1 times. Every target then has dropout of its own, and a
            step has targets of more people, which ranks better where histories are short. Clicks to
            read grow with half a history's length: 8 times on Beauty, 120 times on MovieLens 1M.
        item_start: What the item embeddings are before training. ``random``: noise. ``catalogue``:
            items lie near each other where their titles and facets share words, which ranks better
            where most items have few clicks; the data set needs a catalogue for it.
        start_facets: What each head's slice of the items starts from, where they start from the
            catalogue: ``title,brand/category`` gives titles and brands to the first head and all
            columns ``category_...`` to the second. Shares are dealt round where there are more or
            fewer of them than heads. Empty: each head starts from everything.
        batch_size: Samples a step.
        learning_rate: Peak step size of AdamW.
        weight_decay: Decoupled weight decay on matrices; biases and norms have none.
        weight_average: Share of the old in a running average of the weights, renewed after every
            step; validation and checkpoint then use the average, which wobbles less and ranks
            better. 0.995 averages over about 200 steps; 0 = the weights as they are.
        warmup_steps: Steps over which the step size grows linearly from 0 to its peak.
        negatives: Items drawn at random for a step, the same for all its targets, against which
            each target has to win; 0 = against the whole catalogue, as in the paper. Drawing them
            costs a fraction, and keeps a model from learning by heart which items are rare.
        label_smoothing: Share of the target's probability spread over the whole catalogue.
        head_loss_weight: Weight of the mean cross-entropy of each head's own ranking, beside the
            fused one: it keeps every head a recommender by itself. Baselines have no such heads.
        head_loss_shares: What each head counts in that mean beside the others, as ``0/1/0.5``; 0
            leaves a head to the fused loss alone. What a head learns of other facets to rank well
            by itself, it then does not learn. Empty: all heads count alike.
        expert_loss_weight: Weight of what the routers' weights lack to tell as much as they can of
            whose history they read: routers are then sharp for each history and even over all, so
            that experts part the histories among them.
        patience: Epochs without a better validation NDCG@10 before training ends; 0 = never.
        seed: Of initialisation, batches and dropout.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, ``bf16`` (autocast), or ``auto``: bf16 on CUDA, fp32 elsewhere.
        compile: ``on`` compiles the model's forward and backward pass (not the loss, which is a few
            large products) with ``torch.compile``, once for batches of all widths.
    """

    epochs: int = 200
    samples: Samples = "windows"
    item_start: ItemStart = "random"
    start_facets: str = ""
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    weight_average: float = 0.0
    warmup_steps: int = 0
    negatives: int = 0
    label_smoothing: float = 0.0
    head_loss_weight: float = 0.5
    head_loss_shares: str = ""
    expert_loss_weight: float = 0.0
    patience: int = 10
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    compile: Switch = "off"

    def __post_init__(self) -> None:
        self._check_types()
        self._check_range("epochs", 1, 100_000)
        self._check_range("batch_size", 1, 1_000_000)
        self._check_range("learning_rate", 1e-8, 1)
        self._check_range("weight_decay", 0, 100)
        self._check_range("weight_average", 0, 1, below=True)
        self._check_range("warmup_steps", 0, 10_000_000)
        self._check_range("negatives", 0, 10_000_000)
        self._check_range("label_smoothing", 0, 1, below=True)
        if self.label_smoothing and self.negatives:
            raise ConfigError(
                f"label_smoothing ({self.label_smoothing:g}) spreads over the whole catalogue, and "
                f"negatives ({self.negatives}) leaves most of it out; set one of them to 0."
            )
        self._check_range("head_loss_weight", 0, 100)
        if self.head_loss_shares:
            shares = self.shares_of_heads
            if not all(0 <= share <= 100 for share in shares) or not any(shares):
                raise ConfigError(
                    f"head_loss_shares={self.head_loss_shares} must be numbers from 0 to 100, one "
                    "a head with / between them, such as 0/1/0.5, and not all 0; set "
                    "head_loss_weight=0 for no such loss."
                )
            if not self.head_loss_weight:
                raise ConfigError(
                    f"head_loss_shares={self.head_loss_shares} deals out the heads' own loss, and "
                    "head_loss_weight is 0; raise that, or leave head_loss_shares empty."
                )
        self._check_range("expert_loss_weight", 0, 100)
        if self.start_facets and self.item_start == "random":
            raise ConfigError(
                f"start_facets={self.start_facets} deals out what the catalogue says, and items "
                "start from noise; set item_start=catalogue, or leave start_facets empty."
            )
        self._check_range("patience", 0, 100_000)
        self._check_range("seed", 0, 2**32 - 1)
        check_device(self.device)

    @property
    def shares_of_heads(self) -> tuple[float, ...]:
        """``[H]`` what the heads count in the mean of their own losses; nothing where alike.

        NaN for what is no number.
        """
        if not self.head_loss_shares:
            return ()
        return tuple(map(_number, self.head_loss_shares.split("/")))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def check_device(name: str) -> None:
    """``ConfigError`` for what no device is called; whether it is there is another question."""
    if not _DEVICE.fullmatch(name):
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, not {name[:40]!r}.")


def parse_setting(text: str) -> tuple[str, Any]:
    """``"width=64"`` -> ``("width", 64)``: numbers become numbers, everything else stays text."""
    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set takes key=value, not {text!r}.")
    raw = raw.strip()
    for kind in (int, float):
        try:
            return key.strip(), kind(raw)
        except ValueError:
            continue
    return key.strip(), raw


def split_settings(values: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sorts a flat mapping into model and training settings; unknown keys are refused."""
    model_keys = {field.name for field in dataclasses.fields(ModelConfig)}
    train_keys = {field.name for field in dataclasses.fields(TrainConfig)}
    unknown = sorted(set(values) - model_keys - train_keys)
    if unknown:
        raise ConfigError(
            f"{where} has the unknown key {unknown[0]!r}; known keys are "
            f"{', '.join(sorted(model_keys | train_keys))}."
        )
    return (
        {key: value for key, value in values.items() if key in model_keys},
        {key: value for key, value in values.items() if key in train_keys},
    )
