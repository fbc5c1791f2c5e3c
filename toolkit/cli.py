"""The one command, `presagio`: its sub-commands are found by entry points, so that each wing brings its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from presagio.toolkit import log, plugins
from presagio.toolkit.errors import ConfigError, PluginError, PresagioError


class Command(Protocol):
    """A sub-command. Its module loads at `presagio --help`: heavy imports belong into `run`."""

    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare flags and arguments, each with a help text."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work and return the exit code."""


class CheckConfig:
    """`presagio check-config FILE...`: every mistake of every file, in one report."""

    help = "report every mistake in configuration and policy files"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take one or more files; what each is, its keys tell."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a YAML or JSON file")

    def run(self, arguments: argparse.Namespace) -> int:
        """Return 0 if all files are right, else 1."""
        from presagio.toolkit.filekinds import check

        return max(self._one(path, check) for path in arguments.files)

    def _one(self, path: Path, check: CheckFunction) -> int:
        try:
            kind = check(path)
        except ConfigError as error:
            print(error, file=sys.stderr)  # noqa: T201 # the report is the command's output
            return 1
        except PluginError as error:
            print(f"{path}: {error}", file=sys.stderr)  # noqa: T201 # the same
            return 1
        print(f"{path}: valid {kind} configuration")  # noqa: T201 # the report is the command's output
        return 0


class CheckFunction(Protocol):
    """What `CheckConfig` needs: a file's kind, or ConfigError."""

    def __call__(self, path: Path) -> str:
        """Return the kind of a valid file."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `presagio` with `argv` (the process's own arguments) and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        log.configure(getattr(arguments, "log_level", "info"), getattr(arguments, "log_format", "logfmt"))
        command: Command = arguments.command
        return command.run(arguments)
    except PresagioError as error:
        print(f"presagio: {error}", file=sys.stderr)  # noqa: T201 # a mistake of the user's, not ours: no traceback
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="presagio", description="Predictive maintenance for anything that Prometheus watches."
    )
    parser.add_argument("--version", action="version", version=f"presagio {version('presagio')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in plugins.names(plugins.COMMANDS):
        command = _load(name)
        description = command.help[:1].upper() + command.help[1:] + "."
        sub = commands.add_parser(name, help=command.help, description=description)
        command.add_arguments(sub)
        sub.set_defaults(command=command)
    return parser


def _load(name: str) -> Command:
    try:
        command: Command = plugins.load(plugins.COMMANDS, name)()
    except PluginError as error:
        return Broken(error)
    except Exception as error:
        return Broken(PluginError(f"{plugins.COMMANDS} {name!r} cannot be made: {error}"))
    return command


class Broken:
    """A sub-command that is installed but cannot be loaded: it says why, and the others work."""

    def __init__(self, error: PluginError) -> None:
        self.error = error
        self.help = "not available: it cannot be loaded"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take anything, flags too."""
        parser.prefix_chars = "\0"
        parser.add_argument("ignored", nargs="*", help=argparse.SUPPRESS)

    def run(self, _: argparse.Namespace) -> int:
        """Raise the error that loading gave."""
        raise self.error


def add_client_flags(parser: argparse.ArgumentParser, what: str, url: str) -> None:
    """Declare --url, --api-key-file and --json of a command that asks a server."""
    parser.add_argument("--url", default=url, metavar="URL", help=f"where the {what} is (default: {url})")
    parser.add_argument(
        "--api-key-file", dest="api_key_file", type=Path, metavar="FILE", help="file with the key of its API"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_log_flags(parser: argparse.ArgumentParser) -> None:
    """Declare --log.level and --log.format, as Prometheus names them."""
    parser.add_argument(
        "--log.level",
        dest="log_level",
        choices=list(log.LEVELS),
        default="info",
        help="least severity logged (default: info)",
    )
    parser.add_argument(
        "--log.format",
        dest="log_format",
        choices=log.FORMATS,
        default="logfmt",
        help="form of a log line (default: logfmt)",
    )


def add_server_flags(parser: argparse.ArgumentParser, *, config: str, address: str, storage: str) -> None:
    """Declare the flags that every server of ours has, with its own defaults."""
    parser.add_argument(
        "--config.file",
        dest="config_file",
        type=Path,
        default=Path(config),
        metavar="FILE",
        help=f"configuration (default: {config})",
    )
    parser.add_argument(
        "--web.listen-address",
        dest="listen_address",
        default=address,
        metavar="HOST:PORT",
        help=f"address to listen on (default: {address})",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        type=Path,
        metavar="FILE",
        help="TLS and basic authentication, in the form of Prometheus' exporter-toolkit",
    )
    parser.add_argument(
        "--storage.path",
        dest="storage_path",
        type=Path,
        default=Path(storage),
        metavar="DIR",
        help=f"folder for what must survive a restart (default: {storage})",
    )
    add_log_flags(parser)
