"""The bar of a training is drawn anew in every epoch, and while an epoch is validated."""

import itertools

import pytest
from tqdm import std

from fame.cli import _training_bar
from fame.training.loop import Progress, Ranked

EPOCHS, STEPS, PEOPLE = 3, 8, 5_000


@pytest.fixture
def frames(monkeypatch, capsys) -> list[str]:
    """What is drawn in a run in which half a second goes by whenever a clock is read."""
    clock = itertools.count(0.0, 0.6)
    monkeypatch.setattr(std, "time", lambda: next(clock))
    with _training_bar() as (on_step, on_ranked, _):
        for epoch in range(1, EPOCHS + 1):
            for step in range(1, STEPS + 1):
                on_step(Progress(epoch, EPOCHS, step, STEPS, 1.5, 100.0, 60.0))
            for done in range(1_000, PEOPLE + 1, 1_000):
                on_ranked(Ranked(epoch, EPOCHS, done, PEOPLE, 30.0))
        on_ranked(Ranked(None, EPOCHS, 1_000, PEOPLE, None))
    return capsys.readouterr().err.split("\r")


def test_every_epoch_is_drawn_as_often_as_the_first(frames):
    drawn = [
        [frame for frame in frames if f"Epoch {epoch}/{EPOCHS}" in frame]
        for epoch in range(1, EPOCHS + 1)
    ]
    for own in drawn:
        steps = [frame for frame in own if "clicks/s" in frame]
        assert len(steps) >= STEPS
        assert "100 clicks/s, at most 01:00 left" in steps[0]


def test_the_ranking_of_every_epoch_is_counted_up(frames):
    for epoch in range(1, EPOCHS + 1):
        told = [f for f in frames if f"Epoch {epoch}/" in f and "ranked" in f]
        for done in range(1_000, PEOPLE + 1, 1_000):
            wanted = f"{done:,} of 5,000 people ranked, at most 00:30 left"
            assert any(wanted in frame for frame in told), (epoch, done)


def test_the_ranking_after_training_is_of_no_epoch(frames):
    told = [frame for frame in frames if frame.startswith("Ranking ")]
    assert any("1,000 of 5,000 people ranked" in frame for frame in told)
    assert not any("left" in frame for frame in told)
