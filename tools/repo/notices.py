"""Writes the licence notices of the libraries that the binary is linked from, each text once.

usage: python3 tools/repo/notices.py TARGET OUT.gz
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

NOTICE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)


def main() -> None:
    """Asks cargo for the libraries and gathers their notices."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="whose libraries, such as aarch64-unknown-linux-gnu")
    parser.add_argument("out", type=Path, help="file to write, compressed")
    arguments = parser.parse_args()
    text = notices(linked(arguments.target))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(gzip.compress(text.encode(), mtime=0))


def cargo(*arguments: str) -> str:
    """What cargo prints; it says by itself what is wrong."""
    result = subprocess.run(
        ["cargo", *arguments, "--locked"], stdout=subprocess.PIPE, text=True, check=False
    )
    if result.returncode != 0:
        sys.exit("cargo could not say which libraries there are")
    return result.stdout


def linked(target: str) -> list[dict]:
    """The libraries of others that end up in the binary: no macros, nothing for builds and tests only."""
    shape = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    tree = cargo("tree", "--target", target, *shape)
    names = {tuple(line.split()[:2]) for line in tree.splitlines()[1:]}
    packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    found = [
        package
        for package in packages
        if package["source"] and (package["name"], f"v{package['version']}") in names
    ]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def notices(packages: list[dict]) -> str:
    """A list of the packages with their licences, then the texts of their notices."""
    lines = ["celebcam is linked from these libraries, under their licences:", ""]
    texts, holders = {}, defaultdict(list)
    for package in packages:
        name = f"{package['name']} {package['version']}"
        authors = ", ".join(re.sub(r" *<[^>]*>", "", author) for author in package["authors"])
        lines.append(f"  {name}: {package['license']}" + (f"; {authors}" if authors else ""))
        for file in sorted(Path(package["manifest_path"]).parent.iterdir()):
            if file.is_file() and NOTICE.match(file.name):
                text = file.read_text(encoding="utf-8", errors="replace").strip()
                key = " ".join(text.split())
                texts.setdefault(key, text)
                holders[key].append(name)
    for key, names in holders.items():
        lines += ["", "-" * 79, ", ".join(dict.fromkeys(names)), "-" * 79, "", texts[key]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
