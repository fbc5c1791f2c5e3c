from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A machine of its own; whatever a test did to it, its ledger verifies."""
    made = World(tmp_path)
    yield made
    made.verified_chain()
    made.engine.dispose()
