"""What all tests share: Hypothesis made repeatable, small tables, distributions learned once."""

import os
import time
from itertools import count

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

import pofx
from pofx.core import compilation_cache
from pofx.core.memory_maps import clear_caches_if_maps_run_out

settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

# As by a first `fit`, for tests that make their models by hand.
compilation_cache.enable()
_done = count(1)
UNTIL = float(os.environ.get("POFX_TESTS_UNTIL", "inf"))
"""Seconds since 1970 after which no test begins; `.ci/run` sets it, because its time is limited."""
OUT_OF_TIME = "no time left in this run"


def pytest_collection_modifyitems(items):
    """Pages first: they take minutes, and a run should not end in the middle of one."""
    items.sort(key=lambda item: item.path.name != "test_pages.py")


def pytest_runtest_setup():
    if time.time() > UNTIL:
        pytest.skip(OUT_OF_TIME)


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    left = sum(OUT_OF_TIME in str(report.longrepr) for report in skipped)
    if left:
        terminalreporter.write_line(f"NOT RUN: {left} tests, {OUT_OF_TIME}")


@pytest.fixture(autouse=True)
def _room():
    """Thousands of tests in one process compile more than the kernel has maps for."""
    yield
    if next(_done) % 25 == 0:
        clear_caches_if_maps_run_out()


def _birds(seed=0, n=60):
    rng = np.random.default_rng(seed)
    heavy = rng.random(n) < 0.4
    kinds = np.where(heavy, "Gentoo", rng.choice(["Adelie", "Chinstrap"], n))
    frame = pd.DataFrame(
        {
            "species": kinds,
            "mass": np.where(heavy, 5000, 3700) + 300 * rng.normal(size=n).round(3),
            "sex": pd.Categorical(rng.choice(["female", "male"], n)),
            "eggs": rng.integers(0, 3, n),
            "gain": np.where(rng.random(n) < 0.4, 0.0, np.exp(2 * rng.normal(size=n))),
        },
        index=[f"bird {i}" for i in range(n)],
    )
    frame.loc[frame.index[::7], "mass"] = np.nan
    frame.loc[frame.index[1::9], "sex"] = None
    frame.loc[frame.index[4], "species"] = None
    return frame


@pytest.fixture(scope="session")
def birds():
    """A pandas frame: text, number, category, ordinal and a column with a spike; cells missing."""
    return _birds()


@pytest.fixture(scope="session")
def p(birds):
    """A mixture over all columns."""
    return pofx.fit(birds, "mixture", components=2, restarts=1)


@pytest.fixture(scope="session")
def numbers():
    """Two correlated columns of size 1000 and 0.1, complete."""
    z = np.random.default_rng(1).normal(size=(80, 2))
    return pd.DataFrame({"u": 5000 + 1000 * z[:, 0], "v": 0.1 * (z[:, 0] + z[:, 1])})


@pytest.fixture(scope="session")
def gaussian(numbers):
    """A Gaussian over both."""
    return pofx.fit(numbers, "gaussian")


@pytest.fixture(scope="session")
def levels():
    """Three columns of levels, the third told by the first two most of the time."""
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 2, 200), rng.integers(0, 3, 200)
    noise = rng.random(200) < 0.2
    c = np.where(noise, rng.integers(0, 2, 200), (a + b) % 2)
    return pd.DataFrame({"a": a, "b": np.array(list("xyz"))[b], "c": c})


@pytest.fixture(scope="session")
def discrete(levels):
    """A mixture over them, which an enumeration can check."""
    return pofx.fit(levels, "mixture", components=4, restarts=1)


@pytest.fixture(scope="session")
def pictures():
    """A mapping with an image of bytes and its label."""
    rng = np.random.default_rng(3)
    label = rng.choice(["down", "up"], 50)
    image = rng.integers(0, 60, (50, 2, 2), dtype=np.uint8)
    image[label == "up", 0] += 150
    return {"image": image, "label": label}


@pytest.fixture(scope="session")
def drawn(pictures):
    """A mixture over image and label."""
    return pofx.fit(pictures, "mixture", components=2, restarts=1)
