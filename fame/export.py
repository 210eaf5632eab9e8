"""Sub-embeddings of a checkpoint's items as files that other tools read.

Row i is item index i + 1 of the catalogue in all of them, and vectors are those of
:func:`fame.facets.spaces.every_space`, in single precision.

``parquet``    a row an item: ``item_id, title``, then a list a space: ``all``, ``head_0 ..``
``npy``        NumPy's archive ``.npz``: the same names as arrays; no pickle is needed to read it
``projector``  a folder for TensorBoard's Embedding Projector: vectors of each space and what is
               known of the items as TSV, and the description that TensorBoard looks for
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fame.checkpoint import Checkpoint
from fame.data.catalogue import values_by_facet
from fame.errors import FameError
from fame.facets.spaces import every_space, space_names
from fame.files import check_file, replacing, telling_of, write_text
from fame.presentation.text import one_line

Format = Literal["parquet", "npy", "projector"]
_SUFFIX = {"parquet": ".parquet", "npy": ".npz"}
# TensorBoard looks for a description of this name, in protocol buffers' text form.
PROJECTOR, METADATA = "projector_config.pbtxt", "metadata.tsv"


@dataclass(frozen=True)
class Exported:
    """What was written: the files, and by space how long its vectors are."""

    files: list[Path]
    widths: dict[str, int]


def export_files(checkpoint: Checkpoint, out: Path, kind: str) -> list[Path]:
    """The files that :func:`export` writes.

    Args:
        out: For ``projector`` a folder; else a file, or a folder, in which it is then called
            ``embeddings.parquet`` or ``embeddings.npz``.
        kind: One of :data:`Format`.

    Raises:
        FameError: where there is no such format, or the name says another one.
    """
    if kind not in get_args(Format):
        raise FameError(f"--format must be one of {', '.join(get_args(Format))}, not {kind!r}.")
    if kind == "projector":
        tables = [f"{space}.tsv" for space in space_names(checkpoint.model)]
        return [out / name for name in (*tables, METADATA, PROJECTOR)]
    suffix = _SUFFIX[kind]
    if out.is_dir() or not out.suffix:
        return [out / f"embeddings{suffix}"]
    if out.suffix.lower() != suffix:
        raise FameError(f"{out}: --format {kind} needs a name ending in {suffix}, or a folder.")
    return [out]


def export(checkpoint: Checkpoint, out: Path, kind: str, *, overwrite: bool = False) -> Exported:
    """Writes the sub-embeddings of every item.

    Args:
        out: As of :func:`export_files`.
        kind: One of :data:`Format`.
        overwrite: Whether files that are there already may be replaced.

    Raises:
        FameError: as of :func:`export_files`, or where a file is there or cannot be written.
    """
    files = export_files(checkpoint, out, kind)
    for file in files:
        check_file(file, overwrite=overwrite)
    spaces = every_space(checkpoint.model)
    named = {name: checkpoint.items[name].astype(str) for name in ("item_id", "title")}
    if kind == "parquet":
        columns = {name: pa.array(values, pa.string()) for name, values in named.items()}
        columns |= {space: _lists(vectors) for space, vectors in spaces.items()}
        with replacing(files[0]) as temporary:
            pq.write_table(pa.table(columns), temporary)
    elif kind == "npy":
        arrays: dict[str, Any] = {
            **{name: values.to_numpy(np.str_) for name, values in named.items()},
            **spaces,
        }
        with replacing(files[0]) as temporary, temporary.open("wb") as archive:
            np.savez_compressed(archive, **arrays)
    else:
        _write_projector(checkpoint, files, spaces)
    return Exported(files, {space: vectors.shape[1] for space, vectors in spaces.items()})


def _lists(vectors: np.ndarray) -> pa.Array:
    """``(n, K)`` as n lists of K numbers."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def _write_projector(
    checkpoint: Checkpoint, files: Sequence[Path], spaces: dict[str, np.ndarray]
) -> None:
    """The description goes first and comes last: it never names files of different checkpoints."""
    *tables, metadata, description = files
    with telling_of(description):
        description.unlink(missing_ok=True)
    for table, vectors in zip(tables, spaces.values(), strict=True):
        with replacing(table) as temporary:
            np.savetxt(temporary, vectors, fmt="%.9g", delimiter="\t")  # back to the same float32
    write_text(metadata, _metadata(checkpoint))
    entries = [
        "embeddings {\n"
        f'  tensor_name: "{space}"\n'
        f'  tensor_path: "{table.name}"\n'
        f'  metadata_path: "{metadata.name}"\n'
        f"  tensor_shape: {vectors.shape[0]}\n"
        f"  tensor_shape: {vectors.shape[1]}\n"
        "}\n"
        for table, (space, vectors) in zip(tables, spaces.items(), strict=True)
    ]
    write_text(description, "".join(entries))


def _metadata(checkpoint: Checkpoint) -> str:
    """Title, id and facets of every item, below their names.

    The format has no way to write a tab or a line break inside a value: blanks stand for them.
    """
    items = checkpoint.items
    facets = values_by_facet(items)
    rows = [
        ("title", "item_id", *facets),
        *zip(
            items["title"],
            items["item_id"],
            *([", ".join(own) for own in values] for values in facets.values()),
            strict=True,
        ),
    ]
    return "".join("\t".join(one_line(value) for value in row) + "\n" for row in rows)
