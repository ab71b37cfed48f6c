"""The learner by sums over batches of rows: stepwise EM, for tables too long to read often."""

import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Stepwise
from pofx.core.closed_forms import loosened
from pofx.core.errors import PofxError
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as scores_of
from pofx.learn.batches import batches
from pofx.learn.em import Fit, Progress, Report


class Pace(NamedTuple):
    """How stepwise EM goes: passes over the rows, rows a batch, and the share of a step.

    The share falls geometrically from `first` to `last`; the first step of all is whole. No pass
    begins after `seconds`, of which the first, which compiles, is no part.
    """

    epochs: int = 30
    batch: int = 256
    first: float = 0.5
    last: float = 0.02
    patience: int = 5
    seconds: float = float("inf")


STANDARD = Pace()


def stepwise(
    key: PRNGKeyArray,
    model: Stepwise,
    rows: Rows,
    *,
    valid: Rows | None = None,
    pace: Pace = STANDARD,
    report: Report | None = None,
) -> Fit:
    """Maximum likelihood by EM on batches, each a step of falling size (Cappé and Moulines 2009).

    θ ← argmax of (1 - γ) s(θ) + γ s(batch), with s the expected statistics of all rows

    With rows held out, `valid`, it stops where they have not become likelier for `patience`
    epochs, and returns the model they prefer. The history holds the log-likelihood of each epoch's
    batches as they were met, in nats a unit of weight.
    """
    if pace.epochs < 1 or pace.batch < 1:
        raise PofxError(f"pace: expected at least 1 epoch and 1 row a batch, got {pace}")
    began = time.perf_counter()
    x, observed, weight = map(jnp.asarray, rows.flat())
    observed = observed[0] if bool(observed.all()) else observed
    steps = -(-len(x) // pace.batch)
    rates = np.geomspace(pace.first, pace.last, pace.epochs * steps).astype(x.dtype)
    rates[0] = 1.0
    model, back = loosened(model)
    carried, history = model.nothing(), []
    best, score, waited = model, -np.inf, 0
    compiled = 0.0
    for epoch in range(pace.epochs):
        own = jnp.asarray(rates[epoch * steps : (epoch + 1) * steps])
        shuffle = jax.random.fold_in(key, epoch)
        model, carried, value = _epoch(
            shuffle, model, carried, x, observed, weight, own, pace.batch
        )
        history.append(float(value))
        if report:
            report(Progress(epoch + 1, pace.epochs, history[-1]))
        if valid is not None:
            heavy = valid.flat()[2]
            now = float(np.average(scores_of(model, valid), weights=heavy))
            best, score, waited = (model, now, 0) if now > score else (best, score, waited + 1)
        # The first epoch compiles, which is not this one's time.
        compiled = compiled or time.perf_counter()
        if waited >= pace.patience or time.perf_counter() - compiled >= pace.seconds:
            break
    chosen = best if np.isfinite(score) else model
    return Fit(back(chosen), history, bool(np.isfinite(history[-1])), time.perf_counter() - began)


@eqx.filter_jit
def _epoch(
    key: PRNGKeyArray,
    model: Stepwise,
    carried: Any,
    x: Float[Array, "n d"],
    observed: Array,
    weight: Float[Array, "n"],
    rates: Float[Array, "steps"],
    batch: int,
) -> tuple[Any, Any, Float[Array, ""]]:
    arrays, static = eqx.partition(model, eqx.is_array)
    n, total = len(x), weight.sum()
    index, inside = batches(n, batch)
    order = jax.random.permutation(key, n)[index]

    def step(state, at):
        arrays, carried = state
        index, inside, rate = at
        own = jnp.where(inside, weight[index], 0)
        seen = observed if observed.ndim == 1 else observed[index]
        model = eqx.combine(arrays, static)
        statistics, log_likelihood = model.statistics(x[index], seen, own)
        # Rows of no weight teach nothing.
        heavy = own.sum() > 0
        scale = jnp.where(heavy, total / jnp.where(heavy, own.sum(), 1), 0)
        statistics = jax.tree.map(lambda s: s * scale, statistics)
        new, carried = model.stepped(statistics, carried, jnp.where(heavy, rate, 0))
        return (eqx.filter(new, eqx.is_array), carried), log_likelihood

    (arrays, carried), values = jax.lax.scan(step, (arrays, carried), (order, inside, rates))
    return eqx.combine(arrays, static), carried, values.sum() / total
