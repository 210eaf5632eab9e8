"""Data sets: named ones and a person's own, as histories and a catalogue."""

from fame.data.catalogue import facet_columns, read_items, write_items
from fame.data.dataset import Dataset, SetInfo, list_sets, load, read_log
from fame.data.imports import Preview, Wishes, append_file, import_file, preview, version
from fame.data.sequences import Interactions

__all__ = [
    "Dataset",
    "Interactions",
    "Preview",
    "SetInfo",
    "Wishes",
    "append_file",
    "facet_columns",
    "import_file",
    "list_sets",
    "load",
    "preview",
    "read_items",
    "read_log",
    "version",
    "write_items",
]
