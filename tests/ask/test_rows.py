"""Questions whose evidence comes from rows: the answers of a loop, in one call."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.ask.rows import _number
from pofx.core.compilation_count import counting_compilations

N = 60


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=N).round(1)
    return pd.DataFrame({"x": x, "y": x + rng.normal(size=N), "side": np.where(x > 0, "l", "r")})


@pytest.fixture(scope="module")
def p(table):
    return pofx.fit(table, "mixture", components=2, progress=False)


def values(row):
    return ", ".join(f"{name} = {value}" for name, value in row.items() if not pd.isna(value))


@pytest.mark.parametrize("target", ["P(side = l{})", "P(y > 1{})", "Q[0.9](y{})", "Var[y{}]"])
def test_each_row_has_the_answer_of_its_own_question(p, table, target):
    rows = table[["x"]].head(12)
    answers = p.ask(target.format(" | x"), rows)
    assert answers.value.shape == (12,)
    assert answers.question == target.format(" | x")
    for i, (_, row) in enumerate(rows.iterrows()):
        one = p.ask(target.format(f" | {values(row)}"))
        assert answers.value[i] == one.value
        assert answers.kind == one.kind


def test_other_evidence_holds_for_every_row(p, table):
    answers = p.ask("E[y | x, side = l]", table.head(5))
    each = [p.ask(f"E[y | x = {x}, side = l]").value for x in table.x.head(5)]
    assert answers.value.tolist() == each


def test_a_question_mark_is_filled_too(p, table):
    rows = table[["x"]].head(4)
    assert (
        p.ask("P(y > 1 | x = ?)", rows).value.tolist() == p.ask("P(y > 1 | x)", rows).value.tolist()
    )


def test_a_missing_cell_is_no_evidence(p, table):
    rows = table[["x", "side"]].head(4).copy()
    rows.loc[0, "x"] = np.nan
    rows.loc[1, "side"] = None
    rows.loc[2, ["x", "side"]] = None
    answers = p.ask("E[y | x, side]", rows)
    terms = [values(row) for _, row in rows.iterrows()]
    each = [p.ask(f"E[y | {text}]" if text else "E[y]").value for text in terms]
    assert answers.value.tolist() == each


def test_an_information_under_each_row(p, table):
    answers = p.ask("H(side | x)", table.head(3))
    each = [p.ask(f"H(side | x = {x})").value for x in table.x.head(3)]
    assert answers.value.tolist() == each


def test_estimates_keep_their_errors(p, table):
    answers = p.ask("Q[0.5](y | x > 0, side)", table[["side"]].head(3))
    assert answers.kind == "estimate"
    assert (answers.stderr > 0).all()


def test_an_impossible_row_has_no_answer():
    answer = _number(lambda _: pytest.fail("asked"), SimpleNamespace(log_prob=-np.inf))
    assert np.isnan(answer.value)
    assert "probability zero" in answer.method


def test_rows_compile_nothing_new(p, table):
    p.ask("P(y > 0 | x)", table.head(2))
    with counting_compilations() as programs:
        p.ask("P(y > 0.5 | x)", table)
        p.ask("P(y > 0.5 | side, x)", table)
    assert programs.count == 0


@pytest.mark.parametrize(
    ("question", "rows", "message"),
    [
        ("P(side = l)", {"x": [1.0]}, "rows: expected a name without a value after the bar"),
        ("p(side | x)", {"x": [1.0]}, "rows: expected a question whose answer is one number"),
        ("KL(p || p)", {"x": [1.0]}, "rows: expected a question about p"),
        ("P(side = l | x)", {"side": ["l"]}, "no column 'x'; there are: side"),
        ("P(side = l | x)", {"x": []}, "data: expected at least one row"),
        ("P(y > 0 | side)", {"side": ["m"]}, "'m'"),
    ],
)
def test_errors_help(p, question, rows, message):
    with pytest.raises(pofx.PofxError, match=message.replace("(", r"\(")):
        p.ask(question, rows)
