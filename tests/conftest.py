"""What every test shares: how random examples are drawn, and small data sets."""

import os

import pytest
import torch
from hypothesis import settings

from fame.data.sequences import Interactions
from tests.tiny import cyclic_interactions

# Small products are slower on many threads, and the figures of a run then depend on the machine.
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

# Drawn the same way each time: a commit fails for what is in it, not for the luck of the draw.
settings.register_profile("fame", deadline=None, derandomize=True, database=None)
settings.load_profile("fame")


@pytest.fixture(scope="session")
def cyclic() -> Interactions:
    """24 people, 8 items, histories of 9 clicks; the next item is certain given the last."""
    return cyclic_interactions(people=24, num_items=8, length=9)
