"""The tiny wing of tests/unit/toolkit/tiny_wing.py as a process in a folder."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

T = TypeVar("T")
WING = Path(__file__).parent / "unit" / "toolkit" / "tiny_wing.py"


class Tiny:
    """The tiny wing as a process in a folder, with its log, diary and configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tiny.yml"
        self.diary = folder / "diary"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, config: str, address: str = "127.0.0.1:0", *flags: str) -> None:
        self.config.write_text(config)
        command = [sys.executable, str(WING), "--config.file", "tiny.yml", "--web.listen-address", address, *flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)

    def up(self, config: str, *flags: str) -> None:
        self.start(config, "127.0.0.1:0", *flags)
        found = until(lambda: re.search(r"Listening at: (\S+)", self.text()))
        assert found is not None
        self.url = found[1]
        until(lambda: "started" in self.entries())

    def get(self, path: str, **how: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=5, **how)

    def greeting(self) -> str:
        return str(self.get("/greeting").json()["greeting"])

    def metric(self, name: str) -> float:
        found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", self.get("/metrics").text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    def text(self) -> str:
        return self.log.read_text()

    def entries(self) -> str:
        return self.diary.read_text() if self.diary.exists() else ""

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, within: float = 20) -> int:
        assert self.process is not None
        return self.process.wait(within)

    def worker(self) -> int:
        return int(re.findall(r"Booting worker with pid: (\d+)", self.text())[-1])


def until(look: Callable[[], T], seconds: float = 20) -> T:
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
