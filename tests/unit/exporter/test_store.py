"""Snapshots: what was learnt comes back, and what cannot be used is set aside and never in the way."""

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from presagio.detectors.calendar import Calendar
from presagio.exporter.config import FILE, Outputs
from presagio.exporter.engine import Engine
from presagio.exporter.publish import Page
from presagio.exporter.signals import Key, configured, namings
from presagio.exporter.store import Store, definition, pack, unpack
from presagio.exporter.wiring import detector
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.durable import write_snapshot
from presagio.toolkit.log import get_log

KEYS = [Key("a", "load", (("pod", "ünï"), ("route", 'x"y'))), Key("b", "load", ())]


def engines(text: str = "signals: [{name: load, query: load}, {name: cpu, query: cpu}]") -> list[Engine]:
    config = FILE.validate(positions.parse(text), "exporter.yml")
    names = namings(config, configured(config))
    return [Engine(one.signal, detector(one.signal, Calendar()), one.definition) for one in names]


def learnt(steps: int = 100, **changed: Any) -> list[Engine]:
    """Return engines of which the first two have learnt, and the third, of submitted values, has never stepped."""
    found = engines(**changed)
    rng = np.random.default_rng(1)
    for engine in found[:2]:
        for step in range(steps):
            engine.step(step * 15.0, engine.rows(KEYS, 9), rng.normal(100, 5, 2))
    return found


def blank() -> Page:
    return Page([], Outputs(), 300)


def same(one: Engine, other: Engine) -> bool:
    mine, theirs = one.state(), other.state()
    equal = all(np.array_equal(mine[name], theirs[name], equal_nan=True) for name in mine)
    return equal and mine.keys() == theirs.keys() and (one.keys, one.time) == (other.keys, other.time)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", ManualClock(1234.0), get_log("test"))


def files(store: Store) -> set[str]:
    return {path.name for path in store.folder.iterdir()}


class TestRoundTrip:
    def test_profiles_come_back_to_the_bit_and_go_on_alike(self, store: Store) -> None:
        old, new = learnt(), engines()
        store.save(old, blank())
        store.load_profiles(new)
        assert all(same(one, other) for one, other in zip(old, new, strict=True))
        for one, other in zip(old[:2], new[:2], strict=True):
            scores = [engine.step(1500.0, engine.rows(KEYS, 0), np.array([130.0, 90.0])) for engine in (one, other)]
            assert scores[0].score.tobytes() == scores[1].score.tobytes()

    def test_a_first_start_has_nothing_to_restore(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        new = engines()
        store.load_profiles(new)
        store.load_page(blank())
        assert not caplog.messages
        assert new[0].time == -np.inf

    def test_a_signal_that_never_stepped_stays_as_new(self, store: Store) -> None:
        store.save(engines(), blank())
        new = engines()
        store.load_profiles(new)
        assert [engine.time for engine in new] == [-np.inf] * 3

    def test_the_order_of_the_signals_does_not_matter(self) -> None:
        old = learnt()
        new = engines("signals: [{name: cpu, query: cpu}, {name: load, query: load}]")
        assert unpack(pack(old), new) == ([new[0], new[1]], [])
        assert same(old[0], new[1])
        assert same(old[1], new[0])

    def test_the_page_comes_back(self, store: Store) -> None:
        page, again = blank(), blank()
        page.restore(b"1000.5\nx 1.0\n")
        store.save([], page)
        store.load_page(again)
        assert again.text(1001.0) == b"x 1.0\n"


class TestUnusable:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "profiles.snapshot is no profiles snapshot of presagio"),
            (b"junk\njunk", "profiles.snapshot is no profiles snapshot of presagio"),
        ],
    )
    def test_a_strange_file_is_set_aside(
        self, store: Store, caplog: pytest.LogCaptureFixture, data: bytes, reason: str
    ) -> None:
        store.folder.mkdir()
        (store.folder / "profiles.snapshot").write_bytes(data)
        self.starts_afresh(store, caplog, reason)

    def test_a_damaged_file_is_set_aside(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        store.save(learnt(), blank())
        path = store.folder / "profiles.snapshot"
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
        self.starts_afresh(store, caplog, "profiles.snapshot is damaged: its digest does not match")

    def test_a_file_cut_short_is_set_aside(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        store.save(learnt(), blank())
        path = store.folder / "profiles.snapshot"
        path.write_bytes(path.read_bytes()[:-1])
        self.starts_afresh(store, caplog, "profiles.snapshot is damaged: its digest does not match")

    def test_a_snapshot_of_another_version_is_set_aside(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        store.folder.mkdir()
        write_snapshot(store.folder / "profiles.snapshot", "profiles", 0, pack(learnt()))
        self.starts_afresh(store, caplog, "profiles.snapshot has version 0, this is version 1")

    @pytest.mark.parametrize("payload", [b"", b"junk", b"PK\x03\x04junk", pack([])[:-30]])
    def test_an_archive_that_we_did_not_write_is_set_aside(
        self, store: Store, caplog: pytest.LogCaptureFixture, payload: bytes
    ) -> None:
        store.folder.mkdir()
        write_snapshot(store.folder / "profiles.snapshot", "profiles", 1, payload)
        self.starts_afresh(store, caplog)

    def starts_afresh(self, store: Store, caplog: pytest.LogCaptureFixture, reason: str = "") -> None:
        new = engines()
        store.load_profiles(new)
        assert files(store) - {"page.snapshot"} == {"profiles.snapshot.broken-1234"}
        (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert record.message == "snapshot set aside, learning anew"
        assert record.__dict__["fields"]["file"] == "profiles.snapshot.broken-1234"
        assert record.__dict__["fields"]["reason"] == reason or not reason
        assert all(len(engine.keys) == 0 for engine in new)
        store.save(learnt(), blank())
        store.load_profiles(new)
        assert new[0].keys == KEYS

    def test_a_damaged_page_is_set_aside_and_the_profiles_are_kept(self, store: Store) -> None:
        store.save(learnt(), blank())
        (store.folder / "page.snapshot").write_bytes(b"junk")
        page, new = blank(), engines()
        store.load_page(page)
        store.load_profiles(new)
        assert page.text(0.0) == b""
        assert files(store) == {"profiles.snapshot", "page.snapshot.broken-1234"}
        assert new[0].keys == KEYS


class TestDefinitions:
    @pytest.mark.parametrize(
        "text",
        [
            "signals: [{name: load, query: load5}, {name: cpu, query: cpu}]",
            "signals: [{name: load, query: load, direction: above}, {name: cpu, query: cpu}]",
            "signals: [{name: load, query: load, detector_params: {warm_up: 99}}, {name: cpu, query: cpu}]",
            'signals: [{name: load, query: load, service_id: "{pod}"}, {name: cpu, query: cpu}]',
        ],
    )
    def test_a_signal_defined_otherwise_begins_anew_and_the_others_go_on(
        self, store: Store, caplog: pytest.LogCaptureFixture, text: str
    ) -> None:
        store.save(learnt(), blank())
        new = engines(text)
        caplog.set_level(logging.INFO)
        store.load_profiles(new)
        assert [engine.keys for engine in new[:2]] == [[], KEYS]
        restored, dropped = caplog.records
        assert restored.__dict__["fields"] == {"signals": 1, "series": 2}
        assert (dropped.levelname, dropped.__dict__["fields"]) == ("WARNING", {"signal": "load"})

    def test_another_rule_of_names_makes_all_profiles_others(self) -> None:
        text = "services: {id: '{pod}'}\nsignals: [{name: load, query: load}, {name: cpu, query: cpu}]"
        assert unpack(pack(learnt()), engines(text))[1] == ["load", "cpu"]

    def test_unit_and_outputs_do_not_make_a_profile_another(self) -> None:
        text = "signals: [{name: load, query: load, unit: seconds, outputs: {value: false}}]"
        assert definition(engines(text)[0]) == definition(engines()[0])

    def test_a_state_that_the_detector_does_not_know_is_dropped(self) -> None:
        old, new = learnt(), engines()
        restore = new[0].detector.restore
        new[0].detector.restore = lambda state: restore({})  # type: ignore[method-assign]
        restored, dropped = unpack(pack(old), new)
        assert (restored, dropped) == ([new[1]], ["load"])
        assert new[0].keys == []


class TestNothingIsExecuted:
    def test_the_archive_holds_no_objects(self) -> None:
        with np.load(io.BytesIO(pack(learnt())), allow_pickle=False) as archive:
            assert {archive[name].dtype.kind for name in archive.files} <= set("fbiu")

    def test_an_archive_with_a_pickle_in_it_is_refused_unread(self, store: Store) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (store.folder / "exploded",)

        store.folder.mkdir()
        buffer = io.BytesIO()
        np.savez(buffer, index=np.array([Bomb()], dtype=object))
        write_snapshot(store.folder / "profiles.snapshot", "profiles", 1, buffer.getvalue())
        store.load_profiles(engines())
        assert files(store) == {"profiles.snapshot.broken-1234"}
