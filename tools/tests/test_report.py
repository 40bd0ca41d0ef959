"""The report as a page for cleaning pictures."""

from __future__ import annotations

import csv

import pytest
from conftest import draw
from PIL import Image

import prepare
import report
from celebtrainer import charts, data, pictures

FIGURES = {
    "model": "people.onnx", "split": "test", "true_accepts": 0.5, "float_top1": 1.0,
    "size_bytes": 1, "macs": 1, "closed_set": {"pictures": 2, "top1": 1.0, "confusion": [[2]]},
    "mistakes": [], "wrong_decisions": [],
    "left_out": [{"stranger": "Ada", "pictures": 10, "false_accepts": 0.2}],
}  # fmt: skip
PROPERTIES = {
    "decision": {"calibration": "how"}, "labels": [{"name": "Ada"}], "source": "s", "license": "l",
    "created": "now", "training": {"people": 1, "train_pictures": 2, "preset": {
        "name": "default", "backbone": "mobilefacenet", "input_px": 112}},
}  # fmt: skip


@pytest.fixture
def work(tmp_path):
    """A prepared folder with a picture in doubt and two left out."""
    folder, source = tmp_path / "data", tmp_path / "people"
    (folder / "train" / "Ada").mkdir(parents=True)
    (source / "Ada").mkdir(parents=True)
    rows = []
    for number, (dropped, doubt) in enumerate(
        [
            ("", "hardly like the others of the folder"),
            ("copy: of Ada/9.jpg", ""),
            ("broken: no", ""),
        ]
    ):
        picture = source / "Ada" / f"{number}<.png"
        if number < 2:
            Image.fromarray(draw(0, number)).save(picture)
        path = "" if dropped else f"train/Ada/{number}.png"
        if path:
            Image.fromarray(draw(0, number)).save(folder / path)
        rows.append((path, "train", "Ada", picture, 0, dropped, 1, 1, "0.35", doubt))
    with open(folder / data.MANIFEST, "w", newline="") as file:
        csv.writer(file).writerows([prepare.COLUMNS, *rows])
    return tmp_path


def test_what_helps_to_clean_comes_first_with_paths_and_reasons(work):
    page = report.page(work, {}, [], {})
    first, out = page.index("Look at these first"), page.index("Left out")
    assert first < page.index("Ada/0&lt;.png") < out < page.index("Ada/1&lt;.png")
    assert "of Ada/9.jpg" in page and "likeness 0.35" in page and page.count("<img") == 2
    assert 'name="viewport"' in page and "http" not in page and "<svg" not in page


def test_small_numbers_have_intervals_and_nothing_is_empty(work):
    page = report.page(work, FIGURES, [{"epoch": 1, "loss": 1.0}], PROPERTIES)
    assert "2 of 2</td><td>100 %</td><td>34 to 100 %" in page
    assert "People left out as strangers" in page and "2 of 10</td><td>6 to 51 %" in page
    assert "<svg" not in page and "Loss" not in page and "Open-set curve" not in page
    assert page.index("Look at these first") < page.index("People left out as strangers")


def test_a_chart_of_one_value_is_drawn():
    chart = charts.line_chart([charts.Line("a", [(1, 1.0), (2, 1.0)])], "x", "y", shares=True)
    assert "nan" not in chart and "<polyline" in chart


def test_what_is_no_picture_is_named_without_one(tmp_path):
    shown = pictures.Shown(tmp_path / "no.jpg", "Ada/no.jpg", ())
    assert "Ada/no.jpg" in pictures.grid([shown, shown], 1) and "1 more" in pictures.grid(
        [shown, shown], 1
    )
