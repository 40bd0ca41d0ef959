"""Tells the kinds of AArch64 instructions apart."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable

OBJDUMP = "aarch64-linux-gnu-objdump"

# Kind of an instruction by its text: the first pattern that matches. Vector registers are v0 to v31,
# or q, d, s, h and b where the whole or the low part is meant; `{` starts a list of them.
VECTOR = r"\{?[vqdshb]\d"
KINDS = [
    ("loads, SIMD", rf"ld\w* {VECTOR}"),
    ("loads", r"ld"),
    ("stores, SIMD", rf"st\w* {VECTOR}"),
    ("stores", r"st|cas|swp"),
    ("prefetches", r"prf"),
    ("branches", r"(b|b\.\w+|bl|br|blr|ret|cbn?z|tbn?z)( |$)"),
    ("SIMD dot product", r"(s|u|us|su)dot "),
    ("SIMD matrix product", r"(s|u|us)mmla "),
    ("SIMD multiply, 8 to 16 bits", r"[su]m(ul|la|ls)l2? v\d+\.8h"),
    ("SIMD multiply, 16 to 32 bits", r"[su]m(ul|la|ls)l2? v\d+\.4s"),
    ("SIMD multiply, high half", rf"sqr?dm[ul]\w*h {VECTOR}"),
    ("SIMD multiply, other", rf"(mul|ml[as]|p?mull2?|[su]m(ul|la|ls)l2?|sqdm\w+) {VECTOR}"),
    ("SIMD pairwise add", rf"([su]adalp|[su]addlp|addp) {VECTOR}"),
    ("SIMD widen or narrow", rf"([su]xtl|[su]?shll|xtn|[su]qxtu?n|[su]?q?r?shru?n)2? {VECTOR}"),
    ("SIMD permute or move", rf"(dup|ins|tb[lx]|zip\d|uzp\d|trn\d|ext|rev\d+|movi?|mvni) {VECTOR}"),
    ("SIMD permute or move", r"([su]mov|mov) [wx]\d+, v"),
    ("floating point", rf"(f|[su]cvtf)\w* ({VECTOR}|[wx])"),
    ("SIMD other", rf"\w+ {VECTOR}"),
    ("integer", r""),
]
NAMES = list(dict.fromkeys(name for name, _ in KINDS))
PATTERNS = [(name, re.compile(pattern)) for name, pattern in KINDS]


def kind(text: str) -> str:
    """The kind of an instruction, such as `smlal v0.8h, v1.8b, v2.8b`."""
    return next(name for name, pattern in PATTERNS if pattern.match(text))


def disassemble(instructions: Iterable[str]) -> dict[str, str]:
    """The text of each instruction that is given in hexadecimal."""
    codes = sorted(set(instructions))
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(int(code, 16).to_bytes(4, "little") for code in codes))
        file.flush()
        listing = subprocess.run(
            [OBJDUMP, "-D", "-z", "-b", "binary", "-m", "aarch64", file.name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    lines = re.findall(r"^ +[0-9a-f]+:\t([0-9a-f]{8}) \t(.*)$", listing, re.MULTILINE)
    texts = {code: text.replace("\t", " ") for code, text in lines}
    return {code: texts[code] for code in codes}


def count_kinds(blocks: dict[tuple[str, ...], float], texts: dict[str, str]) -> Counter[str]:
    """How many instructions of each kind are in blocks, each with how often it is run."""
    kinds = {code: kind(text) for code, text in texts.items()}
    counts: Counter[str] = Counter()
    for block, runs in blocks.items():
        for code in block:
            counts[kinds[code]] += runs
    return counts
