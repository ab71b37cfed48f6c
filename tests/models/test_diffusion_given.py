"""Diffusion given a class, with the optimal denoiser in closed form: exact bound and posterior."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal, norm

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.linalg import half_log_det, inverse_cholesky
from pofx.core.rows import make_rows
from pofx.models.diffusion import Diffusion
from pofx.models.independent import Independent

from .conftest import real

pytestmark = pytest.mark.slow  # each test compiles for seconds; the laws cover some of it quickly

KEY = jax.random.key(0)
MEANS = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
COVARIANCES = np.array([[[1, 0.5], [0.5, 1]], [[1, -0.5], [-0.5, 1]], [[1.5, 0], [0, 0.4]]])
SHARES = np.array([0.5, 0.3, 0.2])
CLASS = Column("y", "categorical", levels=3)


class OfMixture(eqx.Module):
    """The optimal denoiser v̂ for a mixture of normals, or for one of them if the class is given."""

    log_weights: Float[Array, "k"]
    means: Float[Array, "k c"]
    covariances: Float[Array, "k c c"]
    low: Float[Array, "c"]
    high: float = eqx.field(static=True)

    def __call__(self, z, t, told):
        gamma = self.low + (self.high - self.low) * t
        a, s = jnp.sqrt(jax.nn.sigmoid(-gamma)), jnp.sqrt(jax.nn.sigmoid(gamma))
        total = a[:, None] * self.covariances * a + jnp.diag(s**2)
        away = z - a * self.means
        w = inverse_cholesky(total)
        white = (w @ away[..., None])[..., 0]
        solved = (w.mT @ white[..., None])[..., 0]
        density = -(white**2).sum(1) / 2 - half_log_det(w)
        log_w = self.log_weights
        if len(told):
            # Codes of levels are -1 and 1; those of a hidden class are 0.
            log_w = jnp.where(told[:-1] < 0, -jnp.inf, log_w)
        noise = s * (jax.nn.softmax(log_w + density)[:, None] * solved).sum(0)
        return (noise - s * z) / a


def classes(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=SHARES)
    return np.stack([rng.multivariate_normal(MEANS[k], COVARIANCES[k]) for k in y]), y


def joint(x):
    """log p(x, y) for each class."""
    own = zip(SHARES, MEANS, COVARIANCES)
    return np.stack([np.log(w) + multivariate_normal(m, c).logpdf(x) for w, m, c in own], -1)


def best(start, log_weights, means, covariances, x):
    """The diffusion with the optimal network, and step errors from the rows x."""
    d = start.denoiser
    shift, scale = d.codes.embedding.shift, np.asarray(d.codes.embedding.scale)
    own = ((means - shift) / scale, covariances / np.outer(scale, scale))
    net = OfMixture(jnp.asarray(log_weights), *map(jnp.asarray, own), d.low, d.high)
    model = eqx.tree_at(lambda p: p.denoiser.net, start, net)
    return model.finalise(KEY, x, lambda p: np.zeros(1))


@pytest.fixture(scope="module")
def given():
    x, y = classes(4000)
    x = make_rows(np.c_[x, y])
    start = Diffusion.from_data(KEY, x, (*real(2), CLASS), on="y", timesteps=50, width=1, depth=1)
    return best(start, np.log(SHARES), MEANS, COVARIANCES, x)


@pytest.fixture(scope="module")
def modes():
    """Two narrow modes of one number, with a third of the mass in the first."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random(4000) < 1 / 3, -3, 1.5) + 0.5 * rng.normal(size=4000)
    start = Diffusion.from_data(
        KEY, make_rows(x[:, None]), real(1), timesteps=250, width=1, depth=1
    )
    covariances = np.full((2, 1, 1), 0.25)
    means, shares = np.array([[-3.0], [1.5]]), np.log([1 / 3, 2 / 3])
    return best(start, shares, means, covariances, make_rows(x[:, None]))


@eqx.filter_jit
def bounds(model, x, keys):
    return jax.vmap(lambda x: jax.vmap(lambda k: model.bound(k, x, 300))(keys))(x)


@eqx.filter_jit
def weights(model, proposal, x, observed, keys):
    def one(x, observed):
        return jax.vmap(lambda k: model.weighted_completion(k, proposal, x, observed))(keys)

    return jax.vmap(one, (0, None))(x, observed)


@eqx.filter_jit
def drawn(model, keys):
    return jax.vmap(model.draw)(keys)


@eqx.filter_jit
def drawn_given(model, keys, row):
    return jax.vmap(lambda k: model.draw_given(k, row))(keys)


@eqx.filter_jit
def by_flow(model, x, keys):
    return jax.vmap(lambda x: jax.vmap(lambda k: model.flow_log_prob(k, x))(keys))(x)


@eqx.filter_jit
def costs(model, keys, x):
    seen = jnp.ones(x.shape[1], bool)
    return jax.vmap(lambda k: (model.loss(k, x, seen), model.validation_loss(k, x, seen)))(keys)


def keys(n, seed=1):
    return jax.random.split(jax.random.key(seed), n)


def test_the_bound_is_that_of_the_joint(given):
    x, y = classes(30, 1)
    own = np.asarray(bounds(given, jnp.asarray(np.c_[x, y]), keys(8)), np.float64)
    exact = joint(x)[np.arange(30), y]
    # The share of a class is estimated from 4000 rows and one prior row.
    assert own.mean(1) == pytest.approx(exact, abs=0.25)
    assert (own.mean(1) - exact).mean() == pytest.approx(0, abs=0.05)


def test_bayes_rule_is_that_of_the_truth(given):
    """The weights of all classes use the same noise, which cancels."""
    x, _ = classes(60, 2)
    proposal = Independent.from_data(KEY, make_rows(np.zeros((2, 3))), (*real(2), CLASS))
    whole = np.ones(3, bool)
    log_w = [
        weights(given, proposal, jnp.asarray(np.c_[x, np.full(60, k)]), whole, keys(64))[1]
        for k in range(3)
    ]
    own = softmax(logsumexp(np.asarray(log_w, np.float64), axis=2).T, axis=1)
    truth = softmax(joint(x), axis=1)
    assert np.abs(own - truth).max() < 0.12
    assert np.abs(own - truth).mean() < 0.015


@pytest.mark.parametrize("sampler", ["ancestral", "ode"])
def test_draws_of_a_class_are_of_that_class(given, sampler):
    row = jnp.array([jnp.nan, jnp.nan, 1.0])
    own = np.asarray(
        drawn_given(given.with_sampler(sampler, guidance=0), keys(3000), row), np.float64
    )
    assert (own[:, 2] == 1).all()
    error = np.sqrt(np.diag(COVARIANCES[1]) / 3000)
    assert (np.abs(own[:, :2].mean(0) - MEANS[1]) < 5 * error).all()
    np.testing.assert_allclose(np.cov(own[:, :2].T), COVARIANCES[1], atol=0.12)


def test_new_rows_follow_the_joint(given):
    own = np.asarray(drawn(given, keys(3000)), np.float64)
    shares = np.bincount(own[:, 2].astype(int), minlength=3) / 3000
    np.testing.assert_allclose(shares, SHARES, atol=0.05)
    mean = own[own[:, 2] == 2, :2].mean(0)
    np.testing.assert_allclose(mean, MEANS[2], atol=0.2)


def test_given_the_class_alone_no_weight_varies(given):
    proposal = Independent.from_data(KEY, make_rows(np.zeros((2, 3))), (*real(2), CLASS))
    row = jnp.array([[0.0, 0.0, 2.0]])
    whole, log_w = weights(given, proposal, row, jnp.array([False, False, True]), keys(50))
    assert np.asarray(log_w) == pytest.approx(np.log(0.2), abs=0.05)
    assert np.ptp(np.asarray(log_w)) == 0
    assert np.asarray(whole)[0, :, :2].mean(0) == pytest.approx(MEANS[2], abs=0.6)


def test_guided_draws_are_surer_of_their_class(given):
    """p(x | y)^(1 + g) / p(x)^g favours rows that are clearly of class y, and so do the draws."""
    row, own = jnp.array([0.0, 0.0, 0.0]), []
    for g in (0.0, 2.0):
        x = np.asarray(
            drawn_given(given.with_sampler("ancestral", guidance=g), keys(1000), row), np.float64
        )
        own.append((softmax(joint(x[:, :2]), axis=1)[:, 0].mean(), np.cov(x[:, :2].T).trace()))
    sure, wide = np.array(own).T
    x, y = classes(20000, 3)
    truth = softmax(joint(x[y == 0]), axis=1)[:, 0].mean()
    assert sure[0] == pytest.approx(truth, abs=0.02)
    assert sure[1] > sure[0] + 0.02
    assert wide[1] < 0.8 * wide[0]


def test_the_untold_tenth_is_of_another_loss(given):
    """The mean loss over keys is 0.9 of the loss with the class and 0.1 of that without it."""
    x, y = classes(1000, 4)
    told = joint(x)[np.arange(1000), y].mean()
    untold = (logsumexp(joint(x), axis=1) + np.log(SHARES)[y]).mean()
    assert told - untold > 0.5
    loss, validation_loss = (
        np.asarray(own) for own in costs(given, keys(16), jnp.asarray(np.c_[x, y]))
    )
    assert -loss.mean() == pytest.approx(0.9 * told + 0.1 * untold, abs=0.04)
    assert -validation_loss.mean() == pytest.approx(told, abs=0.04)


# -- two modes


@pytest.mark.parametrize(("sampler", "steps"), [("ancestral", 250), ("ode", 64), ("ode", 16)])
def test_both_samplers_draw_both_modes(modes, sampler, steps):
    own = eqx.tree_at(lambda p: p.mean_squared_error, modes, modes.mean_squared_error[-steps:])
    x = np.asarray(drawn(own.with_sampler(sampler, guidance=0), keys(4000)), np.float64)[:, 0]
    first = x < -0.75
    assert first.mean() == pytest.approx(1 / 3, abs=0.03)
    for some, mean in ((first, -3), (~first, 1.5)):
        assert x[some].mean() == pytest.approx(mean, abs=0.05)
        assert x[some].std() == pytest.approx(0.5, abs=0.05)


def test_the_flow_of_two_modes_has_their_density(modes):
    pytest.importorskip("diffrax")
    x = np.array([-4.0, -3.0, -1.0, 0.0, 1.5, 2.5])
    own = np.asarray(by_flow(modes, jnp.asarray(x[:, None]), keys(16)), np.float64)
    parts = [np.log(w) + norm(m, 0.5).logpdf(x) for w, m in ((1 / 3, -3), (2 / 3, 1.5))]
    exact = np.logaddexp(*parts)
    assert logsumexp(own, axis=1) - np.log(16) == pytest.approx(exact, abs=0.02)


# -- invalid options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "euler"}, "sampler: expected one of ancestral, ode; got 'euler'"),
        ({"guidance": 1.0}, "guidance: expected columns to condition on, as in on='species'"),
        ({"on": "z"}, "no column 'z'"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(PofxError, match=f"^{message}"):
        Diffusion.from_data(KEY, make_rows(np.eye(2)), real(2), width=1, depth=1, **options)


# -- learned


@pytest.mark.slow
def test_three_classes_are_learned():
    """Compared with the exact joint: nats lost, and accuracy of the predicted class."""
    x, y = classes(3000)
    fresh, truth = classes(500, 1)
    names = np.array(["a", "b", "c"])
    data = {"u": x[:, 0], "v": x[:, 1], "y": names[y]}
    test = {"u": fresh[:, 0], "v": fresh[:, 1], "y": names[truth]}
    p = pofx.fit(data, "diffusion", on="y", width=64, depth=2, epochs=80)
    own = p.log_prob(test)
    assert own.kind == "lower bound"
    exact = joint(fresh)
    lost = exact[np.arange(500), truth] - own.value
    assert -0.05 < lost.mean() < 0.15
    told = p.predict(test, "y")
    right, ideal = (told == names[truth]).mean(), (exact.argmax(1) == truth).mean()
    assert right > ideal - 0.02
