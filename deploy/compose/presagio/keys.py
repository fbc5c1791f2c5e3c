"""Write the API keys of .env into files, where all servers of docker-compose.yml read them.

    keys.py FOLDER

Compose cannot hand a secret from .env to a container whose root is read-only; files of a shared volume it can.
`api.key` holds the one key that clients send; `api.keys` holds all that the servers take.
"""

import os
import sys
from pathlib import Path


def main(folder: Path) -> int:
    """Write both files; an empty key is refused, since it would let nobody in."""
    key = os.environ.get("PRESAGIO_API_KEY", "").strip()
    people = os.environ.get("PRESAGIO_PEOPLE", "").strip()
    if not key or len(key.split()) > 1:
        print("PRESAGIO_API_KEY: expected one word, got something else; set it in .env", file=sys.stderr)
        return 1
    for name, lines in {"api.key": [key], "api.keys": [key, people]}.items():
        # in one step: a server that reads at this moment sees the old file or the new one
        new = folder / f"{name}.new"
        new.touch(mode=0o400)
        new.chmod(0o600)
        new.write_text("".join(f"{line}\n" for line in lines if line))
        new.chmod(0o400)
        new.replace(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
