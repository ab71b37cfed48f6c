"""EM: its reports, when it stops, and which model restarts and selection keep."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.rows import make_rows
from pofx.learn import em
from pofx.learn.em import em_step, fit_em
from pofx.learn.learner import LearnerConfig, fit
from pofx.learn.model_selection import Candidate, climb_ladder
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture

KEY = jax.random.key(0)
REAL = tuple(Column(f"x{i}", "real", family="normal") for i in range(2))


def blobs(n=240, k=3, apart=8.0, seed=0):
    rng = np.random.default_rng(seed)
    centre = np.array([[0, 0], [apart, 0], [0, apart], [apart, apart]])[rng.integers(0, k, n)]
    return centre + rng.normal(size=(n, 2))


def mixture(k, columns=REAL, **options):
    return lambda key, data: Mixture.from_data(key, data, columns, components=k, **options)


@pytest.fixture
def overlapping():
    """Rows from which EM climbs slowly."""
    return make_rows(blobs(apart=2.0))


def test_history_climbs_to_a_fixed_point():
    with jax.enable_x64(True):
        climbs_to_a_fixed_point(make_rows(blobs(apart=2.0)))


def climbs_to_a_fixed_point(overlapping):
    result = fit_em(mixture(3)(KEY, overlapping), overlapping, tolerance=1e-5)
    assert result.converged
    assert len(result.history) > 10
    assert (np.diff(result.history) > -1e-12).all()
    assert result.log_likelihood == result.history[-1]
    assert result.seconds > 0
    # What is left to gain is below the tolerance, not only the last step's gain.
    further, now = result.model, []
    for _ in range(300):
        further, value = em_step(further, overlapping)
        now.append(float(value))
    assert max(now) - result.log_likelihood < 20 * 1e-5


def test_long_fits_are_those_of_another_program(overlapping, monkeypatch):
    start = mixture(3)(KEY, overlapping)
    short = fit_em(start, overlapping, tolerance=1e-2)
    monkeypatch.setattr(em, "MIN_LONG_NUMBERS", 1)
    long = fit_em(start, overlapping, tolerance=1e-2)
    np.testing.assert_allclose(long.history, short.history, rtol=1e-5)


def test_a_smaller_tolerance_goes_further(overlapping):
    start = mixture(3)(KEY, overlapping)
    coarse, fine = (fit_em(start, overlapping, tolerance=t) for t in (1e-2, 1e-5))
    assert len(coarse.history) < len(fine.history)
    assert coarse.log_likelihood < fine.log_likelihood
    np.testing.assert_array_equal(coarse.history, fine.history[: len(coarse.history)])


def test_running_out_of_steps_is_a_result_and_a_warning(overlapping):
    start = mixture(3)(KEY, overlapping)
    with pytest.warns(PofxWarning, match="had not converged after 7 steps .*more steps") as told:
        result = fit_em(start, overlapping, steps=7)
    assert len(told) == 1
    assert not result.converged
    assert len(result.history) == 7
    by_hand = start
    for _ in range(7):
        by_hand, _ = em_step(by_hand, overlapping)
    for a, b in zip(jax.tree.leaves(result.model), jax.tree.leaves(by_hand)):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_running_out_of_time_is_one_too(overlapping):
    with pytest.warns(PofxWarning, match="had not converged after 4 steps"):
        result = fit_em(mixture(3)(KEY, overlapping), overlapping, seconds=0.0)
    assert not result.converged
    assert len(result.history) == 4


def test_steps_must_be_some(overlapping):
    with pytest.raises(PofxError, match="steps: expected at least 1, got 0"):
        fit_em(mixture(3)(KEY, overlapping), overlapping, steps=0)


def test_an_impossible_row_stops_at_once_and_is_told():
    columns = (Column("c", "categorical", levels=3, family="categorical"),)
    before = make_rows(np.array([[0.0], [1.0]]))
    start = fit_em(Independent.from_data(KEY, before, columns, prior=0.0), before).model
    with pytest.warns(PofxWarning, match="became -inf after 1 steps; .* some rows .* try prior=1"):
        result = fit_em(start, make_rows(np.array([[0.0], [2.0]])))
    assert not result.converged
    assert len(result.history) == 1


def test_reports_come_in_order(overlapping):
    seen = []
    result = fit_em(mixture(3)(KEY, overlapping), overlapping, steps=500, report=seen.append)
    at = [s.step for s in seen]
    assert at == sorted(set(at))
    assert at[-1] == len(result.history)
    assert all(s.steps == 500 for s in seen)
    assert [s.log_likelihood for s in seen] == [result.history[i - 1] for i in at]


def test_restarts_keep_the_best():
    data = make_rows(blobs(k=4, apart=5.0))
    start = mixture(4, init="random")
    alone = [fit_em(start(k, data), data).log_likelihood for k in jax.random.split(KEY, 6)]
    assert np.ptp(alone) > 0.05, "starts that all end alike show nothing"
    kept = fit(KEY, start, data, LearnerConfig(restarts=6))
    assert kept.log_likelihood > max(alone) - 1e-3
    assert fit(KEY, start, data, LearnerConfig(restarts=1)).log_likelihood == pytest.approx(
        alone[0], abs=1e-4
    )


def test_restarts_are_for_random_starts_only():
    calls = []

    def start(key, data):
        calls.append(key)
        return Independent.from_data(key, data, REAL)

    fit(KEY, start, make_rows(blobs()), LearnerConfig(restarts=5))
    assert len(calls) == 1


def candidates(counts, **options):
    return [Candidate(f"{k}", mixture(k, **options)) for k in counts]


@pytest.mark.slow
def test_selection_finds_the_number_of_components():
    x = blobs(n=400, k=3)
    splits = [(make_rows(x[:320]), make_rows(x[320:]))]
    best, lines = climb_ladder(KEY, candidates((1, 2, 3, 4, 6)), splits, LearnerConfig(restarts=2))
    kept = best.fits
    assert best.number == 2
    assert len(kept[0].model.log_weights) == 3
    assert [line.kept for line in lines] == [True, True, True, False, False]
    scores = np.asarray(jax.vmap(lambda r: kept[0].model.log_prob(r, jnp.ones(2, bool)))(x[320:]))
    assert lines[2].log_likelihood == pytest.approx(scores.mean(), abs=1e-4)
    assert lines[2].stderr == pytest.approx(scores.std(ddof=1) / np.sqrt(80), rel=1e-3)
    gain = lines[2].log_likelihood - lines[1].log_likelihood
    assert lines[2].gain == pytest.approx(gain, abs=1e-4)


def test_selection_takes_one_component_of_pure_noise_and_stops():
    x = blobs(n=400, k=1, seed=3)
    splits = [(make_rows(x[:320]), make_rows(x[320:]))]
    best, lines = climb_ladder(KEY, candidates((1, 2, 3, 4, 6)), splits, patience=2)
    assert best.number == 0
    assert len(lines) == 3


def test_a_candidate_that_holds_held_out_rows_impossible_loses():
    columns = (Column("c", "categorical", levels=3, family="categorical"),)
    train, valid = (
        make_rows(np.array([[0.0], [1.0]] * 10)),
        make_rows(np.array([[0.0], [2.0], [2.0]])),
    )

    def start(prior):
        return lambda key, data: Independent.from_data(key, data, columns, prior=prior)

    trials = [Candidate("sure", start(0.0)), Candidate("open", start(1.0))]
    for order in (trials, trials[::-1], [trials[0], *trials]):
        best, lines = climb_ladder(KEY, order, [(train, valid)])
        assert best.name == "open"
        assert [line.name for line in lines] == [t.name for t in order]
        assert {type(line.kept) for line in lines} == {bool}


class Overshooting(eqx.Module):
    """A model whose steps pass the maximum at zero, as rounding may do to a real model."""

    place: jax.Array

    def expected_statistics(self, x, observed, weight):
        return weight.sum(), -weight.sum() * self.place**2

    def m_step(self, statistics):
        return Overshooting(self.place - 0.3)

    def log_prior_density(self):
        return jnp.zeros(())


def test_a_likelihood_that_falls_is_said_and_the_best_step_kept():
    table = make_rows(np.zeros((4000, 1)))
    with pytest.warns(PofxWarning, match=r"EM lost 1\.2 nats per row to rounding and returned"):
        fit = fit_em(Overshooting(jnp.asarray(1.0)), table, steps=8)
    assert float(fit.model.place) == pytest.approx(0.1, abs=1e-6)
    assert fit.log_likelihood == pytest.approx(-0.01, abs=1e-6)
    assert not fit.converged
