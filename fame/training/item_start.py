"""Item embeddings to start from: what the catalogue says of the items, in place of noise.

Where most items were clicked a few times only, clicks alone place them badly. Titles, brands and
categories say at no cost what is like what, so training starts with items near each other where
their words are alike. The model, and what it reads when it ranks, stay as they are: it needs no
words afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from fame.data.catalogue import facet_columns
from fame.errors import FameError
from fame.model import SequenceModel

# Four times an embedding's usual standard deviation: Adam moves every number by about its step size
# whatever it is, so small ones are overrun before their neighbourhoods can help.
CATALOGUE_STD = 0.08
# The share of a vector that is random: items of the same words have to differ still.
NOISE = 0.3
_TIMES_A_FACET = 2  # a value of a facet counts as a word of the title that stands there twice
_ZERO = 1e-6  # below this a number is what rounding left
_WORD = re.compile(r"\w\w+")


def start_items(model: SequenceModel, told_VD: Tensor) -> None:
    """Gives the items of an untrained model vectors to start from.

    An item starts at ``0.08 sqrt(D) (sqrt(1 - n^2) t + n r)``, where t is its vector, r the
    direction of the random embedding that it had, and n = 0.3. An item whose vector is zero keeps
    its random direction, at the same length.

    Args:
        model: Changed in place.
        told_VD: ``(V - 1, D)``, row i for item i + 1, as of :func:`catalogue_vectors`.
    """
    with torch.no_grad():
        rows_VD = model.item_embedding.weight[1:]
        mixed_VD = (1 - NOISE**2) ** 0.5 * told_VD.to(rows_VD) + NOISE * F.normalize(rows_VD, dim=1)
        # A direction's length: sqrt(D) times the standard deviation of its numbers.
        rows_VD.copy_(CATALOGUE_STD * model.config.width**0.5 * F.normalize(mixed_VD, dim=1))


def catalogue_vectors(items: pd.DataFrame, width: int) -> Tensor:
    """Vectors of length 1, near each other where the catalogue says alike things of two items.

    TF-IDF of the words of titles and of the values of facets (brand, category, genres, year), cut
    down to ``width`` numbers by a truncated singular value decomposition ``U S V^T``. An item's
    vector is its row of ``U S^(1/2)`` less the mean, between the usual ``U S``, which the largest
    categories shape nearly alone, and ``U``, in which everything counts alike. All are then turned
    by one random rotation, so that every head's slice has a share of every direction.

    Args:
        items: Row i describes item i + 1: ``item_id``, ``title``, facet columns.
        width: D.

    Returns:
        ``(V - 1, D)``, row i for item i + 1; zeros where the catalogue says nothing.

    Raises:
        FameError: where no words are shared by some items and not by others.
    """
    kinds = facet_columns(items)
    said = [list(_said(row, kinds)) for row in items.to_dict("records")]
    try:
        counts = TfidfVectorizer(analyzer=list, sublinear_tf=True, min_df=2).fit_transform(said)
    except ValueError:  # no words are left
        raise _nothing_shared() from None
    with np.errstate(invalid="ignore"):  # a share of no variance at all, which nobody asks for
        decomposed = TruncatedSVD(min(width, *counts.shape), random_state=0).fit(counts)
    strength = decomposed.singular_values_
    kept = strength > _ZERO * strength[0]
    told = counts @ decomposed.components_[kept].T / strength[kept] ** 0.5
    has_words = np.diff(counts.indptr) > 0
    told[has_words] -= told[has_words].mean(0)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))
    told = told @ rotation[: told.shape[1]]
    length = np.linalg.norm(told, axis=1, keepdims=True)
    if not (length > _ZERO).any():
        raise _nothing_shared()
    return torch.from_numpy(np.divide(told, length, out=np.zeros_like(told), where=length > _ZERO))


def _said(row: Mapping[Any, Any], kinds: Mapping[str, str]) -> Iterator[str]:
    """Everything that the catalogue says of one item, as words; facets' values as one word each."""
    if row["title"] != f"Item {row['item_id']}":  # a stand-in for a title is none
        yield from _WORD.findall(row["title"].lower())
    for column, kind in kinds.items():
        value = row[column]
        values = value if kind == "list" else [] if pd.isna(value) else [value]
        for one in values:
            yield from [f"{column}: {one}"] * _TIMES_A_FACET


def _nothing_shared() -> FameError:
    return FameError(
        "item_start=catalogue starts from words that some items share and others lack, and this "
        "catalogue has none; import the data with titles or facets (data import --items FILE), or "
        "set item_start=random."
    )
