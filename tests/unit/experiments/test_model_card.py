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


def test_a_card_says_what_items_are_made_of() -> None:
    checkpoint = load_checkpoint(SHIPPED / "ml-100k")
    shape = replace(checkpoint.model_config, layers=1, own_bound=0.25, expert_view="own")
    card = render_card(replace(checkpoint, model_config=shape))
    assert "head 1 by genres, head 2 by year, head 3 by itself, freely." in card
    assert "at most 0.25 times as long as what its values give it. Experts read their own" in card
    plain = replace(shape, head_facets="", expert_view="all")
    assert "made of values" not in render_card(replace(checkpoint, model_config=plain))
