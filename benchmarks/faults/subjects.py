"""The real things that are brought to their limit: each is told which share of it to be at, and is measured."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections import deque
from pathlib import Path
from typing import Protocol

from servers import PostgreSQL, RedisServer, free_port

MEGABYTE = 2**20

_LEAK = """\
import sys
held = []
for line in sys.stdin:
    wanted = int(line)
    while len(held) < wanted: held.append(bytearray(b"x") * 262144)
    del held[wanted:]
"""

_SERVICE = """\
import http.server, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    delay = 0.0
    def do_GET(self):
        time.sleep(Handler.delay)
        self.send_response(204); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin: Handler.delay = float(line)
"""


class Subject(Protocol):
    """Something with a limit at which it has failed, in the unit of what is measured."""

    kind: str
    limit: float

    def drive(self, share: float) -> None:
        """Bring it to this share of its limit, as far as it goes."""

    def measure(self) -> float:
        """Return how much of it is used now."""

    def close(self) -> None:
        """End it."""


class _Child:
    """A process of ours that reads lines."""

    def __init__(self, script: str, *words: str) -> None:
        argv = [sys.executable, "-c", script, *words]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True)

    def tell(self, line: str) -> None:
        """Write a line to it."""
        if self.process.stdin:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


class Memory(_Child):
    """A process that holds memory; its resident size in bytes against the size at which it would be killed."""

    kind = "memory"
    limit = 64.0 * MEGABYTE

    def __init__(self) -> None:
        super().__init__(_LEAK)
        self.own = self.measure()

    def drive(self, share: float) -> None:
        """Bring it to this share of its limit."""
        self.tell(str(max(0, round((share * self.limit - self.own) / 262_144))))

    def measure(self) -> float:
        """Return how much is used now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))


class Latency(_Child):
    """An HTTP service; the mean of its last ten answers, in seconds, against its objective."""

    kind = "latency"
    limit = 0.2

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__(_SERVICE, str(self.port))
        self.took: deque[float] = deque(maxlen=10)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def drive(self, share: float) -> None:
        """Bring it to this share of its limit."""
        self.tell(str(share * self.limit))

    def measure(self) -> float:
        """Return how much is used now."""
        begin = time.perf_counter()
        self.opener.open(f"http://127.0.0.1:{self.port}/", timeout=10).close()
        self.took.append(time.perf_counter() - begin)
        return sum(self.took) / len(self.took)


class Disk:
    """A small file system, mounted for this; bytes used against 95 % of its size. Only root may mount one."""

    kind = "disk"
    size = 16 * MEGABYTE
    limit = 0.95 * size

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.file = folder, folder / "file"
        subprocess.run([program("mount"), "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", str(folder)], check=True)

    def drive(self, share: float) -> None:
        """Bring it to this share of its limit."""
        size = round(min(share * self.limit, self.size - MEGABYTE // 8))
        with self.file.open("ab") as file:
            file.truncate(min(size, file.tell()))
            file.write(bytes(max(0, size - file.tell())))

    def measure(self) -> float:
        """Return how much is used now."""
        told = os.statvfs(self.folder)
        return float((told.f_blocks - told.f_bfree) * told.f_frsize)

    def close(self) -> None:
        """End it."""
        subprocess.run([program("umount"), str(self.folder)], check=True)


class Redis:
    """A Redis server; bytes used against 95 % of its maxmemory, beyond which it refuses to write."""

    kind = "redis"
    most = 32 * MEGABYTE
    limit = 0.95 * most
    _value = 16_000

    def __init__(self, server: RedisServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.keys = 0
        self.ask(f"CONFIG SET maxmemory {self.most}")
        self.own, self.each = self.measure(), 1.0
        self.drive((self.own + 100) / self.limit)
        self.each = (self.measure() - self.own) / self.keys

    def ask(self, command: str) -> bytes:
        """Return the answer to an inline command: a line, or the text that its line announces."""
        self.socket.sendall(f"{command}\r\n".encode())
        answer = b""
        while b"\r\n" not in answer:
            answer += self.socket.recv(65_536)
        head, _, rest = answer.partition(b"\r\n")
        while head.startswith(b"$") and len(rest) < int(head[1:]) + 2:
            rest += self.socket.recv(65_536)
        return rest or head

    def drive(self, share: float) -> None:
        """Bring it to this share of its limit."""
        wanted = max(0, round((share * self.limit - self.own) / self.each))
        while self.keys < wanted and b"OOM" not in self.ask(f"SETRANGE k{self.keys} {self._value} x"):
            self.keys += 1
        while self.keys > wanted:
            self.keys -= 1
            self.ask(f"DEL k{self.keys}")

    def measure(self) -> float:
        """Return how much is used now."""
        return _number(rb"used_memory:(\d+)", self.ask("INFO memory"))

    def close(self) -> None:
        """End it."""
        self.socket.close()


class Postgres:
    """A PostgreSQL server; its client connections against 95 % of max_connections."""

    kind = "postgres"
    most = 40
    limit = 0.95 * most

    def __init__(self, server: PostgreSQL) -> None:
        self.port = server.port
        self.watch = self._connect()
        self.held: list[socket.socket] = []

    def _connect(self) -> socket.socket:
        """Connect and wait until the server is ready for queries or has refused."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        words = struct.pack("!i", 196_608) + b"user\0postgres\0database\0postgres\0\0"
        connection.sendall(struct.pack("!i", len(words) + 4) + words)
        self._until_ready(connection)
        return connection

    @staticmethod
    def _until_ready(connection: socket.socket) -> bytes:
        answer = b""
        while not answer.endswith(b"Z\0\0\0\x05I"):
            part = connection.recv(65_536)
            if not part:
                break
            answer += part
        return answer

    def drive(self, share: float) -> None:
        """Bring it to this share of its limit."""
        wanted = max(0, min(round(share * self.limit) - 1, self.most - 1))
        while len(self.held) < wanted:
            self.held.append(self._connect())
        while len(self.held) > wanted:
            self.held.pop().close()

    def measure(self) -> float:
        """Return how much is used now."""
        words = b"SELECT 'n=' || count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'\0"
        self.watch.sendall(b"Q" + struct.pack("!i", len(words) + 4) + words)
        return _number(rb"n=(\d+)", self._until_ready(self.watch))

    def close(self) -> None:
        """End it."""
        for connection in (*self.held, self.watch):
            connection.close()


def program(name: str) -> str:
    """Return where a program of the system is; raise FileNotFoundError if it is not on PATH."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not on PATH; install it")
    return found


def _number(pattern: bytes, answer: bytes) -> float:
    found = re.search(pattern, answer)
    if found is None:
        raise ValueError(f"no number in the answer {answer[:80]!r}; is this the server that was meant?")
    return float(found[1])
