"""JSON into frozen dataclasses, as strictly as they are typed.

``dataclasses.asdict`` writes them; this is the way back. A field too many, one too few, or a value
of another type is a ``ValueError``. A field with a default may be missing: what an older version
wrote lacks it.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints


def read_as(kind: Any, value: Any) -> Any:
    """``value``, as ``json.loads`` gives it, as a ``kind``.

    Args:
        kind: A dataclass, ``dict[str, X]``, ``list[X]``, ``X | None``, ``str``, ``bool``, ``int``
            or ``float`` (which may be written as a whole number).

    Raises:
        ValueError: where it is none, with the place in words.
    """
    if isinstance(kind, UnionType):
        plain, none = get_args(kind)
        if none is not type(None):
            raise TypeError(f"{kind} is no type of a stored field")
        return None if value is None else read_as(plain, value)
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise ValueError(f"{value!r} is no list")
        return [read_as(get_args(kind)[0], one) for one in value]
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is no table by name")
        return {name: read_as(get_args(kind)[1], one) for name, one in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        types = _types(kind)
        if not isinstance(value, dict) or not _needed(kind) <= set(value) <= set(types):
            raise ValueError(f"must hold {', '.join(sorted(types))}")
        return kind(**{name: read_as(types[name], own) for name, own in value.items()})
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{value!r} is not of type {kind.__name__}")
    return value


@cache
def _needed(kind: type) -> frozenset[str]:
    """The fields without a default."""
    return frozenset(
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    )


@cache
def _types(kind: type) -> dict[str, Any]:
    """By field its type."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
