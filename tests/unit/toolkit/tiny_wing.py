"""A wing of a few lines, as a process of its own: `python tiny_wing.py --config.file FILE ...`.

Its configuration is a greeting; it writes down when it starts and stops.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask, jsonify
from prometheus_client import generate_latest

from presagio.toolkit import cli, log, web
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.schema import ConfigFile, Model
from presagio.toolkit.serve import Context, serve


class TinyConfig(Model):
    greeting: str
    breaks: bool = False
    stops_in: float = 0.0


@dataclass
class TinyRunning:
    app: Flask
    diary: Path
    config: TinyConfig
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self.ended.wait, daemon=True).start()
        self._write("started")

    def stop(self) -> None:
        self._write("stopping")
        time.sleep(self.config.stops_in)
        self.ended.set()
        self._write("stopped")

    def _write(self, line: str) -> None:
        with self.diary.open("a") as file:
            file.write(f"{line} {self.config.greeting}\n")


class TinyWing:
    name = "tiny"
    file = ConfigFile("tiny", TinyConfig, lambda data: "greeting" in data)

    def build(self, config: TinyConfig, context: Context) -> TinyRunning:
        if config.breaks:
            raise PresagioError("greeting cannot be said; choose another")
        site = web.Site(
            title="Tiny",
            description="A wing for tests.",
            metrics=lambda: generate_latest(context.registry),
            ready=lambda: None,
            reload=context.reload,
        )
        app = web.create(site, context.registry, context.log)
        app.add_url_rule("/greeting", "greeting", lambda: jsonify(greeting=config.greeting))
        return TinyRunning(app, context.arguments.storage_path / "diary", config)


def main() -> None:
    parser = argparse.ArgumentParser()
    cli.add_server_flags(parser, config="tiny.yml", address=":0", storage=".")
    arguments = parser.parse_args()
    log.configure(arguments.log_level, arguments.log_format)
    try:
        serve(TinyWing(), arguments)
    except PresagioError as error:
        sys.exit(f"presagio: {error}")


if __name__ == "__main__":
    main()
