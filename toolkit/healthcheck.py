"""`presagio healthcheck`: the question of a container engine, without a shell or curl in the image."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

SERVERS = ("http://localhost:8000/-/healthy", "http://localhost:3001/-/healthy")
"""Exporter and webhook at their usual ports: an image that can be either asks both."""


class HealthCheck:
    """Exit code 0 if a server answers."""

    help = "ask a server whether it is healthy: the health check of containers"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the addresses and how long to wait for each."""
        parser.add_argument(
            "urls", nargs="*", default=SERVERS, metavar="URL",
            help=f"what to ask; one good answer is enough (default: {' and '.join(SERVERS)})",
        )  # fmt: skip
        parser.add_argument(
            "--timeout", type=float, default=2.0, metavar="SECONDS", help="patience with each of them (default: 2)"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Return 0 at the first good answer; else print why there is none and return 1."""
        problems = []
        for url in arguments.urls:
            problem = _problem(url, arguments.timeout)
            if problem is None:
                return 0
            problems.append(f"{url}: {problem}")
        _tell(problems)
        return 1


def _problem(url: str, timeout: float) -> str | None:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, build_opener

    # a server of this machine is never behind the proxy that the environment names
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout):
            return None
    except HTTPError as error:
        with error:
            return f"answers {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__


def _tell(problems: Sequence[str]) -> None:
    print("not healthy: " + "; ".join(problems), file=sys.stderr)  # noqa: T201 # engines keep this with the state
