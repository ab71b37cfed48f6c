"""Gradient descent: its optimum, skipped steps, the parameters it keeps, reproducibility."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.abstract import AbstractSGDModel
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.rows import make_rows
from pofx.learn.sgd import EpochLosses, SGDConfig, train

KEY = jax.random.key(0)
SEEN = []
LOSS, GRADIENT = 1, 2


class Normals(AbstractSGDModel):
    """Independent normal columns; with `trap`, rows whose first entry is above 50 give NaN.

    The options are arrays, so that the tests share compiled functions.
    """

    mean: jax.Array
    log_scale: jax.Array
    shift: jax.Array
    noise: jax.Array
    trap: jax.Array

    @property
    def size(self):
        return self.mean.shape[0]

    @classmethod
    def example(cls, key):
        raise NotImplementedError

    def trainable_mask(self):
        return Normals(True, True, False, False, False)

    def advance(self, key):
        return self

    def validation_loss(self, key, x, observed):
        return self.loss(key, x, observed)

    def finalise(self, key, rows, score):
        raise NotImplementedError

    def next_phase(self):
        return None

    @classmethod
    def supported_kinds(cls, variable, **options):
        raise NotImplementedError

    @classmethod
    def from_data(cls, *arguments, **options):
        raise NotImplementedError

    def loss(self, key, x, observed):
        SEEN.append(observed.shape)
        trapped = x[:, 0] > 50
        z = (x - self.mean - self.shift) * jnp.exp(-self.log_scale)
        cells = z**2 / 2 + self.log_scale + jnp.log(2 * jnp.pi) / 2
        loss = jnp.where(observed, cells, 0).sum(1) + self.noise * jax.random.normal(key, len(x))
        loss = jnp.where(trapped & (self.trap == LOSS), jnp.nan, loss)
        # The derivative of a square root at zero is infinite, and times zero it is NaN.
        safe = jnp.where(trapped & (self.trap == GRADIENT), 0, 1)
        return loss + 0 * jnp.sqrt(safe * (1 + self.mean[0] ** 2))


def normals(at=0.0, noise=0, trap=0):
    at = jnp.full(2, at)
    return Normals(at, jnp.zeros(2), jnp.zeros(2), jnp.asarray(noise), jnp.asarray(trap))


def table(n=200, missing=0.2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal([3.0, -1.0], [0.5, 2.0], size=(n, 2))
    x[rng.random(x.shape) < missing] = np.nan
    return x, rng.uniform(0.5, 2, n)


def constant(value, n=200):
    return make_rows(np.full((n, 2), value))


def bits(tree):
    return [np.asarray(a).tobytes() for a in jax.tree.leaves(tree)]


@pytest.mark.parametrize("wide", [False, True])
def test_ends_at_the_closed_form(wide):
    with jax.enable_x64(wide):
        x, weight = table()
        data = make_rows(x, weight=weight)
        settings = SGDConfig(batch=64, epochs=200, rate=0.1, final=1e-4, average=0.5)
        result = train(KEY, normals(), data, valid=data, settings=settings)
        heavy = np.where(np.isnan(x), 0, weight[:, None])
        mean = np.nansum(heavy * x, 0) / heavy.sum(0)
        scale = np.sqrt(np.nansum(heavy * (x - mean) ** 2, 0) / heavy.sum(0))
        assert result.model.mean.dtype == (np.float64 if wide else np.float32)
        # The mean over a batch is a ratio, and its own expectation not quite that of the whole.
        np.testing.assert_allclose(result.model.mean, mean, atol=5e-3)
        np.testing.assert_allclose(np.exp(result.model.log_scale), scale, atol=5e-3)
        cells = np.log(scale) + np.log(2 * np.pi) / 2 + 0.5
        least = (heavy.sum(0) * cells).sum() / weight.sum()
        np.testing.assert_allclose(result.history[-1], least, atol=0.01)
        assert (result.stop_reason, result.skipped, len(result.history)) == ("epochs", 0, 200)


def by_hand(model, x, settings):
    """Full-batch AdamW and the debiased average of its parameters, in float64."""
    p = np.concatenate([model.mean, model.log_scale]).astype(float)
    m, v, average = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    warm = int(settings.warmup * settings.epochs)
    for t in range(settings.epochs):
        mean, log_scale = np.split(p, 2)
        z = (x - mean) / np.exp(log_scale)
        g = np.concatenate([(-z / np.exp(log_scale)).mean(0), (1 - z**2).mean(0)])
        if settings.clip:
            g *= min(1, settings.clip / np.linalg.norm(g))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = m / (1 - 0.9 ** (t + 1)) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        past = (t - warm) / (settings.epochs - warm)
        cosine = settings.final + (1 - settings.final) * (1 + np.cos(np.pi * past)) / 2
        rate = settings.rate * ((t + 1) / (warm + 1) if t < warm else cosine)
        p = p - rate * (step + settings.decay * p)
        average = settings.average * average + (1 - settings.average) * p
    return average / (1 - settings.average**settings.epochs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clip": 0.0, "warmup": 0.0},
        {"decay": 0.3, "warmup": 0.5, "final": 1.0},
        {"average": 0.9, "decay": 0.1},
    ],
)
def test_steps_are_those_of_adamw(options):
    settings = SGDConfig(batch=100, epochs=40, rate=0.05, **options)
    x, _ = table(n=60, missing=0.0)
    with jax.enable_x64(True):
        result = train(KEY, normals(at=0.5), make_rows(x), settings=settings).model
        learned = np.concatenate([result.mean, result.log_scale])
        np.testing.assert_allclose(learned, by_hand(normals(at=0.5), x, settings), rtol=1e-6)


@pytest.mark.parametrize(("n", "batch"), [(7, 3), (11, 100)])
def test_every_row_counts_once_an_epoch(n, batch):
    weight = 2.0 ** np.arange(n)
    data = make_rows(np.stack([np.arange(n), np.zeros(n)], axis=1), weight=weight)
    mean = (weight * np.arange(n) ** 2 / 2).sum() / weight.sum() + np.log(2 * np.pi)
    settings = SGDConfig(batch=batch, epochs=2, rate=1e-30)
    for epoch in train(KEY, normals(), data, valid=data, settings=settings).history:
        np.testing.assert_allclose(epoch, mean, rtol=1e-6)


@pytest.mark.parametrize("trap", [LOSS, GRADIENT])
def test_rows_of_weight_zero_and_missing_entries_may_hold_anything(trap):
    x, weight = table()
    observed = ~np.isnan(x)
    wild = np.append(np.where(observed, x, np.inf), [[99.0, np.nan]] * 3, axis=0)
    observed = np.append(observed, np.ones((3, 2), bool), axis=0)
    settings = SGDConfig(batch=64, epochs=3, rate=0.1, average=0.5)
    plain, more = make_rows(x, weight=weight), make_rows(wild, observed, np.append(weight, [0] * 3))
    one, other = (
        train(KEY, normals(trap=trap), d, valid=d, settings=settings) for d in (plain, more)
    )
    assert bits(one.model) == bits(other.model)
    assert one.history == other.history
    assert np.isfinite(other.history).all()
    assert other.skipped == 0


@pytest.mark.parametrize(("missing", "shapes"), [(0.0, {(2,)}), (0.2, {(33, 2)})])
def test_complete_rows_share_their_pattern(missing, shapes):
    SEEN.clear()
    data = make_rows(table(n=33, missing=missing)[0])
    train(KEY, normals(), data, valid=data, settings=SGDConfig(epochs=2))
    assert set(SEEN) == shapes


@pytest.mark.parametrize("wide", [False, True])
def test_the_same_key_gives_the_same_bits(wide):
    with jax.enable_x64(wide):
        data, settings = make_rows(table()[0]), SGDConfig(batch=64, epochs=3, average=0.9)
        first, again, other = (
            train(k, normals(noise=1), data, valid=data, settings=settings)
            for k in (KEY, jax.random.key(0), jax.random.key(1))
        )
        assert bits(first.model) == bits(again.model)
        assert first.history == again.history
        assert bits(first.model) != bits(other.model)


def test_the_key_gives_the_order():
    data, settings = make_rows(table()[0]), SGDConfig(batch=64, epochs=3, average=0.5)
    first, other = (
        train(jax.random.key(i), normals(), data, valid=data, settings=settings) for i in (0, 1)
    )
    assert bits(first.model) != bits(other.model)


def test_parameters_in_float32_train_on_rows_in_float64():
    with jax.enable_x64(True):
        model = jax.tree.map(lambda a: a.astype(jnp.float32), normals())
        data, settings = make_rows(table()[0]), SGDConfig(epochs=2, average=0.9, decay=0.1)
        result = train(KEY, model, data, valid=data, settings=settings)
        assert result.model.mean.dtype == jnp.float32
        assert bits(result.model) != bits(model)


def test_noise_is_new_in_training_and_the_same_in_validation():
    data, settings = make_rows(table()[0]), SGDConfig(batch=64, epochs=4, average=0.5, rate=1e-30)
    history = train(KEY, normals(noise=1), data, valid=data, settings=settings).history
    assert len({epoch.train for epoch in history}) == 4
    assert len({epoch.valid for epoch in history}) == 1
    assert history[0].train != history[0].valid


@pytest.mark.parametrize("average", [0.0, 0.8])
def test_the_best_on_held_out_rows_is_returned(average):
    # On the way from 0 to 3 the means pass 1.
    data, held = constant(3.0), constant(1.0)
    settings = SGDConfig(batch=64, epochs=60, rate=0.05, average=average, patience=4)
    result = train(KEY, normals(), data, valid=held, settings=settings)
    losses = [epoch.valid for epoch in result.history]
    assert result.stop_reason == "settled"
    assert result.best_epoch == np.argmin(losses) + 1 == len(losses) - 4
    loss = result.model.loss(KEY, jnp.ones((1, 2)), jnp.ones(2, bool))
    assert float(loss[0]) == pytest.approx(min(losses), rel=1e-5)
    assert losses[-1] > min(losses) + 1e-3
    endless = train(KEY, normals(), data, valid=held, settings=settings._replace(patience=0))
    assert (endless.stop_reason, len(endless.history)) == ("epochs", 60)
    assert bits(endless.model) == bits(result.model)
    last = train(KEY, normals(), data, settings=settings)
    assert (last.best_epoch, last.stop_reason, np.isnan(last.history[0].valid)) == (
        60,
        "epochs",
        True,
    )
    assert last.model.mean[0] > result.model.mean[0] + 0.5


@pytest.mark.parametrize("trap", [LOSS, GRADIENT])
def test_a_step_that_is_not_finite_leaves_everything_as_it_was(trap):
    settings = SGDConfig(batch=1, epochs=30, rate=0.1, warmup=0, final=1, average=0.9, decay=0.1)
    good, both = constant(3.0, n=1), make_rows(np.array([[3.0, 3.0], [99.0, 3.0]]))
    alone = train(KEY, normals(trap=trap), good, settings=settings)
    result = train(KEY, normals(trap=trap), both, settings=settings)
    for a, b in zip(jax.tree.leaves(result.model), jax.tree.leaves(alone.model)):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    np.testing.assert_allclose(result.history, alone.history, rtol=1e-4, atol=1e-4)
    assert (result.skipped, alone.skipped, result.stop_reason) == (30, 0, "epochs")


def test_an_epoch_without_a_finite_step_ends_training():
    data, model = constant(99.0), normals(at=1.0, trap=LOSS)
    settings = SGDConfig(batch=64, epochs=9, average=0.8, decay=0.1)
    with pytest.warns(PofxWarning, match="no step of epoch 1 had .* try a smaller rate") as told:
        result = train(KEY, model, data, settings=settings)
    assert len(told) == 1
    assert (result.stop_reason, result.skipped, len(result.history)) == ("failed", 4, 1)
    assert np.isnan(result.history[0].train)
    assert bits(result.model) == bits(model)


def test_held_out_rows_that_are_never_finite_are_told():
    data, settings = constant(3.0), SGDConfig(batch=64, epochs=3)
    with pytest.warns(PofxWarning, match="validation loss was never finite, and the last"):
        result = train(KEY, normals(trap=LOSS), data, valid=constant(99.0), settings=settings)
    alone = train(KEY, normals(trap=LOSS), data, settings=settings)
    assert bits(result.model) == bits(alone.model)
    assert result.best_epoch == 3


def test_what_is_not_learnable_stays():
    model = eqx.tree_at(lambda m: m.shift, normals(), jnp.array([0.3, 0.7]))
    settings = SGDConfig(batch=64, epochs=5, rate=0.1, decay=0.5, average=0.7)
    result = train(KEY, model, constant(3.0), settings=settings)
    assert bits(result.model.shift) == bits(model.shift)
    assert bits(result.model.mean) != bits(model.mean)
    # Its buffers were donated to nobody.
    assert float(model.mean.sum() + model.log_scale.sum()) == 0


def test_compiles_once(caplog):
    data, held = make_rows(table(n=90)[0]), make_rows(table(n=30)[0])

    def compiled(**options):
        caplog.clear()
        settings = SGDConfig(epochs=3)._replace(**options)
        with jax.log_compiles(), caplog.at_level("WARNING"):
            train(KEY, normals(), data, valid=held, settings=settings)
        told = [record.getMessage().partition(" with")[0] for record in caplog.records]
        return sorted(line[14:-1] for line in told if line.startswith("Compiling jit(_"))

    assert [name for name in compiled() if name in ("_pass_over_rows", "_validate")] == [
        "_pass_over_rows",
        "_validate",
    ]
    assert compiled() == []
    assert compiled(epochs=4, rate=0.1, decay=0.1, clip=0.0, patience=3, seconds=99.0) == []


def test_reports_each_epoch():
    data, held, seen = constant(3.0), constant(1.0), []
    for valid in (held, None):
        seen.clear()
        settings = SGDConfig(batch=64, epochs=3)
        result = train(KEY, normals(), data, valid=valid, settings=settings, report=seen.append)
        told = [epoch.valid if valid else epoch.train for epoch in result.history]
        assert [(at.step, at.steps) for at in seen] == [(1, 3), (2, 3), (3, 3)]
        assert [-at.log_likelihood for at in seen] == told
    assert isinstance(result.history[0], EpochLosses)


def test_time_ends_training_after_an_epoch():
    result = train(KEY, normals(), constant(3.0), settings=SGDConfig(batch=64, seconds=1e-9))
    assert (result.stop_reason, len(result.history)) == ("seconds", 1)
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch": 0}, "batch: expected an integer of at least 1, got 0"),
        ({"batch": 1.5}, "batch: expected an integer of at least 1, got 1.5"),
        ({"epochs": 0}, "epochs: expected an integer of at least 1, got 0"),
        ({"rate": 0.0}, "rate: expected a finite number above 0, got 0.0"),
        ({"rate": "fast"}, "rate: expected a finite number above 0, got 'fast'"),
        ({"warmup": 1.0}, "warmup: expected a share from 0 to below 1, got 1.0"),
        ({"final": 2}, "final: expected a share from 0 to 1, got 2"),
        ({"clip": -1.0}, "clip: expected a finite number of at least 0, got -1.0"),
        ({"decay": float("nan")}, "decay: expected a finite number of at least 0, got nan"),
        ({"average": 1.0}, "average: expected a share from 0 to below 1, got 1.0"),
        ({"patience": -1}, "patience: expected an integer of at least 0, got -1"),
        ({"seconds": 0.0}, "seconds: expected a number above 0, got 0.0"),
    ],
)
def test_settings_out_of_range_are_told(options, told):
    with pytest.raises(PofxError) as error:
        train(KEY, normals(), make_rows(table()[0]), settings=SGDConfig(**options))
    assert str(error.value) == told


def test_rows_that_do_not_fit_are_told():
    data, one = make_rows(table()[0]), np.ones((2, 2))
    with pytest.raises(PofxError, match="valid: expected 2 columns, got 3"):
        train(KEY, normals(), data, valid=make_rows(np.ones((4, 3))))
    for weight in ([0.0, 0.0], [1.0, -1.0], [1.0, np.inf], [1.0, np.nan]):
        with pytest.raises(PofxError, match="rows: expected finite weights"):
            train(KEY, normals(), make_rows(one, weight=np.array(weight)))
