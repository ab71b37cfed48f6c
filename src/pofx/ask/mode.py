"""The most probable values of some names together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pofx.ask.binding import BoundName
from pofx.ask.densities import probability_or_density
from pofx.ask.errors import error_at
from pofx.ask.evidence import Evidence
from pofx.ask.intervals import spike_index
from pofx.ask.moments import NumericVariable
from pofx.ask.question import Question
from pofx.ask.results import Mode
from pofx.ask.tables import level_probabilities
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.compilation import compiled
from pofx.named.model import NamedModel
from pofx.named.rows import entry_index
from pofx.table.encoding import in_data_units
from pofx.table.frames.times import to_python
from pofx.table.schema import Variable

START_DRAWS = 1024
"""Draws among which the starts of the search are chosen."""

MAX_STARTS = 8
"""Starts of the search: the best draws, and of each set of levels the best two."""

MIN_POSITIVE = 1e-6
"""The smallest positive number that the search looks at, in the units of entries."""


def mode(question: Question, names: Sequence[BoundName], evidence: Evidence) -> Mode:
    """argmax p(names | evidence): exact for levels and for one number, else by a local search."""
    variables = [name.variable for name in names]
    if all(v.discrete for v in variables):
        p = level_probabilities(question, names, evidence)
        best = np.unravel_index(int(np.argmax(p.value)), np.shape(p.value))
        values = {v.name: v.levels[code] for v, code in zip(variables, best)}
        top = question.labelled_with_unit(p[best])
        return Mode(question.label, values, top, p.kind, p.method)
    if len(names) == 1:
        answer = NumericVariable(question, evidence, variables[0]).mode()
        return _mode_at(question, {names[0]: float(answer.value)}, evidence, answer)
    if evidence.set_terms:
        raise error_at(
            evidence.set_terms[0].name,
            "a range as evidence of a mode of several names, numbers among them, is not "
            "supported; give a value",
        )
    q = evidence.marginal([name.text for name in names], closed=True)
    row = _search(question, q)
    points = {name: float(row[entry_index(q, name.text)]) for name in names}
    answer = Answer(0.0, kind="estimate", method="local search")
    return _mode_at(question, points, evidence, answer)


def _mode_at(
    question: Question, points: Mapping[BoundName, float], evidence: Evidence, answer: Answer
) -> Mode:
    """The mode at these entries, with the kind and the method of the answer."""
    values = {name.text: decode_entry(name.variable, entry) for name, entry in points.items()}
    spreads = {
        name.text: NumericVariable(question, evidence, name.variable).spread
        for name in points
        if isinstance(values[name.text], float)
    }
    top = probability_or_density(question, evidence, points)
    return Mode(question.label, values, top, answer.kind, answer.method, spreads)


def decode_entry(variable: Variable, entry: float) -> Any:
    """The value in the data of an entry: a level, a number in the data's units, or a time."""
    if variable.discrete:
        return variable.levels[round(entry)]
    index = spike_index(variable.column, entry)
    number = variable.spikes[index] if index >= 0 else in_data_units(variable, entry).item()
    return to_python(number, variable.dtype) if variable.time_kind else number


def _search(question: Question, q: NamedModel) -> np.ndarray:
    """The best row found: numbers climb; levels, counts and point masses stay as drawn."""
    # Imported here because the import takes long and only a mode needs it.
    from scipy.optimize import minimize

    draws = _draw_with_log_prob(q.model, question.key(2), START_DRAWS)
    x, log_prob = (np.array(a, np.float64) for a in draws)
    columns = q.entries.columns
    smooth = np.stack([_is_smooth(c, x[:, j]) for j, c in enumerate(columns)], 1)
    is_number = np.array([c.kind in ("real", "positive") for c in columns])
    lower_bounds = np.array([MIN_POSITIVE if c.kind == "positive" else -np.inf for c in columns])
    candidates = []
    for i in _choose_starts(x, log_prob, is_number & ~smooth, smooth):
        climbing, row = smooth[i], x[i]

        def loss(z, climbing=climbing, row=row):
            row[climbing] = z
            value, gradient = _value_and_gradient(q.model, jnp.asarray(row))
            return -float(value), -np.asarray(gradient, np.float64)[climbing]

        height = log_prob[i]
        if climbing.any():
            bounds = [(low, None) for low in lower_bounds[climbing]]
            top = minimize(loss, row[climbing], jac=True, method="L-BFGS-B", bounds=bounds)
            height = -top.fun
            row[climbing] = top.x
        # No density is as probable as a point mass, however high it is.
        candidates.append(((is_number & ~climbing).sum(), height, i))
    return x[max(candidates)[-1]]


def _choose_starts(
    x: np.ndarray, log_prob: np.ndarray, point_masses: np.ndarray, smooth: np.ndarray
) -> list[int]:
    """The best draws, at most two with the same values of what does not climb."""
    counts: Counter[bytes] = Counter()
    starts = []
    for i in np.lexsort((-log_prob, -point_masses.sum(1))).tolist():
        fixed = np.where(smooth[i], np.nan, x[i]).tobytes()
        counts[fixed] += 1
        if counts[fixed] <= 2:
            starts.append(i)
    return starts[:MAX_STARTS]


def _is_smooth(column: Column, x: np.ndarray) -> np.ndarray:
    """Which of the entries are numbers that no point mass holds."""
    is_number = column.kind in ("real", "positive")
    return np.array([is_number and spike_index(column, entry) < 0 for entry in x.tolist()])


@compiled
def _draw_with_log_prob(model, key, count):
    def draw(key):
        x = model.sample(key)
        return x, model.log_prob(x)

    return jax.lax.map(draw, jax.random.split(key, count), batch_size=256)


@compiled
def _value_and_gradient(model, x):
    return jax.value_and_grad(model.log_prob)(x)
