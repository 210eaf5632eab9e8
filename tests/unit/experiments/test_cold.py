"""Cold items: nothing is learned of them, and their values alone find who clicks them."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fame.checkpoint import Checkpoint
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.data.sequences import gather_padded, training_prefixes
from fame.errors import FameError
from fame.experiments import cold
from fame.experiments.cold import (
    LEAST_CLICKS,
    ColdSplit,
    chance,
    cold_markdown,
    cold_ranks,
    cold_split,
    cold_table,
    permuted_ranks,
    placed_items,
    queries,
)
from fame.experiments.results import Results
from fame.experiments.variants import variants
from fame.models.item_values import ValueIndex
from fame.models.registry import build_model
from fame.training.item_start import catalogue_vectors
from tests import planted
from tests.tiny import interactions_of

SHARE = 0.1
VALUES = ModelConfig(
    width=24, heads=3, experts=2, layers=1, max_length=8, dropout=0.0, score="cosine",
    head_facets="genres/year/", own_bound=0.4,
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    items = planted.catalogue().drop(columns="train_count")
    histories = interactions_of(planted.sequences(600), planted.ITEMS)
    return Dataset(histories, items, "made up")


@pytest.fixture(scope="module")
def split(dataset: Dataset) -> ColdSplit:
    return cold_split(dataset, SHARE, seed=1)


def ids_of(split: ColdSplit) -> set[str]:
    return set(split.cold["item_id"])


def test_a_cold_item_is_in_nothing_that_is_trained_on(dataset: Dataset, split: ColdSplit) -> None:
    assert len(split.cold) == round(SHARE * planted.ITEMS)
    counts = dict(zip(dataset.items["item_id"], dataset.interactions.train_counts[1:], strict=True))
    assert all(counts[item] >= LEAST_CLICKS for item in ids_of(split))
    warm = split.warm.interactions
    windows = training_prefixes(warm, 50)
    trained = gather_padded(warm.items, windows.starts, windows.lengths + 1)
    assert trained.max() <= warm.num_items == planted.ITEMS - len(split.cold)
    # No model trained on it has so much as a row for a cold item, and neither has its catalogue.
    assert not ids_of(split) & set(warm.item_ids)
    assert split.warm.items["item_id"].tolist() == warm.item_ids[1:].tolist()
    assert set(split.warm.items["item_id"]) | ids_of(split) == set(dataset.items["item_id"])


def test_everybody_is_asked_about_the_latest_cold_item_and_nothing_after_it_is_known(
    dataset: Dataset, split: ColdSplit
) -> None:
    """Held against the same, person by person in lists of ids."""
    data, warm, held_out = dataset.interactions, split.warm.interactions, ids_of(split)
    cold_ids = split.cold["item_id"].tolist()
    asked = {int(user): row for row, user in enumerate(split.asked.users)}
    had = {(row, cold_ids[item]) for row, item in split.had.tolist()}
    told, kept, earlier = 0, 0, set()
    for user in range(len(data)):
        sequence = [str(data.item_ids[item]) for item in data.sequence(user)]
        begin = next(
            (at for at, item in enumerate(sequence) if item not in held_out), len(sequence)
        )
        places = [at for at, item in enumerate(sequence) if item in held_out and at > begin]
        end = places[-1] if places else len(sequence)
        history = [item for item in sequence[:end] if item not in held_out]
        if not history:
            continue
        assert [str(warm.item_ids[item]) for item in warm.sequence(kept)] == history
        assert warm.user_ids[kept] == data.user_ids[user]
        if places:
            row = asked[kept]
            told += 1
            assert cold_ids[split.asked.targets[row]] == sequence[end]
            read = warm.items[split.asked.starts[row] : split.asked.ends[row]]
            assert [str(warm.item_ids[item]) for item in read] == history
            earlier |= {(row, item) for item in sequence[:end] if item in held_out}
        kept += 1
    assert (told, kept) == (len(split.asked), len(warm)) and told > 100
    assert had == earlier and had


def test_seeds_draw_other_items_and_one_seed_the_same(dataset: Dataset, split: ColdSplit) -> None:
    assert ids_of(cold_split(dataset, SHARE, seed=1)) == ids_of(split)
    assert ids_of(cold_split(dataset, SHARE, seed=2)) != ids_of(split)


def test_items_that_hardly_anybody_clicked_are_not_drawn(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = dataset.interactions.train_counts[1:]
    least = int(np.median(counts))
    monkeypatch.setattr(cold, "LEAST_CLICKS", least)
    of = dict(zip(dataset.items["item_id"], counts.tolist(), strict=True))
    assert min(of.values()) < least
    assert all(of[item] >= least for item in ids_of(cold_split(dataset, SHARE)))


def test_where_repeats_are_recommended_nothing_is_left_out(dataset: Dataset) -> None:
    repeating = dataclasses.replace(dataset.interactions, repeats="recommend")
    split = cold_split(dataclasses.replace(dataset, interactions=repeating), SHARE, seed=1)
    assert not len(split.had)
    assert chance(split) == pytest.approx({"cold": 10 / len(split.cold), "all": 10 / planted.ITEMS})


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 0.001, 0.99, float("nan")])
def test_a_share_that_cannot_be_is_refused(dataset: Dataset, share: float) -> None:
    with pytest.raises(FameError, match="share"):
        cold_split(dataset, share)


def model_of(dataset: Dataset, config: ModelConfig, training: TrainConfig) -> Checkpoint:
    """What a run on a data set would leave, its weights random."""
    made = head_values(
        ItemAttributes.of(dataset.items), config.facet_shares, dataset.interactions.num_items
    )
    torch.manual_seed(3)
    model = build_model(
        config, len(dataset.items), ValueIndex.of(made.counts, made.value, made.start)
    )
    fields: dict[str, Any] = dict.fromkeys(Checkpoint.__dataclass_fields__)
    fields |= {
        "model": model.eval(),
        "model_config": config,
        "train_config": training,
        "items": dataset.items,
        "value_names": made.names,
    }
    return Checkpoint(**fields)


def test_items_are_made_of_the_values_that_the_model_knows(split: ColdSplit) -> None:
    """By the equation of their module, value by value; what nobody knows adds nothing."""
    new = split.cold.copy()
    new.at[0, "genres"] = ["genre 2", "unheard of", "genre 5"]
    new.at[1, "genres"] = ["unheard of"]
    new.at[2, "year"] = 2050
    split = dataclasses.replace(split, cold=new)
    checkpoint = model_of(split.warm, VALUES, TrainConfig())
    vectors = checkpoint.model.values.vectors.detach().double()
    number = {
        name: place for place, name in enumerate(n for own in checkpoint.value_names for n in own)
    }
    K = VALUES.head_width
    expected = torch.zeros(len(new), 3 * K, dtype=torch.float64)
    for row, (genres, year) in enumerate(zip(new["genres"], new["year"], strict=True)):
        names = (
            [f"genres={genre}" for genre in genres],
            [f"year={year}", f"year={year // 10 * 10}s"],
        )
        for head, own in enumerate(names):
            known = [vectors[number[name]] for name in own if name in number]
            if known:
                part = sum(known) / len(known) ** 0.5
                expected[row, head * K : (head + 1) * K] = part
    expected = torch.nn.functional.normalize(expected, dim=1)
    places = placed_items(checkpoint, split)
    torch.testing.assert_close(places["values"].double(), expected, atol=1e-6, rtol=0)
    # An own part, untrained, makes others of them.
    assert (places["own"][:, 2 * K :].norm(dim=1) > 0).all()
    assert (places["values"][:, 2 * K :] == 0).all()
    # Where items have something for themselves it is bounded: at most 0.4 of what values give.
    given, whole = places["values"][5:, :K], places["own"][5:, :K]
    cosine = torch.nn.functional.cosine_similarity(given, whole)
    assert (cosine >= (1 - 0.4**2) ** 0.5 - 1e-5).all()


def test_ranks_are_those_of_the_scores_written_out(split: ColdSplit) -> None:
    checkpoint = model_of(split.warm, VALUES, TrainConfig())
    model, data = checkpoint.model, split.warm.interactions
    # Vectors of which no two tie, so that ranks are exact.
    generator = torch.Generator().manual_seed(5)
    cold_CD = torch.randn(len(split.cold), VALUES.width, generator=generator)
    found = cold_ranks(queries(model, split), model.padded_table().detach(), cold_CD, split)
    for row in range(0, len(split.asked), 7):
        history = split.histories(np.array([row]))[0]
        read = torch.from_numpy(history[-VALUES.max_length :].astype(np.int64))[None]
        with torch.no_grad():
            query = model.read(read).query[0]
            warm = (model.item_table @ query).numpy()
        of_cold = (cold_CD @ query).detach().numpy()
        target = of_cold[split.asked.targets[row]]
        mine = {int(item) for at, item in split.had.tolist() if at == row}
        others = np.delete(of_cold, list(mine))
        rank = int((others >= target).sum())
        assert found["cold"][row] == rank
        unseen = np.delete(warm, np.unique(history) - 1)
        assert found["all"][row] == rank + int((unseen > target).sum())
        assert data.num_items == len(warm)


def test_the_control_gives_every_item_the_vector_of_another(
    split: ColdSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over many permutations the target is as likely at every rank, whatever is asked for."""
    monkeypatch.setattr(cold, "PERMUTATIONS", 200)
    generator = torch.Generator().manual_seed(5)
    query, warm, new = (
        torch.randn(many, 8, generator=generator)
        for many in (len(split.asked), split.warm.interactions.num_items + 1, len(split.cold))
    )
    query[:] = query[0]  # all ask for the same
    ranks = permuted_ranks(query, warm, new, split)
    assert ranks["cold"].shape == ranks["all"].shape == (200, len(split.asked))
    # 19 items leave one permutation 0.12 from chance, 200 of them 0.0085; four times that.
    assert (ranks["cold"] <= 10).mean() == pytest.approx(chance(split)["cold"], abs=0.034)
    assert len({tuple(one) for one in ranks["cold"]}) == 200


def test_vectors_of_new_items_lie_in_the_space_of_the_others() -> None:
    items = planted.catalogue().drop(columns="train_count")
    known, new = items.iloc[:150].reset_index(drop=True), items.iloc[150:].reset_index(drop=True)
    alone = catalogue_vectors(known, 12)
    torch.testing.assert_close(catalogue_vectors(known, 12, placed=known), alone)
    # One with the words of a known item lies where that one does, whatever is placed beside it.
    twins = known.iloc[[3, 40]].assign(item_id=["new 1", "new 2"], title=["Item new 1", "?"])
    placed = catalogue_vectors(known, 12, placed=pd.concat([new, twins]).reset_index(drop=True))
    torch.testing.assert_close(placed[-2:], alone[[3, 40]])
    torch.testing.assert_close(placed[:-2], catalogue_vectors(known, 12, placed=new))
    unheard = twins.assign(genres=[["x"], []], year=[1, 2])
    assert catalogue_vectors(known, 12, placed=unheard).abs().max() == 0


def test_values_alone_find_who_clicks_and_permuted_ones_fall_to_chance(
    dataset: Dataset, tmp_path: Any
) -> None:
    """People choose by genre and year here, so whoever knows those of a cold item finds it."""
    settings = {
        "width": 24, "heads": 3, "layers": 1, "head_facets": "genres/year/", "epochs": 6,
        "dropout": 0.1, "score": "fused-cosine", "samples": "prefixes", "batch_size": 64,
        "learning_rate": 0.01, "device": "cpu", "temperature": 0.1,
    }  # fmt: skip
    told: list[str] = []
    results = Results(tmp_path)

    def table() -> dict[str, Any]:
        found = cold_table(
            dataset, variants(["fame", "sasrec"]), 1, results, share=SHARE,
            settings=settings, on_run=told.append,
        )  # fmt: skip
        assert found is not None
        return found

    first = table()
    rows = {(row["model"], row["place"]): row for row in first["rows"]}
    assert list(rows) == [
        ("fame", "values"), ("fame", "permuted"), ("fame", "own"),
        ("sasrec", "start"), ("sasrec", "regression"), ("", "words"), ("", "chance"),
    ]  # fmt: skip
    hit = {name: row["cold"]["HR@10"][0] for name, row in rows.items()}
    by_chance = hit["", "chance"]
    (people,) = first["people"]
    error = (by_chance * (1 - by_chance) / people) ** 0.5
    assert 0.5 < by_chance < 0.6  # ten of the 19 cold items
    # Four standard errors of people, each of whom stands for themselves here.
    assert hit["fame", "values"] > by_chance + 4 * error
    assert abs(hit["fame", "permuted"] - by_chance) < 4 * error
    for row in rows.values():
        assert row["all"]["HR@10"][0] <= row["cold"]["HR@10"][0]
    differences = {(*one["row"], *one["over"]): one for one in first["differences"]}
    over = differences["fame", "values", "fame", "permuted"]
    assert over["mean"] == pytest.approx(hit["fame", "values"] - hit["fame", "permuted"])
    assert over["low"] < over["mean"] < over["high"] and over["low"] > 0
    page = cold_markdown(first)
    assert page.startswith(
        f"tiny: 19 items (10 %) in no training history; {people} people are asked"
    )
    assert f"| {by_chance:.3f} |" in page and "control: the values of another cold item" in page
    # What has been trained is not trained again, and gives the same.
    runs = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    assert len(runs) == 2
    assert table() == first
    assert runs == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
