"""What the tests against a real control plane share."""

from collections.abc import Iterator

import pytest
from controlplane import ControlPlane, assets


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets(), tmp_path_factory.mktemp("controlplane")) as running:
        yield running
