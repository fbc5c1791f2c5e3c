"""Submissions that survive a kill."""

from pathlib import Path

from presagio.exporter.journal import Journal


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "values.journal")
    assert list(journal.read()) == []
    journal.append("a/b", {"cpu": 1, "memory": 2.5}, 10.0)
    journal.append("c", {"cpu": 3.0}, 11.5)
    assert list(journal.read()) == [("a/b", "cpu", 1.0, 10.0), ("a/b", "memory", 2.5, 10.0), ("c", "cpu", 3.0, 11.5)]


def test_a_line_that_was_cut_off_is_left_out_and_the_next_one_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "values.journal")
    journal.append("a", {"cpu": 1.0}, 10.0)
    journal.append("a", {"cpu": 2.0}, 11.0)
    whole = journal.path.read_bytes()
    both = [("a", "cpu", 1.0, 10.0), ("a", "cpu", 2.0, 11.0)]
    for length in range(len(whole)):
        journal.path.write_bytes(whole[:length])
        kept = both[: whole[:length].count(b"]")]
        assert list(journal.read()) == kept
        journal.append("b", {"cpu": 3.0}, 12.0)
        assert list(journal.read()) == [*kept, ("b", "cpu", 3.0, 12.0)]


def test_it_grows_large_and_is_cleared(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "values.journal")
    sizes = [journal.is_large]
    for number in range(7000):
        journal.append("service", {f"metric_{metric}": 1.0 for metric in range(10)}, float(number))
    sizes.append(journal.is_large)
    journal.clear()
    assert [*sizes, journal.is_large] == [False, True, False]
    assert list(journal.read()) == []
    journal.clear()
