"""Write the list of all that an installed presagio consists of (SBOM), in CycloneDX, and validate it.

    python demo/sbom.py build/runtime/bin/python build/sbom.json

The first argument is the Python of an environment that holds presagio and what it needs, and nothing else.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

VERSION = "1.6"


def made(python: Path) -> dict[str, Any]:
    """Return the document, with presagio as its subject."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    words = ("environment", "--spec-version", VERSION, "--output-reproducible", "--output-file", "-", python)
    answer = subprocess.run([tool, *words], capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(answer.stdout)
    [subject] = [each for each in document["components"] if each["name"] == "presagio"]
    document["components"].remove(subject)
    # where it was installed from is a folder of this machine
    subject.pop("externalReferences", None)
    document.setdefault("metadata", {})["component"] = {**subject, "type": "application"}
    return document


def mistakes(text: str) -> str | None:
    """Return what the schema of CycloneDX says against a document, or None."""
    found = JsonStrictValidator(SchemaVersion.from_version(VERSION)).validate_str(text)
    return str(found) if found else None


def main() -> int:
    """Write the file and return the exit code."""
    python, file = map(Path, sys.argv[1:])
    text = json.dumps(made(python), indent=1) + "\n"
    if found := mistakes(text):
        print(f"the document is not valid: {found}", file=sys.stderr)
        return 1
    file.write_text(text)
    document = json.loads(text)
    print(f"{file}: {document['metadata']['component']['name']} and {len(document['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main())
