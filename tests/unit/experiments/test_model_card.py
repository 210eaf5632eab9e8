"""The card of a shipped checkpoint."""

from dataclasses import replace
from pathlib import Path

from fame.baselines import COUNTING
from fame.checkpoint import load_checkpoint
from fame.experiments.model_card import render_card

SHIPPED = Path(__file__).resolve().parents[3] / "checkpoints"


def test_a_card_has_the_counting_baselines_that_were_measured() -> None:
    """Checkpoints of before item-kNN have no figures of it, and open all the same."""
    checkpoint = load_checkpoint(SHIPPED / "ml-100k")
    assert checkpoint.metrics is not None
    card = render_card(checkpoint)
    assert all(f"\n| {label} | 0." in card for label in COUNTING.values())
    measured = checkpoint.metrics["baselines"]
    older = {name: figures for name, figures in measured.items() if name != "item_knn"}
    without = render_card(replace(checkpoint, metrics={**checkpoint.metrics, "baselines": older}))
    lines = [line for line in card.splitlines() if not line.startswith("| item-kNN ")]
    assert without.splitlines() == lines and len(lines) == len(card.splitlines()) - 1


def test_a_card_says_whether_its_data_is_public() -> None:
    checkpoint = load_checkpoint(SHIPPED / "ml-100k")
    own = replace(checkpoint, data=replace(checkpoint.data, name="shop"))
    limits = {name: render_card(one).split("## Limits")[1] for name, one in
              (("public", checkpoint), ("own", own))}  # fmt: skip
    assert "Trained on one public data set, with its biases" in limits["public"]
    assert "Trained on somebody's own data, not published, with its biases" in limits["own"]
    assert "public data set" not in limits["own"]
