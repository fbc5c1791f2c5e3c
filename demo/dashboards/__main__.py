"""Write grafana/dashboards/*.json."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import itself, overview, remediation, service

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
ALL = (overview, service, remediation, itself)


def texts() -> dict[str, str]:
    """Return what belongs into the folder: file name -> JSON."""
    return {f"{board.uid}.json": _json(board) for board in (module.dashboard() for module in ALL)}


def _json(board: Dashboard) -> str:
    return json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(folder: Path = FOLDER) -> int:
    """Write them, and take away what is none of them any more."""
    folder.mkdir(exist_ok=True)
    made = texts()
    for stranger in {path.name for path in folder.glob("*.json")} - made.keys():
        (folder / stranger).unlink()
    for name, text in made.items():
        (folder / name).write_text(text)
        print(f"{name}: {text.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
