"""Small tables for the estimators, and a fitted classifier and imputer."""

import numpy as np
import pandas as pd
import pytest

from pofx.sklearn import GenerativeClassifier, GenerativeImputer


def _birds(n=60):
    rng = np.random.default_rng(0)
    heavy = rng.random(n) < 0.5
    frame = pd.DataFrame(
        {
            "mass": np.where(heavy, 5000, 3700) + 300 * rng.normal(size=n),
            "sex": pd.Categorical(rng.choice(["female", "male"], n)),
            "island": np.where(heavy, "Biscoe", rng.choice(["Dream", "Torgersen"], n)),
            "eggs": rng.integers(0, 3, n),
        },
        index=[f"bird {i}" for i in range(n)],
    )
    frame.loc[frame.index[::7], "mass"] = np.nan
    frame.loc[frame.index[1::9], "sex"] = None
    return frame, pd.Series(np.where(heavy, "Gentoo", "Adelie"), frame.index, name="species")


@pytest.fixture(scope="session")
def birds():
    """Numbers, categories and text with missing cells."""
    return _birds()[0]


@pytest.fixture(scope="session")
def species():
    """The class of each row, as text."""
    return _birds()[1]


@pytest.fixture(scope="session")
def classifier(birds, species):
    """A class-conditional classifier of the birds' species."""
    return GenerativeClassifier("class_conditional", random_state=0).fit(birds, species)


@pytest.fixture(scope="session")
def imputer(birds):
    """An imputer of the birds with a mixture of two components."""
    return GenerativeImputer(
        "mixture", n_components=2, options={"restarts": 1}, random_state=0
    ).fit(birds)


@pytest.fixture(scope="session")
def line():
    """Two inputs, and a number that is linear in them up to noise of 0.3."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 2)) @ [[1.0, 0.4], [0.0, 1.0]]
    return X, 3 + X @ [2.0, -1.0] + 0.3 * rng.normal(size=200)
