"""What every process of ``test_several_processes.py`` runs under ``accelerate launch``.

``two_processes.py OUT`` writes what process N saw to ``OUT/N.json``. The test asks one process,
itself, the same questions, and compares.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fame.config import ModelConfig, TrainConfig
from fame.data.sequences import Interactions
from fame.errors import FameError
from fame.training import loop
from fame.training.loop import Progress, fit, new_state, validate
from fame.training.workers import Workers, join
from tests.tiny import interactions_of

CPU = torch.device("cpu")
SHAPE = ModelConfig(width=16, heads=2, experts=2, layers=2, max_length=12, dropout=0.0)
TRAINING = TrainConfig(
    epochs=50, batch_size=24, learning_rate=0.01, label_smoothing=0.1, patience=0, device="cpu"
)
STEPS = 50


def people(count: int = 70) -> Interactions:
    """People with 5 to 40 clicks on 30 items, some of them likelier after others."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 41, size=count)
    return interactions_of(
        [(np.cumsum(rng.integers(1, 4, size=length)) % 30 + 1).tolist() for length in lengths], 30
    )


def loss_curve(training: TrainConfig, shape: ModelConfig, workers: Workers) -> list[float]:
    """The mean loss of the epoch so far, after each of 50 steps."""
    curve: list[float] = []
    state = new_state(shape, training, people().num_items, CPU)
    fit(
        state,
        people(),
        training,
        workers=workers,
        on_step=lambda progress: curve.append(progress.loss),
        should_stop=lambda: len(curve) == STEPS,
    )
    return curve


def steps_until_one_is_asked_to_stop(workers: Workers) -> dict[str, object]:
    """The last process alone wants to stop, after 7 steps."""
    steps: list[Progress] = []
    finished = fit(
        new_state(SHAPE, TRAINING, people().num_items, CPU),
        people(),
        TRAINING,
        workers=workers,
        on_step=steps.append,
        should_stop=lambda: workers.rank == workers.count - 1 and len(steps) == 7,
    )
    return {"steps": len(steps), "finished": finished}


def validation(workers: Workers) -> dict[str, dict[str, float]]:
    """Of a model over three batches of people, shared out and by this process alone."""
    data = people(600)
    model = new_state(SHAPE, TRAINING, data.num_items, CPU).model
    return {"shared": validate(model, data, workers), "alone": validate(model, data, Workers(CPU))}


def broken_validation(workers: Workers) -> str:
    """Weights that only the longest histories use are broken: only some batches see it."""
    model = new_state(SHAPE, TRAINING, people().num_items, CPU).model
    with torch.no_grad():
        model.position_embedding.weight[-1] = torch.nan
    one_person = interactions_of([[1, 2, 3, 4]] * 256 + [list(range(1, 20))], 30)
    try:
        validate(model, one_person, workers)
    except FloatingPointError as error:
        return str(error)
    return ""


def failure_of_the_first(workers: Workers) -> str:
    def fail() -> None:
        raise FameError(f"process {workers.rank} could not write")

    try:
        workers.on_first(fail)
    except FameError as error:
        return str(error)
    return ""


def answers(workers: Workers) -> dict[str, Any]:
    """What this process sees of everything above."""
    return {
        "count": workers.count,
        "fame": loss_curve(TRAINING, SHAPE, workers),
        "sasrec": loss_curve(TRAINING, replace(SHAPE, model="sasrec"), workers),
        "one window a batch": loss_curve(replace(TRAINING, batch_size=1), SHAPE, workers),
        "one prefix a batch": loss_curve(
            replace(TRAINING, batch_size=1, samples="prefixes"),
            replace(SHAPE, layers=1, positions="relative", score="cosine"),
            workers,
        ),
        "stop": steps_until_one_is_asked_to_stop(workers),
        "seed of dropout": torch.initial_seed(),
        "validation": validation(workers),
        "broken": broken_validation(workers),
        "failure": failure_of_the_first(workers),
    }


def main(out: Path) -> None:
    loop.READ_EVERY = 1  # the loss is shown after every step
    workers = join(CPU)
    (out / f"{workers.rank}.json").write_text(json.dumps(answers(workers)))
    workers.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
