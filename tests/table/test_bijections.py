"""Draws and imputations keep columns of levels and counts that follow from each other."""

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.core.errors import PofxError
from pofx.table.bijections import Bijection, find, impose
from pofx.table.schema import Schema

WORDS = {"u": "one", "v": "two", "w": "three"}


def table(n=300):
    rng = np.random.default_rng(0)
    letter = rng.choice(list(WORDS), n, p=[0.5, 0.3, 0.2])
    few = rng.poisson(1, n) + 2 * (letter == "u")
    many = rng.poisson(60, n) + 20 * (letter == "v")
    f = pd.DataFrame({"letter": letter, "few": few, "many": many})
    f["word"] = f.letter.map(WORDS)
    f["total"], f["dozens"], f["copy"] = f.few + f.many, 12 * f.many, f.few
    return f


def obeyed(f):
    assert (f.letter.map(WORDS) == f.word).all()
    assert (f.total == f.few + f.many).all()
    assert (f.dozens == 12 * f.many).all()
    assert (f["copy"] == f.few).all()


@pytest.fixture(scope="module")
def p():
    with pytest.warns(pofx.PofxWarning, match="follow from others in every row") as caught:
        p = pofx.fit(table(), "mixture", components=2, restarts=1)
    assert sum("follow from" in str(w.message) for w in caught) == 1
    return p


def test_draws_keep_copies_sums_and_units_of_counts_and_levels(p):
    drawn = p.sample(200)
    obeyed(drawn)
    assert drawn.total.std() == pytest.approx(table().total.std(), rel=0.2)


def test_imputations_keep_them_beside_what_was_observed(p):
    holes = table().head(60)
    holes.loc[:19, ["word", "copy", "total", "dozens"]] = np.nan
    holes.loc[20:39, ["letter", "many", "few"]] = np.nan
    holes.loc[40:, ["few", "copy", "many", "dozens"]] = np.nan
    for filled in (p.impute(holes), p.impute(holes, draws=1)[0]):
        obeyed(filled)
        seen = holes.notna()
        assert (filled[seen].astype(str) == holes[seen].astype(str))[seen].stack().all()


def test_evidence_margins_and_files_keep_them(p, tmp_path):
    given = p.given(letter="v", copy=3).sample(20)
    assert (given.word == "two").all()
    assert (given.few == 3).all()
    assert (given.total == 3 + given.many).all()
    part = p.marginal("word", "letter", "total").sample(50)
    assert (part.letter.map(WORDS) == part.word).all()
    p.save(tmp_path / "p.pofx")
    loaded = pofx.load(tmp_path / "p.pofx")
    assert loaded.schema.bijections == p.schema.bijections
    obeyed(loaded.sample(50))


def test_independent_columns_are_not_made_to_agree():
    p = pofx.fit(table()[["letter", "word"]], "independent")
    assert p.schema.bijections == p.schema.relations == ()


def test_few_repeats_or_one_exception_are_no_bijection():
    a = np.arange(60.0) % 30
    other = np.where(np.arange(60) == 59, 0, a)
    assert find(["a", "b"], np.stack([a, a], 1))[0].names == ("a", "b")
    assert find(["a", "b"], np.stack([a, other], 1)) == ()
    assert find(["a", "b"], np.stack([a, a], 1)[:45]) == ()  # two columns of identifiers
    assert find(["a", "b"], np.ones((60, 2))) == ()
    holed = np.where(np.arange(60) % 7 == 0, np.nan, a)
    assert len(find(["a", "b"], np.stack([a, holed], 1))) == 1


def test_three_columns_are_one_group_and_parts_of_it_stay_tied():
    a = np.arange(90.0) % 3
    [three] = find(list("abc"), np.stack([a, (a + 1) % 3, 2 - a], 1))
    assert three.restricted_to("bc") == Bijection(("b", "c"), ((1, 2), (2, 1), (0, 0)))
    assert three.given({"a": 1}) == Bijection(("b", "c"), ((2, 1),))
    assert three.given({"a": 1, "b": 0}) is None
    assert three.restricted_to("b") is None


def test_an_observed_cell_decides_and_a_new_level_decides_nothing():
    pair = Bijection(("a", "b"), ((0, 1), (1, 0)))
    codes = {"a": np.array([0.0, 0, 1, 5]), "b": np.array([0.0, 0, 0, 0])}
    drawn = {"a": np.array([True, True, False, False]), "b": np.array([True, False, True, True])}
    obedient = impose([pair], codes, drawn)
    assert obedient["a"].tolist() == [0, 1, 1, 5]
    assert obedient["b"].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        [1],
        [{"names": ["letter"]}],
        [{"names": ["letter", "word"], "codes": [[0, 0], [0, 1]]}],
        [{"names": ["letter", "word"], "codes": [[0, 9]]}],
        [{"names": ["letter", "word"], "codes": [[0, 0.5]]}],
        [{"names": ["letter", "nobody"], "codes": [[0, 0], [1, 1]]}],
    ],
)
def test_a_damaged_header_is_one_line(p, bad):
    with pytest.raises(PofxError) as error:
        Schema.from_json({**p.schema.to_json(), "bijections": bad})
    assert "\n" not in str(error.value)
