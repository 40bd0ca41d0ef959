"""Checks the libraries of Cargo.lock by deny.toml, which says what is allowed.

It looks at their licences and sources, at libraries that are banned or there in several versions, at the
Rust version that they need, and at what advisories say of them. The advisories come from a copy of
https://github.com/rustsec/advisory-db that is handed over; nothing is fetched. Of deny.toml it reads what is
there, in the forms that are there; cargo-deny knows more of them.

usage: python3 tools/repo/libraries.py [ADVISORIES]
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Of a version, the bound of a requirement, the numbers that this names, and the first version behind all
# that have these numbers: `> 1.9` is met from 1.10 on, and `= 1.2` by 1.2.9.
COMPARISONS = {
    ">=": lambda version, bound, numbers, end: version >= bound,
    "<=": lambda version, bound, numbers, end: version < end,
    ">": lambda version, bound, numbers, end: version >= end,
    "<": lambda version, bound, numbers, end: version < bound,
    "=": lambda version, bound, numbers, end: bound <= version < end,
    "~": lambda version, bound, numbers, end: bound <= version < tilde_end(numbers),
    "^": lambda version, bound, numbers, end: bound <= version < caret_end(numbers),
}
COMPARISONS[""] = COMPARISONS["^"]


def main() -> None:
    """Prints a line for each fault; the exit code is 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("advisories", type=Path, nargs="?", help="a copy of the advisory database")
    arguments = parser.parse_args()
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    own, packages = metadata()
    faults = wrong_licences(packages, set(rules["licenses"]["allow"]))
    faults += foreign(packages)
    faults += banned(packages, rules["bans"]["deny"])
    faults += repeated(packages, [entry["crate"] for entry in rules["bans"]["skip"]])
    faults += too_new(packages, own)
    if arguments.advisories is None:
        print("no advisories were handed over, so none are looked at", file=sys.stderr)
    else:
        locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        accepted = {entry["id"] for entry in rules["advisories"]["ignore"]}
        faults += advised(locked, arguments.advisories, accepted)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


def metadata() -> tuple[list[dict], list[dict]]:
    """The packages of this repository and those from elsewhere, as cargo tells of them."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=False, cwd=ROOT)
    if result.returncode != 0:
        sys.exit("cargo could not say which libraries there are")
    packages = json.loads(result.stdout)["packages"]
    own = [package for package in packages if package["source"] is None]
    return own, [package for package in packages if package["source"] is not None]


def foreign(packages: list[dict]) -> list[str]:
    """A sentence for each package that comes from elsewhere than the registry of the others."""
    sources = (package["source"] for package in packages)
    usual, _ = Counter(source for source in sources if source.startswith("registry+")).most_common(
        1
    )[0]
    return [
        f"{package['name']} {package['version']}: it comes from {package['source']}"
        for package in packages
        if package["source"] != usual
    ]


def banned(packages: list[dict], rules: list[dict]) -> list[str]:
    """A sentence for each package that may not be used at all."""
    reasons = {rule["crate"]: rule["reason"] for rule in rules}
    return [
        f"{package['name']} {package['version']}: it is banned, for {reasons[package['name']]}"
        for package in packages
        if package["name"] in reasons
    ]


def repeated(packages: list[dict], known: list[str]) -> list[str]:
    """A sentence for each name with several versions that are not known, and for what is known in vain.

    Known versions have the form `name@1.2.3`.
    """
    found = defaultdict(set)
    for package in packages:
        found[package["name"]].add(package["version"])
    faults = []
    for name, _, version in (entry.partition("@") for entry in known):
        if len(found[name]) < 2 or version not in found[name]:
            faults.append(
                f"deny.toml skips {name}@{version}, which is not there beside another one"
            )
    for name, versions in sorted(found.items()):
        new = sorted(version for version in versions if f"{name}@{version}" not in known)
        if len(new) > 1:
            faults.append(f"{name}: there are several versions of it, {' and '.join(new)}")
    return faults


def too_new(packages: list[dict], own: list[dict]) -> list[str]:
    """A sentence for each package that needs a newer Rust than the repository's own promise."""
    promised = min((p["rust_version"] for p in own if p["rust_version"]), key=parsed)
    return [
        f"{package['name']} {package['version']}: it needs Rust {package['rust_version']}, "
        f"and Cargo.toml promises {promised}"
        for package in packages
        if package["rust_version"] and parsed(package["rust_version"]) > parsed(promised)
    ]


def wrong_licences(packages: list[dict], allowed: set[str]) -> list[str]:
    """A sentence for each package that may not be used under the allowed licences."""
    return [
        f"{package['name']} {package['version']}: its licence is {package['license']}"
        for package in packages
        if not is_allowed(package["license"] or "", allowed)
    ]


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met; the old way to write OR is a slash."""
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either() -> bool:
        met = both()
        while words and words[0] == "OR":
            words.pop(0)
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while words and words[0] == "AND":
            words.pop(0)
            met = one() and met
        return met

    def one() -> bool:
        if not words:
            return False
        if (name := words.pop(0)) == "(":
            met = either()
            words[:1] = []
            return met
        if words and words[0] == "WITH":
            name = " ".join([name, words.pop(0), words.pop(0)])
        return name in allowed

    return either()


def advised(locked: list[dict], database: Path, accepted: set[str]) -> list[str]:
    """A sentence for each advisory on a locked package that is not accepted."""
    if not (database / "crates").is_dir():
        sys.exit(f"{database} is no copy of the advisory database: it has no folder crates")
    faults = []
    for package in locked:
        for path in sorted((database / "crates" / package["name"]).glob("RUSTSEC-*.md")):
            block = path.read_text().split("```toml", 1)[1].split("```", 1)[0]
            advisory = tomllib.loads(block)
            is_open = "withdrawn" not in advisory["advisory"] and path.stem not in accepted
            if is_open and concerns(advisory, package["version"]):
                kind = advisory["advisory"].get("informational", "vulnerable")
                faults.append(f"{package['name']} {package['version']}: {kind}, {path.stem}")
    return faults


def concerns(advisory: dict, version: str) -> bool:
    """Whether a version is neither patched nor unaffected."""
    versions = advisory.get("versions", {})
    safe = versions.get("patched", []) + versions.get("unaffected", [])
    return not any(meets(version, requirement) for requirement in safe)


def meets(version: str, requirement: str) -> bool:
    """Whether a version meets all parts of a requirement such as `>= 1.2.3, < 2`."""
    for part in requirement.split(","):
        match = re.fullmatch(r"\s*(>=|<=|[<>=^~]?)\s*(\d+(?:\.\d+){0,2})(-\S+)?\s*", part)
        if match is None:
            sys.exit(f"the requirement {part!r} of an advisory is not understood")
        operator, numbers, early = match.groups(default="")
        bound, end = parsed(numbers + early), parsed(following(numbers) + "-0")
        if not COMPARISONS[operator](parsed(version), bound, numbers, end):
            return False
    return True


def parsed(version: str) -> tuple:
    """The numbers of a version, and whether it is a finished one."""
    core, _, early = version.split("+")[0].partition("-")
    numbers = [int(number) for number in core.split(".") if number.isdigit()]
    return (*numbers, *[0] * (3 - len(numbers)), early == "", early)


def following(numbers: str) -> str:
    """`1.2` is followed by `1.3`."""
    *first, last = numbers.split(".")
    return ".".join([*first, str(int(last) + 1)])


def tilde_end(numbers: str) -> tuple:
    """The first version that `~` of these numbers leaves out: the next minor one, if it names one."""
    return parsed(following(".".join(numbers.split(".")[:2])) + "-0")


def caret_end(numbers: str) -> tuple:
    """The first version that may be incompatible: the first number that is not 0 is one higher."""
    parts = numbers.split(".")
    first = next((at for at, part in enumerate(parts) if int(part)), len(parts) - 1)
    return parsed(following(".".join(parts[: first + 1])) + "-0")


if __name__ == "__main__":
    main()
