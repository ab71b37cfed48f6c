"""Pictures show the answers of the model, and every axis is labelled."""

import io

import numpy as np
import pytest

import pofx
from pofx import plot
from pofx.core.errors import PofxError
from pofx.queries.calibration import calibration

pytestmark = [
    pytest.mark.slow,
    # One of the models here has independent columns, about which sample and impute warn.
    pytest.mark.filterwarnings("ignore:(sample|impute). "),
]
"""Compilation takes minutes; the tests of reports draw a few pictures and are quick."""

RNG = np.random.default_rng(0)
ROWS = 200
KIND = RNG.choice(["red", "_blue", "$a$"], ROWS, p=[0.5, 0.3, 0.2])
X = RNG.normal(size=ROWS) + 2 * (KIND == "red")
DATA = {
    "kind": KIND,
    "x": np.where(RNG.random(ROWS) < 0.1, np.nan, X),
    "y": X + RNG.normal(size=ROWS),
    "side": RNG.choice(["left", "right"], ROWS),
}
IMAGES = RNG.normal(5, 1, (ROWS, 2, 3))
OTHER = {
    **{name: DATA[name] for name in ("kind", "x", "side")},
    "image": IMAGES,
    "gain": np.where(RNG.random(ROWS) < 0.3, 0.0, np.exp(RNG.normal(3, 1, ROWS))),
    "coins": RNG.poisson(2, ROWS),
}


@pytest.fixture(scope="module")
def p():
    return pofx.fit(DATA, "class_conditional", on="kind")


@pytest.fixture(scope="module")
def q():
    kinds = {"coins": {"kind": "count", "family": "poisson"}}
    return pofx.fit(OTHER, "independent", schema=kinds)


def heights(container):
    return np.array([bar.get_height() for bar in container])


def area(line):
    return np.trapezoid(*line.get_data()[::-1])


def render(ax):
    """The picture as bytes; drawing errors and warnings raise."""
    file = io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def test_bars_are_probabilities_beside_shares_of_rows(p):
    ax = plot.marginal(p, "kind", DATA)
    model, rows = map(heights, ax.containers)
    levels = p.schema.variable("kind").levels
    assert model.sum() == pytest.approx(1)
    np.testing.assert_allclose(model, np.exp(p.marginal("kind").log_prob({"kind": levels}).value))
    np.testing.assert_allclose(rows, [(level == KIND).mean() for level in levels])


def test_bars_of_a_count(q):
    ax = plot.marginal(q, "coins", OTHER)
    assert heights(ax.containers[0]).sum() == pytest.approx(1, abs=0.01)
    assert heights(ax.containers[1]).sum() == pytest.approx(1)


def test_a_density_and_its_histogram_hold_one(q):
    ax = plot.marginal(q, "x", OTHER)
    assert area(ax.lines[0]) == pytest.approx(1, abs=0.01)
    assert sum(b.get_height() * b.get_width() for b in ax.patches) == pytest.approx(1)
    assert f"{np.isfinite(DATA['x']).sum()} rows" in ax.get_legend_handles_labels()[1]


def test_a_density_and_its_point_mass_hold_one(q):
    ax = plot.marginal(q, "gain", OTHER)
    mass = ax.figure.axes[1].containers[0].markerline.get_ydata()
    assert mass == pytest.approx(np.exp(q.marginal("gain").log_prob({"gain": [0.0]}).value))
    assert area(ax.lines[0]) + mass.sum() == pytest.approx(1, abs=0.03)
    assert ax.figure.axes[1].get_ylabel() == "probability of a point mass"


def test_evidence_picks_the_rows(q):
    ax = plot.marginal(q, "coins", OTHER, given={"side": "left"})
    coins = OTHER["coins"][OTHER["side"] == "left"]
    assert ax.get_legend_handles_labels()[1] == ["p(coins | side = left)", f"{len(coins)} rows"]
    assert heights(ax.containers[1])[0] == pytest.approx((coins == 0).mean())


def test_contours_hold_their_mass(p):
    ax = plot.pair(p, "x", "y", seed=1)
    levels = next(c for c in ax.collections if c.get_zorder() == 3).levels
    pair = p.marginal("x", "y")
    density = np.exp(pair.log_prob(pair.sample(8192, seed=2)).value)
    assert [(density >= level).mean() for level in levels] == pytest.approx(
        [0.95, 0.8, 0.5], abs=0.02
    )


def test_slices_are_conditional_densities(p):
    ax = plot.pair(p, "x", "y", DATA, slices=[0, 2.0])
    side = ax.figure.axes[1]
    for line, value in zip(side.lines, (0, 2.0)):
        height, y = line.get_data()
        log_density = p.given(x=value).marginal("y").log_prob({"y": y}).value
        np.testing.assert_allclose(height, np.exp(log_density), rtol=1e-4)
        assert np.trapezoid(height, y) == pytest.approx(1, abs=0.02)
    assert side.get_xlabel() == "density per unit of\ny"


def test_curves_of_levels_hold_one_together(q):
    ax = plot.pair(q, "kind", "x", OTHER)
    assert sum(map(area, ax.lines)) == pytest.approx(1, abs=0.01)
    assert len(ax.lines) == 3


def test_a_level_without_rows_has_a_curve_still(q):
    ax = plot.pair(q, "x", "kind", {**OTHER, "kind": ["red"] * ROWS})
    assert len(ax.lines) == 3
    boxes = [np.ptp(patch.get_path().vertices[:, 1]) > 0 for patch in ax.patches]
    assert sum(boxes) == 1


def test_a_table_of_two_columns_of_levels(p):
    ax = plot.pair(p, "kind", "side", DATA)
    texts = np.array([text.get_text().split("\n")[0] for text in ax.texts], float)
    pairs = [(a, b) for a in p.schema.variable("kind").levels for b in ("left", "right")]
    cells = dict(zip(("kind", "side"), zip(*pairs)))
    expected = np.exp(p.marginal("kind", "side").log_prob(cells).value)
    np.testing.assert_allclose(texts, expected, atol=6e-4)
    np.testing.assert_allclose(ax.images[0].get_array().ravel(), expected)


def test_information_is_that_of_the_model(p):
    names = ["kind", "x", "side"]
    ax = plot.information(p, names, order="given", unit="bits", stderr=None)
    expected = p.mutual_informations(*names, unit="bits").value
    np.testing.assert_allclose(ax.images[0].get_array().filled(np.nan), expected)
    assert ax.texts[0].get_text() == f"H {p.entropy('kind', unit='bits'):.2f}"
    near = [text.get_text().strip() for text in plot.information(p, names).get_yticklabels()]
    assert abs(near.index("kind") - near.index("x")) == 1


def test_evidence_goes_from_prior_to_posterior(p):
    row = {"side": "left", "x": 1.5, "y": 3}
    ax = plot.evidence(p, "kind", row, order=["x", "side"])
    steps = np.stack([line.get_ydata() for line in ax.lines], axis=1)
    prior = np.exp(p.marginal("kind").log_prob({"kind": p.schema.variable("kind").levels}).value)
    np.testing.assert_allclose(steps[0], prior, rtol=1e-5)
    evidence = {**{k: [v] for k, v in row.items()}, "y": [None]}
    posterior = np.ravel(list(p.predict_proba(evidence, "kind").values()))
    np.testing.assert_allclose(steps[2], posterior, rtol=1e-5)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["prior", "+ x = 1.5", "+ side = left"]


def test_the_most_uncertain_coin_is_fair():
    x, y = plot.bernoulli_entropy().lines[0].get_data()
    assert (x[y.argmax()], y.max()) == (0.5, 1.0)
    assert plot.bernoulli_entropy(unit="nats").lines[0].get_ydata().max() == pytest.approx(
        np.log(2)
    )


def test_completions_keep_what_is_given(q):
    holes = np.array([[False, False, False], [True, True, True]])
    sheet = plot.completions(q, "image", IMAGES[:3], holes, draws=2).images[0].get_array()
    assert sheet.shape == (3 * 3 + 1, 4 * 4 + 1, 3)
    upper = [sheet[1, 1 + 4 * column : 4 + 4 * column] for column in range(4)]
    lower = [sheet[2, 1 + 4 * column : 4 + 4 * column] for column in range(4)]
    assert all((upper[0] == other).all() for other in upper[1:])
    assert not any((lower[0] == other).all() for other in lower[1:])


def test_images_have_a_row_a_level(q):
    ax = plot.images(q, "image", by="side", n=4)
    assert ax.images[0].get_array().shape == (2 * 3 + 1, 4 * 4 + 1, 3)
    assert [text.get_text() for text in ax.texts] == ["side = left", "side = right"]


def test_reliability_takes_words_and_codes(p):
    table = p.predict_proba(DATA, "kind")
    codes = [p.schema.variable("kind").levels.index(k) for k in KIND]
    result = calibration(np.stack(list(table.values()), axis=1), codes, 5)
    for ax in (
        plot.reliability(table, KIND, bins=5),
        plot.reliability(np.stack(list(table.values()), axis=1), codes, bins=5),
    ):
        point = ax.containers[0].lines[0]
        np.testing.assert_allclose(point.get_data(), [result.confidence, result.accuracy])
        assert heights(ax.figure.axes[1].patches).sum() == ROWS
        assert any(f"ECE {result.error.value:.1%}" in t for t in ax.get_legend_handles_labels()[1])


def test_reliability_leaves_out_rows_without_truth():
    ax = plot.reliability({"1": [0.9, 0.2, 0.5], "2": [0.1, 0.8, 0.5]}, [1.0, 2.0, None])
    assert heights(ax.figure.axes[1].patches).sum() == 2


def test_learning_is_the_history(p):
    ax = plot.learning_curve(p)
    assert ax.lines[0].get_ydata().tolist() == list(p.fit_info["history"])
    assert ax.lines[0].get_xdata()[-1] == p.fit_info["steps"]


def test_learning_shows_the_last_gains(p):
    fit = {**p.fit_info, "steps": 300, "history": [-1000.0, *(-9 - 0.9 ** np.arange(199))]}
    ax = plot.learning_curve(pofx.Joint(p.model, p.schema, p.fixed, (), fit))
    assert ax.get_ylim()[0] > -13
    assert ax.texts[0].get_text() == "below: step 101, -1000.00"


def test_surprise_is_a_histogram(p):
    ax = plot.tail_probability(p, DATA, bins=10)
    assert heights(ax.containers[0]).sum() == pytest.approx(1)
    tails = p.tail_probability(DATA).value
    assert ax.patches[1].get_height() == pytest.approx((tails < 0.1).mean())


PICTURES = {
    "marginal of levels": lambda p, ax: plot.marginal(p, "kind", DATA, ax=ax),
    "pair of numbers": lambda p, ax: plot.pair(p, "x", "y", DATA, ax=ax),
    "slices": lambda p, ax: plot.pair(p, "x", "y", DATA, slices=[0], ax=ax),
    "pair of levels": lambda p, ax: plot.pair(p, "kind", "side", DATA, ax=ax),
    "information": lambda p, ax: plot.information(p, ["kind", "side", "x"], ax=ax),
    "evidence": lambda p, ax: plot.evidence(p, "kind", {"side": "left"}, ax=ax),
    "bernoulli_entropy": lambda p, ax: plot.bernoulli_entropy(ax=ax),
    "reliability": lambda p, ax: plot.reliability([0.2, 0.7], [0, 1], ax=ax),
    "learning_curve": lambda p, ax: plot.learning_curve(p, ax=ax),
    "tail_probability": lambda p, ax: plot.tail_probability(p, DATA, ax=ax),
}


QUICK = {
    "marginal of a number": lambda q, ax: plot.marginal(q, "gain", OTHER, ax=ax),
    "pair of both": lambda q, ax: plot.pair(q, "x", "kind", OTHER, ax=ax),
}


@pytest.mark.parametrize("name", [*PICTURES, *QUICK])
def test_every_picture_draws_on_the_axes_it_is_given(p, q, name):
    figure, axes = plot.figure(1, 2)
    model, picture = (p, PICTURES[name]) if name in PICTURES else (q, QUICK[name])
    ax = picture(model, axes[0, 1])
    assert ax is axes[0, 1]
    assert not axes[0, 0].has_data()
    for one in figure.axes[1:]:
        labelled = one.get_xlabel() or any(t.get_text() for t in one.get_xticklabels())
        shares = [a.get_siblings(one) for a in (one.get_shared_x_axes(), one.get_shared_y_axes())]
        assert labelled or len(shares[0]) > 1 or one.get_label() == "<colorbar>"
        named = one.get_ylabel() or any(t.get_text() for t in one.get_yticklabels())
        assert named or len(shares[1]) > 1
    assert render(ax).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (lambda p: plot.marginal(p, "knd"), "did you mean 'kind'"),
        (lambda p: plot.marginal(p, "x", {"y": [1]}), "no column 'x'"),
        (lambda p: plot.marginal(p, "x", {"x": [None]}), "at least one row with x"),
        (lambda p: plot.marginal(p, "x", DATA, given={"y": 1e4}), "no row has y = 10000"),
        (lambda p: plot.pair(p, "x", "x"), "two columns"),
        (lambda p: plot.pair(p, "kind", "x", slices=["red"]), "two columns of numbers"),
        (lambda p: plot.information(p, ["x"]), "two columns or more, got x"),
        (lambda p: plot.information(p, order="size"), "'near' or 'given'"),
        (lambda p: plot.information(p, unit="bit"), "'nats' or 'bits'"),
        (lambda p: plot.bernoulli_entropy(unit="bit"), "'nats' or 'bits'"),
        (lambda p: plot.evidence(p, "x", {"side": "left"}), "column of levels"),
        (lambda p: plot.evidence(p, "kind", {"sde": "left"}), "did you mean 'side'"),
        (lambda p: plot.evidence(p, "kind", {"side": None}), "at least one cell"),
        (lambda p: plot.evidence(p, "kind", DATA), "one row, got 200"),
        (lambda p: plot.evidence(p, "kind", {"side": "left"}, ["x"]), "no 'x' to add"),
        (lambda p: plot.images(p, "x"), "a plain column"),
        (lambda p: plot.reliability({"a": [1.0]}, ["b"]), "no level of the probabilities 'b'"),
        (lambda p: plot.reliability({"a": [1.0]}, ["a", "a"]), "expected 1 levels"),
        (lambda p: plot.tail_probability(p, DATA, bins=0), "bins: expected a whole number"),
    ],
)
def test_mistakes(p, picture, message):
    with pytest.raises(PofxError, match=message):
        picture(p)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (lambda q: plot.marginal(q, "image"), "a plain column.*plot.images"),
        (lambda q: plot.images(q, "image", by="image"), "plain column"),
        (lambda q: plot.completions(q, "image", IMAGES, np.ones((3, 2))), "holes: .*\\(2, 3\\)"),
        (lambda q: plot.completions(q, "image", IMAGES[:, :1], np.ones((2, 3))), "data: expected"),
        (lambda q: plot.learning_curve(pofx.Joint(q.model, q.schema, q.fixed)), "no record of how"),
    ],
)
def test_mistakes_about_images(q, picture, message):
    with pytest.raises(PofxError, match=message):
        picture(q)
