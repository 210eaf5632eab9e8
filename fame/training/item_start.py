"""Item embeddings to start from: what the catalogue says of the items, in place of noise.

Where most items were clicked a few times only, clicks alone place them badly. Titles, brands and
categories say at no cost what is like what, so training starts with items near each other where
their words are alike. The model, and what it reads when it ranks, stay as they are: it needs no
words afterwards.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from fame.data.catalogue import facet_columns, has_title, values_of
from fame.errors import FameError
from fame.models.sequence_model import SequenceModel

# Four times an embedding's usual standard deviation: Adam moves every number by about its step size
# whatever it is, so small ones are overrun before their neighbourhoods can help.
CATALOGUE_STD = 0.08
# The share of a vector that is random: items of the same words have to differ still.
NOISE = 0.3
_TIMES_A_FACET = 2  # a value of a facet counts as a word of the title that stands there twice
_ZERO = 1e-6  # below this a number is what rounding left
_WORD = re.compile(r"\w\w+")


def start_items(model: SequenceModel, catalogue_VD: Tensor) -> None:
    """Gives the items of an untrained model vectors to start from.

    An item starts in the direction of ``sqrt(1 - n^2) t + n r``, where t is its vector, r the
    direction of the random embedding that it had, and n = 0.3, at the length ``0.08 sqrt(D)``. An
    item whose vector is zero keeps its random direction, at that length. Where items are made of
    values, only the free heads' slices start so: in the others an item's own vector is what
    distinguishes it from the rest of its values.

    Args:
        model: Changed in place.
        catalogue_VD: ``(V - 1, D)``, row i for item i + 1, of length 1 or 0, as of
            :func:`catalogue_vectors`.

    Raises:
        FameError: where no head is free, so that nothing would start otherwise.
    """
    free = [head for head, share in enumerate(model.config.facet_shares) if not share]
    if model.values is None:
        free = list(range(model.config.heads))
    elif not free:
        raise FameError(
            f"item_start=catalogue is what free heads start from, and "
            f"head_facets={model.config.head_facets} leaves none free; set item_start=random, or "
            "leave one share empty."
        )
    with torch.no_grad():
        rows_VD = model.item_embedding.weight[1:]
        mixed_VD = (1 - NOISE**2) ** 0.5 * catalogue_VD.to(rows_VD) + NOISE * F.normalize(
            rows_VD, dim=1
        )
        # A direction's length: sqrt(D) times the standard deviation of its numbers.
        started_VD = CATALOGUE_STD * model.config.width**0.5 * F.normalize(mixed_VD, dim=1)
        for head in free:
            own = slice(head * model.config.head_width, (head + 1) * model.config.head_width)
            rows_VD[:, own] = started_VD[:, own]


def catalogue_vectors(
    items: pd.DataFrame,
    width: int,
    heads: int = 1,
    start_facets: str = "",
    *,
    placed: pd.DataFrame | None = None,
) -> Tensor:
    """Vectors of length 1, near each other where the catalogue says alike things of two items.

    A head's slice of ``K = D / H`` numbers stands for its share of the columns. With m heads to a
    share, TF-IDF of the share's words (those of titles, and the values of facets, such as brand,
    category, genres, year) is cut down to ``m K`` numbers by a truncated singular value
    decomposition ``U S V^T``. An item's part is its row of ``U S^(1/2)`` less the mean, between the
    usual ``U S``, which the largest categories shape nearly alone, and ``U``, in which everything
    counts alike; turned by a random rotation, so that each of the m slices has a part in every
    direction; and at length ``sqrt(m / H)``.

    Args:
        items: Row i describes item i + 1: ``item_id``, ``title``, facet columns.
        width: D.
        heads: H.
        start_facets: The shares of the heads, see :class:`fame.config.TrainConfig`.
        placed: Items to give vectors to, which have no part in what the directions are: new ones,
            by words that ``items`` share. By default ``items`` themselves.

    Returns:
        ``(V - 1, D)``, row i for item i + 1 (or of ``placed``); zeros where the catalogue says
        nothing.

    Raises:
        FameError: where no words of a share are some items' and not others', or the catalogue lacks
            a column that ``start_facets`` names.
    """
    many = len(items if placed is None else placed)
    vectors = torch.zeros(many, heads, width // heads, dtype=torch.float64)
    by_share: dict[frozenset[str], list[int]] = {}
    for head, share in enumerate(_dealt(items, heads, start_facets)):
        by_share.setdefault(share, []).append(head)
    for share, owners in by_share.items():
        part = _vectors_of(items, share, len(owners) * width // heads, placed)
        vectors[:, owners] = part.view(many, len(owners), -1) * (len(owners) / heads) ** 0.5
    return vectors.flatten(1)


def _dealt(items: pd.DataFrame, heads: int, start_facets: str) -> list[frozenset[str]]:
    """Which columns each head starts from: shares dealt round to heads, or heads to shares."""
    columns = ["title", *facet_columns(items)]
    if not start_facets:
        return [frozenset(columns)] * heads
    shares: list[frozenset[str]] = []
    for part in start_facets.split("/"):
        share: set[str] = set()
        for name in map(str.strip, part.split(",")):
            found = {one for one in columns if one == name or one.startswith(f"{name}_")}
            if not found:
                raise FameError(
                    f"start_facets={start_facets} names {name!r}, and the catalogue has no such "
                    f"column; it has {', '.join(columns)}."
                )
            share |= found
        shares.append(frozenset(share))
    if len(shares) <= heads:
        return [shares[head % len(shares)] for head in range(heads)]
    return [frozenset().union(*shares[head::heads]) for head in range(heads)]


def _vectors_of(
    items: pd.DataFrame, columns: frozenset[str], width: int, placed: pd.DataFrame | None
) -> Tensor:
    """What some columns say, ``(V - 1, width)``; rows of length 1, or of zeros."""
    # Here, because loading them takes a second, which no other training needs.
    from scipy.sparse import csr_matrix, hstack
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(analyzer=list, sublinear_tf=True, min_df=2)
    try:
        counts = tfidf.fit_transform(_said(items, columns))
    except ValueError:  # no words are left
        raise _nothing_shared(columns) from None
    wanted = counts if placed is None else tfidf.transform(_said(placed, columns))
    if counts.shape[1] == 1:  # the decomposition wants two
        counts, wanted = (
            hstack([own, csr_matrix(own.shape)], format="csr") for own in (counts, wanted)
        )
    with np.errstate(invalid="ignore"):  # a share of no variance at all, which nobody asks for
        decomposed = TruncatedSVD(min(width, *counts.shape), random_state=0).fit(counts)
    strength = decomposed.singular_values_
    kept = strength > _ZERO * strength[0]
    axes = decomposed.components_[kept].T / strength[kept] ** 0.5
    vectors, has_words = counts @ axes, np.diff(counts.indptr) > 0
    mean = vectors[has_words].mean(0)
    if placed is not None:
        vectors, has_words = wanted @ axes, np.diff(wanted.indptr) > 0
    vectors[has_words] -= mean
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))
    vectors = vectors @ rotation[: vectors.shape[1]]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if placed is None and not (length > _ZERO).any():
        raise _nothing_shared(columns)
    return torch.from_numpy(
        np.divide(vectors, length, out=np.zeros_like(vectors), where=length > _ZERO)
    )


def _said(items: pd.DataFrame, columns: frozenset[str]) -> list[list[str]]:
    """The words of every item in some columns."""
    said: list[list[str]] = [[] for _ in range(len(items))]
    for column in facet_columns(items):
        if column in columns:
            for words, own in zip(said, values_of(items[column]), strict=True):
                words += [f"{column}: {value}" for value in own] * _TIMES_A_FACET
    if "title" in columns:
        for words, title, known in zip(said, items["title"], has_title(items), strict=True):
            if known:
                words += _WORD.findall(title.lower())
    return said


def _nothing_shared(columns: frozenset[str]) -> FameError:
    return FameError(
        "item_start=catalogue starts from words that some items share and others lack, and this "
        f"catalogue has none in {', '.join(sorted(columns))}; import the data with titles or "
        "facets (data import --items FILE), or set item_start=random."
    )
