"""FAME Lens: multi-head mixture-of-experts recommenders that can be looked into."""

__version__ = "0.1.0"

# Version of what makes figures of settings and data: model, loss, training, evaluation. It is a
# part of every run's key. Raise it by one in the commit after which the same settings give other
# figures, beyond rounding: rows and figures of before are then no longer taken for what the code
# would give now. tests/integration/test_code_version.py notices where that was forgotten. All that
# was stored before it was counted has version 1.
CODE_VERSION = 1
