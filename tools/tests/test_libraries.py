"""The check of the libraries, by the rules of deny.toml."""

import json
import os
import subprocess
import sys
import tomllib

import pytest
from conftest import REPOSITORY, TOOLS

import libraries


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0 OR MIT", True),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", True),
        ("MIT AND GPL-3.0", False),
        ("GPL-3.0 OR (MIT AND AGPL-3.0)", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0 WITH another", False),
        ("", False),
    ],
)
def test_an_expression_is_met_by_the_allowed_licences(expression, allowed):
    names = {"MIT", "Unicode-3.0", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"}
    assert libraries.is_allowed(expression, names) == allowed


@pytest.mark.parametrize(
    ("version", "requirement", "met"),
    [
        ("1.2.3", ">= 1.2.3", True),
        ("1.2.3-beta.1", ">= 1.2.3", False),
        ("1.10.0", ">1.9", True),
        ("0.9.5", ">=0.9.4, <0.10.0", True),
        ("0.10.0", ">=0.9.4, <0.10.0", False),
        ("1.9.0", "^1.2", True),
        ("2.0.0", "^1.2", False),
        ("0.3.0", "0.2.1", False),
        ("1.0.0+build", "=1.0.0", True),
        ("1.9.5", ">1.9", False),
        ("1.9.5", ">1.9.4", True),
        ("1.2.9", "=1.2", True),
        ("1.2.9", "<=1.2", True),
        ("1.3.0", "<=1.2", False),
        ("1.2.3-beta.1", "<=1.2.2", False),
        ("0.5.0", "^0", True),
        ("0.0.4", "^0.0.3", False),
        ("0.0.4", "0.0", True),
        ("1.2.5", "~1.2.3", True),
        ("1.2.5", "~ 1.2.3", True),
        ("1.3.0", "~1.2.3", False),
        ("1.9.0", "~1", True),
    ],
)
def test_requirements_are_those_of_cargo(version, requirement, met):
    assert libraries.meets(version, requirement) == met


def test_what_is_not_understood_is_an_error():
    for requirement in ["1.2.*", "==1.2.3", "", "latest"]:
        with pytest.raises(SystemExit, match="not understood"):
            libraries.meets("1.2.3", requirement)


def test_advisories_count_unless_patched_withdrawn_or_accepted(tmp_path):
    def advisory(name, crate, more, versions):
        folder = tmp_path / "crates" / crate
        folder.mkdir(parents=True, exist_ok=True)
        text = f'[advisory]\nid = "{name}"\n{more}\n[versions]\n{versions}\n'
        (folder / f"{name}.md").write_text(f"```toml\n{text}```\n# Title\n")

    advisory("RUSTSEC-1-1", "a", "", 'patched = [">= 2.0.0"]')
    advisory("RUSTSEC-1-2", "a", "", 'patched = [">= 1.0.0"]')
    advisory("RUSTSEC-1-3", "a", 'withdrawn = "2026-01-01"', "patched = []")
    advisory("RUSTSEC-1-4", "b", 'informational = "unmaintained"', "patched = []")
    locked = [{"name": "a", "version": "1.5.0"}, {"name": "b", "version": "1.0.0"}]
    both = ["a 1.5.0: vulnerable, RUSTSEC-1-1", "b 1.0.0: unmaintained, RUSTSEC-1-4"]
    assert libraries.advised(locked, tmp_path, set()) == both
    assert libraries.advised(locked, tmp_path, {"RUSTSEC-1-4"}) == both[:1]


RULES = tomllib.loads((REPOSITORY / "deny.toml").read_text())
REGISTRY = "registry+https://registry.example.org/index"
KNOWN = RULES["bans"]["skip"][0]["crate"].split("@")[0]


def library(name: str, version: str = "1.0.0", **other: object) -> dict:
    """What cargo tells of a library with which all is well, but for what is said otherwise."""
    fine = {"license": "MIT", "source": REGISTRY, "rust_version": None}
    return {"name": name, "version": version, **fine, **other}


def known_ones() -> list[dict]:
    """The versions that deny.toml lists, each beside another one."""
    names = [entry["crate"].split("@") for entry in RULES["bans"]["skip"]]
    return [library(*name) for name in names] + [library(name, "99.0.0") for name, _ in names]


def check(folder, *planted: dict) -> subprocess.CompletedProcess:
    """Runs the check where cargo tells of the known libraries and of planted ones."""
    own = {"name": "celebcam", "version": "0.1.0", "source": None, "rust_version": "1.91"}
    fuzzer = own | {"name": "celebcam-fuzz", "rust_version": None}
    (folder / "told.json").write_text(
        json.dumps({"packages": [own, fuzzer, *known_ones(), *planted]})
    )
    cargo = folder / "cargo"
    cargo.write_text(f"#!/bin/sh\ncat '{folder}/told.json'\n")
    cargo.chmod(0o755)
    return subprocess.run(
        [sys.executable, TOOLS / "repo" / "libraries.py"],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_libraries_that_follow_the_rules_pass(tmp_path):
    done = check(tmp_path, library("fine", license="GPL-3.0 OR MIT", rust_version="1.91.0"))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ([library("a", license="GPL-3.0-only")], "a 1.0.0: its licence is GPL-3.0-only"),
        ([library("a", license=None)], "a 1.0.0: its licence is None"),
        ([library("a"), library("a", "2.0.0")], "a: there are several versions of it, 1.0.0 and 2.0.0"),
        ([library(KNOWN, "98.0.0")], f"{KNOWN}: there are several versions of it, 98.0.0 and 99.0.0"),
        ([library("tokio")], "tokio 1.0.0: it is banned, for threads and channels do"),
        ([library("a", source="git+https://example.org/a")], "a 1.0.0: it comes from git+https"),
        ([library("a", source="registry+https://example.com/x")], "a 1.0.0: it comes from registry+https"),
        ([library("a", rust_version="1.91.1")], "a 1.0.0: it needs Rust 1.91.1, and Cargo.toml promises 1.91"),
        ([library("a", rust_version="1.100")], "a 1.0.0: it needs Rust 1.100, and Cargo.toml promises 1.91"),
    ],
)  # fmt: skip
def test_a_library_that_breaks_a_rule_fails(tmp_path, planted, said):
    done = check(tmp_path, *planted)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(said) and done.stdout.count("\n") == 1


def test_a_version_that_is_listed_in_vain_fails():
    packages = [library("a"), library("b", "1.0.0"), library("b", "2.0.0")]
    faults = libraries.repeated(packages, ["a@1.0.0", "b@3.0.0", "b@1.0.0", "c@1.0.0"])
    assert [fault.split()[2] for fault in faults] == ["a@1.0.0,", "b@3.0.0,", "c@1.0.0,"]
