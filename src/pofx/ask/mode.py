"""The most probable values of some names together."""

from collections import Counter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pofx.ask.densities import mass
from pofx.ask.evidence import Given, value
from pofx.ask.intervals import spike
from pofx.ask.moments import Number
from pofx.ask.question import Question
from pofx.ask.results import Mode
from pofx.ask.tables import probabilities
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.named.model import NamedModel
from pofx.named.rows import entry_index
from pofx.notation.queries import Mode as Query

DRAWS = 1024
"""Draws among which the climbs begin."""
TINY = 1e-6
"""The least positive number that is looked at, in the units of entries."""
CLIMBS = 8
"""The most climbs, from the best of the draws; of each set of levels from the best two."""


def mode(question: Question, query: Query, own: Given) -> Mode:
    """argmax p(names | given): of levels and of one number exactly, else by a local search."""
    variables = [question.variable(own.p, name) for name in query.names]
    if all(v.discrete for v in variables):
        p = probabilities(question, own, query.names)
        best = np.unravel_index(int(np.argmax(p.value)), np.shape(p.value))
        values = {v.name: v.levels[code] for v, code in zip(variables, best)}
        top = question.named(p[best])
        return Mode(question.label, values, top, p.kind, p.method)
    if len(variables) == 1:
        found = Number(question, own, variables[0]).mode()
        return _at(question, own, {variables[0].name: float(found.value)}, found)
    if own.sets:
        raise question.wrong(
            own.sets[0],
            "a range as evidence of a mode of several names, numbers among them, is not "
            "supported; give a value",
        )
    q = own.marginal([v.name for v in variables], closed=True)
    best = _climbed(question, q)
    points = {name: float(best[entry_index(q, name)]) for name in q.schema.names}
    points = {v.name: points[v.name] for v in variables}
    return _at(question, own, points, Answer(0.0, kind="estimate", method="local search"))


def _at(question: Question, own: Given, points: dict[str, float], found: Answer) -> Mode:
    schema = own.p.schema
    values = {name: value(schema.variable(name), e) for name, e in points.items()}
    spreads = {
        name: Number(question, own, schema.variable(name)).spread
        for name, v in values.items()
        if isinstance(v, float)
    }
    top = mass(question, own, points)
    return Mode(question.label, values, top, found.kind, found.method, spreads)


def _climbed(question: Question, q: NamedModel) -> np.ndarray:
    """The best row found: the numbers climb, levels, counts and point masses stay as drawn."""
    # Imported here, for it takes long and no other question needs it.
    from scipy.optimize import minimize

    drawn = _draw(q.model, jax.random.split(question.key(2), DRAWS))
    x, log_prob = (np.array(a, np.float64) for a in drawn)
    smooth = np.stack([_smooth(c, x[:, j]) for j, c in enumerate(q.entries.columns)], 1)
    number = np.array([c.kind in ("real", "positive") for c in q.entries.columns])
    least = [TINY if c.kind == "positive" else -np.inf for c in q.entries.columns]
    found = []
    for i in _starts(x, log_prob, number & ~smooth, smooth):
        own, row = smooth[i], x[i]

        def loss(z, own=own, row=row):
            row[own] = z
            value, slope = _slope(q.model, jnp.asarray(row))
            return -float(value), -np.asarray(slope, np.float64)[own]

        height = log_prob[i]
        if own.any():
            bounds = [(low, None) for low in np.array(least)[own]]
            top = minimize(loss, row[own], jac=True, method="L-BFGS-B", bounds=bounds)
            height, row[own] = -top.fun, top.x
        # Of what has a mass no density is as probable, however high it is.
        found.append(((number & ~own).sum(), height, i))
    return x[max(found)[-1]]


def _starts(
    x: np.ndarray, log_prob: np.ndarray, masses: np.ndarray, smooth: np.ndarray
) -> list[int]:
    """The best draws, at most two with the same values of what does not climb."""
    seen: Counter[bytes] = Counter()
    best = []
    for i in np.lexsort((-log_prob, -masses.sum(1))).tolist():
        fixed = np.where(smooth[i], np.nan, x[i]).tobytes()
        seen[fixed] += 1
        if seen[fixed] <= 2:
            best.append(i)
    return best[:CLIMBS]


def _smooth(column: Column, x: np.ndarray) -> np.ndarray:
    """Which of the entries are numbers that no point mass holds."""
    number = column.kind in ("real", "positive")
    return np.array([number and spike(column, e) < 0 for e in x.tolist()])


@eqx.filter_jit
def _draw(model, keys):
    def one(key):
        x = model.sample(key)
        return x, model.log_prob(x)

    return jax.lax.map(one, keys, batch_size=256)


@eqx.filter_jit
def _slope(model, x):
    return jax.value_and_grad(model.log_prob)(x)
