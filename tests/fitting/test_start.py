"""EM goes on from a distribution, and keeps its structure."""

import numpy as np
import pytest
from scipy import special

import pofx

RNG = np.random.default_rng(0)
NETWORK = """
r ~ Bernoulli(0.5)
w | r ~ { yes: Bernoulli(0.6), no: Bernoulli(0.4) }
x | r ~ { yes: Normal(1, 1), no: Normal(-1, 1) }
y | x ~ Normal(x, 1)
"""


def rows_of_network(n):
    r = RNG.random(n) < 0.3
    w = RNG.random(n) < np.where(r, 0.9, 0.2)
    x = np.where(r, 2.0, 0.0) + RNG.normal(size=n)
    y = 1 - 0.5 * x + 0.3 * RNG.normal(size=n)
    words = np.array(["no", "yes"])
    return {"r": words[r.astype(int)], "w": words[w.astype(int)], "x": x, "y": y}


def test_complete_rows_give_frequencies_and_regressions():
    rows = rows_of_network(300)
    p = pofx.fit(rows, start=pofx.define(NETWORK))
    is_r, is_w = rows["r"] == "yes", rows["w"] == "yes"
    assert float(p.ask("P(r = yes)")) == pytest.approx(is_r.mean(), rel=1e-6)
    assert float(p.ask("P(w = yes | r = yes)")) == pytest.approx(is_w[is_r].mean(), rel=1e-6)
    for word, mask in (("yes", is_r), ("no", ~is_r)):
        assert float(p.ask(f"E[x | r = {word}]")) == pytest.approx(rows["x"][mask].mean(), rel=1e-6)
        variance = rows["x"][mask].var()
        assert float(p.ask(f"Var[x | r = {word}]")) == pytest.approx(variance, rel=1e-6)
    slope, intercept = np.polyfit(rows["x"], rows["y"], 1)
    means = [float(p.ask(f"E[y | x = {x}, r = yes]")) for x in (0, 1)]
    np.testing.assert_allclose(means, [intercept, intercept + slope], rtol=1e-6)
    assert type(p.model).__name__ == "HybridNetwork"
    assert p.fit_info["model"] == "hybrid_network"


def test_rows_with_holes_gain_from_every_step():
    rows = {name: np.array(values, object) for name, values in rows_of_network(200).items()}
    for values in rows.values():
        values[RNG.random(200) < 0.3] = None
    start = pofx.define(NETWORK)
    p = pofx.fit(rows, start=start)
    history = np.array(p.fit_info["history"])
    assert (np.diff(history) > -1e-9).all()
    assert len(history) > 3
    assert p.log_prob(rows).mean() > start.log_prob(rows).mean()


def test_a_written_mixture_learns_its_weights_and_parts():
    x = np.concatenate([RNG.normal(-2, 0.5, 150), RNG.gamma(3, 1, 50)])
    start = pofx.mixture([pofx.normal(-1, 1), pofx.student_t(4, 2, 1)])
    p = pofx.fit({"x": x}, start=start)
    weights = special.softmax(np.asarray(p.model.log_weights))
    assert weights[0] == pytest.approx(0.75, abs=0.05)
    assert p.log_prob({"x": x}).mean() > start.log_prob({"x": x}).mean()


def test_an_edge_that_is_absent_is_not_learned():
    text = "a ~ Normal(0, 1)\nb ~ Normal(0, 1)\ny | a, b ~ Normal(a + b, 1)"
    a = RNG.normal(size=100)
    rows = {"a": a, "b": 0.9 * a + 0.1 * RNG.normal(size=100), "y": RNG.normal(size=100)}
    p = pofx.fit(rows, start=pofx.define(text))
    assert float(p.mutual_information("a", "b")) == pytest.approx(0, abs=1e-12)
    assert float(p.ask("Var[b]")) == pytest.approx(rows["b"].var(), rel=1e-6)


def test_a_learned_model_goes_on_with_new_rows():
    x = {"x": RNG.normal(size=50), "y": RNG.normal(size=50)}
    p = pofx.fit(x, "mixture", components=2, seed=1)
    q = pofx.fit(x, start=p)
    # EM raises the likelihood times a prior.
    assert float(q.log_prob(x).mean()) >= float(p.log_prob(x).mean()) - 1e-3
    assert q.schema.variables == p.schema.variables


def test_a_fitted_start_is_saved(tmp_path):
    p = pofx.fit(rows_of_network(50), start=pofx.define(NETWORK))
    p.save(tmp_path / "p.pofx")
    q = pofx.load(tmp_path / "p.pofx")
    assert float(q.ask("E[y | r = yes]")) == float(p.ask("E[y | r = yes]"))


MISTAKES = {
    "model: expected none beside start, which decides it": {"model": "mixture"},
    "components: expected none beside start, which decides it": {"components": 3},
    "schema: expected none beside start, which decides it": {"schema": {"x": "real"}},
    "start: expected a Joint, got int": {"start": 3},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_clear_line(message):
    arguments = {"start": pofx.normal(), **MISTAKES[message]}
    with pytest.raises(pofx.PofxError) as raised:
        pofx.fit({"x": [1.0, 2.0]}, **arguments)
    assert str(raised.value) == message


def test_a_start_has_no_evidence():
    start = pofx.define(NETWORK).given(r="yes")
    with pytest.raises(pofx.PofxError, match="start: expected a distribution without evidence"):
        pofx.fit({"w": ["yes"], "x": [1.0], "y": [0.0]}, start=start)
