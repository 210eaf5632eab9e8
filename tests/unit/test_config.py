"""A configuration that exists is one that can run."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.checkpoint import FORMAT
from fame.config import ADDED_SETTINGS, ModelConfig, TrainConfig, parse_setting, split_settings
from fame.errors import ConfigError, FameError

CONFIGS = [ModelConfig, TrainConfig]


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_configuration_is_frozen(kind):
    config = kind()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(kind)[0].name, None)


@pytest.mark.parametrize("kind", CONFIGS)
def test_written_out_and_read_back_it_is_the_same(kind):
    assert kind.from_mapping(kind().to_dict(), "a test") == kind()


@pytest.mark.parametrize("kind", CONFIGS)
def test_an_unknown_key_is_refused_with_its_place(kind):
    with pytest.raises(ConfigError, match=r"recipe\.toml has the unknown key 'colour'; known keys"):
        kind.from_mapping({"colour": 1}, "recipe.toml")


WRONG = [
    (ModelConfig, "model", "gru4rec"),
    (ModelConfig, "width", 0),
    (ModelConfig, "width", 64.0),
    (ModelConfig, "width", "64"),
    (ModelConfig, "width", True),
    (ModelConfig, "heads", 0),
    (ModelConfig, "heads", 3),  # does not divide the width
    (ModelConfig, "experts", 0),
    (ModelConfig, "layers", 0),
    (ModelConfig, "max_length", 0),
    (ModelConfig, "dropout", 1.0),
    (ModelConfig, "dropout", -0.1),
    (ModelConfig, "dropout", math.nan),
    (ModelConfig, "dropout", "a little"),
    (ModelConfig, "positions", "sinus"),
    (ModelConfig, "score", "euclid"),
    (ModelConfig, "temperature", 0),
    (ModelConfig, "gate", "hard"),
    (ModelConfig, "facets", "some"),
    (ModelConfig, "head_facets", "genres"),  # one share for two heads
    (ModelConfig, "head_facets", "genres/year/"),
    (ModelConfig, "head_facets", "/"),  # no head is a facet
    (ModelConfig, "head_facets", "genres,/"),
    (ModelConfig, "head_facets", "year, year/"),
    (ModelConfig, "head_facets", 3),
    (ModelConfig, "own_bound", -0.1),
    (ModelConfig, "expert_view", "none"),
    (ModelConfig, "own_bound", math.inf),
    (TrainConfig, "epochs", 0),
    (TrainConfig, "samples", "pairs"),
    (TrainConfig, "item_start", "titles"),
    (TrainConfig, "start_facets", 2),
    (TrainConfig, "start_facets", "title/brand"),  # while items start from noise
    (TrainConfig, "batch_size", 0),
    (TrainConfig, "learning_rate", 0),
    (TrainConfig, "learning_rate", math.inf),
    (ModelConfig, "filter_weight", 1.01),
    (ModelConfig, "filter_weight", -0.01),
    (ModelConfig, "frequency_cutoff", 0),
    (ModelConfig, "frequency_cutoff", 4097),
    (ModelConfig, "frequency_cutoff", 4),
    (TrainConfig, "weight_decay", -1e-9),
    (TrainConfig, "weight_average", 1),
    (TrainConfig, "warmup_steps", -1),
    (TrainConfig, "negatives", -1),
    (TrainConfig, "label_smoothing", 1),
    (TrainConfig, "head_loss_weight", -1),
    (TrainConfig, "head_loss_shares", 1),
    (TrainConfig, "head_loss_shares", "0/0"),
    (TrainConfig, "head_loss_shares", "1/-1"),
    (TrainConfig, "head_loss_shares", "1//1"),
    (TrainConfig, "head_loss_shares", "nan/1"),
    (TrainConfig, "head_loss_shares", "inf/1"),
    (TrainConfig, "head_loss_shares", "a/b"),
    (TrainConfig, "expert_loss_weight", -1),
    (TrainConfig, "patience", -1),
    (TrainConfig, "seed", -1),
    (TrainConfig, "seed", 2**32),
    (TrainConfig, "device", "gpu"),
    (TrainConfig, "device", "cuda:x"),
    (TrainConfig, "device", 0),
    (TrainConfig, "precision", "fp16"),
    (TrainConfig, "compile", "yes"),
]


@pytest.mark.parametrize(("kind", "field", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(kind, field, value):
    with pytest.raises(ConfigError, match=rf"^here: .*{field}"):
        kind.from_mapping({field: value}, "here")
    assert issubclass(ConfigError, FameError)


def test_every_field_has_a_value_that_is_refused():
    for kind in CONFIGS:
        refused = {field for owner, field, _ in WRONG if owner is kind}
        assert refused == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("settings", "lacks"),
    [({"layers": 1}, "head_facets"), ({"head_facets": "genres/", "layers": 2}, "layers=1")],
)
def test_a_view_of_ones_own_slice_is_refused_where_there_is_none(settings, lacks):
    with pytest.raises(ConfigError, match=f"expert_view=own .* needs {lacks}"):
        ModelConfig(expert_view="own", **settings)


def test_shares_of_a_loss_that_there_is_not_are_refused():
    with pytest.raises(ConfigError, match=r"head_loss_shares=0/1 .* head_loss_weight is 0"):
        TrainConfig(head_loss_weight=0, head_loss_shares="0/1")
    assert TrainConfig(head_loss_shares="0/1/0.5").shares_of_heads == (0, 1, 0.5)
    assert TrainConfig().shares_of_heads == ()


def test_smoothing_over_a_catalogue_that_is_left_out_is_refused():
    with pytest.raises(ConfigError, match=r"label_smoothing \(0\.1\) .* negatives \(64\)"):
        TrainConfig(label_smoothing=0.1, negatives=64)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
def test_known_devices_are_taken(device):
    assert TrainConfig(device=device).device == device


def test_a_number_beyond_all_floats_is_refused():
    with pytest.raises(ConfigError, match="learning_rate must be finite"):
        TrainConfig(learning_rate=10**400)


# All settings of format 2 of config.json, the first that has the hash of its content; by the names
# that they have today.
OF_FORMAT_2 = {
    *("model", "width", "heads", "experts", "layers", "max_length", "dropout", "positions"),
    *("score", "temperature", "gate", "facets"),
    *("epochs", "samples", "item_start", "start_facets", "batch_size", "learning_rate"),
    *("weight_decay", "weight_average", "warmup_steps", "negatives", "label_smoothing"),
    *("head_loss_weight", "patience", "seed", "device", "precision", "compile"),
}


def test_a_new_setting_has_the_value_that_earlier_runs_had():
    """Else rows of results.csv lose their runs, and checkpoints no longer open."""
    settings = {**ModelConfig().to_dict(), **TrainConfig().to_dict()}
    added = [key for new in ADDED_SETTINGS.values() for key in new]
    assert set(settings) - OF_FORMAT_2 == set(added), (
        "a new setting goes into ADDED_SETTINGS of fame/config.py, with the value that all runs "
        "before it had, under a new number of checkpoint.FORMAT"
    )
    assert not set(added) & OF_FORMAT_2 and len(added) == len(set(added))
    assert max([2, *ADDED_SETTINGS]) == FORMAT, "checkpoint.FORMAT is the last of ADDED_SETTINGS"


def test_a_whole_number_serves_where_a_number_is_wanted():
    config = TrainConfig(weight_decay=1)
    assert type(config.weight_decay) is float
    assert config == TrainConfig(weight_decay=1.0)


def test_heads_cut_the_width_into_equal_slices():
    assert ModelConfig(width=48, heads=3).head_width == 16


@pytest.mark.parametrize(
    ("head_facets", "expected"),
    [
        ("", ()),
        ("genres/year/", (("genres",), ("year",), ())),
        (" / brand , year /category", ((), ("brand", "year"), ("category",))),
    ],
)
def test_every_head_has_its_share_of_the_columns(head_facets, expected):
    config = ModelConfig(width=48, heads=3, head_facets=head_facets)
    assert config.facet_shares == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("width=32", ("width", 32)),
        (" width = 32 ", ("width", 32)),
        ("learning_rate=1e-3", ("learning_rate", 0.001)),
        ("model=sasrec", ("model", "sasrec")),
        ("device=cuda:1", ("device", "cuda:1")),
        ("name=a=b", ("name", "a=b")),
    ],
)
def test_a_setting_is_a_key_and_a_value(text, expected):
    key, value = parse_setting(text)
    assert (key, value) == expected
    assert type(value) is type(expected[1])


@pytest.mark.parametrize("text", ["width", "=3", " =3", ""])
def test_a_setting_without_key_or_value_is_refused(text):
    with pytest.raises(ConfigError, match="key=value"):
        parse_setting(text)


@given(st.sampled_from(dataclasses.fields(TrainConfig) + dataclasses.fields(ModelConfig)))
def test_what_is_written_as_a_setting_is_read_as_the_value(field):
    assert parse_setting(f"{field.name}={field.default}") == (field.name, field.default)


def test_settings_are_sorted_into_the_two_configurations():
    model, training = split_settings({"width": 32, "epochs": 3, "heads": 4}, "--set")
    assert model == {"width": 32, "heads": 4}
    assert training == {"epochs": 3}
    with pytest.raises(ConfigError, match="--set has the unknown key 'colour'"):
        split_settings({"width": 32, "colour": "red"}, "--set")


def test_no_key_belongs_to_both_configurations():
    names = [{field.name for field in dataclasses.fields(kind)} for kind in CONFIGS]
    assert not names[0] & names[1]
