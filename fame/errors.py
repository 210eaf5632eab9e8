"""The errors a user can mend.

Every one carries a single sentence that says what is wrong, where, and how to mend it. The command
line prints that sentence and leaves with status 2; the app shows it on the page. Anything else that
is raised is a fault of ours and keeps its traceback.
"""

import re

_WORD, _SENTENCE = 200, 900  # letters of a word, and of a sentence, that are shown


class FameError(ValueError):
    """Bad input: the message is one sentence for the person who gave it.

    It stays one line whatever value, name or path stands in it: line breaks become blanks, and what
    is longer than anybody reads is cut in its middle.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.splitlines())
        line = re.sub(rf"\S{{{_WORD + 1},}}", lambda word: _cut(word[0], _WORD), line)
        super().__init__(_cut(line, _SENTENCE))


def _cut(text: str, letters: int) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= letters:
        return text
    end = letters // 3
    return f"{text[: letters - end - 3]}...{text[-end:]}"


class ConfigError(FameError):
    """A configuration that cannot be built: unknown key, wrong type, impossible value."""


class DataError(FameError):
    """A data set that cannot be found, fetched or read."""


class CheckpointError(FameError):
    """A checkpoint folder that is incomplete, damaged or of another format."""
