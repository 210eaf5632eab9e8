"""What became of the rows of a log of one's own? The report that is kept with the set."""

from __future__ import annotations

import cards
import components
import resources
from fame.data.report import summary_lines


def draw(name: str) -> None:
    """What the import of a set did with every row, and what the set holds."""
    told = resources.summary(name)
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
    else:
        components.quiet("An earlier version imported it and kept no report of its rows.")
    cards.facts(summary_lines(told))
