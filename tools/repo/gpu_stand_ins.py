#!/usr/bin/env python3
"""Lets PyTorch be imported without the libraries for GPUs that it is linked against.

PyPI's PyTorch for Linux refuses to load without several gigabytes of NVIDIA's libraries, though on
a machine without a GPU it calls none of them. This puts a library of the same name, symbols and
versions beside PyTorch for each one that is missing; whoever calls into one ends in a trap.
The libraries that PyTorch does call to find out that there is no GPU must be real.
Needs readelf and gcc. usage: gpu_stand_ins.py FOLDER OF AN ENVIRONMENT
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

Wanted = dict[str, dict[str, set[str]]]  # library -> version -> symbols
# How NVIDIA's libraries and their symbols begin.
NVIDIA = re.compile(r"(lib)?(cu|nv|nccl)")


def output(*command: object) -> str:
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=True
    ).stdout


def wanted_of(library: Path) -> Wanted:
    """What a library wants of NVIDIA's, by the names of their files.

    A symbol without a version does not say whose it is: each library that has none gets it.
    """
    names = re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-W", "-d", library))
    found: Wanted = {name: defaultdict(set) for name in names if NVIDIA.match(name)}
    owner: dict[str, str] = {}
    file = ""
    for line in output("readelf", "-W", "-V", library).splitlines():
        if named := re.search(r"File: (\S+)", line):
            file = named[1]
        elif named := re.search(r"Name: (\S+)\s+Flags:", line):
            owner[named[1]] = file
    unversioned = set(found) - set(owner.values())
    for line in output("readelf", "-W", "--dyn-syms", library).splitlines():
        if named := re.search(r"\sUND (\w+)(?:@(\S+))?", line):
            symbol, version = named[1], named[2] or ""
            if owner.get(version) in found:
                found[owner[version]][version].add(symbol)
            elif not version and NVIDIA.match(symbol):
                for name in unversioned:
                    found[name][""].add(symbol)
    return found


def make(name: str, versions: dict[str, set[str]], folder: Path) -> None:
    """Writes one stand-in with the symbols of each version."""
    symbols = sorted(set().union(*versions.values()))
    versions = {version: names for version, names in versions.items() if version}
    code = "".join(f"void {symbol}(void) {{ __builtin_trap(); }}\n" for symbol in symbols)
    nodes = "".join(
        f"{version} {{ global: {' '.join(f'{s};' for s in sorted(names))} }};\n"
        for version, names in versions.items()
    )
    with tempfile.TemporaryDirectory() as work:
        source, script = Path(work, "stand_in.c"), Path(work, "versions.map")
        source.write_text(code)
        script.write_text(nodes)
        command = ["gcc", "-shared", "-nostdlib", "-fno-builtin", f"-Wl,-soname,{name}"]
        command += [f"-Wl,--version-script,{script}"] if nodes else []
        subprocess.run([*command, "-o", folder / name, source], check=True)


def main() -> None:
    packages = next(Path(sys.argv[1]).glob("lib/python3*/site-packages"))
    folder = packages / "torch" / "lib"
    present = {path.name for path in packages.glob("nvidia/**/*.so*")}
    missing: Wanted = {}
    for library in sorted(folder.glob("lib*.so")):
        for name, versions in wanted_of(library).items():
            # The driver's library is not among the packages: it comes with a GPU.
            if name in present | {"libcuda.so.1"}:
                continue
            merged = missing.setdefault(name, defaultdict(set))
            for version, symbols in versions.items():
                merged[version] |= symbols
    for name, versions in missing.items():
        make(name, versions, folder)
    print(f"{len(missing)} libraries for GPUs have stand-ins")


if __name__ == "__main__":
    main()
