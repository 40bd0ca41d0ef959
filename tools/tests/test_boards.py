"""Counting instructions on emulated boards."""

from collections import Counter

import pytest

from emulator import blocks_of, is_branch, read_counts
from instructions import kind

ADD, SDOT, LDR = "8b010000", "4e829420", "3dc00000"
LOOP, RETURN = "54ffffa1", "d65f03c0"


def test_counts_of_an_instruction_in_several_blocks_add_up(tmp_path):
    path = tmp_path / "counts"
    path.write_text(f"3 1000 {ADD} {LOOP}\n2 1004 {LOOP}\n")
    assert read_counts(path) == Counter({(0x1000, ADD): 3, (0x1004, LOOP): 5})


def test_blocks_end_with_branches_and_where_the_count_changes():
    counts = Counter({(0x0FFC, ADD): 1, (0x1000, LDR): 9, (0x1004, SDOT): 9, (0x1008, LOOP): 9})
    counts |= Counter({(0x100C, ADD): 9, (0x1010, RETURN): 9, (0x2000, ADD): 9})
    assert blocks_of(counts) == {(ADD,): 10, (LDR, SDOT, LOOP): 9, (ADD, RETURN): 9}


@pytest.mark.parametrize("code", [ADD, SDOT, LDR, "d503201f"])
def test_instructions_that_go_on(code):
    assert not is_branch(code)


@pytest.mark.parametrize(
    "code", [LOOP, RETURN, "14000001", "94000001", "b4000040", "37000040", "d63f0000"]
)
def test_branches_are_known_by_their_code(code):
    assert is_branch(code)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sdot v12.4s, v8.16b, v0.4b[0]", "SIMD dot product"),
        ("smlal2 v9.8h, v1.16b, v8.16b", "SIMD multiply, 8 to 16 bits"),
        ("sadalp v16.4s, v12.8h", "SIMD pairwise add"),
        ("ld1 {v8.16b-v11.16b}, [x1], #64", "loads, SIMD"),
        ("ldp q0, q1, [x2], #32", "loads, SIMD"),
        ("ldr x1, [sp, #8]", "loads"),
        ("str q28, [x4, x5]", "stores, SIMD"),
        ("b.ne 0x948", "branches"),
        ("scvtf v0.4s, v0.4s", "floating point"),
        ("xtn2 v0.8h, v1.4s", "SIMD widen or narrow"),
        ("add x0, x0, #1", "integer"),
    ],
)
def test_kinds_of_instructions(text, expected):
    assert kind(text) == expected
