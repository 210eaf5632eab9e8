"""What ``import fame`` gives: a trained model that is asked by item ids and answers in tables.

Ids go in and come out, never row numbers. Scores and points are centred over items unless raw ones
are asked for; heads and experts count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fame import data as datasets
from fame.checkpoint import Checkpoint, load_checkpoint
from fame.data import Dataset
from fame.data.sequences import Split
from fame.errors import ConfigError, FameError
from fame.evaluate import evaluate
from fame.facets.spaces import every_space
from fame.grown import fitted, with_new_items
from fame.head_names import read_head_names
from fame.hub import SCHEME, load_from_hub
from fame.lens.answer import trace_answer
from fame.lens.trace import Intervention, trace_history
from fame.recommend import lists_table, recommended
from fame.training.loop import resolve_device


@dataclass(frozen=True)
class Explanation:
    """Why a list is as it is.

    Attributes:
        history: ``click, item, title, read``: the clicks, oldest first, and whether the model
            reads them (the latest ones).
        lists: ``head, rank, item, title, score``: what each head would recommend alone.
        ledger: ``rank, item, title, score, head_0 ..``: the fused list; what the heads gave to an
            item sums to its score.
        values: ``rank, item, head, value, points``: the same down to values, where items are made
            of them; the value is ``None`` for what is the item's own.
        gate: ``head, name, share``; the name is ``None`` where evidence gives none.
        router: ``head, expert, share``; empty for a model without experts.
    """

    history: pd.DataFrame
    lists: pd.DataFrame
    ledger: pd.DataFrame
    values: pd.DataFrame
    gate: pd.DataFrame
    router: pd.DataFrame


class Model:
    """A trained model with its catalogue, as :func:`load` opens it.

    >>> import fame
    >>> model = fame.load("checkpoints/beauty")
    >>> model.name, len(model.items)
    ('beauty', 12101)
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def __repr__(self) -> str:
        return f"<{self.checkpoint.model_config.model} on {self.checkpoint.data.name}: {self.path}>"

    @property
    def path(self) -> Path:
        return self.checkpoint.path

    @property
    def name(self) -> str:
        return self.checkpoint.name

    @property
    def items(self) -> pd.DataFrame:
        """The catalogue: ``item_id``, ``title``, facet columns and ``train_count``; a copy."""
        return self.checkpoint.items.copy()

    def explain(
        self,
        history: Sequence[str],
        k: int = 10,
        *,
        gate: Sequence[float] | None = None,
        muted: Sequence[tuple[int, int]] = (),
        solo: Sequence[tuple[int, int]] = (),
        raw: bool = False,
    ) -> Explanation:
        """The list after a history, and its account by head, value, gate and router.

        Args:
            history: Item ids, oldest first, at least one.
            k: Length of the lists.
            gate: Weights that replace the gate's shares, one a head.
            muted: Experts ``(head, expert)`` to take out, and ``solo`` ones to hear alone.
            raw: Scores as the model has them, in place of ones centred over items.

        Raises:
            FameError: where an item is not in the catalogue, or a weight or an expert is none.

        >>> import fame
        >>> model = fame.load("checkpoints/beauty")
        >>> why = model.explain(["1", "2"], k=3)
        >>> list(why.ledger)[:5]
        ['rank', 'item', 'title', 'score', 'head_0']
        >>> shares = why.ledger.filter(like="head_").sum(axis=1)
        >>> bool((abs(shares - why.ledger["score"]) < 1e-9).all())
        True
        """
        if k < 1:
            raise FameError(f"A list has at least one item, so k may not be {k}.")
        intervention = Intervention(
            gate=None if gate is None else tuple(gate), muted=tuple(muted), solo=tuple(solo)
        )
        clicks = self._indices(history, "The history")
        repeats = self.checkpoint.data.repeats
        traced = trace_history(
            self.checkpoint.model, clicks, repeats=repeats, intervention=intervention
        )
        answer = trace_answer(
            traced,
            self.checkpoint.items,
            top_k=k,
            raw=raw,
            value_names=self.checkpoint.value_names,
            names=read_head_names(self.checkpoint).names,
        )
        return _tables(answer, self.checkpoint.items["title"].to_numpy()[clicks - 1])

    def recommend(
        self, histories: Sequence[Sequence[str]] | Mapping[Any, Sequence[str]], k: int = 10
    ) -> pd.DataFrame:
        """The lists after many histories: ``user, rank, item, title, score, head_0 ..``.

        What the heads gave to an item sums to its score. Where items are made of values,
        ``by_value`` has for each item a list of ``{head, value, points}``.

        Args:
            histories: Item ids, oldest first, by user; of a sequence, users are counted from 0.
            k: Length of a list; it is shorter where less may be recommended.

        Raises:
            FameError: where an item is not in the catalogue.

        >>> import fame
        >>> model = fame.load("checkpoints/beauty")
        >>> lists = model.recommend({"ann": ["1", "2"], "bob": ["3"]}, k=5)
        >>> lists.groupby("user").size().to_dict()
        {'ann': 5, 'bob': 5}
        """
        if k < 1:
            raise FameError(f"A list has at least one item, so k may not be {k}.")
        named = histories if isinstance(histories, Mapping) else dict(enumerate(histories))
        if not named:
            raise FameError("There is no history to recommend anything after.")
        for user, own in named.items():
            if isinstance(own, str):
                raise FameError(
                    f"The history of {user!r} is {own[:40]!r} and has to be a list of item ids."
                )
        known = self._numbers()
        clicks = [
            self._indices(own, f"The history of {user!r}", known) for user, own in named.items()
        ]
        users = pd.Series(list(named))
        places = pa.array(np.arange(len(users)))
        parts = [
            lists_table(self.checkpoint, places[part], lists)
            for part, lists in recommended(self.checkpoint, clicks, k)
        ]
        frame = pa.concat_tables(parts).to_pandas()
        frame["user"] = users.iloc[frame["user"]].to_numpy()
        return frame

    def sub_embeddings(self) -> dict[str, pd.DataFrame]:
        """The items as they are ranked, one row an item id: ``all``, then ``head_0 ..`` alone.

        ``all`` is ``(items, width)``, a head's are ``(items, width / heads)``. A model whose heads
        do not rank by themselves has ``all`` only.

        >>> import fame
        >>> spaces = fame.load("checkpoints/beauty").sub_embeddings()
        >>> list(spaces)[:2], len(spaces["head_0"]), spaces["head_0"].index.name
        (['all', 'head_0'], 12101, 'item_id')
        """
        ids = pd.Index(self.checkpoint.items["item_id"].tolist(), name="item_id")
        spaces = every_space(self.checkpoint.model)
        return {space: pd.DataFrame(vectors, ids) for space, vectors in spaces.items()}

    def evaluate(self, data: Dataset | str | None = None, split: Split = "test") -> dict[str, Any]:
        """Leave-one-out figures over the whole catalogue, as ``python -m fame evaluate`` has them.

        Of a set that has grown since, new items are as in :mod:`fame.grown`.

        Args:
            data: A data set or its name; by default the one that it was trained on.
            split: ``test`` or ``valid``.

        Raises:
            FameError: where the data set has another catalogue, or cannot be had.
        """
        if split not in ("test", "valid"):
            raise FameError(f"A split is test or valid, not {split!r}.")
        held = data if isinstance(data, Dataset) else load_data(data or self.checkpoint.data.name)
        checkpoint = with_new_items(self.checkpoint, held)
        return evaluate(checkpoint.model, fitted(checkpoint, held).dataset.interactions, split)

    def _numbers(self) -> dict[str, int]:
        return {own: row for row, own in enumerate(self.checkpoint.items["item_id"].tolist(), 1)}

    def _indices(
        self, history: Sequence[str], whose: str, known: Mapping[str, int] | None = None
    ) -> np.ndarray:
        """``(n,)`` item indices of ids."""
        if isinstance(history, str):
            raise FameError(f"{whose} is {history[:40]!r} and has to be a list of item ids.")
        if not len(history):
            raise FameError(f"{whose} is empty; one item id is needed at least.")
        known = self._numbers() if known is None else known
        return np.array(
            [known.get(str(own)) or self.checkpoint.item_index(str(own)) for own in history]
        )


def load(path: Path | str, device: str = "cpu", *, revision: str | None = None) -> Model:
    """Opens a checkpoint; the model is not changed by anything that it is asked.

    Args:
        path: The folder that ``python -m fame train`` left, or one of ``checkpoints/``; or one of
            the Hugging Face Hub, as ``hf://owner/name``, which is fetched into its cache.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        revision: Of the Hub, a branch, a tag or a commit; by default the newest of ``main``.

    Raises:
        CheckpointError: where it is incomplete, damaged or of another format.
        FameError: where the Hub does not give it.

    >>> import fame
    >>> fame.load("checkpoints/beauty")
    <fame on beauty: checkpoints/beauty>
    """
    if isinstance(path, str) and path.startswith(SCHEME):
        return Model(load_from_hub(path, resolve_device(device), revision))
    if revision is not None:
        raise FameError(
            f"{path} is a folder and has no revisions; on the Hub it is hf://owner/name."
        )
    return Model(load_checkpoint(path, resolve_device(device)))


def load_data(name: str) -> Dataset:
    """A data set by its name out of ``python -m fame data list``; fetched where it must be."""
    return datasets.load(name)


def train(
    data: Dataset | str,
    out: Path | str,
    *,
    start: Path | str | None = None,
    resume: bool = False,
    projection: bool = False,
    **settings: Any,
) -> Model:
    """Trains a model as ``python -m fame train`` does, and opens it.

    Args:
        data: A data set, such as :func:`fame.read_log` reads one, or the name of one.
        out: The folder of the run and its checkpoint: a new or an empty one.
        start: A checkpoint to start from, with its settings (:mod:`fame.training.warm_start`).
        resume: Go on with an interrupted run in that folder.
        projection: Make the maps of the Atlas, too.
        settings: What differs from the data set's recipe, or from what is chosen for a set without
            one by what it looks like, such as ``epochs=20`` or ``width=64``: the fields of
            :class:`fame.config.ModelConfig` and :class:`fame.config.TrainConfig`.

    Raises:
        FameError: where a setting is none, the folder is not free, or the run was stopped.

    >>> import fame
    >>> log = fame.read_log("clicks.csv")  # doctest: +SKIP
    >>> model = fame.train(log, "checkpoints/mine", epochs=20)  # doctest: +SKIP
    """
    # Not needed by who only asks a model.
    from fame.experiments.choice import base_settings
    from fame.experiments.model_card import render_card
    from fame.experiments.recipes import build_configs
    from fame.training.train import stored_settings
    from fame.training.train import train as run_training
    from fame.training.warm_start import Start, start_settings

    held, out = data if isinstance(data, Dataset) else load_data(data), Path(out)
    stored = stored_settings(out) if resume else None
    begin = None if start is None else Start(load_checkpoint(start), settings)
    if begin is None:
        base, _, choice = base_settings(held.interactions.name, settings, lambda: held, stored)
    else:
        base, choice = start_settings(begin.checkpoint), None
    finished = run_training(
        held,
        *build_configs({**base, **settings}, "fame.train"),
        out,
        resume=resume,
        projection=projection,
        card=render_card,
        choice=None if choice is None else choice.to_dict(),
        start=begin,
    )
    if not finished:
        raise ConfigError(f"The run in {out} was stopped; go on with resume=True.")
    return load(out)


def _tables(answer: Mapping[str, Any], titles: np.ndarray) -> Explanation:
    """An answer of :func:`fame.lens.answer.trace_answer` as tables."""
    heads = range(len(answer["gate"]))
    history = pd.DataFrame(
        {
            "click": np.arange(1, len(titles) + 1),
            "item": answer["history"],
            "title": titles,
            "read": np.arange(len(titles)) >= answer["seen_from"],
        }
    )
    lists = [
        (head, row["rank"], row["item"], row["title"], row["score"])
        for head in heads
        for row in answer["heads"][head]
    ]
    fused = list(enumerate(answer["fused"], start=1))
    ledger = [
        (rank, row["item"], row["title"], row["score"], *row["by_head"]) for rank, row in fused
    ]
    values = [
        (rank, row["item"], head, part["value"], part["points"])
        for rank, row in fused
        for head in heads
        for part in row["by_value"][head]
    ]
    router = [
        (head, expert, share)
        for head, own in enumerate(answer["router"])
        for expert, share in enumerate(own)
    ]
    by_head = [f"head_{head}" for head in heads]
    return Explanation(
        history=history,
        lists=pd.DataFrame(lists, columns=["head", "rank", "item", "title", "score"]),
        ledger=pd.DataFrame(ledger, columns=["rank", "item", "title", "score", *by_head]),
        values=pd.DataFrame(
            values, columns=["rank", "item", "head", "value", "points"], dtype=object
        ).astype({"rank": int, "item": str, "head": int, "points": float}),
        gate=pd.DataFrame(
            {
                "head": heads,
                "name": pd.Series(answer["names"], dtype=object),
                "share": answer["gate"],
            }
        ),
        router=pd.DataFrame(router, columns=["head", "expert", "share"]),
    )
