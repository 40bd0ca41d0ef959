"""The check of the libraries' licences and advisories."""

import pytest

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
    assert libraries.advised(locked, tmp_path, {}) == both
    assert libraries.advised(locked, tmp_path, {"RUSTSEC-1-4": "known"}) == both[:1]
