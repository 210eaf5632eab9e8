"""``python -m fame``."""

from fame.cli import app

app(prog_name="python -m fame")
