"""What became of the rows of a log of one's own? The report that is kept with the set."""

from __future__ import annotations

import cards
import components
import resources
from fame.data.report import report_lines, summary_lines

# Of the set itself: the rest of its summary stands in the figures and in the report.
_OF_THE_SET = ("sequence length", "too short", "repeats", "fingerprint")


def draw(name: str) -> None:
    """What the import of a set did with every row, and what the set holds."""
    told = resources.summary(name)
    lines = summary_lines(told)
    if imported := told.get("import"):
        cards.figures(
            [
                ("Rows read", f"{imported['rows']:,}"),
                ("Kept", f"{imported['kept']:,}"),
                ("Dropped", f"{imported['rows'] - imported['kept']:,}"),
                ("People", f"{told['users']:,}"),
                ("Items", f"{told['items']:,}"),
            ]
        )
        lines = report_lines(imported) | {label: lines[label] for label in _OF_THE_SET}
    else:
        components.quiet("An earlier version imported it and kept no report of its rows.")
    cards.facts(lines)
