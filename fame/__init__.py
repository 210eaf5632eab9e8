"""FAME Lens: multi-head mixture-of-experts recommenders that can be looked into.

>>> import fame
>>> model = fame.load("checkpoints/beauty")
>>> why = model.explain(["1", "2"])
>>> len(why.ledger)
10
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fame.data import Dataset, Wishes, read_log
    from fame.errors import FameError
    from fame.library import Explanation, Model, load, load_data, train

__version__ = "0.1.0"

# Version of what makes figures of settings and data: model, loss, training, evaluation. It is a
# part of every run's key. Raise it by one in the commit after which the same settings give other
# figures, beyond rounding: rows and figures of before are then no longer taken for what the code
# would give now. tests/integration/test_code_version.py notices where that was forgotten. All that
# was stored before it was counted has version 1.
CODE_VERSION = 1

# By name the module that has it. They load when they are asked for: the command line, which starts
# without torch, imports this package too.
_PLACES = {
    "Dataset": "fame.data",
    "Explanation": "fame.library",
    "FameError": "fame.errors",
    "Model": "fame.library",
    "Wishes": "fame.data",
    "load": "fame.library",
    "load_data": "fame.library",
    "read_log": "fame.data",
    "train": "fame.library",
}
__all__ = [
    "Dataset",
    "Explanation",
    "FameError",
    "Model",
    "Wishes",
    "load",
    "load_data",
    "read_log",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
