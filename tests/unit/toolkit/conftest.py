import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_server import Tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    tiny = Tiny(tmp_path)
    yield tiny
    if tiny.process is not None and tiny.process.poll() is None:
        tiny.signal(signal.SIGTERM)
        tiny.ended()
