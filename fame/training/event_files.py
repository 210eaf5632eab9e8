"""The figures of a run as event files, which TensorBoard reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fame.errors import FameError
from fame.files import telling_of

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"  # in a run's folder; ``tensorboard --logdir checkpoints`` finds it


@dataclass(frozen=True)
class EventFiles:
    """Writes the rows of ``metrics.jsonl`` a second time."""

    writer: SummaryWriter

    def write(self, row: Mapping[str, float]) -> None:
        """All figures of an epoch, those of the validation in a group of their own."""
        for name, value in row.items():
            if name != "epoch" and isinstance(value, int | float):
                figure = name.removeprefix("valid_")
                tag = f"{'training' if figure == name else 'validation'}/{figure}"
                self.writer.add_scalar(tag, value, int(row["epoch"]))
        self.writer.flush()


def check_tensorboard() -> None:
    """``FameError`` where the package that writes event files is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise FameError(
            "Event files need the package tensorboard; install it (pip install tensorboard), or "
            "leave --tensorboard away."
        ) from None


@contextmanager
def event_files(run: Path) -> Iterator[EventFiles]:
    """Event files in a run's folder; a run that goes on adds to them.

    Raises:
        FameError: as of :func:`check_tensorboard`, or where the disk refuses them.
    """
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    with telling_of(run / FOLDER):
        writer = SummaryWriter(str(run / FOLDER))
    try:
        yield EventFiles(writer)
    finally:
        with telling_of(run / FOLDER):
            writer.close()
