"""Who holds a run's folder, and what is found there of those who held it before."""

from pathlib import Path

import pytest

from fame.errors import FameError
from fame.training.runs import RunFolder


def test_what_a_killed_process_was_writing_goes_when_the_folder_is_held_again(tmp_path: Path):
    run = RunFolder(tmp_path)
    half = [tmp_path / ".status.json.x1y2.tmp", tmp_path / "resume" / ".state.safetensors.z3.tmp"]
    whole = tmp_path / "status.json"
    (tmp_path / "resume").mkdir()
    for file in (*half, whole):
        file.write_text("{")
    assert not run.is_held()
    assert all(file.exists() for file in half)  # to read disturbs nobody
    others = tmp_path / ".people.json.q4.tmp"  # a survey may be writing it
    others.write_text("{")
    with run.held():
        assert not any(file.exists() for file in half)
        assert whole.exists() and others.exists() and run.is_held()
        half[0].write_text("{")  # is being written now
        with pytest.raises(FameError, match="Another process"), RunFolder(tmp_path).held():
            pass
        assert half[0].exists()
