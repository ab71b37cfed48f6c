"""Decisions by least expected cost, with the option to reject."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.float_width import in_model_width
from pofx.named.decisions import OUTLIER, UNCERTAIN, Decisions, costs
from pofx.named.densities import tail_probability_of_entries
from pofx.named.model import NamedModel, check_positive_int
from pofx.named.prediction import conditional_summary, posterior, predict_array
from pofx.named.rows import discrete_variable, encode_inputs, number_variable
from pofx.queries import expected_cost
from pofx.table.encoding import Unseen, in_data_units
from pofx.table.frames.times import as_numpy
from pofx.table.schema import Variable

NUMBER_COSTS = ("squared", "absolute")
"""Costs of a wrong number, by name."""
QUADRATURE_NODES = 24
"""Quantiles below the median over which the mean absolute deviation is an integral."""


@dataclass(frozen=True)
class DecisionRule:
    """How an action is chosen for a row.

    Args:
        cost: the cost of each action if each level is the truth (`pofx.named.decisions.costs`), or
            "squared" or "absolute" for a number; None for 1 per mistake, or "squared".
        reject_cost: the cost of not deciding; None to decide every row.
        outlier_level: if rows can be rejected, those of a smaller tail probability are too.
        reference: rows from which the tail probability is computed; None for draws of the model.
        unseen: "error" to raise for a level never seen, "missing" to take it as a missing cell.
        draws: draws behind a number's distribution that has no closed form.
        seed: of these draws.
    """

    cost: Any = None
    reject_cost: float | None = None
    outlier_level: float = 0.01
    reference: Any = None
    unseen: Unseen = "error"
    draws: int = 100
    seed: int = 0

    def check(self) -> None:
        """Raises PofxError if `reject_cost` is no number or `outlier_level` no probability."""
        cost, level = self.reject_cost, self.outlier_level
        if cost is not None and not (isinstance(cost, Real) and cost == cost):
            raise PofxError(
                f"reject_cost: expected the cost of not deciding, a number; got {cost!r}"
            )
        if not isinstance(level, Real) or not 0 <= level <= 1:
            raise PofxError(f"outlier_level: expected a probability, 0 to 1; got {level!r}")


class _BestActions(NamedTuple):
    action: np.ndarray
    expected_cost: np.ndarray


@in_model_width
def predict(p: NamedModel, data: Any, target: str, rule: DecisionRule) -> np.ndarray:
    """The action of least expected cost in each row; None (NaN for a number) if rejected."""
    if p.schema.variable(target).shape:
        return predict_array(p, data, target, rule.unseen, rule.draws, rule.seed)
    return decide(p, data, target, rule).action


@in_model_width
def decide(p: NamedModel, data: Any, target: str, rule: DecisionRule) -> Decisions:
    """The action of least expected cost in each row, its cost, and why a row was rejected."""
    variable = p.schema.variable(target)
    rule.check()
    predict_best = _predict_level if variable.discrete else _predict_number
    best = predict_best(p, data, target, rule)
    reason = np.full(len(best.action), "", object)
    tail = np.ones(len(best.action))
    if rule.reject_cost is not None:
        # A row without a posterior has no expected cost.
        reason[~(best.expected_cost <= rule.reject_cost)] = UNCERTAIN
        if rule.outlier_level:
            tail = _tail_probability(p, data, target, rule)
            reason[tail < rule.outlier_level] = OUTLIER
    action = _with_rejected(best.action, reason != "", variable)
    if variable.time_kind and not variable.discrete:
        action = as_numpy(action, variable.dtype)
    return Decisions(target, action, best.expected_cost, tail, reason)


def _tail_probability(p: NamedModel, data: Any, target: str, rule: DecisionRule) -> np.ndarray:
    x = encode_inputs(p, data, target, rule.unseen)
    answer = tail_probability_of_entries(
        p, x, rule.reference, rule.unseen, expected_cost.DEFAULT_DRAWS, rule.seed, 1
    )
    return np.asarray(answer)


def _with_rejected(action: np.ndarray, rejected: np.ndarray, variable: Variable) -> np.ndarray:
    if not rejected.any():
        return action
    action = action.copy() if action.dtype.kind == "f" else action.astype(object)
    action[rejected] = None if variable.discrete else np.nan
    return action


def _predict_level(p: NamedModel, data: Any, target: str, rule: DecisionRule) -> _BestActions:
    variable = discrete_variable(p, target)
    if len(variable.levels) < 2:
        level = ", ".join(map(repr, variable.levels))
        raise PofxError(f"target: {target!r} has one level, {level}; there is nothing to decide")
    actions, cost_table = costs(rule.cost, variable)
    probabilities = posterior(p, data, target, rule.unseen)
    best, expected = expected_cost.least_cost(probabilities, cost_table)
    return _BestActions(actions[best], expected)


def _predict_number(p: NamedModel, data: Any, target: str, rule: DecisionRule) -> _BestActions:
    """The mean and the variance, or the median and the mean absolute deviation."""
    variable = number_variable(p, target)
    check_positive_int("draws", rule.draws)
    cost = "squared" if rule.cost is None else rule.cost
    if not isinstance(cost, str):
        raise PofxError(f"cost: expected 'squared' or 'absolute' for the number {target!r}")
    if cost not in NUMBER_COSTS:
        raise unknown_name_error("cost", cost, NUMBER_COSTS)
    nodes, weights = ((), np.zeros(0)) if cost == "squared" else _lower_half_quadrature()
    levels = () if cost == "squared" else (0.5, *nodes)
    summary = conditional_summary(p, data, target, rule.unseen, levels, rule.draws, rule.seed)
    if cost == "squared":
        variance = np.asarray(summary.variance, np.float64) * variable.scale * variable.scale
        return _BestActions(in_data_units(variable, summary.mean), variance)
    median = summary.quantiles[:, 0]
    lower = np.asarray(summary.quantiles[:, 1:], np.float64)
    # E|X - m| = E[X] - 2 ∫ Q(u) du over u < 1/2, for a median m: exact in a long upper tail.
    spread = (np.asarray(summary.mean, np.float64) - 2 * lower @ weights) * variable.scale
    return _BestActions(in_data_units(variable, median), np.maximum(spread, 0))


def _lower_half_quadrature() -> tuple[tuple[float, ...], np.ndarray]:
    """Nodes u and weights of ∫ du over 0 < u < 1/2, dense at 0, where quantiles may be unbounded.

    They are the Gauss-Legendre nodes and weights in t, with u = t³ / 2.
    """
    t, weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    t, weights = (t + 1) / 2, weights / 2
    return tuple(map(float, t**3 / 2)), 1.5 * t**2 * weights
