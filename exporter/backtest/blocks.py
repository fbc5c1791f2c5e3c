"""Scores of the past as blocks of Prometheus: what the live page would have shown, moment by moment.

promtool makes the blocks out of OpenMetrics text. It reads a file once for each block in it, so that each block's
time gets a file of its own, which is gone when the block is there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from presagio.exporter.backtest.moments import Moment
from presagio.exporter.config import Outputs, Signal
from presagio.exporter.publish import Page
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.labels import escape

_BLOCK = 7200.0
"""In seconds: the blocks that Prometheus itself begins with, aligned as it aligns them."""

_SERIES = re.compile(rb"([^{ ]+)(?:\{(.*)\})?")


class Promtool:
    """Makes blocks."""

    def __init__(self, program: str) -> None:
        found = shutil.which(program)
        if found is None:
            raise PresagioError(
                f"promtool {program!r} is not found; it comes with Prometheus, name it with --promtool FILE"
            )
        self.program = found

    def blocks(self, text: Path, folder: Path) -> None:
        """Write the samples in `text` into `folder` as blocks. Raises PresagioError with promtool's words."""
        argv = [self.program, "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(folder)]
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 # the user named it
        if answer.returncode:
            words = (answer.stderr or answer.stdout).strip()
            raise PresagioError(f"promtool cannot write blocks into {str(folder)!r}: {words}")


class Blocks:
    """Takes moments in the order of time. Left by an error, the block that was not full is not written.

    labels: what scraping adds to a series that has no label of this name, such as job.
    """

    def __init__(
        self, folder: Path, promtool: Promtool, signals: Sequence[Signal], outputs: Outputs, labels: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.promtool = promtool
        self.page = Page(signals, outputs, stale_after=0.0)
        self.samples = 0
        self._labels = {name.encode(): f'{name}="{escape(value)}"'.encode() for name, value in labels.items()}
        self._series: dict[bytes, bytes] = {}
        self._window = -1.0
        self._text: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Make the folder. Raises PresagioError if it has anything in it: blocks of two runs would overlap."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise PresagioError(f"{str(self.folder)!r} is not empty; name another folder with --write.path")
        except OSError as error:
            raise PresagioError(f"{str(self.folder)!r} cannot be written: {error.strerror}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Write the last block, or none."""
        if kind is None:
            self._close()
            return
        if self._text:
            self._text.close()
        self._path.unlink(missing_ok=True)
        for unfinished in self.folder.glob("*.tmp*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def add(self, moment: Moment) -> None:
        """Write down one moment."""
        window = moment.time // _BLOCK
        if window != self._window:
            self._close()
            self._window = window
        if self._text is None:
            self._text = self._path.open("wb")
        self.page.publish(moment.results, moment.time, moment.services)
        self._text.write(self._stamped(self.page.text(moment.time), moment.time))

    @property
    def _path(self) -> Path:
        return self.folder / "scores.om.part"

    def _close(self) -> None:
        if self._text is None:
            return
        self._text.write(b"# EOF\n")
        is_empty = self._text.tell() == len(b"# EOF\n")
        self._text.close()
        self._text = None
        if not is_empty:
            self.promtool.blocks(self._path, self.folder)
        self._path.unlink()

    def _stamped(self, page: bytes, time: float) -> bytes:
        """Return the samples of a page, each with its time."""
        stamp = f" {time!r}\n".encode()
        lines = []
        for line in page.split(b"\n"):
            if line and not line.startswith(b"#"):
                series, _, value = line.rpartition(b" ")
                lines.append(b"%b %b%b" % (self._labelled(series), value, stamp))
        self.samples += len(lines)
        return b"".join(lines)

    def _labelled(self, series: bytes) -> bytes:
        found = self._series.get(series)
        if found is None:
            found = self._series[series] = self._with_labels(series)
        return found

    def _with_labels(self, series: bytes) -> bytes:
        match = _SERIES.fullmatch(series)
        if match is None or not self._labels:
            return series
        name, own = match[1], match[2] or b""
        # Quotes in a value are escaped: a name, an equals sign and a quote are a label.
        missing = [text for label, text in self._labels.items() if not re.search(rb"(^|,)" + label + rb'="', own)]
        return b"%b{%b}" % (name, b",".join([*([own] if own else []), *missing]))
