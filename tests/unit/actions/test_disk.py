"""disk.clean on real folders: what it removes, and that nothing leads it elsewhere."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError
from presagio.actions.disk import Clean, CleanParams
from presagio.toolkit.schema import FROM_FILE

NOW = 1_800_000_000.0
HOUR = 3600.0
CART = Target("cart", {})
ACTION = Clean(now=lambda: NOW)


def old(path: Path, hours: float = 48, size: int = 5000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - hours * HOUR,) * 2)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "app" / "log"
    folder.mkdir(parents=True)
    return folder


def planned(root: Path, **params: Any) -> Plan:
    given = {"roots": [str(root)], "patterns": ["*.log.*"], "older_than": "1d", "keep": 0, **params}
    return ACTION.plan(CART, CleanParams.model_validate(given, context=FROM_FILE))


def listed(plan: Plan) -> list[str]:
    return [file["path"] for file in plan.params["files"]]


def test_the_oldest_go_first_within_the_caps(root: Path) -> None:
    for hours in (30, 90, 60, 2):
        old(root / f"app.log.{hours}", hours)
    old(root / "app.log", 99)
    old(root / "deep" / "er" / "db.log.1", 70)
    assert listed(planned(root)) == ["app.log.90", "deep/er/db.log.1", "app.log.60", "app.log.30"]
    assert listed(planned(root, max_files=2)) == ["app.log.90", "deep/er/db.log.1"]
    assert listed(planned(root, max_bytes="9000B")) == ["app.log.90"]
    assert listed(planned(root, older_than="65h")) == ["app.log.90", "deep/er/db.log.1"]


def test_the_newest_stay_in_each_folder(root: Path) -> None:
    for hours in (30, 60, 90):
        old(root / f"app.log.{hours}", hours)
        old(root / "other" / f"db.log.{hours}", hours)
    assert listed(planned(root, keep=1)) == ["app.log.90", "other/db.log.90", "app.log.60", "other/db.log.60"]
    assert listed(planned(root, keep=2)) == ["app.log.90", "other/db.log.90"]
    with pytest.raises(PlanError, match=r"no file .* older than 1d is beneath"):
        planned(root, keep=3)


def test_small_files_stay(root: Path) -> None:
    old(root / "a.log.1", size=10)
    old(root / "b.log.1", size=10_000)
    assert listed(planned(root, min_size="9kB")) == ["b.log.1"]


def test_people_see_what_goes(root: Path) -> None:
    for number in range(60):
        old(root / f"app.log.{number:02}", 100 - number / 10)
    plan = planned(root)
    assert plan.summary == f"remove 60 files, 480 KiB, beneath {root}"
    assert len(plan.prior_state) == 51
    assert plan.prior_state[f"{root}/app.log.00"] == "8 KiB, of 2027-01-11 04:00 UTC"
    assert plan.prior_state["10 more"] == "80 KiB"
    assert set(plan.desired_state.values()) == {None}
    assert plan.undo is None


def test_it_removes_what_it_listed_and_tells_it(root: Path) -> None:
    old(root / "app.log.1")
    old(root / "app.log.2")
    new = old(root / "app.log.3", hours=1)
    plan = planned(root)
    assert ACTION.probe(plan, "1") is Probe.NOT_APPLIED
    evidence = ACTION.apply(plan, "1")
    assert (evidence.facts["removed"], evidence.facts["bytes"]) == (2, 16384)
    assert list(root.iterdir()) == [new]
    assert ACTION.probe(plan, "1") is Probe.APPLIED
    assert ACTION.apply(plan, "1").facts["removed"] == 0


@pytest.mark.parametrize("how", ["written", "touched", "replaced", "linked", "named twice"])
def test_what_was_changed_since_stays(root: Path, how: str) -> None:
    path, other = old(root / "app.log.1"), old(root / "app.log.2")
    plan = planned(root)
    if how == "written":
        path.write_bytes(b"y" * 5000)
    elif how == "touched":
        os.utime(path, (NOW, NOW))
    elif how == "replaced":
        old(root / "fresh")
        (root / "fresh").replace(path)
    elif how == "linked":
        path.rename(root / "moved")
        path.symlink_to(root / "moved")
    else:
        os.link(path, root / "second")
    evidence = ACTION.apply(plan, "1")
    assert evidence.facts["left"] == {str(path): "was changed since it was listed"}
    assert os.path.lexists(path)
    assert not other.exists()
    assert ACTION.probe(plan, "1") is Probe.APPLIED


def test_nothing_removed_is_told_as_such(root: Path) -> None:
    path = old(root / "app.log.1")
    plan = planned(root)
    path.write_text("new")
    with pytest.raises(NotAppliedError, match=r"nothing was removed: .*app.log.1: was changed"):
        ACTION.apply(plan, "1")


def test_what_may_not_be_removed_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old(root / "app.log.1")
    old(root / "app.log.2")
    plan, unlink = planned(root), os.unlink

    def refuse(path: str, *, dir_fd: int) -> None:
        # root is never refused by permissions; a file with the immutable flag is, where the file system has flags
        if path == "app.log.2":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(UnknownOutcomeError, match=r"1 files .* were removed, 1 could not be: .*not permitted"):
        ACTION.apply(plan, "1")


@pytest.mark.parametrize("swapped", ["log", "log/deep"])
def test_a_folder_that_becomes_a_link_leads_nowhere(root: Path, tmp_path: Path, swapped: str) -> None:
    old(root / "deep" / "app.log.1")
    plan = planned(root)
    victim = tmp_path / "victim"
    folder = root.parent / swapped
    folder.rename(victim)
    folder.symlink_to(victim)
    with pytest.raises(NotAppliedError, match="nothing was removed"):
        ACTION.apply(plan, "1")
    assert [path.name for path in victim.rglob("*.log.*")] == ["app.log.1"]


def test_a_root_with_a_link_in_it_is_refused(root: Path, tmp_path: Path) -> None:
    old(root / "app.log.1")
    (tmp_path / "short").symlink_to(root.parent)
    for path in (tmp_path / "short" / "log", tmp_path / "absent", old(tmp_path / "file")):
        with pytest.raises(NotAppliedError, match="no part of it a symbolic link"):
            planned(path)


def test_a_file_that_is_held_open_stays(root: Path) -> None:
    old(root / "app.log.1")
    with old(root / "app.log.2").open():
        assert listed(planned(root)) == ["app.log.1"]


def test_other_kinds_of_files_stay(root: Path, tmp_path: Path) -> None:
    os.mkfifo(root / "pipe.log.1")
    (root / "folder.log.1").mkdir()
    (root / "link.log.1").symlink_to(old(tmp_path / "far.log.1"))
    (root / "away").symlink_to(tmp_path)
    os.link(old(root / "one.log.1"), root / "two.log.1")
    old(root / "line\nbreak.log.1")
    with pytest.raises(PlanError, match="nothing to remove"):
        planned(root)


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/usr/share", "/var", "/proc/1", "/dev/shm", "log", "/a/../etc", "/x/${service_id}"]
)  # fmt: skip
def test_roots_of_the_system_are_refused(path: str) -> None:
    with pytest.raises(ValidationError, match=r"an absolute path|a folder of one application"):
        CleanParams(roots=(Path(path),), patterns=("*.log.*",), older_than=1.0)


@pytest.mark.parametrize("pattern", ["", "../*", "a/b", "${service_id}*", "\0"])
def test_patterns_are_of_names(pattern: str) -> None:
    with pytest.raises(ValidationError, match="a file name in which"):
        CleanParams(roots=(Path("/srv/app"),), patterns=(pattern,), older_than=1.0)


NAMES = st.sampled_from(["a.log.1", "b.log.2", "keep.txt", "c.log.3"])
FOLDERS = st.sampled_from(["", "in", "in/deep", "other"])
ENTRY = st.tuples(FOLDERS, NAMES, st.sampled_from(["file", "fresh", "out", "loop", "twice"]))


def grow(inside: Path, outside: Path, entries: list[tuple[str, str, str]]) -> None:
    for folder, name, kind in entries:
        path = inside / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            continue
        if kind in ("file", "fresh"):
            old(path, 48 if kind == "file" else 1)
        elif kind == "out":
            path.symlink_to(outside)
            (path.parent / f"{name}.folder").symlink_to(outside, target_is_directory=True)
        elif kind == "loop":
            path.symlink_to(path.parent)
        else:
            os.link(outside / "x.log.1", path)


def seen(folder: Path) -> Iterator[tuple[str, int, float]]:
    for path in sorted(folder.rglob("*")):
        yield str(path), path.lstat().st_size, path.lstat().st_mtime


@settings(max_examples=80, deadline=None)
@given(entries=st.lists(ENTRY, max_size=12), swap=st.sampled_from([None, "in", "in/deep", "other"]))
def test_nothing_outside_and_nothing_young_is_ever_touched(
    entries: list[tuple[str, str, str]], swap: str | None
) -> None:
    with TemporaryDirectory() as name:
        inside, outside = Path(name) / "inside", Path(name) / "outside"
        for path in ("x.log.1", "deep/x.log.1", "a.log.1", "b.log.2", "c.log.3"):
            old(outside / path)
        inside.mkdir()
        grow(inside, outside, entries)
        before = list(seen(outside))
        stays = [path for path in inside.rglob("*") if path.is_symlink() or path.lstat().st_mtime > NOW - 24 * HOUR]
        try:
            plan = planned(inside)
        except PlanError:
            return
        if swap and (inside / swap).is_dir() and not (inside / swap).is_symlink():
            (inside / swap).rename(Path(name) / "moved")
            (inside / swap).symlink_to(outside)
            stays = []
        try:
            removed = ACTION.apply(plan, "1").facts["removed"]
        except NotAppliedError:
            removed = 0
        assert removed <= len(listed(plan))
        assert list(seen(outside)) == before
        assert all(os.path.lexists(path) for path in stays)
