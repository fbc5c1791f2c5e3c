"""Files that survive a crash, and locks that do not."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.toolkit.durable import locked, read_snapshot, set_aside, write_atomic, write_snapshot
from presagio.toolkit.errors import SnapshotError

HOLD = """
import sys, time
from pathlib import Path
from presagio.toolkit.durable import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_file_is_replaced_and_nothing_else_is_left(file: Path) -> None:
    write_atomic(file, b"old", mode=0o600)
    write_atomic(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(("mode", "shown"), [(0o600, 0o600), (0o644, 0o644)])
def test_a_file_is_for_whom_it_is_meant(file: Path, mode: int, shown: int) -> None:
    before = os.umask(0o022)
    try:
        write_atomic(file, b"x", mode)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == shown


def test_killed_between_writing_and_renaming_the_old_file_stands(file: Path) -> None:
    """A process that gets as far as the rename, and is killed there."""
    write_atomic(file, b"old")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom presagio.toolkit import durable\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "durable.write_atomic(Path(sys.argv[1]), b'new')\n"
    )
    answer = subprocess.run([sys.executable, "-c", program, file], check=False)
    assert answer.returncode == -signal.SIGKILL
    assert (file.parent / ".state.part").read_bytes() == b"new"
    assert file.read_bytes() == b"old"
    write_atomic(file, b"newer")
    assert file.read_bytes() == b"newer"
    assert list(file.parent.iterdir()) == [file]


def test_what_is_renamed_is_on_the_disk_before_and_the_name_after(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append("folder" if target == file.parent else f"{target.name} with {target.read_bytes()!r}")
        sync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_atomic(file, b"12345")
    assert events == [".state.part with b'12345'", "rename", "folder"]


def test_half_a_file_of_an_earlier_crash_is_overwritten(file: Path) -> None:
    (file.parent / ".state.part").write_bytes(b"much longer than what comes after it")
    write_atomic(file, b"short")
    assert file.read_bytes() == b"short"


@given(payload=st.binary(max_size=200))
def test_a_snapshot_reads_back(payload: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "snapshot"
    write_snapshot(file, "profiles", 3, payload)
    assert read_snapshot(file, "profiles", 3) == payload


def test_no_byte_of_a_snapshot_changes_unseen(file: Path) -> None:
    write_snapshot(file, "profiles", 1, b"all that was learnt\n")
    whole = file.read_bytes()
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        with pytest.raises(SnapshotError):
            read_snapshot(file, "profiles", 1)
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(SnapshotError):
            read_snapshot(file, "profiles", 1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "state is no profiles snapshot of presagio"),
        (b"\x80\x04pickle\n", "state is no profiles snapshot of presagio"),
        (b"[1, 2]\nx", "state is no profiles snapshot of presagio"),
        (b'{"magic": "presagio", "kind": "page"}\n', "state is no profiles snapshot of presagio"),
        (b'{"magic": "presagio", "kind": "profiles", "version": 1}\n', "state has version 1, this is version 2"),
        (b'{"magic": "presagio", "kind": "profiles"}\n', "state has version None, this is version 2"),
        (b'{"magic": "presagio", "kind": "profiles", "version": 2, "sha256": "00"}\nx',
         "state is damaged: its digest does not match"),
    ],
)  # fmt: skip
def test_what_is_no_snapshot_of_ours_is_told_apart(file: Path, content: bytes, told: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SnapshotError) as caught:
        read_snapshot(file, "profiles", 2)
    assert str(caught.value) == told


def test_a_first_start_has_no_snapshot_and_that_is_no_mistake(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_snapshot(file, "profiles", 1)


def test_a_file_set_aside_keeps_its_content_under_a_name_with_the_time(file: Path) -> None:
    file.write_bytes(b"broken")
    aside = set_aside(file, 1_700_000_000.4)
    assert aside.name == "state.broken-1700000000"
    assert (aside.read_bytes(), file.exists()) == (b"broken", False)


def test_a_lock_is_waited_for_until_another_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    got = threading.Event()

    def take() -> None:
        with locked(path):
            got.set()

    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        waiting = threading.Thread(target=take)
        waiting.start()
        assert not got.wait(0.5)
        other.kill()
        assert got.wait(10)
        waiting.join()


def test_a_lock_let_go_is_free_at_once_even_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path / "lock"):
            raise RuntimeError("while held")

    with pytest.raises(RuntimeError, match="while held"):
        fail()
    with locked(tmp_path / "lock"):
        pass
