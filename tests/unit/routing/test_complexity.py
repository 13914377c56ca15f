"""The score: what it reads, that it is quick, and that it ranks what people would rank."""

from __future__ import annotations

import json
import time
from importlib import resources

import pytest

from nearfield.routing import complexity

EASY = '"""\nWrite a function to find the area of a rectangle.\nassert area(10, 20) == 200\n"""\n'
HARD = """import requests
import pandas as pd
import matplotlib.pyplot as plt
def task_func(url: str, start_date: str) -> (pd.DataFrame, plt.Axes):
    \"\"\"
    Download the file at the given URL, note the rows whose date is not before start_date, and
    plot them if there are any; otherwise raise an error. If a date is missing, then use the mean
    of its neighbours. Each row should hold at least two numbers, for example a price and a volume.
    Parameters: url, the address. start_date, the first day. Returns: the data frame and the axes.
    Requirements: requests, pandas, matplotlib.
    \"\"\"
"""


def test_a_hard_task_scores_above_an_easy_one() -> None:
    easy, hard = complexity.score(EASY), complexity.score(HARD)
    assert hard.fails > complexity.default_threshold() > easy.fails
    assert all(0 < value < 1 for value in (easy.fails, easy.gains, hard.fails, hard.gains))


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("#!/bin/bash\nf() {", "shellscript"),
        ("#include <vector>\nint f(int x) {", "cpp"),
        ("def f(x):", "python"),
        ("<?php\nfunction f($x) {", "php"),
        ("function f(x: number[]) {", "typescript"),
        ("function f(x) {", "javascript"),
        ("plain words", ""),
    ],
)
def test_the_language_is_guessed_where_it_is_not_told(prompt: str, language: str) -> None:
    assert complexity.guess_language(prompt) == language


@pytest.mark.parametrize(
    "prompt", ["", "\n", "(" * 50_000, "a b " * 100_000, "\ud800", "ünïcödé" * 900]
)
def test_any_text_has_a_score_and_soon(prompt: str) -> None:
    complexity.score("warm")
    begun = time.process_time()
    found = complexity.score(prompt)
    assert time.process_time() - begun < 1.0
    assert 0 <= found.fails <= 1


def test_every_coefficient_is_of_a_feature_and_its_origin_is_told() -> None:
    text = resources.files("nearfield.routing").joinpath("complexity.json").read_text("utf-8")
    document = json.loads(text)
    known = {"intercept", *complexity.features("x")}
    for table in document["coefficients"].values():
        assert set(table) <= known
    assert len(document["data"]["sha256"]) == 64
    measured = document["cross_validation"]
    for name in ("fails", "gains"):
        assert measured[name]["auc"] > measured[name]["auc_length"]
