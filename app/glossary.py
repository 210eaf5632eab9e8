"""The glossary as help texts; the terms are the library's, so that a report explains the same."""

from fame.report.glossary import TERMS

__all__ = ["TERMS", "explain"]


def explain(*terms: str) -> str:
    """The help text for some terms, ready for a widget's or a heading's ``help``."""
    return "\n\n".join(f"**{term}.** {TERMS[term]}" for term in terms)
