"""Model files: whole or refused, the newest in use, the last one to go back to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from presagio.exporter.drift import Reference
from presagio.exporter.models import Header, Model, ModelError, Shelf, load
from presagio.exporter.quality import Quality

HOUR = 3600.0
NONE = float("nan")
QUALITY = Quality(
    examples=100, failures=3, base_rate=0.1, average_precision=0.8, brier_skill=0.5, caught=1.0, median_lead=600.0,
    precision=NONE, reliability=((0.1, 0.1, 90.0),),
)  # fmt: skip
HEADER = Header(
    failure="oom", horizon=HOUR, predictor="gradient_boosting", used="gradient_boosting", params={"rounds": 10},
    definition="abc", features=("a", "b"), kinds=("web",), failures=9, begin=0.0, end=9.0, trained=1_700_000_000.0,
    quality=QUALITY,
)  # fmt: skip
REFERENCE = Reference(np.zeros((2, 9)), np.full((2, 11), 1 / 11), np.array([0.5, 0.5]))
MODEL = Model(HEADER, {"trees": np.arange(5.0), "text": np.frombuffer(b"tree", dtype=np.uint8)}, REFERENCE)


def trained(moment: int) -> Model:
    return replace(MODEL, header=HEADER.model_copy(update={"trained": 1_700_000_000.0 + moment}))


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    path = Shelf(tmp_path).put(MODEL, keep=3)
    again = load(path, "abc")
    assert again.header.model_dump_json() == HEADER.model_dump_json()
    assert set(again.state) == {"trees", "text"}
    np.testing.assert_array_equal(again.state["trees"], np.arange(5.0))
    np.testing.assert_array_equal(again.reference.shares, REFERENCE.shares)


def test_the_newest_is_in_use_and_so_many_are_kept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for moment in range(5):
        shelf.put(trained(moment), keep=3)
    assert [path.stem[-2:] for path in shelf.paths("oom", HOUR)] == ["22", "23", "24"]
    assert shelf.current("oom", HOUR) == shelf.paths("oom", HOUR)[-1]


def test_rollback_goes_back_one_by_one_and_then_says_that_there_is_none(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first, second = shelf.put(trained(0), 3), shelf.put(trained(1), 3)
    assert shelf.current("oom", HOUR) == second
    assert shelf.rollback("oom", HOUR) == first == shelf.current("oom", HOUR)
    with pytest.raises(ModelError, match="no model of 'oom' within 1h is older"):
        shelf.rollback("oom", HOUR)


def test_horizons_have_models_of_their_own(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(MODEL, 3)
    assert shelf.current("oom", 6 * HOUR) is None
    assert [path.name for path in shelf.horizons("oom")] == ["1h"]


def test_a_model_of_another_definition_is_not_used(tmp_path: Path) -> None:
    path = Shelf(tmp_path).put(MODEL, 3)
    with pytest.raises(ModelError, match=r"made for another definition of 'oom'.*presagio train makes a new one"):
        load(path, "another")


@pytest.mark.parametrize("at", [30, 400, -1])
def test_a_damaged_model_is_not_used(tmp_path: Path, at: int) -> None:
    path = Shelf(tmp_path).put(MODEL, 3)
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(ModelError, match=r"model 2023\S+ cannot be used"):
        load(path)


def test_a_pickle_from_elsewhere_is_not_read(tmp_path: Path) -> None:
    """An array of objects would be unpickled by numpy: a model never holds one, neither written nor read."""
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Shelf(tmp_path).put(replace(MODEL, state={"evil": np.array([{}], dtype=object)}), 3)


def test_current_names_a_file_beside_it_and_nothing_else(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.put(MODEL, 3)
    outside = tmp_path / "outside.model"
    outside.write_bytes(path.read_bytes())
    (path.parent / "current").write_text("../../outside.model")
    assert shelf.current("oom", HOUR) is None
