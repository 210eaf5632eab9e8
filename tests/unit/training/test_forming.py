"""Facets forming as training records them: the same weights, the same sample, all processes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fame.config import TrainConfig
from fame.data.attributes import ItemAttributes
from fame.data.sequences import held_out
from fame.evaluate import model_ranks
from fame.facets import forming as measures
from fame.facets.forming import RECORD, Forming, read_forming
from fame.facets.values import value_indicator
from fame.lens.reading import read_histories
from fame.training import forming as module
from fame.training.forming import FormingRecord
from fame.training.loop import fit, new_state
from fame.training.runs import RunFolder
from fame.training.workers import Workers
from tests import planted
from tests.tiny import TINY, TINY_SASREC, interactions_of, random_model

CPU = torch.device("cpu")
DATA = interactions_of(planted.sequences(), planted.ITEMS)
ATTRIBUTES = ItemAttributes.of(planted.catalogue())
CONFIG = replace(TINY, dropout=0.2)
TRAIN = TrainConfig(epochs=3, batch_size=32, patience=0, device="cpu", weight_average=0.5)


class Alone(Workers):
    """One of several processes, whose sums are those of the others that it was given."""

    def __init__(self, others=()):
        super().__init__(CPU)
        self.others = list(others)

    def sum(self, values):
        return sum((other.pop(0) for other in self.others), values)


def trained(train=TRAIN, config=CONFIG):
    state = new_state(config, train, DATA.num_items, CPU)
    fit(state, DATA, train, attributes=ATTRIBUTES)
    return state


@pytest.mark.parametrize("config", [CONFIG, TINY_SASREC])
def test_weights_are_bit_for_bit_the_same_without_it(config, monkeypatch):
    drawn = []
    with_it = trained(config=config)
    drawn.append(torch.get_rng_state())
    monkeypatch.setattr(FormingRecord, "__init__", lambda self, *args, **more: None)
    monkeypatch.setattr(FormingRecord, "keep", lambda self, *args: None)
    monkeypatch.setattr(FormingRecord, "take", lambda self, *args: None)
    without = trained(config=config)
    drawn.append(torch.get_rng_state())
    assert all(row[RECORD] is None for row in without.history)
    assert torch.equal(*drawn)
    for kind in ("model", "average"):
        first, second = (getattr(state, kind).state_dict() for state in (with_it, without))
        assert first.keys() == second.keys()
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    for row, other in zip(with_it.history, without.history, strict=True):
        assert row["loss"] == other["loss"] and row["valid_MRR"] == other["valid_MRR"]


def test_every_epoch_has_what_its_ranking_model_says_of_the_sample():
    state = trained()
    found = read_forming(state.history)
    assert list(found) == [1, 2, 3]
    examples = held_out(DATA, "valid")
    rng = np.random.default_rng(0)
    drawn = np.random.default_rng([0, 1]).permutation(np.sort(rng.permutation(len(examples))))
    histories = [DATA.items[examples.starts[i] : examples.ends[i]] for i in drawn]
    forming = Forming(
        {name: value_indicator(own) for name, own in planted.VALUES.items()},
        histories,
        examples.targets[drawn],
        DATA.train_counts[1:],
        repeats="exclude",
    )
    model = state.ranking_model.eval()  # the average of the weights
    expected = forming.measure(model, read_histories(model, histories))
    last = found[3]
    assert set(last.tables) == set(expected.tables) == {"genres", "year"}
    assert last.gate == pytest.approx(expected.gate, abs=2e-4)
    assert last.expert_share == pytest.approx(expected.expert_share, abs=2e-4)
    for kind in ("tables", "lists"):
        for facet, shares in getattr(last, kind).items():
            own = {name: share for name, share in shares.items() if name != "chance"}
            wanted = getattr(expected, kind)[facet]
            assert own == pytest.approx({name: wanted[name] for name in own}, abs=2e-3)


def test_the_validation_item_is_asked_for_and_the_test_item_never_seen():
    """Whatever came last: the record is the same."""
    changed = planted.sequences()
    for sequence in changed:
        sequence[-1] = sequence[0]
    other = interactions_of(changed, planted.ITEMS)
    model = random_model(TINY, planted.ITEMS)
    found = []
    for data in (DATA, other):
        record = FormingRecord(data, ATTRIBUTES)
        model_ranks(model, data, "valid", on_read=record.keep)
        found.append(record.take(model, Workers(CPU)))
    assert found[0] == found[1]


def test_words_of_titles_are_recorded_where_a_head_is_made_of_them():
    titles = tuple(f"it is of {value[0]}" for value in planted.VALUES["year"])
    attributes = replace(ATTRIBUTES, titles=titles)
    model = random_model(TINY, planted.ITEMS)
    tables = {}
    for made_of in ((), ("title",)):
        record = FormingRecord(DATA, attributes, made_of=made_of)
        model_ranks(model, DATA, "valid", on_read=record.keep)
        found = record.take(model, Workers(CPU))
        assert found is not None
        tables[made_of] = found["tables"]
    assert "title" not in tables[()]
    # The one word that tells titles apart is the year.
    found, expected = tables["title",]["title"], tables[()]["year"]
    assert {**found, "chance": None} == {**expected, "chance": None}  # which is drawn


def test_a_resumed_run_keeps_the_record_and_goes_on_with_the_same_sample(tmp_path):
    whole = trained()
    first = trained(replace(TRAIN, epochs=2))
    run = RunFolder(tmp_path)
    run.save_state(first)
    resumed = new_state(CONFIG, TRAIN, DATA.num_items, CPU)
    run.load_state(resumed)
    fit(resumed, DATA, TRAIN, attributes=ATTRIBUTES)
    assert [row[RECORD] for row in resumed.history] == [row[RECORD] for row in whole.history]
    run.write_history(resumed.history)
    assert read_forming(run.history()) == read_forming(whole.history)


def test_several_processes_together_keep_what_one_does(monkeypatch):
    monkeypatch.setattr(module, "PEOPLE", 60)
    model = random_model(TINY, planted.ITEMS)
    alone = FormingRecord(DATA, ATTRIBUTES)
    model_ranks(model, DATA, "valid", batch_size=20, on_read=alone.keep)
    expected = alone.take(model, Workers(CPU))
    handed = []
    for part in (1, 2):
        record = FormingRecord(DATA, ATTRIBUTES)
        model_ranks(model, DATA, "valid", batch_size=20, share=(part, 3), on_read=record.keep)
        sums: list = []
        other = Alone()
        other.sum = lambda values, sums=sums: sums.append(values) or values
        other.on_first = lambda call: None
        assert record.take(model, other) is None
        handed.append(sums)
    first = FormingRecord(DATA, ATTRIBUTES)
    model_ranks(model, DATA, "valid", batch_size=20, share=(0, 3), on_read=first.keep)
    assert first.take(model, Alone(handed)) == expected
    assert expected["people"] == 60


def test_a_catalogue_that_says_nothing_leaves_gate_and_experts():
    model = random_model(TINY, planted.ITEMS)
    record = FormingRecord(DATA)
    model_ranks(model, DATA, "valid", on_read=record.keep)
    found = record.take(model, Workers(CPU))
    assert found["tables"] == found["lists"] == {}
    assert len(found["gate"]) == len(found["expert_share"]) == 2


def test_next_to_no_time_is_spent(monkeypatch):
    """The work that grows with the catalogue is bounded: scores of lists, and of items asked."""
    monkeypatch.setattr(measures, "_RANKED", 4 * 60 * planted.ITEMS)
    monkeypatch.setattr(measures, "_FEWEST", 1)
    model = random_model(replace(TINY, heads=3, width=12), planted.ITEMS)
    record = FormingRecord(DATA, ATTRIBUTES)
    model_ranks(model, DATA, "valid", on_read=record.keep)
    assert record.take(model, Workers(CPU))["listed"] == 60
