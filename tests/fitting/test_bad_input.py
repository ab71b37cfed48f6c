"""Bad input of `fit` and `Joint`: one clear line for each mistake.

What is refused cell by cell is in tests/table/test_schema_inference.py and test_encoding.py,
options of `fit` are in test_fit.py.
"""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pofx
from pofx import PofxError


def refused(message):
    return pytest.raises(PofxError, match=message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame(), "data: expected at least one row and one column, got no columns"),
        (pd.DataFrame({"a": []}), "data: .* got no rows"),
        (
            pl.DataFrame({"a": [1.0, np.inf]}),
            "column 'a': expected finite numbers .* got inf in row 1",
        ),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "data: two columns are named 'a'"),
        (
            pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_product([["a"], ["b", "c"]])),
            r"data: expected one name per column, got \('a', 'b'\)",
        ),
        ({"a": [1.0, 2.0], "b": [1.0]}, "expected as many rows in each column"),
        ("birds.csv", "data: expected a pandas, polars or pyarrow frame"),
    ],
)
def test_data_that_cannot_be_learned_from(data, message):
    with refused(message) as caught:
        pofx.fit(data, "independent")
    assert "\n" not in str(caught.value)


QUESTIONS = {
    "log_prob": lambda p, data: p.log_prob(data),
    "impute": lambda p, data: p.impute(data),
    "predict_proba": lambda p, data: p.predict_proba(data, "species"),
    "predict": lambda p, data: p.predict(data, "species"),
    "predict a number": lambda p, data: p.predict(data, "gain"),
}

CHANGES = {
    "no rows": (lambda d: d.iloc[:0], "data: expected at least one row, got no rows"),
    "a column absent": (
        lambda d: d.rename(columns={"mass": "mas"}),
        "data: no column 'mass'; did you mean 'mas'",
    ),
    "text for numbers": (
        lambda d: d.assign(mass="heavy"),
        "column 'mass': expected numbers, got the text 'heavy' in row 0",
    ),
    "numbers for text": (
        lambda d: d.assign(sex=3),
        "column 'sex': expected text such as 'female', got the number 3 in row 0",
    ),
    "an infinite value": (
        lambda d: d.assign(mass=-np.inf),
        "column 'mass': expected finite numbers .* got -inf in row 0",
    ),
    "columns of one name": (
        lambda d: pd.concat([d, d[["mass"]]], axis=1),
        "data: two columns are named 'mass'",
    ),
    "another kind of thing": (lambda d: d.to_csv(), "data: expected a pandas, .* got str"),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_data_that_cannot_be_asked_about(p, birds, question, change):
    make, message = CHANGES[change]
    with refused(message) as caught:
        QUESTIONS[question](p, make(birds))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("question", ["log_prob", "predict_proba"])
def test_a_negative_value_in_a_positive_column(p, birds, question):
    with refused("column 'gain': expected numbers > 0 or 0 .* got -1 in row 0"):
        QUESTIONS[question](p, birds.assign(gain=-1.0))


def test_imputation_leaves_a_value_out_of_range_as_it_is_and_learns_nothing_from_it(p, birds):
    imputed, without = p.impute(birds.assign(gain=-1.0)), p.impute(birds.assign(gain=np.nan))
    assert (imputed["gain"] == -1).all()
    pd.testing.assert_frame_equal(imputed.drop(columns="gain"), without.drop(columns="gain"))
    with refused("column 'gain': expected numbers > 0 or 0 .* got -1 in row 0"):
        p.impute(birds.assign(gain=-1.0), unseen="error")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"species": "Adele"}, "no level 'Adele'; did you mean 'Adelie'"),
        ({"eggs": 7}, "no level '7'; there are: 0, 1, 2"),
        ({"mass": "heavy"}, "column 'mass': expected numbers, got the text 'heavy'"),
        ({"mass": np.inf}, "column 'mass': expected finite numbers .* got inf"),
        ({"gain": -1}, "column 'gain': expected numbers > 0 or 0"),
        ({"mass": [1, 2]}, r"column 'mass': expected cells of shape \(\), got \(2,\)"),
        ({"specis": "Adelie"}, "no column 'specis'; did you mean 'species'"),
    ],
)
def test_evidence(p, values, message):
    with refused(message) as caught:
        p.given(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda p: p.entropy("mas"),
        lambda p: p.entropy("sex", given="mas"),
        lambda p: p.mutual_information("mas", "sex"),
        lambda p: p.mutual_information("sex", "eggs", given=["mas"]),
        lambda p: p.marginal("sex", "mas"),
        lambda p: p.predict({"mas": [1]}, "mas"),
    ],
)
def test_an_unknown_column_in_a_question(p, ask):
    with refused(re.escape("no column 'mas'; did you mean 'mass'?")):
        ask(p)


def test_an_image_of_another_shape(drawn, pictures):
    small = {**pictures, "image": pictures["image"][:, :1]}
    message = r"column 'image': expected cells of shape \(2, 2\), got \(1, 2\)"
    for ask in (drawn.log_prob, drawn.impute, lambda d: drawn.predict(d, "label")):
        with refused(message):
            ask(small)
    with refused(message):
        drawn.given(image=small["image"][0])


def test_an_array_of_another_width(numbers):
    p = pofx.fit(numbers.to_numpy(), "gaussian")
    with refused(r"data: expected an array of 2 columns \(x0, x1\), got 1"):
        p.log_prob(numbers[["u"]].to_numpy())


@pytest.mark.parametrize("name", ["", "/", "no/such/folder/p.pofx"])
def test_a_path_that_cannot_be_written(p, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused("expected the name of a file|no/such/folder/p.pofx: cannot be written: No such"):
        p.save(name)
    assert not list(tmp_path.iterdir())
