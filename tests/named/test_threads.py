"""Questions from several threads at once: right answers, and each program compiled once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import pofx

THREADS = 8
CALLS = 200


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    side = np.where(x > 0, "left", "right")
    return pd.DataFrame({"x": x, "y": x + rng.normal(size=80), "side": side})


@pytest.fixture(scope="module")
def p(table):
    return pofx.fit(table, "mixture", components=2, progress=False)


def test_many_threads_get_the_answers_of_one(p, table):
    def ask(i):
        row = table.iloc[[i % len(table)]]
        match i % 4:
            case 0:
                return float(p.log_prob(row).value[0])
            case 1:
                return float(p.predict_proba(row, "side").iloc[0, 0])
            case 2:
                return p.ask(f"E[y | x = {row.x.iloc[0]}]").value
            case _:
                return float(p.sample(2, seed=i).x.iloc[1])

    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(ask, range(CALLS), timeout=240))
    assert together == [ask(i) for i in range(CALLS)]
