"""The parts of the Train page: the form and its fields, the run, what to do with it, runs compared."""
