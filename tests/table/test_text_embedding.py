"""Text is embedded by a function of the user, and rows follow their caption."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

import pofx
from pofx.core.errors import PofxError, PofxWarning
from pofx.table.text_embedding import embed_text

WORDS = [("one", "two"), ("small", "big"), ("blue", "red")]
VOCABULARY = [word for pair in WORDS for word in pair]
bag = CountVectorizer(vocabulary=VOCABULARY).transform


def captioned(n, seed=0):
    """Captions of a count, a size and a colour, and three numbers, each near its word's value."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(2, size=(n, 3))
    captions = [" ".join(pair[b] for pair, b in zip(WORDS, row)) for row in bits]
    x = 2.0 * bits - 1 + 0.3 * rng.normal(size=(n, 3))
    return pd.DataFrame({"caption": captions, "count": x[:, 0], "size": x[:, 1], "hue": x[:, 2]})


def test_vectors_of_words_in_order():
    frame = captioned(20)
    whole = embed_text(frame, {"caption": bag})
    assert list(whole) == list(frame)
    np.testing.assert_array_equal(whole["caption"], bag(list(frame["caption"])).toarray())
    np.testing.assert_array_equal(whole["size"], frame["size"])


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, dict])
def test_a_missing_text_is_missing(kind):
    data = kind({"t": ["one red", None, "two"], "a": [1.0, 2.0, 3.0]})
    whole = embed_text(data, {"t": HashingVectorizer(n_features=8).transform})
    assert whole["t"].shape == (3, 8)
    assert np.isnan(whole["t"][1]).all()
    assert np.isfinite(whole["t"][[0, 2]]).all()
    assert np.linalg.norm(whole["t"][[0, 2]], axis=1) == pytest.approx(1)


def test_the_function_sees_texts_and_each_row_its_own():
    seen = []

    def lengths(texts):
        seen.extend(texts)
        return np.array([[len(text)] for text in texts])

    own = embed_text({"t": ["ccc", "a", "bb", "a"]}, {"t": lengths})["t"]
    assert seen == ["ccc", "a", "bb", "a"]
    assert own[:, 0].tolist() == [3, 1, 2, 1]


@pytest.mark.parametrize(
    ("data", "functions", "told"),
    [
        ({"t": ["a"]}, {"s": bag}, "no column 's'"),
        ({"t": ["a"]}, {"t": 3}, "functions: 't': expected a function of texts, got 3"),
        ({"t": [1.0, 2.0]}, {"t": bag}, "column 't': expected text, one cell per row"),
        ({"t": ["a"]}, {"t": lambda _: [1.0]}, "functions: 't': expected an array of shape"),
        ({"t": ["a"]}, {"t": lambda _: [[np.nan]]}, "functions: 't': expected finite numbers"),
        ({"t": ["a"]}, {"t": lambda _: [["b"]]}, "functions: 't': expected finite numbers"),
        (np.zeros((2, 2)), {"t": bag}, "data: expected a frame or a mapping"),
    ],
)
def test_mistakes_are_told(data, functions, told):
    with pytest.raises(PofxError, match=f"^{told}"):
        embed_text(data, functions)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("diffusion", {"width": 64, "depth": 2, "epochs": 200, "timesteps": 32}),
        ("flow", {"width": 32, "depth": 1, "layers": 2, "epochs": 60, "transform": "affine"}),
    ],
)
def test_rows_follow_their_caption(tmp_path, model, options):
    """Each word of the caption moves one number by seven standard deviations."""
    if model == "flow":
        pytest.importorskip("flowjax")
    frame = captioned(2400)
    data = embed_text(frame, {"caption": bag})
    p = pofx.fit(data, model, on="caption", proposal="independent", **options)
    assert p.schema.variable("caption").shape == (6,)
    p.save(tmp_path / "p.pofx")
    q = pofx.load(tmp_path / "p.pofx")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*log p is unreliable", PofxWarning)
        for text, centre in (("one small blue", -1), ("two big red", 1)):
            new = q.given(caption=bag([text]).toarray()[0]).sample(40)
            x = np.stack([new[name] for name in ("count", "size", "hue")], -1)
            assert np.abs(x.mean(0) - centre).max() < 0.35
            assert (np.sign(x) == centre).mean() > 0.95
        both = embed_text({"caption": ["two small red"] * 2}, {"caption": bag})
        two = {"count": [1.0, -1.0], "size": [-1.0, -1.0], "hue": [1.0, 1.0]}
        right, wrong = q.log_prob({**both, **two}).value
    # The count of the other word is 2 / 0.3 standard deviations away, which is 22 nats.
    assert right - wrong > 8
