"""Flows on real columns, with and without columns to condition on."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pofx
from pofx.core.column import Column
from pofx.core.rows import make_rows
from pofx.learn.sgd import train
from pofx.learn.sgd_config import SGDConfig
from pofx.models.flow import Flow

pytest.importorskip("flowjax")

KINDS = [(kind, how) for kind in ("autoregressive", "coupling") for how in ("spline", "affine")]
SMALL = {"layers": 2, "width": 16, "depth": 1, "knots": 4}


def columns(d):
    return [Column(f"x{j}", "real", family="normal") for j in range(d)]


def flow(kind="autoregressive", transform="spline", d=2, scale=1.0, **options):
    x = scale * np.random.default_rng(0).normal(1, 2, (200, d))
    options = {**SMALL, **options, "kind": kind, "transform": transform}
    return Flow.from_data(jax.random.key(0), make_rows(x), columns(d), **options)


def bent(p):
    """The same flow with networks far from the identity."""
    leaves, tree = jax.tree.flatten(p.bijection.arrays)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    noisy = [
        a + 0.03 * jax.random.normal(k, a.shape) if a.dtype.kind == "f" else a
        for a, k in zip(leaves, keys)
    ]
    return eqx.tree_at(lambda m: m.bijection.arrays, p, jax.tree.unflatten(tree, noisy))


@pytest.mark.parametrize(("kind", "transform"), KINDS)
def test_the_bijection_inverts_and_knows_its_jacobian(float64, kind, transform):
    own = bent(flow(kind, transform, d=3)).bijection
    nothing = jnp.zeros(0)

    @jax.vmap
    def ask(x):
        z, log_det = own(x, nothing)
        jacobian = jax.jacfwd(lambda x: own(x, nothing)[0])(x)
        return own.inverse(z, nothing), log_det, jnp.linalg.slogdet(jacobian)[1]

    # Some points are outside the range of the spline.
    x = 4 * jax.random.normal(jax.random.key(1), (50, 3))
    back, log_det, true = jax.jit(ask)(x)
    np.testing.assert_allclose(back, x, atol=1e-6)
    np.testing.assert_allclose(log_det, true, atol=1e-6)


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_scale_of_the_data_moves_the_density_by_its_jacobian(scale):
    one, other = flow(), flow(scale=scale)
    x = jnp.array([0.3, 1.7])
    moved = float(other.log_density(scale * x)) + 2 * np.log(scale)
    assert moved == pytest.approx(float(one.log_density(x)), abs=2e-3)


def test_columns_of_any_scale_are_learned_alike():
    """Training steps do not depend on the units of the data."""
    scale = np.array([1e6, 1e-6])
    x = np.random.default_rng(0).normal([1, -3], 1, (256, 2))
    x[:, 1] += x[:, 0] ** 2
    own = []
    for unit in (np.ones(2), scale):
        start = Flow.from_data(jax.random.key(0), make_rows(x * unit), columns(2), **SMALL)
        settings = SGDConfig(epochs=6, batch=32, rate=1e-2)
        end = train(jax.random.key(1), start, make_rows(x * unit), settings=settings)
        np.testing.assert_array_equal(start.shift, end.model.shift)
        np.testing.assert_array_equal(start.log_scale, end.model.log_scale)
        own.append(np.array([e.train for e in end.history]) - np.log(unit).sum())
    assert own[0][-1] < own[0][0] - 0.2, "the loss falls"
    np.testing.assert_allclose(*own, atol=0.02)


def test_tails_go_on_beyond_the_spline():
    p = flow(tail=3.0)
    near, far = (float(p.log_density(jnp.array([1.0, v]))) for v in (1.0, 60.0))
    assert np.isfinite(far)
    assert far < near - 100


def test_refuses_levels_and_says_what_carries_them():
    with pytest.raises(pofx.PofxError, match="these support it: any_order"):
        pofx.fit({"a": ["x", "y"] * 10, "b": np.arange(20.0)}, "flow")
    with pytest.raises(pofx.PofxError, match="transform: expected one of spline, affine"):
        flow(transform="cubic")
    with pytest.raises(pofx.PofxError, match="tail: expected standard deviations above 0, got 0"):
        flow(tail=0.0)
    with pytest.raises(pofx.PofxError, match="knots: expected at least 1, got 0"):
        flow(knots=0)


@pytest.fixture(scope="module")
def bananas():
    """Two classes in which the second number bends with the first in opposite directions."""
    rng = np.random.default_rng(1)
    y = rng.integers(2, size=1200)
    a = rng.normal(size=1200)
    b = np.where(y == 1, 1, -1) * a**2 + 0.3 * rng.normal(size=1200)
    return {"y": np.array(["down", "up"])[y], "a": a, "b": b}


@pytest.fixture(scope="module")
def given(bananas):
    return pofx.fit(bananas, "flow", on="y", layers=3, width=32, depth=1, epochs=150)


@pytest.mark.slow
def test_a_flow_given_a_class_classifies_by_bayes_rule(given, bananas):
    right = given.predict(bananas, "y") == bananas["y"]
    # The true densities give 0.829, because the classes overlap near a = 0.
    assert right.mean() > 0.8
    own = given.log_prob(bananas)
    assert own.kind == "exact"
    truth = -np.log(2) - 0.5 * (np.log(2 * np.pi * np.e) * 2) - np.log(0.3)
    assert own.value.mean() == pytest.approx(truth, abs=0.12)


@pytest.mark.slow
def test_new_rows_of_a_class_are_of_that_class(given):
    own = given.given(y="up").sample(300)
    assert np.mean(own["b"] > -0.8) > 0.97
    # Both terms of the ratio are exact densities, so other noise gives the same bits.
    alone = given.given(y="up").log_prob({"a": [1.0], "b": [1.0]})
    assert not np.any(alone.stderr)
    assert "alike" in alone.method


@pytest.mark.slow
def test_a_banana_is_learned():
    rng = np.random.default_rng(0)
    a = rng.normal(size=3000)
    x = {"a": a, "b": a**2 + 0.5 * rng.normal(size=3000)}
    train, test = ({k: v[s] for k, v in x.items()} for s in (slice(2000), slice(2000, None)))
    p = pofx.fit(train, "flow", layers=3, width=32, depth=1)
    true = -0.5 * test["a"] ** 2 - np.log(2 * np.pi) - np.log(0.5)
    true -= 0.5 * ((test["b"] - test["a"] ** 2) / 0.5) ** 2
    gap = p.log_prob(test).value - true
    assert -0.08 < gap.mean() < 0.02


def test_rounded_numbers_buy_no_peaks():
    """Numbers rounded to whole standard deviations do not get a higher density than smooth ones."""
    x = np.round(np.random.default_rng(0).normal(size=(1000, 1)))

    def learned(resolution):
        own = [Column("x", "real", resolution=resolution, family="normal")]
        start = Flow.from_data(jax.random.key(0), make_rows(x), own, knots=16, layers=1, width=16)
        settings = SGDConfig(epochs=40, rate=1e-2)
        p = train(jax.random.key(1), start, make_rows(x), settings=settings).model
        return float(jax.vmap(p.log_density)(jnp.asarray(x, jnp.float32)).mean())

    smooth = -0.5 * np.log(2 * np.pi * np.e * (1 + 1 / 12))
    assert learned(0.0) > smooth + 0.3
    assert learned(1.0) < smooth + 0.1


def test_point_masses_are_refused_in_one_line():
    own = [Column("x", "real", spikes=(0.0,), family="normal")]
    with pytest.raises(pofx.PofxError, match="real with point masses, and a flow supports real"):
        Flow.from_data(jax.random.key(0), make_rows(np.arange(9.0)[:, None]), own, **SMALL)


def test_rows_learned_from_may_be_alike_where_others_are_not():
    """For example one row of two, or a rare number that is only in the held-out rows."""
    own = [Column("x", "real", resolution=1.0, family="normal")]
    p = Flow.from_data(jax.random.key(0), make_rows(np.full((99, 1), 0.1)), own, **SMALL)
    assert float(jnp.exp(p.log_scale[0])) == pytest.approx(12**-0.5, rel=1e-3)
    with pytest.raises(pofx.PofxError, match="holds one value at most"):
        flow(scale=0.0)
