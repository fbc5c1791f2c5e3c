"""What is packaged: the packages that setup.cfg lists are the folders, and the wheel holds all their files."""

import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_PACKAGED = ("benchmarks", "build", "demo", "deploy", "dist", "docs", "helm", "tests")


def source_files() -> list[Path]:
    """Return all files of the source, relative to its root: what git has, or would add."""
    argv = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    files = (Path(name) for name in answer.stdout.split("\0") if name)
    # a .gitkeep is no content: it keeps a folder in git that another file links to
    return [file for file in files if (ROOT / file).is_file() and file.name != ".gitkeep"]


def folders(files: list[Path]) -> set[Path]:
    """Return the folders of packages, relative to the root."""
    inits = (file for file in files if file.name == "__init__.py")
    return {init.parent for init in inits if init.parts[0] not in NOT_PACKAGED}


def package_name(folder: Path) -> str:
    return ".".join(("presagio", *folder.parts))


def test_every_folder_of_code_is_listed_in_setup_cfg() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    # setup.cfg's lists take comment lines, configparser leaves them out
    listed = config["options"]["packages"].split()
    assert sorted(listed) == sorted(map(package_name, folders(source_files())))
    assert len(listed) == len(set(listed))


def test_no_code_lies_outside_the_packages() -> None:
    packaged = folders(source_files())
    code = {file for file in source_files() if file.suffix == ".py" and file.parts[0] not in NOT_PACKAGED}
    assert {file for file in code if file.parent not in packaged} == set()


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel from a copy of the source, without a network, and return the names of its files."""
    if tuple(map(int, version("setuptools").split(".")[:2])) < (70, 1):
        pytest.skip(
            "setuptools is older than 70.1 and cannot build a wheel by itself; `make test` installs a newer one"
        )
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for file in source_files():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)
    options = ["--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={out}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(copy)], check=True)
    [wheel] = out.glob("presagio-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_every_package(wheel_names: set[str]) -> None:
    files = source_files()
    packaged = folders(files) - {Path()}
    wanted = {f"presagio/{file}" for file in files if packaged & set(file.parents)}
    assert sorted(wanted - wheel_names) == []


def test_the_wheel_says_that_it_is_typed(wheel_names: set[str]) -> None:
    assert {"presagio/__init__.py", "presagio/py.typed"} <= wheel_names


def test_the_wheel_holds_nothing_else(wheel_names: set[str]) -> None:
    sources = {f"presagio/{file}" for file in source_files()}
    strangers = {name for name in wheel_names - sources if ".dist-info/" not in name}
    assert sorted(strangers) == []
    assert not [name for name in wheel_names if name.split("/")[1] in NOT_PACKAGED]
