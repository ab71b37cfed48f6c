"""How many programs a call compiles, and that patterns, evidence and row counts compile none."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.core.compilation_count import counting_compilations

ROWS = 90
MAX_PER_FIT = 12
MAX_PER_QUESTION = 3


def made_table():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(ROWS, 3))
    frame = pd.DataFrame(z + z[:, :1], columns=list("uvw"))
    frame["level"] = np.array(list("abc"))[rng.integers(0, 3, ROWS)]
    frame["side"] = np.array(["left", "right"])[(frame.u + z[:, 1] > 0).astype(int)]
    return frame.mask(rng.random(frame.shape) < 0.1)


def fit(table):
    return pofx.fit(table, "mixture", components=3, seed=1, progress=False)


CALLS = {
    "log_prob": lambda p, t: p.log_prob(t),
    "sample": lambda p, t: p.sample(20),
    "given": lambda p, t: p.given(side="left"),
    "marginal": lambda p, t: p.marginal("u", "side"),
    "predict_proba": lambda p, t: p.predict_proba(t, "side"),
    "impute": lambda p, t: p.impute(t),
    "impute, draws": lambda p, t: p.impute(t, draws=2),
    "interval": lambda p, t: p.interval(t, "u"),
    "tail_probability": lambda p, t: p.tail_probability(t),
    "decide": lambda p, t: p.decide(t, "side"),
    "posterior": lambda p, t: p.ask("p(side | u = 1, level = a)"),
    "probability": lambda p, t: p.ask("P(u > 1 | v = 0, side = left)"),
    "mean": lambda p, t: p.ask("E[u | v = 0]"),
    "entropy": lambda p, t: p.ask("H(side | level)"),
    "informations": lambda p, t: p.mutual_informations(),
}


def counts():
    """Programs that each call compiles if nothing has been compiled before."""
    table = made_table()
    p, numbers = fit(table), {}
    works = {"fit": lambda: fit(table), **{k: partial(call, p, table) for k, call in CALLS.items()}}
    for name, work in works.items():
        jax.clear_caches()
        with counting_compilations() as programs:
            work()
        numbers[name] = programs.count
    return numbers


@pytest.fixture(scope="module")
def programs():
    """The counts of a process of its own, so that other tests keep what they have compiled."""
    command = [sys.executable, "-m", "tests.named.test_compilations"]
    root = Path(__file__).parents[2]
    return json.loads(subprocess.run(command, cwd=root, capture_output=True, check=True).stdout)


@pytest.fixture(scope="module")
def table():
    return made_table()


@pytest.fixture(scope="module")
def p(table):
    return fit(table)


def compiled_again(*calls):
    """Programs that the calls compile after the first of them."""
    calls[0]()
    with counting_compilations() as programs:
        for call in calls[1:]:
            call()
    return programs.count


def test_a_named_fit(programs):
    assert programs["fit"] <= MAX_PER_FIT


@pytest.mark.parametrize("name", CALLS)
def test_a_question(programs, name):
    assert programs[name] <= MAX_PER_QUESTION


def test_patterns_and_numbers_of_rows_are_data(p, table):
    rng = np.random.default_rng(1)

    def batch(rows, holes):
        rows = table.iloc[rng.integers(0, ROWS, rows)]
        return rows.mask(rng.random(rows.shape) < holes)

    batches = [batch(80, 0), batch(80, 0.5), *(batch(n, h) for n in (1, 7, 999) for h in (0, 0.3))]
    for ask in (p.log_prob, p.impute, lambda rows: p.predict_proba(rows, "side")):
        for rows in batches[:2]:
            ask(rows)
        assert compiled_again(*(partial(ask, rows) for rows in batches)) == 0


def test_values_of_evidence_are_data(p):
    questions = [
        "P(u > {} | v = {}, side = left)",
        "p(side | u = {}, v = {})",
        "E[u | v = {}, w = {}]",
    ]
    for question in questions:
        calls = [partial(p.ask, question.format(a, a / 2)) for a in (0.5, -1.5, 2)]
        assert compiled_again(*calls) == 0
    assert compiled_again(lambda: p.given(u=1.0), lambda: p.given(u=-2.5)) == 0


def test_columns_of_evidence_are_data(p):
    evidence = ["v = 1", "w = 0.5", "v = 1, w = 0.5", "side = left", "level = a, side = right"]
    for question in ("P(u > 1 | {})", "E[u | {}]", "Q[0.9](u | {})", "p(u | {})"):
        calls = [partial(p.ask, question.format(terms)) for terms in evidence]
        assert compiled_again(*calls) == 0, question
    ranges = ["v in [0, 1]", "w in [0, 2]", "v in [0, 1], w > 0", "w in [-1, 0], side = left"]
    calls = [partial(p.ask, f"P(u > 1 | {terms})") for terms in ranges]
    assert compiled_again(*calls) == 0
    levels = [partial(p.ask, f"p(level | {terms})") for terms in evidence[:4]]
    assert compiled_again(*levels) == 0


if __name__ == "__main__":
    print(json.dumps(counts()))
