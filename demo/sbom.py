"""Write the list of all that an installed presagio consists of (SBOM), in CycloneDX, and validate it.

    python demo/sbom.py build/runtime/bin/python build/sbom.json

The first argument is the Python of an environment that holds presagio and what it needs, and nothing else.
"""

import json
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

VERSION = "1.6"


def made(python: Path) -> dict[str, Any]:
    """Return the document, with presagio as its subject."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    words = ("environment", "--spec-version", VERSION, "--output-reproducible", "--no-validate", "-o", "-", python)
    answer = subprocess.run([tool, *words], capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(answer.stdout)
    [subject] = [each for each in document["components"] if each["name"] == "presagio"]
    document["components"].remove(subject)
    # where it was installed from is a folder of this machine
    subject.pop("externalReferences", None)
    document.setdefault("metadata", {})["component"] = {**subject, "type": "application"}
    return document


def missing(document: dict[str, Any]) -> set[str]:
    """Return what presagio declares to need, beside its extras, and the document does not have."""
    listed = [Requirement(line) for line in requires("presagio") or []]
    needed = {str(canonicalize_name(each.name)) for each in listed if not each.marker}
    return needed - {str(canonicalize_name(each["name"])) for each in document["components"]}


def mistakes(text: str) -> str | None:
    """Return what the schema of CycloneDX says against a document, or None."""
    found = JsonStrictValidator(SchemaVersion.from_version(VERSION)).validate_str(text)
    return str(found) if found else None


def main() -> int:
    """Write the file and return the exit code."""
    python, file = map(Path, sys.argv[1:])
    document = made(python)
    text = json.dumps(document, indent=1) + "\n"
    if found := mistakes(text) or ", ".join(sorted(missing(document))):
        print(f"the document is not valid, or lacks what presagio needs: {found}", file=sys.stderr)
        return 1
    file.write_text(text)
    print(f"{file}: {document['metadata']['component']['name']} and {len(document['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main())
