"""The action `disk.clean`: removes old files beneath fixed roots, on the machine that the webhook runs on.

Class A: the plan is the exact list of files that shall not be there. A file that was changed since stays. No label
has a part in it: roots and patterns come from the policy alone.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from presagio.actions import old_files
from presagio.actions.base import (
    ActionClass,
    Evidence,
    NotAppliedError,
    Permission,
    Plan,
    PlanError,
    Probe,
    Target,
    UnknownOutcomeError,
)
from presagio.actions.old_files import OldFile
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration, Size, format_bytes, format_duration

_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr")
_CROWDED = (
    "/", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var", "/var/lib", "/var/spool",  # noqa: S108 # refused
)  # fmt: skip
_MOST_SHOWN = 50


def _root(root: Path) -> Path:
    text = str(root)
    if not text.startswith("/") or text.startswith("//") or ".." in root.parts or "$" in text:
        raise ValueError(f"an absolute path without .. or a placeholder, got {text!r}")
    if text in _CROWDED or any(root == Path(one) or Path(one) in root.parents for one in _SYSTEM):
        raise ValueError(f"a folder of one application, not of the system, got {text!r}")
    return root


def _pattern(pattern: str) -> str:
    if not pattern or "/" in pattern or "\0" in pattern or "${" in pattern:
        raise ValueError(
            f"a file name in which * and ? stand for others, without / or a placeholder, got {pattern!r}"
        )
    return pattern


class CleanParams(Model):
    """What a policy may write under `disk.clean:`."""

    roots: tuple[Annotated[Path, AfterValidator(_root)], ...] = Field(
        min_length=1, description="folders, as absolute paths; nothing outside is ever touched"
    )
    patterns: tuple[Annotated[str, AfterValidator(_pattern)], ...] = Field(
        min_length=1, description="names of files, in which * and ? stand for others"
    )
    older_than: Duration = Field(gt=0, description="not changed for longer than this")
    min_size: Size = Field(1, ge=0, description="smaller files stay")
    keep: int = Field(1, ge=0, description="the newest so many that fit stay, in each folder")
    max_files: int = Field(1000, ge=1, le=10_000, description="at most so many at once, the oldest first")
    max_bytes: Size = Field(10 << 30, ge=1, description="at most so much at once")


class Clean:
    """Removes old files. What it removes is listed first, with size and date, and is gone for good."""

    Params: ClassVar[type[BaseModel]] = CleanParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 30.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("host", "to list the roots and to remove files in them as the webhook's user"),
    )

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def plan(self, target: Target, params: CleanParams) -> Plan:
        """List the files. Raises PlanError if there is none, NotAppliedError if a root cannot be looked at."""
        del target
        chosen = self._chosen(params)
        if not chosen:
            names, age = ", ".join(params.patterns), format_duration(params.older_than)
            raise PlanError(f"no file {names} older than {age} is beneath {_words(params)}; nothing to remove")
        size = format_bytes(sum(file.on_disk for file in chosen))
        shown = _shown(chosen)
        return Plan(
            action="disk.clean",
            summary=f"remove {len(chosen)} files, {size}, beneath {_words(params)}",
            params={"files": [asdict(file) for file in chosen]},
            prior_state=shown,
            desired_state=dict.fromkeys(shown),
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # what is gone is not removed again
        """Remove those that still are as they were listed. Raises OutcomeError."""
        removed: list[OldFile] = []
        left: dict[str, str] = {}
        free = 0
        for root, files in _by_root(plan).items():
            try:
                with old_files.opened(root) as folder:
                    before = _free(folder)
                    for file in files:
                        _remove(folder, file, removed, left)
                    free += _free(folder) - before
            except OSError as error:
                left[str(root)] = error.strerror or str(error)
        return _told(removed, left, free)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the files themselves tell
        """Look whether one of them is still there. A root that cannot be opened tells nothing."""
        try:
            there = [_any_left(root, files) for root, files in _by_root(plan).items()]
        except OSError:
            return Probe.UNKNOWN
        return Probe.NOT_APPLIED if any(there) else Probe.APPLIED

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: what is removed is gone."""
        raise NotAppliedError(f"there is no undo for {len(plan.params['files'])} files that were removed")

    def changed(self, plan: Plan) -> None:
        """Return None: nothing was written."""
        del plan

    def _chosen(self, params: CleanParams) -> list[OldFile]:
        """Return the oldest first, as many as the caps allow; a file that a process holds open would free nothing."""
        found = {(file.device, file.inode): file for root in params.roots for file in self._found(root, params)}
        held = old_files.held_open()
        free = [file for key, file in found.items() if key not in held]
        oldest = sorted(free, key=lambda file: (file.changed, file.root, file.path))
        return list(_within(oldest, params))

    def _found(self, root: Path, params: CleanParams) -> Iterator[OldFile]:
        try:
            found = list(old_files.find(root, params.patterns, params.older_than, self._now()))
        except OSError as error:
            raise NotAppliedError(
                f"root {str(root)!r} cannot be looked at: {error.strerror or error}; "
                "it must be a folder, and no part of it a symbolic link"
            ) from error
        except old_files.TooManyError as error:
            raise PlanError(f"{error}; name deeper roots") from error
        newest = sorted(found, key=lambda file: (-file.changed, file.path))
        seen: Counter[PurePosixPath] = Counter()
        for file in newest:
            folder = PurePosixPath(file.path).parent
            seen[folder] += 1
            if seen[folder] > params.keep and file.size >= params.min_size:
                yield file


def _within(files: list[OldFile], params: CleanParams) -> Iterator[OldFile]:
    left = params.max_bytes
    for file in files[: params.max_files]:
        if file.on_disk <= left:
            left -= file.on_disk
            yield file


def _remove(folder: int, file: OldFile, removed: list[OldFile], left: dict[str, str]) -> None:
    try:
        if old_files.remove(folder, file):
            removed.append(file)
        elif _exists(folder, file):
            left[_path(file)] = "was changed since it was listed"
    except OSError as error:
        left[_path(file)] = error.strerror or str(error)


def _told(removed: list[OldFile], left: Mapping[str, str], free: int) -> Evidence:
    size = sum(file.on_disk for file in removed)
    facts = {
        "removed": len(removed), "bytes": size, "bytes_more_free": free,
        "left": dict(list(left.items())[:_MOST_SHOWN]), "left_count": len(left),
    }  # fmt: skip
    why = "; ".join(f"{path}: {reason}" for path, reason in list(left.items())[:3])
    evidence = Evidence(f"{len(removed)} files of {format_bytes(size)} were removed", facts)
    if left and not removed:
        raise NotAppliedError(f"nothing was removed: {why}", evidence)
    if left and any(reason != "was changed since it was listed" for reason in left.values()):
        raise UnknownOutcomeError(f"{evidence.summary}, {len(left)} could not be: {why}", evidence)
    return evidence


def _any_left(root: Path, files: list[OldFile]) -> bool:
    with old_files.opened(root) as folder:
        return any(old_files.is_there(folder, file) for file in files)


def _exists(folder: int, file: OldFile) -> bool:
    with suppress(OSError):
        os.stat(file.path, dir_fd=folder, follow_symlinks=False)
        return True
    return False


def _by_root(plan: Plan) -> dict[Path, list[OldFile]]:
    roots: dict[Path, list[OldFile]] = {}
    for each in plan.params["files"]:
        file = OldFile(**each)
        roots.setdefault(Path(file.root), []).append(file)
    return roots


def _free(folder: int) -> int:
    of = os.fstatvfs(folder)
    return of.f_bavail * of.f_frsize


def _shown(files: list[OldFile]) -> dict[str, str]:
    shown = {
        _path(
            file
        ): f"{format_bytes(file.on_disk)}, of {datetime.fromtimestamp(file.changed / 1e9, UTC):%Y-%m-%d %H:%M} UTC"
        for file in files[:_MOST_SHOWN]
    }
    more = files[_MOST_SHOWN:]
    return shown if not more else {**shown, f"{len(more)} more": format_bytes(sum(file.on_disk for file in more))}


def _path(file: OldFile) -> str:
    return str(PurePosixPath(file.root) / file.path)


def _words(params: CleanParams) -> str:
    return ", ".join(str(root) for root in params.roots)
