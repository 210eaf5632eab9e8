"""How well a checkpoint ranks beside what everybody can have: one figure each, for a badge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fame.baselines import COUNTING, baselines_beside
from fame.checkpoint import Checkpoint, load_checkpoint
from fame.errors import FameError
from fame.experiments.model_card import BASELINE
from fame.experiments.results import DataKey, Results, RunKey
from fame.experiments.variants import BASELINES, variant
from fame.models.registry import MODELS

FIGURE = "HR@10"


@dataclass(frozen=True)
class Standing:
    """HR@10 over the test split, of the checkpoint and of others.

    Attributes:
        own: The checkpoint's.
        beside: By label those of SASRec, where it was trained on the same data, and of the
            counting baselines; popularity last.
    """

    own: float
    beside: Mapping[str, float]

    @property
    def weak(self) -> bool:
        """Whether it is nearer to popularity than to the best of the others, or counting is ahead.

        Such a model has learnt little of anybody, and its heads may look more like facets than
        those of a good one.
        """
        popularity = self.beside.get(COUNTING["popularity"])
        near = popularity is not None and self.own < (popularity + max(self.beside.values())) / 2
        return near or self.counted_better is not None

    @property
    def counted_better(self) -> str | None:
        """The counting baseline that ranks better than the model, the best one, where one does."""
        found = {name: self.beside[name] for name in COUNTING.values() if name in self.beside}
        best = max(found, key=lambda name: found[name], default=None)
        return best if best is not None and found[best] > self.own else None


def standing(checkpoint: Checkpoint) -> Standing | None:
    """How a checkpoint stands; ``None`` where there are no figures of its weights."""
    metrics = checkpoint.metrics or {}
    if FIGURE not in metrics.get("test", {}):
        return None
    beside: dict[str, float] = {}
    baseline = _baseline(checkpoint)
    if baseline is not None and checkpoint.model_config.model != BASELINE:
        beside[MODELS[BASELINE].title] = baseline
    for name in ("item_knn", "popularity"):
        if figures := metrics.get("baselines", {}).get(name):  # older files lack some
            beside[COUNTING[name]] = float(figures[FIGURE])
    return Standing(float(metrics["test"][FIGURE]), beside)


def _baseline(checkpoint: Checkpoint) -> float | None:
    """Of the baseline by its recipe, the mean over seeds in ``results.csv``, or of the one from
    clicks alone where that has no row; else of one that lies beside the checkpoint and was trained
    on the same data."""
    data = DataKey.of(checkpoint.data)
    for name in BASELINES:
        row, results = variant(name), Results(checkpoint.path.parent)
        try:
            key = RunKey.of(data, name, *row.configs(data.data), checkpoint.code)
            rows = results.select(results.stored_as(key, row.formerly))
        except FameError:  # a table of somebody's own that is damaged says nothing here
            continue
        if len(rows):
            return float(rows[FIGURE].mean())
    path = baselines_beside(checkpoint).get(BASELINE)
    if path is None:
        return None
    figure = (load_checkpoint(path).metrics or {}).get("test", {}).get(FIGURE)
    return None if figure is None else float(figure)
