"""The mixture: starts, covariance structures, collapse, and closed-form conditionals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.rows import make_rows
from pofx.models.components.initial_clusters import features
from pofx.models.conditional import Conditional, condition
from pofx.models.independent import Independent
from pofx.models.linear_gaussian.moments import MIN_RESIDUAL_VARIANCE_SHARE
from pofx.models.mixture import Mixture
from pofx.models.ppca import PPCA

from .conftest import learn, real, scores

pytestmark = pytest.mark.usefixtures("float64")


def clusters(n=200, seed=0, apart=6.0):
    """Rows of two numbers around three centres."""
    rng = np.random.default_rng(seed)
    centre = np.array([[0, 0], [apart, 0], [0, apart]])[rng.integers(0, 3, n)]
    return centre + rng.normal(size=(n, 2))


def started(x, columns=None, **options):
    data = make_rows(x)
    return Mixture.from_data(jax.random.key(0), data, columns or real(x.shape[1]), **options)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_starts_lie_near_the_data_and_follow_their_key(init):
    x = clusters()
    one = started(x, components=3, init=init)
    again = started(x, components=3, init=init)
    other = Mixture.from_data(jax.random.key(4), make_rows(x), real(2), components=3, init=init)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again)):
        np.testing.assert_array_equal(a, b)
    centres = np.asarray(one.parts.groups[0].centre)
    assert (centres >= x.min(0)).all()
    assert (centres <= x.max(0)).all()
    assert not np.array_equal(centres, other.parts.groups[0].centre)
    assert float(jax.nn.logsumexp(one.log_weights)) == pytest.approx(0, abs=1e-12)


def test_a_tied_covariance_is_one_for_all_components():
    x = clusters()
    fit = learn(Mixture, x, part="gaussian", covariance="tied", components=3, prior=0.0)
    covariances = np.asarray(fit.model.parts.covariance)
    np.testing.assert_allclose(covariances, covariances[[0, 0, 0]], rtol=1e-12)
    # The pooled scatter about the means of the components, by hand.
    joint = np.asarray(jax.vmap(fit.model._log_joint, (0, None))(jnp.asarray(x), jnp.ones(2, bool)))
    share = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    pooled = 0
    for weight, mean in zip(share.T, np.asarray(fit.model.parts.mean)):
        pooled = pooled + np.cov(x.T, aweights=weight, bias=True) * weight.sum() / len(x)
        np.testing.assert_allclose(mean, np.average(x, axis=0, weights=weight), atol=1e-2)
    np.testing.assert_allclose(covariances[0], pooled, atol=1e-2)


@pytest.mark.parametrize(
    ("structure", "holds"),
    [
        ("diagonal", lambda c: np.abs(c[:, 0, 1]).max() == 0),
        ("spherical", lambda c: np.ptp(c[:, [0, 1], [0, 1]], axis=1).max() < 1e-12),
    ],
)
def test_structures_hold_in_every_component(structure, holds):
    fit = learn(Mixture, clusters(), part="gaussian", covariance=structure, components=3, prior=0.0)
    assert holds(np.asarray(fit.model.parts.covariance))


def test_parts_of_latent_models():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(300, 1))
    turn = np.where(rng.random((300, 1)) < 0.5, [[1.0, 1, 0]], [[1.0, -1, 3]])
    x = z * turn * 2 + 0.3 * rng.normal(size=(300, 3))
    fit = learn(Mixture, x, part="ppca", latent=1, components=2, prior=0.0, tolerance=1e-4)
    one = learn(PPCA, x, latent=1)
    assert fit.log_likelihood > one.log_likelihood + 0.1
    assert isinstance(fit.model.parts, PPCA)


@pytest.mark.slow
def test_as_many_components_as_rows_stay_finite():
    x = clusters(n=8)
    fit = learn(Mixture, x, part="gaussian", components=8, prior=0.0)
    assert np.isfinite(fit.history).all()
    assert np.isfinite(scores(fit.model, x)).all()
    # The variance floor bounds the likelihood of a component on a single row.
    relative = max(MIN_RESIDUAL_VARIANCE_SHARE, 32 * np.finfo(fit.model.parts.mean.dtype).eps)
    bound = -np.log(2 * np.pi) - 0.5 * np.log(relative * x.var(0)).sum()
    assert scores(fit.model, x).max() <= bound + 1e-9


def test_identical_rows_make_components_but_no_nan():
    x = np.tile([[1.0, 2.0]], (10, 1))
    fit = learn(Mixture, x, part="gaussian", components=3)
    assert np.isfinite(fit.history).all()
    np.testing.assert_allclose(np.asarray(fit.model.parts.mean), np.tile(x[0], (3, 1)), atol=1e-6)


def test_a_component_that_loses_its_rows_keeps_its_place():
    p = Mixture.example(jax.random.key(0)).model
    x = jnp.zeros((4, 3))

    @jax.jit
    def without_the_last():
        (_, statistics), _ = p.expected_statistics(x, jnp.ones(3, bool), jnp.ones(4))
        empty = jax.tree.map(lambda a: a.at[2].set(0), statistics)
        return p.m_step((jnp.array([2.0, 2.0, 0.0]), empty))

    q = without_the_last()
    np.testing.assert_array_equal(q.parts.mean[2], p.parts.mean[2])
    np.testing.assert_array_equal(q.parts.covariance[2], p.parts.covariance[2])
    assert np.isfinite(scores(q, x)).all()


@pytest.mark.slow
def test_conditionals_are_closed_and_equal_the_product_rule():
    p = Mixture.example(jax.random.key(2)).model
    x = np.array([0.4, -1.0, 2.0])
    for observed, keep in (([1, 0, 0], [0, 1, 1]), ([0, 0, 0], [1, 0, 1])):
        observed, keep = np.array(observed, bool), np.array(keep, bool)
        closed = condition(p, x, observed, keep)
        assert type(closed) is Mixture
        given = jnp.where(observed, x, 0)
        plain = Conditional(p, given, jnp.asarray(observed), tuple(np.flatnonzero(keep).tolist()))
        row = x[keep][None]
        np.testing.assert_allclose(scores(closed, row), scores(plain, row), atol=1e-10)


def test_a_mixture_of_mixtures_is_a_mixture():
    x = clusters(n=60)
    nested = started(x, components=2, part="mixture")
    assert isinstance(nested.parts, Mixture)
    assert isinstance(nested.parts.parts, Independent)
    assert np.isfinite(scores(nested, x)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": 21}, "components: expected 1 to 20, the number of rows; got 21"),
        ({"components": 0}, "got 0"),
        ({"part": "gausian"}, "no part 'gausian'; did you mean 'gaussian'?"),
        ({"part": "gaussian", "covariance": "ful"}, "did you mean 'full'?"),
        ({"init": "kmeans"}, "init: expected one of"),
    ],
)
def test_errors_take_one_line(options, message):
    x = clusters(n=20)
    with pytest.raises(PofxError) as error:
        started(x, **{"components": 2, **options})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_column_of_many_levels_starts_without_an_axis_a_level():
    columns = (Column("id", "categorical", levels=5000, family="categorical"),)
    codes = np.arange(5000.0)[:, None]
    f = features(make_rows(codes), columns)
    assert f.shape == (5000, 32)
    distance = np.linalg.norm(f[:50, None] - f[None, :50], axis=-1)[~np.eye(50, dtype=bool)]
    assert distance.mean() == pytest.approx(1, abs=0.1)
