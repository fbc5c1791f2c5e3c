"""docker-compose.yml as Compose itself reads it, and the images that it names, made of what is on this machine."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from containers import Image, Mounts, python_mounts
from dockerfile import stages

ROOT = Path(__file__).parents[1]
COMPOSE = Path(sys.executable).with_name("docker-compose")
USUAL, DEVELOPERS = ("docker-compose.yml",), ("docker-compose.yml", "docker-compose.dev.yml")
NOT_RUN = ("grafana",)
"""Its binary is in no registry that tests may use."""


PAGE = (ROOT / "docs" / "compose.md").read_text()


def block(name: str) -> Any:
    """Return what stands in the block of YAML of docs/compose.md whose first line is a comment of this name."""
    [found] = re.findall(rf"^```yaml\n(# {re.escape(name)}\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(found)


def compose(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(env or {})}
    return subprocess.run(
        [COMPOSE, *words], cwd=ROOT, capture_output=True, text=True, check=False, env=settings, timeout=60
    )


def resolved(files: tuple[str, ...] = USUAL) -> dict[str, Any]:
    """Return the merged files with all variables of .env.example filled in."""
    chosen = [word for file in files for word in ("-f", file)]
    answer = compose("--env-file", ".env.example", *chosen, "config", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    # a dollar for the container is printed doubled, since the output is a compose file again
    config: dict[str, Any] = json.loads(answer.stdout.replace("$$", "$"))
    return config


def images(environment: Path, scratch: Path, locate: Callable[[str], Path]) -> dict[str, Image]:
    """Return the images by name; `environment` is the virtual environment that the Dockerfile's build made."""
    final = stages(ROOT / "Dockerfile")[-1]
    check = final.last("HEALTHCHECK").partition("CMD ")[2]
    ours = Image(
        final.words("ENTRYPOINT"),
        final.words("CMD"),
        final.env,
        final.last("USER"),
        final.last("WORKDIR"),
        mounts=(*python_mounts(scratch), (environment, "/opt/presagio", True)),
        owned=("/data", "/run/presagio"),
        health=json.loads(check),
    )
    return {
        "presagio": ours,
        "prom/prometheus": _server("prometheus", "/prometheus", ("prometheus", "promtool"), locate),
        "prom/alertmanager": _server("alertmanager", "/alertmanager", ("alertmanager", "amtool"), locate),
    }


def _server(name: str, data: str, names: tuple[str, ...], locate: Callable[[str], Path]) -> Image:
    programs = {each: locate(each).resolve() for each in names}
    mounts: Mounts = tuple(
        (tree, str(tree), True)
        for tree in sorted({program.parents[1] for program in programs.values()})
        if not tree.is_relative_to("/usr")
    )
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return Image(
        [f"/bin/{name}"], [], {"PATH": path}, "65534:65534", data, mounts=mounts, programs=programs, owned=(data,)
    )
