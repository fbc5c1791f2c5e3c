"""One report for all mistakes of a file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, SecretStr, field_validator

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.labels import Template
from presagio.toolkit.schema import ConfigFile, Finding, Model, dotted
from presagio.toolkit.units import Duration


class Wheel(Model):
    size: int = Field(16, ge=10)
    spokes: int | None = None


class Engine(Model):
    kind: Literal["petrol", "diesel"] = "petrol"
    power: float = 75.0


class Car(Model):
    name: str
    wheels: list[Wheel] = Field(default_factory=list)
    engine: Engine | Literal["none"] = Field(default_factory=Engine)
    extras: Mapping[str, Wheel] = Field(default_factory=dict)
    service_every: Duration = 60.0
    plate: Template = Template.braces("{country}-{number}")
    key: SecretStr | None = None
    door_count: int = Field(4, alias="doors")

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 10:
            raise ValueError(f"a name of up to 10 letters, got {name!r}")
        if name == "odd":
            raise ValueError("a name that is not odd")
        return name


def lint(car: Car) -> Iterator[Finding]:
    for index, wheel in enumerate(car.wheels):
        if wheel.spokes == 0:
            yield Finding(("wheels", index, "spokes"), "at least one spoke", "0")


FILE = ConfigFile("car", Car, lambda data: "wheels" in data, lint)


def load(folder: Path, text: str, name: str = "car.yml") -> Car:
    path = folder / name
    path.write_text(text)
    return FILE.load(path)


def report(folder: Path, text: str, name: str = "car.yml") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, name)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_a_good_file_is_its_model_and_never_changes(tmp_path: Path) -> None:
    car = load(tmp_path, "name: vw\nwheels: [{size: 17}, {}]\nservice_every: 1h\ndoors: 5\nplate: '{a}'\n")
    assert [wheel.size for wheel in car.wheels] == [17, 16]
    assert (car.service_every, car.door_count, car.plate.names) == (3600.0, 5, ("a",))
    assert (car.engine, car.key) == (Engine(), None)
    with pytest.raises(Exception, match="frozen"):
        car.name = "other"  # type: ignore[misc] # mypy knows it, too


def test_all_mistakes_stand_in_one_report_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
wheels:
  - size: 5
  - {size: big, spoks: 3}
engine: {kind: steam, power: 5, noise: 1}
name: a-name-that-is-too-long
dors: 4
service_every: 60
wheels2: []
plate: '{country}-{number'
extras:
  spare: {size: [1]}
dors: 5
"""
    assert report(tmp_path, text) == [
        "car.yml:2: wheels[0].size: expected greater than or equal to 10, got 5",
        'car.yml:3: wheels[1].size: expected a valid integer, unable to parse string as an integer, got "big"',
        "car.yml:3: wheels[1].spoks: expected 'spokes', got unknown key 'spoks'",
        "car.yml:4: engine.kind: expected 'petrol' or 'diesel', got \"steam\"",
        "car.yml:4: engine.noise: expected one of kind, power, got unknown key 'noise'",
        'car.yml:4: engine: expected \'none\', got {"kind": "steam", "power": 5, "noise": 1}',
        "car.yml:5: name: expected a name of up to 10 letters, got 'a-name-that-is-too-long'",
        "car.yml:7: service_every: expected a duration such as 15s, 5m or 1h30m, got 60",
        "car.yml:8: wheels2: expected 'wheels', got unknown key 'wheels2'",
        "car.yml:9: plate: expected placeholders such as {namespace}, each in a pair of braces, "
        "got '{country}-{number'",
        "car.yml:11: extras.spare.size: expected a valid integer, got [1]",
        "car.yml:12: dors: expected each key once, got 'dors' again",
        "car.yml:12: dors: expected 'doors', got unknown key 'dors'",
    ]


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("", ["car.yml:1: name: expected a value for 'name', got nothing"]),
        ("# nothing but a comment\n", ["car.yml:1: name: expected a value for 'name', got nothing"]),
        ("name: odd\n", ['car.yml:1: name: expected a name that is not odd, got "odd"']),
        ("name: vw\nname: audi\n", ["car.yml:2: name: expected each key once, got 'name' again"]),
        ("\nname: vw\nengine: none at all\n", [
            'car.yml:3: engine: expected a valid dictionary or instance of Engine, got "none at all"',
            "car.yml:3: engine: expected 'none', got \"none at all\"",
        ]),
        ("name: vw\nservice_every: 90.5\n",
         ["car.yml:2: service_every: expected a duration such as 15s, 5m or 1h30m, got 90.5"]),
        ("name: vw\nservice_every: .inf\n",
         ["car.yml:2: service_every: expected a duration such as 15s, 5m or 1h30m, got inf"]),
        ("name: vw\nplate: 7\n",
         ["car.yml:2: plate: expected text with placeholders such as {namespace}/{job}, got 7"]),
        ("- name: vw\n", ['car.yml:1: expected a valid dictionary or instance of Car, got [{"name": "vw"}]']),
        ("name: vw\nwheels:\n- spokes: 0\n- spokes: 0\n", [
            "car.yml:3: wheels[0].spokes: expected at least one spoke, got 0",
            "car.yml:4: wheels[1].spokes: expected at least one spoke, got 0",
        ]),
        ("name: [" + "very long, " * 20 + "]\n",
         ["car.yml:1: name: expected a valid string, got " + ('["' + 'very long", "' * 20)[:77] + "..."]),
        ("name: {\n", ["car.yml:2: expected the node content, got '<stream end>'"]),
    ],
)  # fmt: skip
def test_each_mistake_has_its_sentence(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    assert report(tmp_path, text) == mistakes


def test_a_secret_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    assert report(tmp_path, "name: vw\nkey: 123456\n") == [
        "car.yml:2: key: expected a valid string, got a value of type int"
    ]


def test_json_is_reported_like_yaml(tmp_path: Path) -> None:
    text = '{\n\t"name": "vw",\n\t"wheels": [\n\t\t{"size": 1}\n\t]\n}'
    assert report(tmp_path, text, "car.json") == [
        "car.json:4: wheels[0].size: expected greater than or equal to 10, got 1"
    ]
    assert report(tmp_path, '{"name": "vw"', "car.json") == ["car.json:1: expected ',' delimiter, got the end"]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    def told(path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            FILE.load(path)
        return str(caught.value).replace(f"{tmp_path}/", "")

    (tmp_path / "latin.yml").write_bytes("name: Citroën\n".encode("latin-1"))
    (tmp_path / "folder.yml").mkdir()
    assert told(tmp_path / "latin.yml") == "latin.yml:1: expected UTF-8 text, got byte 11 is not"
    assert told(tmp_path / "none.yml") == "none.yml:1: expected a readable file, got No such file or directory"
    assert told(tmp_path / "folder.yml") == "folder.yml:1: expected a readable file, got Is a directory"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    for name, text in (("car.yml", "name: vw\n"), ("car.json", '{"name": "vw"}')):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert FILE.load(tmp_path / name).name == "vw"


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("a",), "a"), (("a", 0, "b"), "a[0].b"), (("a", 1, 2), "a[1][2]")]
)
def test_paths_are_written_as_people_read_them(path: tuple[Any, ...], text: str) -> None:
    assert dotted(path) == text
