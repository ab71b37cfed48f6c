"""Samplers of a fitted diffusion, and its density by the probability flow."""

import numpy as np
import pytest

import pofx
from pofx.core.errors import PofxError
from pofx.named.diffusion_sampling import flow_log_prob, with_sampler

pytestmark = pytest.mark.slow  # each compiles for seconds; the laws run quickly for some

SMALL = {"width": 8, "depth": 1, "timesteps": 6, "epochs": 2, "proposal": "independent"}


def table(n=60):
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    return {"a": 3.0 * y + rng.normal(size=n), "y": np.array(["no", "yes"])[y]}


@pytest.fixture(scope="module")
def p():
    return pofx.fit(table(), "diffusion", on="y", **SMALL)


def test_settings_change_and_the_net_does_not(p):
    q = with_sampler(p, "ode", timesteps=12, guidance=0.5)
    model, other = p.model.model, q.model.model
    assert (other.sampler, other.guidance, len(other.mean_squared_error)) == ("ode", 0.5, 12)
    assert (model.sampler, model.guidance, len(model.mean_squared_error)) == ("ancestral", 0, 6)
    # Each second of twelve steps ends where one of six does.
    np.testing.assert_allclose(other.mean_squared_error[1::2], model.mean_squared_error, rtol=1e-4)
    for name in ("input_weights", "hidden_weights", "shift", "output_weights"):
        net, same = (getattr(m.denoiser.net, name) for m in (model, other))
        np.testing.assert_array_equal(net, same)
    assert q.fit_info["options"]["sampler"] == "ode"
    assert with_sampler(q).model.model.sampler == "ode"
    assert with_sampler(q, "ancestral").model.model.guidance == 0.5


def test_evidence_stays(p):
    q = with_sampler(p.given(y="yes"), timesteps=3)
    assert q.evidence == ("y = yes",)
    assert np.isfinite(q.sample(3)["a"]).all()


def test_a_file_keeps_the_settings(p, tmp_path):
    q = with_sampler(p, "ode", guidance=2.0)
    q.save(tmp_path / "q.pofx")
    again = pofx.load(tmp_path / "q.pofx")
    np.testing.assert_array_equal(again.sample(4)["a"], q.sample(4)["a"])
    assert (again.sample(4)["a"] != with_sampler(p, "ode", guidance=0.0).sample(4)["a"]).any()


def test_the_density_of_the_flow_is_in_the_data_s_units(p):
    pytest.importorskip("diffrax")
    data = {k: v[:5] for k, v in table().items()}
    answer = flow_log_prob(p, data)
    assert answer.kind == "estimate"
    assert answer.draws == 4
    # Hardly trained the codes are normal, and so is the flow's density: of a, and of y its share.
    x = data["a"]
    near = -0.5 * ((x - table()["a"].mean()) / table()["a"].std()) ** 2
    near -= np.log(table()["a"].std()) + 0.5 * np.log(2 * np.pi) + np.log(2)
    assert answer.value == pytest.approx(near, abs=0.5)
    assert (answer.stderr < 0.1).all()


def test_mistakes_are_told(p):
    plain = pofx.fit(table(), "independent")
    for call, message in (
        (lambda: with_sampler(plain, "ode"), "p: expected a diffusion"),
        (lambda: with_sampler(p, "euler"), "sampler: expected one of ancestral, ode"),
        (lambda: with_sampler(p, timesteps=0), "timesteps: expected a whole number, at least 1"),
        (lambda: with_sampler(p, guidance=-1), "guidance: expected a number, at least 0"),
        (lambda: flow_log_prob(plain, table()), "p: expected a diffusion of all columns"),
        (lambda: flow_log_prob(p.given(y="no"), table()), "p: expected a diffusion of all columns"),
        (lambda: flow_log_prob(p, table(), draws=1), "draws: expected at least 2"),
        (lambda: flow_log_prob(p, {"a": [np.nan], "y": ["no"]}), "data: expected rows without"),
    ):
        with pytest.raises(PofxError, match=f"^{message}"):
            call()
