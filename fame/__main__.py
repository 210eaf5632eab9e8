"""``python -m fame``."""

import sys

if __name__ == "__main__":  # processes that the bench forks import this under another name
    try:  # the imports take a second, in which Ctrl-C has to be as quiet as later
        from fame.cli import app

        app(prog_name="python -m fame")
    except KeyboardInterrupt:
        sys.exit(130)
