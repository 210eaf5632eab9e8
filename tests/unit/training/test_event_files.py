"""The figures of a run, read back as TensorBoard reads them."""

import sys
from pathlib import Path

import pytest

from fame.errors import FameError
from fame.training.event_files import FOLDER, check_tensorboard, event_files


def test_every_figure_comes_back(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for epoch, loss in ((1, 2.0), (2, 1.5)):  # the second time the run had been interrupted
        with event_files(tmp_path) as events:
            events.write({"epoch": epoch, "loss": loss, "valid_NDCG@10": 0.1 * epoch, "gate": []})
    read = accumulator.EventAccumulator(str(tmp_path / FOLDER))
    read.Reload()
    assert set(read.Tags()["scalars"]) == {"training/loss", "validation/NDCG@10"}
    assert [(e.step, e.value) for e in read.Scalars("training/loss")] == [(1, 2.0), (2, 1.5)]
    assert [e.value for e in read.Scalars("validation/NDCG@10")] == pytest.approx([0.1, 0.2])


def test_the_package_is_asked_for_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(FameError, match="pip install tensorboard"):
        check_tensorboard()
    with pytest.raises(FameError, match="leave --tensorboard away"), event_files(tmp_path):
        pass
    assert not (tmp_path / FOLDER).exists()
