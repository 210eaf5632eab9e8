"""The parts of the Lens page, each the answer to one question."""
