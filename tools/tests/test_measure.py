"""What is measured of a made model: error rates of pairs, and draws of people."""

import argparse

import numpy as np
import pytest

import draws
import measure
from celebtrainer.failure import Failure


def test_error_rates_of_pairs_are_those_of_their_distributions():
    same, different = np.linspace(0.3, 1.3, 1001), np.linspace(-0.3, 0.7, 1001)
    # From 0.3 to 0.7 they overlap; at 0.5 a fifth of each is on the wrong side.
    assert measure.equal_error(same, different) == pytest.approx(0.2, abs=2e-3)
    assert measure.told_rightly(same, different) == pytest.approx(0.8, abs=2e-3)
    assert measure.equal_error(same + 2, different) == 0
    assert measure.told_rightly(same + 2, different) == 1


def test_a_draw_shares_no_picture_between_its_parts(tmp_path):
    for name in ("Ada", "Bob", "Cid"):
        (tmp_path / "all" / name).mkdir(parents=True)
        for number in range(9 if name != "Cid" else 3):
            (tmp_path / "all" / name / f"{number}.jpg").touch()
    args = argparse.Namespace(people=tmp_path / "all", count=2, pictures=4)
    draws.draw(args, 0, tmp_path / "draw", 2)
    # Cid has too few pictures to be drawn.
    for name in ("Ada", "Bob"):
        parts = {p: {f.name for f in (tmp_path / "draw" / p / name).iterdir()} for p in ("train", "val", "test")}  # fmt: skip
        assert [len(parts[p]) for p in ("train", "val", "test")] == [4, 2, 3]
        assert len(set.union(*parts.values())) == 9
    args.count = 3
    with pytest.raises(Failure, match="2 people with enough pictures, not 3"):
        draws.draw(args, 0, tmp_path / "draw", 2)
