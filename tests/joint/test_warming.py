"""After warming up, the first requests compile nothing."""

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.core.compilation_count import counting_compilations


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    frame = pd.DataFrame({"x": x, "y": x + rng.normal(size=50), "side": np.where(x > 0, "l", "r")})
    return frame.mask(rng.random(frame.shape) < 0.1)


def test_what_follows_compiles_nothing(table):
    p = pofx.fit(table, "mixture", components=2, progress=False)
    p.warm_up("P(x > 1 | side = l)", "E[y | x = 0]", data=table.head(20))
    with counting_compilations() as programs:
        p.log_prob(table)
        p.sample(30)
        p.impute(table)
        p.predict_proba(table.drop(columns="side"), "side")
        p.interval(table, "x")
        p.interval(table, "y")
        p.ask("P(x > 0.5 | y = 2)")
        p.ask("E[y | x = -1, side = r]")
    assert programs.count == 0


def test_without_data_it_needs_none(table):
    p = pofx.fit(table, "independent", progress=False)
    assert p.warm_up() is None


def test_a_question_that_cannot_be_answered_is_an_error(table):
    p = pofx.fit(table, "independent", progress=False)
    with pytest.raises(pofx.PofxError, match="'z'"):
        p.warm_up("P(z > 1)")
