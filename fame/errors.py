"""The errors a user can mend.

Every one carries a single sentence that says what is wrong, where, and how to mend it. The command
line prints that sentence and leaves with status 2; the app shows it on the page. Anything else that
is raised is a fault of ours and keeps its traceback.
"""


class FameError(ValueError):
    """Bad input: the message is one sentence for the person who gave it."""


class ConfigError(FameError):
    """A configuration that cannot be built: unknown key, wrong type, impossible value."""


class DataError(FameError):
    """A data set that cannot be found, fetched or read."""


class CheckpointError(FameError):
    """A checkpoint folder that is incomplete, damaged or of another format."""
