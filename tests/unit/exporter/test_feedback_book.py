"""The book on disk."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from presagio.exporter.envelope import Drawing
from presagio.exporter.feedback import Judged
from presagio.exporter.feedback_book import Book, UnknownFeedbackError
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import LimitError
from presagio.toolkit.log import get_log

NIGHT = Judged.model_validate({"service_id": "shop", "kind": "expected", "from": 100, "to": 200, "author": "ana"})


def book(folder: Path, most: int = 3) -> Book:
    return Book(folder, ManualClock(1000.0), get_log("test"), most)


def test_what_was_given_is_on_disk_at_once(tmp_path: Path) -> None:
    given = book(tmp_path).give(NIGHT)
    assert (given.id, given.given, given.author, given.in_force) == (1, 1000.0, "ana", True)
    assert list(book(tmp_path).all()) == [given]


def test_two_processes_see_what_the_other_writes(tmp_path: Path) -> None:
    one, two = book(tmp_path), book(tmp_path)
    one.give(NIGHT)
    assert [each.id for each in two.in_force()] == [1]
    assert two.give(NIGHT).id == 2
    two.revert(1)
    assert [each.id for each in one.in_force()] == [2]


def test_a_revert_keeps_a_record_and_the_first_one_counts(tmp_path: Path) -> None:
    kept = book(tmp_path)
    kept.give(NIGHT)
    first = kept.revert(1, "bob")
    assert (first.reverted, first.reverted_by) == (1000.0, "bob")
    assert kept.revert(1, "eve") == first
    assert (list(kept.all()), list(kept.in_force())) == ([first], [])


def test_the_number_of_a_reverted_one_is_never_given_again(tmp_path: Path) -> None:
    kept = book(tmp_path, most=1)
    for number in range(1, 5):
        assert kept.give(NIGHT).id == number
        kept.revert(number)
    assert [one.id for one in kept.all()] == [4]  # as many records as may be in force


def test_there_is_a_limit_and_a_remedy(tmp_path: Path) -> None:
    kept = book(tmp_path, most=2)
    kept.give(NIGHT), kept.give(NIGHT)
    with pytest.raises(LimitError, match=r"^2 feedbacks are in force, .* raise api.max_feedback$"):
        kept.give(NIGHT)
    kept.revert(1)
    assert kept.give(NIGHT).id == 3


def test_one_that_is_not_there_cannot_be_reverted(tmp_path: Path) -> None:
    with pytest.raises(UnknownFeedbackError, match="there is no feedback 7"):
        book(tmp_path).revert(7)


def test_an_envelope_is_kept_until_its_feedback_is_reverted(tmp_path: Path) -> None:
    kept, envelope = book(tmp_path), Drawing([], ZoneInfo("UTC")).envelope
    kept.give(NIGHT)
    kept.keep(1, "load", envelope)
    assert kept.envelope(1, "load") is envelope
    again = book(tmp_path).envelope(1, "load")
    assert again
    assert again.zone == "UTC"
    assert kept.envelope(1, "cpu") is None
    kept.revert(1)
    assert kept.envelope(1, "load") is book(tmp_path).envelope(1, "load") is None
    kept.keep(1, "load", envelope)
    assert kept.envelope(1, "load") is None


def test_a_damaged_envelope_is_drawn_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = book(tmp_path)
    kept.give(NIGHT)
    kept.keep(1, "load", Drawing([], ZoneInfo("UTC")).envelope)
    (tmp_path / "envelopes" / "1-load.snapshot").write_bytes(b"damaged")
    assert book(tmp_path).envelope(1, "load") is None
    assert "envelope cannot be read" in caplog.text


def test_a_damaged_book_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    book(tmp_path).give(NIGHT)
    (tmp_path / "feedback.snapshot").write_bytes(b"damaged")
    assert list(book(tmp_path).all()) == []
    assert "feedback cannot be read, the file is set aside" in caplog.text
    assert (tmp_path / "feedback.snapshot.broken-1000").read_bytes() == b"damaged"
