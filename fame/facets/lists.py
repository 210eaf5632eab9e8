"""What heads recommend, by facet: how far their lists agree with what came next, beside controls.

A table of values agrees with itself by construction, so whether a head is a facet shows in its
*lists*: how many of the first items after a history share a value with the item that came next.

Shapes: ``U`` people · ``V`` items with the padding id 0 · ``D`` width · ``H`` heads, or slices ·
``K`` slice width · ``k`` items in a list · ``W`` values of a facet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.stats import ortho_group
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fame.facets.spaces import space_names
from fame.facets.values import value_indicator
from fame.lens.reading import fused_scores, head_scores, read_histories
from fame.models.sequence_model import LastPosition, SequenceModel
from fame.ranking import Repeats, only_candidates, top_lists

LIST_LENGTH = 20
PERMUTATIONS = 20  # of the labels; a person's control is the mean over them
STRATA = 10  # of popularity, within which labels are permuted
PERMUTED, TURNED, SASREC = "labels_permuted", "slices_turned", "sasrec_slices"
PROJECTED, UNTRAINED = "random_projection", "untrained"
_SCORES = 8_000_000  # at once, of people, heads and items: 32 MB


@dataclass(frozen=True)
class ListAgreement:
    """How far lists agree in one facet, by person; only people whose held-out item has a value.

    Attributes:
        held_out: By space (``all``, ``head_0``, ..) ``(U,)`` the share of the listed items that
            have a value in common with the item that came next.
        history: By space ``(U,)`` the share of the pairs of a listed item and a click of the
            history that do. Pairs, because a long history has nearly every value somewhere.
        controls: By control and space, as ``held_out``. :data:`PERMUTED`: the same lists, with the
            values permuted among items of like popularity. :data:`TURNED`: lists by the slices of
            the embedding after a random rotation (:func:`slice_lists`). :data:`SASREC`: lists by
            the slices of a SASRec of the same data. :data:`PROJECTED`: lists by random projections
            of the embedding to a head's width (:func:`projected_lists`). :data:`UNTRAINED`: those
            of a model of the same shape that learned nothing.
    """

    held_out: dict[str, np.ndarray]
    history: dict[str, np.ndarray]
    controls: dict[str, dict[str, np.ndarray]]


def head_lists(
    model: SequenceModel, readings: LastPosition, histories: Sequence[np.ndarray], repeats: Repeats
) -> dict[str, np.ndarray]:
    """By space ``(U, k)`` the first items of the fused list and of every head alone, 0 for none.

    Args:
        readings: Of U histories.
        histories: What was clicked, ``(length,)`` item indices each; decides who is a candidate.
    """
    spaces = space_names(model)

    def scores(part: LastPosition) -> Tensor:
        fused = fused_scores(model, part)[None]
        return torch.cat([fused, head_scores(model, part)]) if len(spaces) > 1 else fused

    return dict(zip(spaces, _lists(scores, readings, histories, repeats), strict=True))


def slice_lists(
    model: SequenceModel,
    readings: LastPosition,
    histories: Sequence[np.ndarray],
    repeats: Repeats,
    slices: int,
    *,
    turn_by: int | None = None,
) -> dict[str, np.ndarray]:
    """By slice (``head_0``, ..) ``(U, k)`` the first items by a cut of the fused score into slices.

    With x_v a row of the item table, q the fused query and R a rotation, slice h scores

        P_h(v) = <(R x_v)[h K : (h + 1) K], (R q)[h K : (h + 1) K]>,    sum_h P_h(v) = <x_v, q>

    so every cut divides the same score that all lists are about. Where D is no multiple of H, the
    first slices have one number more.

    Args:
        slices: H, at most D.
        turn_by: Seed of R, drawn evenly from all orthogonal matrices ``(D, D)``; ``None``: R = I.
    """
    D = model.config.width
    turn_DD = torch.eye(D) if turn_by is None else rotation(D, seed=turn_by)
    # A row of zeros, where a slice is one shorter than the longest, changes no score.
    maps_HKD = pad_sequence(list(turn_DD.tensor_split(slices)), batch_first=True)
    return _lists_by_maps(model, readings, histories, repeats, maps_HKD)


def projected_lists(
    model: SequenceModel,
    readings: LastPosition,
    histories: Sequence[np.ndarray],
    repeats: Repeats,
    slices: int,
    *,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """By projection (``head_0``, ..) ``(U, k)`` the first items by ``<A_h x_v, A_h q>``.

    With ``A_h`` of :func:`projections`, so that each score estimates the fused one without a bias.
    """
    maps_HKD = projections(model.config.width, slices, seed=seed)
    return _lists_by_maps(model, readings, histories, repeats, maps_HKD)


def rotation(width: int, *, seed: int) -> Tensor:
    """``(D, D)`` float64: drawn evenly from all orthogonal matrices."""
    if width == 1:  # scipy draws from two dimensions on
        return torch.ones(1, 1, dtype=torch.float64)
    return torch.from_numpy(ortho_group.rvs(width, random_state=seed))


def projections(width: int, slices: int, *, seed: int) -> Tensor:
    """``(H, K, D)`` float64: H random projections to K = D / H numbers.

    Their entries are independent and normal with variance 1 / K, which keeps inner products in
    the mean (Johnson and Lindenstrauss, 1984).
    """
    K = width // slices
    rng = np.random.default_rng([seed, 1])  # another stream than that of the permutations
    return torch.from_numpy(rng.normal(scale=K**-0.5, size=(slices, K, width)))


def _lists_by_maps(
    model: SequenceModel,
    readings: LastPosition,
    histories: Sequence[np.ndarray],
    repeats: Repeats,
    maps_HKD: Tensor,
) -> dict[str, np.ndarray]:
    """By map ``(U, k)`` the first items by ``<M_h x_v, M_h q>``."""
    table_VD = model.padded_table().detach()
    maps_HKD = maps_HKD.to(table_VD)
    table_HVK = table_VD @ maps_HKD.mT

    def scores(part: LastPosition) -> Tensor:
        return (part.query @ maps_HKD.mT) @ table_HVK.mT

    names = [f"head_{head}" for head in range(len(maps_HKD))]
    return dict(zip(names, _lists(scores, readings, histories, repeats), strict=True))


@torch.no_grad()
def _lists(
    scores: Callable[[LastPosition], Tensor],
    readings: LastPosition,
    histories: Sequence[np.ndarray],
    repeats: Repeats,
) -> np.ndarray:
    """``(H, U, k)`` from ``scores``, which gives ``(H, n, V)`` for n readings."""
    first = scores(readings[:1])
    people = max(1, _SCORES // first.numel())
    found = []
    for begin in range(0, len(readings), people):
        part = slice(begin, begin + people)
        ranked = only_candidates(scores(readings[part]), histories[part], repeats)
        found.append(top_lists(ranked, LIST_LENGTH))
    return np.concatenate(found, axis=1)


def list_agreement(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    facets: Mapping[str, Sequence[Sequence[str]]],
    train_count: np.ndarray,
    *,
    repeats: Repeats,
    seed: int = 0,
    sasrec: SequenceModel | None = None,
    untrained: SequenceModel | None = None,
) -> dict[str, ListAgreement]:
    """Agreement of lists by facet; a facet that nobody's held-out item has is left out.

    Args:
        histories: Of U people, ``(length,)`` item indices each, oldest first.
        targets: ``(U,)`` what came next.
        facets: By facet, the values of every real item.
        train_count: ``(V - 1,)`` how often each real item was clicked in training: popularity.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        seed: Of the permutations, of the rotation and of the projections.
        sasrec: A SASRec of the same data and catalogue, to be cut into as many slices.
        untrained: A model of the same shape that learned nothing.
    """
    readings = read_histories(model, histories)
    lists = head_lists(model, readings, histories, repeats)
    cut = control_lists(
        model, readings, histories, repeats, seed=seed, sasrec=sasrec, untrained=untrained
    )
    rng = np.random.default_rng(seed)
    found = {}
    for name, values in facets.items():
        values_VW = value_indicator(values)
        asked = np.flatnonzero(np.diff(values_VW.indptr)[targets - 1])
        if not len(asked):
            continue
        target = targets[asked]
        own = {space: list_Uk[asked] for space, list_Uk in lists.items()}
        permuted = [permuted_values(values_VW, train_count, rng) for _ in range(PERMUTATIONS)]
        controls = {
            PERMUTED: {
                space: np.mean(
                    [share_with_target(list_Uk, target, one) for one in permuted], axis=0
                )
                for space, list_Uk in own.items()
            }
        }
        for control, by_slice in cut.items():
            controls[control] = {
                space: share_with_target(list_Uk[asked], target, values_VW)
                for space, list_Uk in by_slice.items()
            }
        found[name] = ListAgreement(
            held_out={space: share_with_target(own[space], target, values_VW) for space in own},
            history=_with_history(own, [histories[person] for person in asked.tolist()], values_VW),
            controls=controls,
        )
    return found


def control_lists(
    model: SequenceModel,
    readings: LastPosition,
    histories: Sequence[np.ndarray],
    repeats: Repeats,
    *,
    seed: int = 0,
    sasrec: SequenceModel | None = None,
    untrained: SequenceModel | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """By control the lists ``(U, k)`` that stand for its heads; none for a model without heads.

    Args: as of :func:`list_agreement`; a SASRec narrower than H is left out.
    """
    heads = len(space_names(model)) - 1
    cut: dict[str, dict[str, np.ndarray]] = {}
    if not heads:
        return cut
    cut[TURNED] = slice_lists(model, readings, histories, repeats, heads, turn_by=seed)
    cut[PROJECTED] = projected_lists(model, readings, histories, repeats, heads, seed=seed)
    if sasrec is not None and sasrec.config.width >= heads:
        others = read_histories(sasrec, histories)
        cut[SASREC] = slice_lists(sasrec, others, histories, repeats, heads)
    if untrained is not None:
        found = head_lists(untrained, read_histories(untrained, histories), histories, repeats)
        cut[UNTRAINED] = {space: lists for space, lists in found.items() if space != "all"}
    return cut


def permuted_values(
    values_VW: csr_matrix, train_count: np.ndarray, rng: np.random.Generator
) -> csr_matrix:
    """The same values, dealt anew to the items that have any, among those of like popularity.

    The items are sorted by ``train_count (V - 1,)`` and cut into :data:`STRATA` equal parts; an
    item keeps its whole set of values together, and one without values has none afterwards.
    """
    known = np.flatnonzero(np.diff(values_VW.indptr))
    source = np.arange(values_VW.shape[0])
    by_count = known[np.argsort(train_count[known], kind="stable")]
    for stratum in np.array_split(by_count, STRATA):
        source[stratum] = rng.permutation(stratum)
    return values_VW[source]


def share_with_target(
    list_Uk: np.ndarray, target_U: np.ndarray, values_VW: csr_matrix
) -> np.ndarray:
    """``(U,)`` the share of the listed items that have a value in common with the target."""
    person, place = np.nonzero(list_Uk)
    listed = values_VW[list_Uk[person, place] - 1]
    agree = listed.multiply(values_VW[target_U[person] - 1]).sum(1).A1 > 0
    return _share(person, agree, len(list_Uk))


def _share(person: np.ndarray, agree: np.ndarray, people: int) -> np.ndarray:
    agreeing = np.bincount(person, weights=agree, minlength=people)
    return agreeing / np.maximum(np.bincount(person, minlength=people), 1)


def _with_history(
    lists: Mapping[str, np.ndarray], histories: Sequence[np.ndarray], values_VW: csr_matrix
) -> dict[str, np.ndarray]:
    """By space ``(U,)`` the share of the pairs of listed item and click with a value in common."""
    stacked = np.stack(list(lists.values()))  # (spaces, U, k)
    shares = np.zeros(stacked.shape[:2])
    for person, history in enumerate(histories):
        listed = stacked[:, person]
        agree = (values_VW[np.maximum(listed.ravel() - 1, 0)] @ values_VW[history - 1].T) > 0
        clicks = np.asarray(agree.sum(1)).reshape(listed.shape)
        real = listed > 0
        pairs = real.sum(1) * len(history)
        shares[:, person] = (clicks * real).sum(1) / np.maximum(pairs, 1)
    return dict(zip(lists, shares, strict=True))
