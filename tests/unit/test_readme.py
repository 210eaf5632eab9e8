"""What the README tells a person to run from Python runs."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_lines_of_python_print_a_list_with_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    monkeypatch.chdir(ROOT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "README.md", "exec"), {})
    heading, *rows = printed.getvalue().strip().splitlines()
    assert heading.split()[:5] == ["rank", "item", "title", "score", "head_0"]
    assert len(rows) == 10
