"""How many programs a call compiles, and that patterns, evidence and row counts compile none."""

from functools import partial

import jax
import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.core.compilation_count import counting_compilations

ROWS = 90


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(ROWS, 3))
    frame = pd.DataFrame(z + z[:, :1], columns=list("uvw"))
    frame["level"] = np.array(list("abc"))[rng.integers(0, 3, ROWS)]
    frame["side"] = np.array(["left", "right"])[(frame.u + z[:, 1] > 0).astype(int)]
    return frame.mask(rng.random(frame.shape) < 0.1)


def fit(table):
    return pofx.fit(table, "mixture", components=3, seed=1, progress=False)


@pytest.fixture(scope="module")
def p(table):
    return fit(table)


def compiled(call):
    """Programs that a call compiles in a process that has compiled nothing yet."""
    jax.clear_caches()
    with counting_compilations() as programs:
        call()
    return programs.count


def compiled_again(*calls):
    """Programs that the calls compile after the first of them."""
    calls[0]()
    with counting_compilations() as programs:
        for call in calls[1:]:
            call()
    return programs.count


def test_a_named_fit(table):
    assert compiled(lambda: fit(table)) <= 12


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


@pytest.mark.parametrize("name", CALLS)
def test_a_question(p, table, name):
    assert compiled(lambda: CALLS[name](p, table)) <= 3


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
        asked = [partial(p.ask, question.format(a, a / 2)) for a in (0.5, -1.5, 2)]
        assert compiled_again(*asked) == 0
    assert compiled_again(lambda: p.given(u=1.0), lambda: p.given(u=-2.5)) == 0
