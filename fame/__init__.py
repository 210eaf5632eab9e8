"""FAME Lens: multi-head mixture-of-experts recommenders that can be looked into."""

__version__ = "0.1.0"
