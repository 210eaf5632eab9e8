"""The parts of the Train page: the form, its fields, one run, what next, runs compared."""
