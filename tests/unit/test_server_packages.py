"""Where servers are found, and how they are got, with an apt of our own making."""

import os
import shutil
import subprocess
from pathlib import Path

import packages
import pytest
from packages import PROGRAMS, install, locate, main, version
from private_apt import AptError, PrivateApt, unpack

# stands for apt-get: notes its words, and answers with the script that stands in its folder under its sub-command
FAKE_APT = """\
#!/bin/sh
here=$(dirname "$0")
for word; do case $word in update|indextargets|install|download) answer=$word; esac; done
echo "$@" >>"$here/$answer.calls"
[ ! -e "$here/$answer" ] || . "$here/$answer"
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the servers go in this test."""
    monkeypatch.setattr(packages, "FOLDER", tmp_path / "servers")
    return tmp_path / "servers"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on PATH, an empty one."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "path"


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a fake apt-get, first on PATH."""
    program(tmp_path / "apt" / "apt-get", FAKE_APT)
    monkeypatch.setenv("PATH", f"{tmp_path / 'apt'}:{os.environ['PATH']}")
    return tmp_path / "apt"


def calls(apt: Path, command: str) -> list[str]:
    return (apt / f"{command}.calls").read_text().splitlines()


def test_what_is_on_path_comes_before_what_was_unpacked(folder: Path, path: Path) -> None:
    unpacked = program(folder / "system/bin/alertmanager", "")
    assert locate("alertmanager", "system") == unpacked
    on_path = program(path / "prometheus-alertmanager", "")
    assert locate("alertmanager", "system") == on_path


def test_the_coming_generation_is_never_taken_from_path(folder: Path, path: Path) -> None:
    program(path / "prometheus", "")
    assert locate("prometheus", "forky") is None
    unpacked = program(folder / "forky/bin/prometheus", "")
    assert locate("prometheus", "forky") == unpacked


def test_a_generation_has_only_its_own_programs(folder: Path, path: Path) -> None:
    program(path / "redis-server", "")
    assert locate("redis-server", "forky") is None
    with pytest.raises(KeyError):
        locate("nosuchserver", "system")


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("echo 'prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5)'", "2.42.0"),
        ("echo 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64'", "7.0.15"),
        ('echo \'time="2026-11-23T03:45:40Z" msg="Redis Metrics Exporter 1.45.0-2+b4"\' >&2', "1.45.0"),
        ("echo 'postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)'", "15.20"),
        ("echo 'home made'", "unknown"),
        ("exit 127", "does not run"),
    ],
)
def test_version(tmp_path: Path, says: str, expected: str) -> None:
    assert version(program(tmp_path / "server", f"#!/bin/sh\n{says}\n")) == expected


def test_nothing_is_got_when_all_is_there(folder: Path, path: Path) -> None:
    for each in PROGRAMS.values():
        program(path / each.names[-1], "")
    install("system")
    install("databases")
    install("victoria")
    assert not (folder / "apt").exists()


def test_what_debian_keeps_off_path_is_found_too(tmp_path: Path) -> None:
    postgres = program(tmp_path / "usr/lib/postgresql/15/bin/postgres", "")
    assert list(packages._inside(tmp_path, PROGRAMS["postgres"])) == [postgres]
    packages._write_launcher("postgres", tmp_path)
    assert 'exec "$root/usr/lib/postgresql/15/bin/postgres"' in (tmp_path.parent / "bin/postgres").read_text()


def test_without_apt_the_remedy_is_named(folder: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "system"]) == 1
    assert "system: apt-get is not on this machine; put prometheus, promtool," in capsys.readouterr().err


def test_a_download_is_tried_twice_and_then_told_in_one_sentence(tmp_path: Path, apt: Path) -> None:
    (apt / "download").write_text("echo 'E: Failed to fetch it' >&2; exit 100")
    with pytest.raises(
        AptError, match=r"^apt cannot download redis-server: Failed to fetch it; check the network and"
    ):
        PrivateApt(tmp_path / "private").download(["redis-server"], tmp_path / "into")
    assert len(calls(apt, "download")) == 2
    assert len(calls(apt, "update")) == 1


def test_a_download_that_succeeds_at_the_second_try_is_a_success(tmp_path: Path, apt: Path) -> None:
    (apt / "download").write_text('[ "$(wc -l <"$here/download.calls")" = 2 ] || exit 100; touch redis.deb')
    assert PrivateApt(tmp_path).download(["redis-server"], tmp_path / "into") == [tmp_path / "into/redis.deb"]


def test_the_closure_is_what_this_machine_lacks(tmp_path: Path, apt: Path) -> None:
    (apt / "install").write_text("echo 'Inst liblzf1 (3.6-3 Debian [amd64])\nConf liblzf1 (3.6-3 Debian [amd64])'")
    assert PrivateApt(tmp_path).closure(["redis-server"]) == ["liblzf1", "redis-server"]
    assert "--simulate" in calls(apt, "install")[0]


def test_a_dependency_that_cannot_be_met_is_told_in_one_sentence(tmp_path: Path, apt: Path) -> None:
    (apt / "install").write_text("echo 'E: Unable to locate package redis-server' >&2; exit 100")
    with pytest.raises(AptError, match=r"^apt cannot resolve redis-server: Unable to locate package redis-server; "):
        PrivateApt(tmp_path).closure(["redis-server"])


def test_the_mirror_is_the_first_that_is_not_for_security_alone(tmp_path: Path, apt: Path) -> None:
    (apt / "indextargets").write_text("echo 'http://mirror.test/debian-security/\nhttp://mirror.test/debian/'")
    assert PrivateApt(tmp_path).own_mirror() == "http://mirror.test/debian/"
    (apt / "indextargets").write_text("")
    with pytest.raises(AptError, match="apt knows no mirror of Debian; add one to"):
        PrivateApt(tmp_path).own_mirror()


def test_another_suite_has_its_own_sources_and_the_machine_keeps_its_lists(tmp_path: Path, apt: Path) -> None:
    PrivateApt(tmp_path / "private", "forky", "http://mirror.test/debian/").update()
    assert (tmp_path / "private/sources.list").read_text().endswith("http://mirror.test/debian/ forky main\n")
    [words] = calls(apt, "update")
    assert f"Dir::State::Lists={tmp_path}/private/lists" in words
    assert f"Dir::Etc::SourceList={tmp_path}/private/sources.list" in words


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not on this machine; it is a part of Debian")
def test_a_package_is_unpacked_and_a_broken_one_told_in_one_sentence(tmp_path: Path) -> None:
    package = tmp_path / "hello"
    program(package / "usr/bin/hello", "#!/bin/sh\n")
    control = package / "DEBIAN/control"
    control.parent.mkdir()
    control.write_text("Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: hello\n")
    subprocess.run(
        ["dpkg-deb", "--build", str(package), str(tmp_path / "hello.deb")], check=True, capture_output=True
    )
    unpack([tmp_path / "hello.deb"], tmp_path / "tree" / "root")
    assert (tmp_path / "tree/root/usr/bin/hello").exists()
    (tmp_path / "broken.deb").write_text("no archive")
    with pytest.raises(AptError, match=r"^cannot unpack broken.deb: .*; check the room on the disk, then try again$"):
        unpack([tmp_path / "broken.deb"], tmp_path)


def test_a_program_finds_its_libraries_and_data_wherever_its_package_lies(tmp_path: Path) -> None:
    root = tmp_path / "tree/root"
    (root / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (root / "usr/share/prometheus").mkdir(parents=True)
    (root / "usr/share/prometheus/page").write_text("a page")
    program(root / "usr/bin/prometheus", "#!/bin/sh\ncat /usr/share/prometheus/page\necho $LD_LIBRARY_PATH $1\n")
    packages._relocate(root / "usr/bin")
    packages._write_launcher("prometheus", root)
    moved = (tmp_path / "tree").rename(tmp_path / "moved")
    argv = [str(moved / "bin/prometheus"), "--flag"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert answer.stdout == f"a page{moved}/bin/../root/usr/lib/x86_64-linux-gnu --flag\n"
