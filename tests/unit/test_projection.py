"""The projection: what it draws, how far it can be trusted, and how it is stored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fame.checkpoint import Checkpoint, DataInfo
from fame.config import TrainConfig
from fame.errors import CheckpointError
from fame.models.sequence_model import SequenceModel
from fame.projection import (
    PROJECTION,
    Projection,
    draw_together,
    neighbourhood_preservation,
    project,
    read_projection,
    regions,
    space_names,
    space_vectors,
    write_projection,
)
from tests.tiny import TINY, TINY_SASREC, random_model

NUM_ITEMS = 12
ITEM_IDS = [f"i{item}" for item in range(1, NUM_ITEMS + 1)]


def checkpoint_at(path: Path, model: SequenceModel, weights_hash: str = "abc") -> Checkpoint:
    return Checkpoint(
        path=path,
        model=model,
        model_config=model.config,
        train_config=TrainConfig(),
        data=DataInfo("tiny", "", "none", 1, NUM_ITEMS, 1, "exclude", ""),
        code=1,
        value_names=(),
        items=pd.DataFrame({"item_id": ITEM_IDS}),
        metrics=None,
        hash="",
        weights_hash=weights_hash,
    )


def drawn_by_hand(model: SequenceModel) -> Projection:
    """Some coordinates for every space, without UMAP, which takes seconds to start."""
    points: dict[str, object] = {"item_id": ITEM_IDS}
    for space in space_names(model):
        for axis in "xy":
            points[f"{space}_{axis}"] = np.arange(NUM_ITEMS, dtype=np.float32)
    return Projection(pd.DataFrame(points), dict.fromkeys(space_names(model), 0.5))


def test_spaces_are_the_whole_embedding_and_the_heads():
    model = random_model(TINY, NUM_ITEMS)
    assert space_names(model) == ["all", "head_0", "head_1"]
    assert space_names(random_model(TINY_SASREC)) == ["all"]
    assert space_vectors(model, "all").shape == (NUM_ITEMS, TINY.width)
    expected = model.item_table @ model.facet_maps[1].T
    np.testing.assert_allclose(
        space_vectors(model, "head_1"), expected.detach().numpy(), rtol=1e-5, atol=1e-6
    )


def test_preservation_is_one_for_the_same_neighbours_and_falls_when_they_are_torn_apart():
    angles = np.sort(np.random.default_rng(0).uniform(0, np.pi / 2, 30))
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    lengths = np.linspace(1, 5, 30)[:, None]
    assert neighbourhood_preservation(circle * lengths, circle, 4) == 1  # cosine sees no length
    shuffled = np.random.default_rng(1).permutation(circle)
    assert neighbourhood_preservation(circle, shuffled, 4) < 0.5
    # By hand: on two lines of three, each point has the k = 1 neighbour 1 0 1 against 1 2 1.
    vectors = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.5]])
    points = np.array([[0.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    assert neighbourhood_preservation(vectors, points, 1) == pytest.approx(2 / 3)


def test_islands_are_drawn_together_and_keep_their_shapes():
    square = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5]])
    far = np.concatenate([square, square + np.array([40.0, 0.0]), square + np.array([0.0, 90.0])])
    near = draw_together(far, gap=1.0)
    islands = near.reshape(3, 4, 2)
    for island in islands:
        np.testing.assert_allclose(island - island[0], square, atol=1e-9)
    # The nearest two, 40 apart, meet first: 1 lies between them, or up to 1/256 of 40 more, the
    # last step of the search; the third one comes along by the same factor.
    corners = islands[:, 0]
    aside, above = corners[1] - corners[0], corners[2] - corners[0]
    assert 1.5 < aside[0] < 1.5 + 40 / 256 and abs(aside[1]) < 1e-9
    np.testing.assert_allclose(above, [0, aside[0] * 90 / 40], atol=1e-9)
    np.testing.assert_allclose(near.mean(0), far.mean(0))


def test_a_picture_of_one_island_stays_as_it_is():
    line = np.stack([np.arange(9.0), np.zeros(9)], 1)
    np.testing.assert_array_equal(draw_together(line, gap=1.0), line)


def test_umap_draws_every_space_alike_for_the_same_seed():
    model, seen = random_model(TINY, NUM_ITEMS), []
    first = project(model, ITEM_IDS, on_space=lambda *step: seen.append(step))
    second = project(model, ITEM_IDS)
    assert seen == [("all", 0, 3), ("head_0", 1, 3), ("head_1", 2, 3)]
    assert first.points["item_id"].tolist() == ITEM_IDS
    assert len(first.points.columns) == 1 + 2 * 3
    coordinates = first.points.drop(columns="item_id").to_numpy()
    assert coordinates.dtype == np.float32 and np.isfinite(coordinates).all()
    pd.testing.assert_frame_equal(first.points, second.points)
    assert list(first.preservation) == ["all", "head_0", "head_1"]
    assert all(0 <= share <= 1 for share in first.preservation.values())


def test_too_few_items_are_refused():
    with pytest.raises(CheckpointError, match="at least 3 items, not 2"):
        project(random_model(TINY, 2), ["i1", "i2"])


def test_what_is_written_is_read(tmp_path):
    model = random_model(TINY, NUM_ITEMS)
    projection = drawn_by_hand(model)
    write_projection(tmp_path, projection, "abc")
    read = read_projection(checkpoint_at(tmp_path, model))
    pd.testing.assert_frame_equal(read.points, projection.points, check_dtype=False)
    assert read.preservation == projection.preservation
    assert [file.name for file in tmp_path.iterdir()] == [PROJECTION]


def test_a_projection_of_other_weights_or_none_counts_as_none(tmp_path):
    model = random_model(TINY, NUM_ITEMS)
    assert read_projection(checkpoint_at(tmp_path, model)) is None
    write_projection(tmp_path, drawn_by_hand(model), "abc")
    assert read_projection(checkpoint_at(tmp_path, model, weights_hash="other")) is None


def test_a_damaged_projection_is_refused_by_name(tmp_path):
    model = random_model(TINY, NUM_ITEMS)
    (tmp_path / PROJECTION).write_bytes(b"not a table")
    with pytest.raises(CheckpointError, match=r"projection\.parquet is not readable"):
        read_projection(checkpoint_at(tmp_path, model))


def test_a_projection_that_does_not_fit_is_refused(tmp_path):
    model = random_model(TINY, NUM_ITEMS)
    write_projection(tmp_path, drawn_by_hand(random_model(TINY_SASREC, NUM_ITEMS)), "abc")
    with pytest.raises(CheckpointError, match="has no column 'head_0_x'"):
        read_projection(checkpoint_at(tmp_path, model))
    other = drawn_by_hand(model)
    other.points["item_id"] = ITEM_IDS[::-1]
    write_projection(tmp_path, other, "abc")
    with pytest.raises(CheckpointError, match="another catalogue"):
        read_projection(checkpoint_at(tmp_path, model))


def test_regions_keep_islands_apart():
    rng = np.random.default_rng(0)
    islands = np.repeat(np.arange(5), 100)
    points = (
        rng.normal(scale=0.1, size=(500, 2)) + 30 * np.eye(5)[islands][:, :2] + islands[:, None]
    )
    found = regions(points)
    assert len(found) == 500 and found.max() < 5
    assert regions(points).tolist() == found.tolist()
    assert len({(island, region) for island, region in zip(islands, found, strict=True)}) <= 6
