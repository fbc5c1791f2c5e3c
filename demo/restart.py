"""What the policy of the demo does: end a service's process and wait until its supervisor has started a new one.

restart.py NAME FOLDER
"""

import os
import signal
import sys
import time
from pathlib import Path

PATIENCE_SECONDS = 15


def main(name: str, folder: Path) -> int:
    """Restart; return 0 when another process has taken over."""
    pid_file = folder / f"{name}.pid"
    old = int(pid_file.read_text())
    begun = time.monotonic()
    os.kill(old, signal.SIGTERM)
    while time.monotonic() - begun < PATIENCE_SECONDS:
        new = int(pid_file.read_text() or old)
        if new != old:
            print(f"{name}: process {old} ended, process {new} took over after {time.monotonic() - begun:.1f} s")
            return 0
        time.sleep(0.05)
    print(f"{name}: process {old} ended, nobody took over within {PATIENCE_SECONDS} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
