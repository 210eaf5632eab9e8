"""Lists for many people as one Parquet file: items, scores, and what each head gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fame.checkpoint import Checkpoint
from fame.data.columns import is_known
from fame.data.opening import opened
from fame.data.sequences import Interactions, Split, held_out
from fame.data.tables import table_in
from fame.errors import DataError
from fame.files import replacing
from fame.lens.lists import Lists, first_items

_AT_ONCE = 4_096  # people whose lists are made before they are written

Progress = Callable[[str, float | None], None]


def people_known(data: Interactions, split: Split | None) -> list[int]:
    """Everybody, by index, who has a history; see :func:`histories_of`.

    Raises:
        DataError: where nobody has one.
    """
    if split is None:
        return np.flatnonzero(np.diff(data.offsets)).tolist()
    people = held_out(data, split).users.tolist()
    if not people:
        raise DataError(f"Nobody in {data.name!r} has anything before the {split} item.")
    return people


def people_in(path: Path, data: Interactions) -> list[int]:
    """The people that a file names, by index, each once and in its order.

    The file is text with an id a line, or any table with a column of users. In text the first line
    may be a header.

    Raises:
        DataError: where it cannot be read, names nobody, or names an id that the set does not have.
    """
    with opened(path) as file:
        if file.kind == "text":
            lines = file.path.read_text("utf-8").split("\n")
            if not any(mark in lines[0] for mark in ",;\t|{["):
                ids = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
                ids = [(number, own) for number, own in ids if own]
                header = bool(ids) and is_known(ids[0][1], "user")
                if header and ids[0][1] not in data.user_ids:
                    ids = ids[1:]
                return _known(ids, data, file.label, "line")
        table = table_in(file)
        column = next((name for name in table.columns if is_known(name, "user")), None)
        if column is None:
            raise DataError(
                f"{file.label} has no column of users; call one user_id, or write an id a line."
            )
        values = table.values()[column]
        ids = [(row, str(own)) for row, own in enumerate(values) if own is not None]
        found = table.places([row for row, _ in ids])
        ids = [(place, own) for place, (_, own) in zip(found, ids, strict=True)]
        return _known(ids, data, file.label, table.unit)


def _known(ids: Sequence[tuple[int, str]], data: Interactions, label: str, unit: str) -> list[int]:
    if not ids:
        raise DataError(f"{label} names nobody; write a user id a line.")
    found: dict[int, None] = {}
    for number, own in ids:
        try:
            found[data.user_index(own)] = None
        except DataError as error:
            raise DataError(f"{label}, {unit} {number}: {error}") from None
    return list(found)


def histories_of(
    data: Interactions, people: Sequence[int], split: Split | None
) -> list[np.ndarray]:
    """What each person is known by: everything, or what stands before the item of a split.

    Raises:
        DataError: where somebody has nothing, or nothing before that item.
    """
    if split is None:
        for user in people:
            if not len(data.sequence(user)):
                raise DataError(
                    f"User {data.user_ids[user]!r} of {data.name!r} clicked only items that the "
                    "model does not know."
                )
        return [data.sequence(user) for user in people]
    return [data.split_user(user, split)[0] for user in people]


def recommended(
    checkpoint: Checkpoint,
    histories: Sequence[np.ndarray],
    k: int,
    on_progress: Progress | None = None,
) -> Iterator[tuple[slice, Lists]]:
    """The lists after many histories, some thousands at a time: which of them, and their lists.

    Raises:
        FameError: where the weights are so broken that a score is not a finite number.
    """
    for begin in range(0, len(histories), _AT_ONCE):
        part = slice(begin, min(begin + _AT_ONCE, len(histories)))
        model, repeats = checkpoint.model, checkpoint.data.repeats
        yield part, first_items(model, histories[part], k, repeats=repeats)
        if on_progress:
            on_progress("Ranking", part.stop / len(histories))


def lists_table(checkpoint: Checkpoint, names: pa.Array, lists: Lists) -> pa.Table:
    """Lists as rows: ``user, rank, item, title, score, head_0 ..``.

    Where items are made of values there is ``by_value``, too: a list of ``{head, value, points}``,
    the value ``null`` for the item's own part.

    Scores and points are centred over items, and heads count from 0, as in a trace.

    Args:
        names: ``(n,)`` what to call whom the lists are for.
    """
    k = lists.items.shape[1]
    entry = np.flatnonzero(lists.items.ravel())
    item = lists.items.ravel()[entry] - 1
    columns: dict[str, pa.Array] = {
        "user": names.take(pa.array(entry // k)),
        "rank": pa.array((entry % k + 1).astype(np.int32)),
        "item": pa.array(checkpoint.items["item_id"].to_numpy(), pa.string()).take(pa.array(item)),
        "title": pa.array(checkpoint.items["title"].to_numpy(), pa.string()).take(pa.array(item)),
        "score": pa.array(lists.scores.ravel()[entry]),
    }
    for head in range(lists.by_head.shape[2]):
        columns[f"head_{head}"] = pa.array(lists.by_head[:, :, head].ravel()[entry])
    if (rows := lists.by_value) is not None:
        every = pa.array([name for own in checkpoint.value_names for name in own], pa.string())
        value = pa.array(np.where(rows.value < 0, 0, rows.value), mask=rows.value < 0)
        parts = pa.StructArray.from_arrays(
            [pa.array(rows.head.astype(np.int8)), every.take(value), pa.array(rows.points)],
            names=["head", "value", "points"],
        )
        assert rows.start[-1] == len(parts), "where there is no item there is no part"
        starts = np.append(rows.start[:-1][entry], rows.start[-1])
        columns["by_value"] = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), parts)
    return pa.table(columns)


def write_recommendations(
    checkpoint: Checkpoint,
    data: Interactions,
    people: Sequence[int],
    k: int,
    out: Path,
    *,
    split: Split | None = None,
    on_progress: Progress | None = None,
) -> int:
    """Writes everybody's list as :func:`lists_table` has it; returns the number of rows.

    Raises:
        FameError: where somebody has no history, or the file cannot be written.
    """
    users = pa.array([data.user_ids[user] for user in people], pa.string())
    histories = histories_of(data, people, split)
    total = 0
    with replacing(out) as temporary:
        writer: pq.ParquetWriter | None = None
        try:
            for part, lists in recommended(checkpoint, histories, k, on_progress):
                table = lists_table(checkpoint, users[part], lists)
                writer = writer or pq.ParquetWriter(temporary, table.schema)
                writer.write_table(table)
                total += len(table)
        finally:
            if writer is not None:
                writer.close()
    return total
