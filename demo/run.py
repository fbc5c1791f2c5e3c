"""`make demo`: the whole loop on real servers, told as it happens.

    run.py [--once] [--folder DIR] [--picture FILE]

Exit code 0 means that the loop closed. Without --once everything keeps running until interrupted.
"""

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

import picture
from servers import ServerError
from stack import Stack, missing, running
from story import Story
from timeline import StoryError, Timeline

HERE = Path(__file__).parent.absolute()


def main() -> int:
    """Run the demo."""
    arguments = _arguments()
    if absent := missing():
        print(f"the demo needs {', '.join(absent)}; `make servers` gets them", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    folder: Path = arguments.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with running(folder) as stack:
            return _show(stack, arguments)
    except (StoryError, ServerError) as error:
        print(f"\nthe demo failed: {error}\nlogs: {folder}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _show(stack: Stack, arguments: argparse.Namespace) -> int:
    timeline = Timeline(stack.supervise)
    timeline.tell("demo", "Prometheus, Alertmanager, three exporters, four shop services and Presagio are up")
    _urls(stack)
    Story(stack, timeline).run()
    timeline.tell("demo", "the loop is closed: seen, decided, done, checked, recorded", "good")
    if arguments.picture:
        picture.write(arguments.picture, _picture(stack, timeline))
    if arguments.once:
        return 0
    print("\neverything keeps running; look around, and press Ctrl-C to end it", flush=True)
    while True:
        stack.supervise()
        time.sleep(0.5)


def _picture(stack: Stack, timeline: Timeline) -> str:
    return picture.draw(stack.prometheus, "checkout", timeline.marks, timeline.started, time.time())


def _urls(stack: Stack) -> None:
    for name, url in (
        ("dashboard", stack.webhook_url.replace("//", f"//demo:{stack.key}@") + "/"),
        ("scores", f"{stack.exporter_url}/metrics"),
        ("REST API", f"{stack.exporter_url}/docs"),
        ("Prometheus", f"{stack.prometheus.url}/alerts"),
        ("Alertmanager", stack.alertmanager.url),
    ):
        print(f"          {name:<13} {url}")
    print(f"          {'API key':<13} {stack.folder / 'api.key'}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="run Presagio's whole loop on real servers")
    parser.add_argument("--once", action="store_true", help="end when the loop has closed")
    default = HERE.parent / "build" / "demo"
    parser.add_argument("--folder", type=Path, default=default, help="for configuration, data and logs")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the run as SVG")
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
