"""`presagio healthcheck`: the question of a container engine, without a shell or curl in the image."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from presagio.toolkit.asking import Asker

SERVERS = ("http://localhost:8000/-/healthy", "http://localhost:3001/-/healthy")
"""Exporter and webhook at their usual ports: an image that can be either asks both."""


class HealthCheck:
    """Exit code 0 if a server answers."""

    help = "ask a server whether it is healthy: the health check of containers"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the addresses, how long to wait for each, and what a server with --web.config.file wants."""
        parser.add_argument(
            "urls", nargs="*", default=SERVERS, metavar="URL",
            help=f"what to ask; one good answer is enough (default: {' and '.join(SERVERS)})",
        )  # fmt: skip
        parser.add_argument(
            "--timeout", type=float, default=2.0, metavar="SECONDS", help="patience with each of them (default: 2)"
        )
        _add_tls(parser)
        _add_user(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Return 0 at the first good answer; else print why there is none and return 1."""
        try:
            asker = _asker(arguments)
        except (OSError, ValueError) as error:
            _tell([str(error)])
            return 1
        problems = []
        for url in arguments.urls:
            problem = asker.problem(url, arguments.timeout)
            if problem is None:
                return 0
            problems.append(f"{url}: {problem}")
        _tell(problems)
        return 1


def _add_tls(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("servers with TLS")
    group.add_argument("--ca-file", type=Path, metavar="FILE", help="who issued the server's certificate, PEM")
    group.add_argument("--server-name", metavar="NAME", help="name in its certificate, if not that of the URL")
    group.add_argument(
        "--insecure", action="store_true", help="do not verify its certificate: for a server of this machine"
    )
    group.add_argument("--cert-file", type=Path, metavar="FILE", help="certificate to show to the server, PEM")
    group.add_argument("--key-file", type=Path, metavar="FILE", help="its private key, PEM")


def _add_user(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("servers with users")
    name = group.add_mutually_exclusive_group()
    name.add_argument("--username", metavar="NAME", help="user of the server's basic_auth_users")
    name.add_argument("--username-file", type=Path, metavar="FILE", help="file with the user's name")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="file with the user's password")


def _asker(arguments: argparse.Namespace) -> Asker:
    """Return who asks. Raises OSError for a file that cannot be read, ValueError for a user without password."""
    name = arguments.username_file.read_text().strip() if arguments.username_file else arguments.username
    if (name is None) != (arguments.password_file is None):
        raise ValueError("expected a user's name and --password-file, or neither, got one of them")
    from presagio.toolkit.asking import Asker

    return Asker(
        ca_file=arguments.ca_file,
        server_name=arguments.server_name,
        verifies=not arguments.insecure,
        certificate=(arguments.cert_file, arguments.key_file) if arguments.cert_file else None,
        user=(name, arguments.password_file.read_text().strip()) if name is not None else None,
    )


def _tell(problems: Sequence[str]) -> None:
    print("not healthy: " + "; ".join(problems), file=sys.stderr)  # noqa: T201 # engines keep this with the state
