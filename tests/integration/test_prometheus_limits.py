"""The client against real Prometheus servers that are short of memory and time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers import Prometheus

from presagio.toolkit.errors import SourceError
from presagio.toolkit.prometheus import Prometheus as Client
from presagio.toolkit.prometheus import PrometheusConfig

BEGIN, STEPS = 1_700_000_000.0, 5000


@pytest.fixture(scope="module")
def url(prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    flags = ["--query.max-samples=1000"]
    with Prometheus(prometheus_binary, tmp_path_factory.mktemp("prometheus"), flags=flags) as server:
        yield server.url


def test_history_that_is_too_much_at_once_comes_in_smaller_chunks(url: str) -> None:
    client = Client(PrometheusConfig(url=url))
    end = BEGIN + STEPS - 1
    with pytest.raises(SourceError, match="too many samples"):
        client.range("time()", BEGIN, end, 1.0)
    chunks = list(client.history("time()", BEGIN, end, 1.0))
    assert len(chunks) > 1
    np.testing.assert_array_equal(np.concatenate([chunk.values[0] for chunk in chunks]), BEGIN + np.arange(STEPS))


@pytest.mark.parametrize("timeout", [0.25, 1.5, 10.0, 2_000_000.0])
def test_any_time_out_is_one_that_prometheus_understands(url: str, timeout: float) -> None:
    assert Client(PrometheusConfig(url=url, timeout=timeout)).instant("1 + 1", BEGIN).values.tolist() == [2.0]
