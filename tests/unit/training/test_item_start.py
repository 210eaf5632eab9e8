"""Items that start from what the catalogue says: held against the formula written out by hand."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from fame.config import TrainConfig
from fame.errors import FameError
from fame.training.item_start import CATALOGUE_STD, NOISE, catalogue_vectors, start_items
from fame.training.loop import new_state
from tests.tiny import TINY, random_model

CATALOGUE = pd.DataFrame(
    {
        "item_id": list("abcdefgh"),
        "title": [
            "Red nail polish", "Green nail polish", "Nail file", "Red lipstick",
            "Lipstick, GREEN", "Face cream", "Hand cream 50", "Item h",
        ],
        "brand": ["Opi", "Opi", pd.NA, "Mac", "Mac", "Opi", pd.NA, pd.NA],
        "year": pd.array([1999, 1999, 2001, pd.NA, 2001, 2004, 1999, pd.NA], dtype="Int64"),
        "use": [["nails"], ["nails", "gift"], ["nails"], ["lips"], ["lips", "gift"], [], [], []],
    }
)  # fmt: skip
# Words of two letters and more, and each value of a facet twice, as one word.
SAID = [
    "red nail polish|brand: Opi|year: 1999|use: nails",
    "green nail polish|brand: Opi|year: 1999|use: nails|use: gift",
    "nail file|year: 2001|use: nails",
    "red lipstick|brand: Mac|use: lips",
    "lipstick green|brand: Mac|year: 2001|use: lips|use: gift",
    "face cream|brand: Opi|year: 2004",
    "hand cream 50|year: 1999",
    "",
]


def by_hand(columns: str = "title brand year use") -> np.ndarray:
    """Cosines of the items' vectors, ``(8, 8)``: a full SVD of TF-IDF, one number at a time."""
    counted = []
    for text in SAID:
        words = text.partition("|")[0].split() if "title" in columns else []
        facets = [facet for facet in text.split("|")[1:] if facet.split(":")[0] in columns]
        counted.append(Counter([*words, *facets, *facets]))
    items_with = Counter(word for words in counted for word in words)
    vocabulary = sorted(word for word, items in items_with.items() if items >= 2)
    tfidf = np.zeros((len(SAID), len(vocabulary)))
    for row, words in enumerate(counted):
        for column, word in enumerate(vocabulary):
            if word in words:
                rarity = np.log((1 + len(SAID)) / (1 + items_with[word])) + 1
                tfidf[row, column] = (1 + np.log(words[word])) * rarity
    norms = np.linalg.norm(tfidf, axis=1, keepdims=True)
    tfidf = np.divide(tfidf, norms, out=np.zeros_like(tfidf), where=norms > 0)
    left, strength, _ = np.linalg.svd(tfidf, full_matrices=False)
    vectors = left * np.sqrt(strength)
    told = norms[:, 0] > 0
    vectors[told] -= vectors[told].mean(0)
    vectors[told] /= np.linalg.norm(vectors[told], axis=1, keepdims=True)
    return vectors @ vectors.T


@pytest.fixture(scope="module")
def vectors() -> Tensor:
    return catalogue_vectors(CATALOGUE, 16)


def test_vectors_are_those_of_the_formula(vectors: Tensor) -> None:
    # 16 numbers hold all that 8 items can say, so nothing is cut and the cosines are exact.
    assert vectors.shape == (8, 16) and vectors.dtype == torch.float64
    np.testing.assert_allclose(vectors @ vectors.T, by_hand(), atol=1e-9)


def test_an_item_without_words_has_no_vector(vectors: Tensor) -> None:
    assert vectors[-1].abs().max() == 0
    np.testing.assert_allclose(vectors[:-1].norm(dim=1), 1, rtol=1e-12)


def test_a_narrow_model_keeps_the_strongest_directions(vectors: Tensor) -> None:
    narrow = catalogue_vectors(CATALOGUE, 3)
    assert narrow.shape == (8, 3)
    polish, other_polish, lipstick = narrow[0], narrow[1], narrow[4]
    assert polish @ other_polish > 0.8 > polish @ lipstick


def slices_of(vectors: Tensor, heads: int) -> list[np.ndarray]:
    """Every head's part of the cosine, ``(8, 8)`` each, times H: it adds up to a mean."""
    parts = vectors.view(8, heads, -1).unbind(1)
    return [heads * (part @ part.T).numpy() for part in parts]


def test_each_head_starts_from_its_own_columns() -> None:
    first, second = slices_of(catalogue_vectors(CATALOGUE, 16, 2, "title, brand/use"), 2)
    np.testing.assert_allclose(first, by_hand("title brand"), atol=1e-9)
    np.testing.assert_allclose(second, by_hand("use"), atol=1e-9)


def test_heads_without_a_share_of_their_own_start_again_with_the_first() -> None:
    """Two heads hold one share together: half its directions each, not the same ones twice."""
    parts = slices_of(catalogue_vectors(CATALOGUE, 24, 3, "title/use"), 3)
    np.testing.assert_allclose((parts[0] + parts[2]) / 2, by_hand("title"), atol=1e-9)
    np.testing.assert_allclose(parts[1], by_hand("use"), atol=1e-9)
    assert np.abs(parts[0] - parts[2]).max() > 0.1


def test_shares_beyond_the_last_head_go_round_again() -> None:
    dealt = catalogue_vectors(CATALOGUE, 16, 2, "title/brand/year/use")
    first, second = slices_of(dealt, 2)
    np.testing.assert_allclose(first, by_hand("title year"), atol=1e-9)
    np.testing.assert_allclose(second, by_hand("brand use"), atol=1e-9)
    alone = catalogue_vectors(CATALOGUE, 16, 1, "title/brand/year/use")
    np.testing.assert_allclose(alone @ alone.T, by_hand(), atol=1e-9)


def test_a_name_stands_for_all_columns_that_begin_so() -> None:
    numbered = CATALOGUE.rename(columns={"brand": "label_1", "year": "label_2"})
    first, _ = slices_of(catalogue_vectors(numbered, 16, 2, "label/use"), 2)
    np.testing.assert_allclose(first, by_hand("brand year"), atol=1e-9)


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(FameError, match=r"names 'colour', .* it has title, brand, year, use"):
        catalogue_vectors(CATALOGUE, 16, 2, "title/colour")
    with pytest.raises(FameError, match="names ''"):
        catalogue_vectors(CATALOGUE, 16, 2, "title/")


def test_every_slice_has_a_share_of_every_direction(vectors: Tensor) -> None:
    """Without the turn the second half of the numbers would be the weak directions alone."""
    halves = vectors[:-1].view(7, 2, 8).square().sum((0, 2))
    assert 0.4 < halves[0] / halves.sum() < 0.6


@pytest.mark.parametrize(
    "items",
    [
        pd.DataFrame({"item_id": ["1", "2"], "title": ["Item 1", "Item 2"]}),
        pd.DataFrame({"item_id": ["1", "2"], "title": ["one", "other"]}),
        pd.DataFrame({"item_id": ["1", "2"], "title": ["the same", "the same"]}),
        pd.DataFrame({"item_id": list("1234"), "title": ["film 1", "film 2", "one", "other"]}),
    ],
    ids=["stand-ins for titles", "nothing shared", "nothing but what all share", "one word"],
)
def test_a_catalogue_that_tells_nothing_apart_is_refused(items: pd.DataFrame) -> None:
    with pytest.raises(FameError, match=r"words that some items share .* set item_start=random"):
        catalogue_vectors(items, 4)


def test_items_start_by_the_formula() -> None:
    model = random_model(TINY, num_items=3)
    before = model.item_embedding.weight.detach().clone()
    told = torch.zeros(3, 8, dtype=torch.float64)
    told[0, 0] = told[1, 5] = 1
    start_items(model, told)
    after = model.item_embedding.weight.detach()
    assert after[0].abs().max() == 0, "the padding"
    length = CATALOGUE_STD * 8**0.5
    for item in (1, 2):
        mixed = 0.91**0.5 * told[item - 1] + 0.3 * before[item] / before[item].norm()
        torch.testing.assert_close(after[item], length * mixed / mixed.norm())
    torch.testing.assert_close(after[3], length * before[3] / before[3].norm())
    assert NOISE == 0.3


def test_items_start_four_times_as_large_as_from_noise() -> None:
    """Smaller ones are overrun by Adam's first steps before their neighbourhoods can help."""
    told = torch.nn.functional.normalize(torch.randn(2000, TINY.width), dim=1)
    noise, catalogue = (
        new_state(TINY, TrainConfig(), 2000, torch.device("cpu"), item_vectors=vectors)
        for vectors in (None, told)
    )
    before, after = (state.model.item_embedding.weight[1:] for state in (noise, catalogue))
    # A standard deviation of 16,000 numbers is known to 0.6 %.
    assert float(after.detach().std() / before.detach().std()) == pytest.approx(4, rel=0.03)
    assert CATALOGUE_STD == 0.08


def test_only_the_items_start_elsewhere_and_the_average_starts_there_too() -> None:
    training = TrainConfig(weight_average=0.9, device="cpu")
    told = catalogue_vectors(CATALOGUE, TINY.width)
    cpu = torch.device("cpu")
    plain, state = (
        new_state(TINY, training, len(CATALOGUE), cpu, item_vectors=vectors)
        for vectors in (None, told)
    )
    changed = {
        name
        for name, tensor in state.model.state_dict().items()
        if not torch.equal(tensor, plain.model.state_dict()[name])
    }
    assert changed == {"item_embedding.weight"}
    for name, tensor in state.ranking_model.state_dict().items():
        assert torch.equal(tensor, state.model.state_dict()[name]), name
