"""UMAP of the whole item embedding and of every head's sub-embeddings.

Made once and stored with the checkpoint, since it takes seconds to minutes. Each picture comes
with how far it can be trusted: the share of an item's nearest neighbours that stay its neighbours
in two dimensions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.cluster.vq import kmeans2
from sklearn.cluster import DBSCAN
from sklearn.neighbors import NearestNeighbors

from fame.checkpoint import Checkpoint
from fame.errors import CheckpointError
from fame.facets.neighbours import unit_rows
from fame.facets.spaces import space_names, space_vectors
from fame.files import replacing
from fame.models.sequence_model import SequenceModel

PROJECTION = "projection.parquet"
NEIGHBOURS = 15
# Islands stand at least this far apart: UMAP's `spread`, the scale on which its attraction falls.
ISLAND_GAP = 1.0
_METADATA_KEY = b"fame"


@dataclass(frozen=True)
class Projection:
    """Coordinates of all items in every space.

    Attributes:
        points: ``item_id`` and ``<space>_x``, ``<space>_y`` for every space, in catalogue order.
        preservation: For every space the mean share of an item's 15 nearest neighbours (cosine)
            that are among its 15 nearest in the picture.
    """

    points: pd.DataFrame
    preservation: dict[str, float]


def _neighbour_sets(vectors: np.ndarray, k: int) -> np.ndarray:
    search = NearestNeighbors(n_neighbors=k).fit(vectors)
    return search.kneighbors(return_distance=False)  # without arguments: the point itself left out


def neighbourhood_preservation(vectors: np.ndarray, points: np.ndarray, k: int) -> float:
    """Mean share of the k nearest rows of ``vectors`` (cosine) that are so in ``points`` too."""
    original = _neighbour_sets(unit_rows(vectors), k)  # on the sphere, Euclid orders as cosine does
    drawn = _neighbour_sets(points, k)
    shared = (original[:, :, None] == drawn[:, None, :]).any(2)
    return float(shared.mean())


def draw_together(points: np.ndarray, gap: float = ISLAND_GAP) -> np.ndarray:
    """Moves the islands of a picture as near to each other as they go with ``gap`` between them.

    How far apart UMAP puts what hardly anything joins means nothing, and can leave a picture mostly
    empty. Islands keep their shapes and the directions in which they lie from each other; only the
    distances of their centres shrink, all by the same factor.

    Args:
        points: ``(V, 2)``.
    """
    islands = _islands(points, gap)
    number = islands.max() + 1
    if number == 1:
        return points
    centres = np.stack([points[islands == island].mean(0) for island in range(number)])
    outwards = (centres - points.mean(0))[islands]
    touching, apart = 0.0, 1.0  # shares of the distances as they are; the answer lies between
    for _ in range(8):
        tried = (touching + apart) / 2
        if _islands(points - (1 - tried) * outwards, gap).max() + 1 == number:
            apart = tried
        else:
            touching = tried
    return points - (1 - apart) * outwards


def _islands(points: np.ndarray, gap: float) -> np.ndarray:
    """For every point the number of its island: what steps of at most ``gap`` reach from it."""
    return DBSCAN(eps=gap, min_samples=1).fit_predict(points)


def regions(points: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """``(V,)`` the region of every point of a picture, for labels: k-means, 4 to 60 of them.

    Args:
        points: ``(V, 2)``.
    """
    number = min(len(points), int(np.clip(len(points) // 100, 4, 60)))
    _, found = kmeans2(points.astype(float), number, iter=15, minit="++", seed=seed)
    return found


def project(
    model: SequenceModel,
    item_ids: list[str],
    *,
    seed: int = 0,
    on_space: Callable[[str, int, int], None] = lambda space, done, total: None,
) -> Projection:
    """Projects every space; ``on_space(space, done, total)`` is called before each.

    With a seed UMAP runs on one thread and gives the same picture each time.
    """
    # Imported here: umap compiles for seconds, and nothing else in the library needs it.
    from umap import UMAP

    spaces = space_names(model)
    points: dict[str, np.ndarray | list[str]] = {"item_id": item_ids}
    preservation = {}
    k = min(NEIGHBOURS, len(item_ids) - 1)
    if k < 2:
        raise CheckpointError(f"A projection needs at least 3 items, not {len(item_ids)}.")
    for done, space in enumerate(spaces):
        on_space(space, done, len(spaces))
        vectors = space_vectors(model, space)
        # A spectral start needs more points than dimensions; a random one serves small sets.
        start = "spectral" if len(vectors) > 50 else "random"
        reducer = UMAP(
            n_neighbors=k, min_dist=0.1, metric="cosine", init=start, random_state=seed, n_jobs=1
        )
        drawn = draw_together(reducer.fit_transform(vectors)).astype(np.float32)
        points[f"{space}_x"], points[f"{space}_y"] = drawn.T
        preservation[space] = neighbourhood_preservation(vectors, drawn, k)
    return Projection(pd.DataFrame(points), preservation)


def write_projection(path: Path, projection: Projection, weights_hash: str) -> None:
    """Writes ``projection.parquet`` into a checkpoint folder, tied to its weights."""
    table = pa.Table.from_pandas(projection.points, preserve_index=False)
    note = {"weights": weights_hash, "preservation": projection.preservation}
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(note).encode()}
    )
    with replacing(path / PROJECTION) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_projection(checkpoint: Checkpoint) -> Projection | None:
    """The stored projection; ``None`` where there is none made of these weights.

    Raises:
        CheckpointError: where the file is damaged or of another catalogue.
    """
    file = checkpoint.path / PROJECTION
    if not file.is_file():
        return None
    remedy = f"make it again with `python -m fame project {checkpoint.path}`."
    try:
        table = pq.read_table(file)
        note = json.loads((table.schema.metadata or {})[_METADATA_KEY])
        points = table.to_pandas()
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise CheckpointError(f"{file} is not readable ({error}); {remedy}") from None
    if note.get("weights") != checkpoint.weights_hash:
        return None
    for space in space_names(checkpoint.model):
        for axis in "xy":
            if f"{space}_{axis}" not in points:
                raise CheckpointError(f"{file} has no column '{space}_{axis}'; {remedy}")
    if points["item_id"].tolist() != checkpoint.items["item_id"].tolist():
        raise CheckpointError(f"{file} is of another catalogue; {remedy}")
    return Projection(points, note["preservation"])
