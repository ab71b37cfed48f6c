"""Bayes' rule at work: posteriors, predictions, decisions, refusals."""

from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import PRNGKeyArray

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown
from pofx.core.float_width import in_model_width
from pofx.core.rows import rows
from pofx.named.decisions import STRANGE, UNSURE, Decisions, costs
from pofx.named.model import Held, at_least_one
from pofx.named.random_keys import key_of
from pofx.named.seed_averaging import of_estimates
from pofx.queries import expected_cost, imputation, row_conditionals
from pofx.table.encoding import Unseen, decode, exact_dtype, in_data_units
from pofx.table.frames.times import as_numpy
from pofx.table.schema import Schema, Variable

NUMBER = Variable("", "real", dtype="float64")
LOSSES = ("squared", "absolute")
"""Costs of a guess of a number."""
NODES = 24
"""Quantiles below the median over which the mean absolute deviation is an integral."""


class _Acts(NamedTuple):
    act: np.ndarray
    cost: np.ndarray


class Decides(Held):
    """Predictions and decisions from a distribution, whatever cells are missing."""

    @in_model_width
    def predict_proba(self, data: Any, target: str, *, unseen: Unseen = "error") -> Any:
        """p(target | the other cells) of each row, whatever of them is missing.

        One column a level, of the kind of data that was learned from; an array for an array.
        """
        variable = self._discrete(target)
        posterior = self._posterior(data, target, unseen)
        if self.schema.container in ("numpy", "vector"):
            return posterior
        return self._numbers([str(level) for level in variable.levels], posterior, data)

    @in_model_width
    def predict(
        self,
        data: Any,
        target: str,
        *,
        cost: Any = None,
        reject: float | None = None,
        strange: float = 0.01,
        among: Any = None,
        unseen: Unseen = "error",
        draws: int = 100,
        seed: int = 0,
    ) -> np.ndarray:
        """The act of least expected cost in each row; None (NaN for a number) where refused.

        By default the most probable level, or the conditional mean of a number: of a time as
        datetime64 (of UTC where it has a zone) or timedelta64. `decide`, which takes the same
        arguments, tells costs and reasons too.
        """
        variable = self.schema.variable(target)
        if variable.shape:
            return self._array(data, target, variable, unseen, draws, seed)
        return self.decide(
            data,
            target,
            cost=cost,
            reject=reject,
            strange=strange,
            among=among,
            unseen=unseen,
            draws=draws,
            seed=seed,
        ).act

    @in_model_width
    def decide(
        self,
        data: Any,
        target: str,
        *,
        cost: Any = None,
        reject: float | None = None,
        strange: float = 0.01,
        among: Any = None,
        unseen: Unseen = "error",
        draws: int = 100,
        seed: int = 0,
    ) -> Decisions:
        """The act of least expected cost, argmin_a E[cost(a, target) | the other cells], or none.

        For a column of levels `cost` is a matrix with a row for each level as an act and a column
        for each as the truth, or a mapping from acts of any name to such rows; by default 1 for
        any mistake. For a number it is "squared" (the act is the mean, its expected cost the
        variance, in squared units) or "absolute" (the median, the mean absolute deviation).

        `reject` is the cost of not deciding: rows whose best act is expected to cost more are
        refused as "unsure" (Chow 1970). Then rows whose `surprise` without the target is below
        `strange` are refused too, as unlike anything that was learned: their posterior may be sure
        and says nothing. With `among`, rows held out from learning, it is the surprise among them,
        and of rows of their kind a share of `strange` is refused. `draws` are used where a number's
        distribution has no closed form. Raises PofxError for costs of a wrong shape and for a
        target of one level.
        """
        variable = self.schema.variable(target)
        if reject is not None and not (isinstance(reject, Real) and reject == reject):
            raise PofxError(f"reject: wanted the cost of not deciding, a number; got {reject!r}")
        if not isinstance(strange, Real) or not 0 <= strange <= 1:
            raise PofxError(f"strange: wanted a probability, 0 to 1; got {strange!r}")
        chosen = (
            self._levels(data, target, cost, unseen)
            if variable.discrete
            else self._guesses(data, target, variable, cost, unseen, draws, seed)
        )
        reason = np.full(len(chosen.act), "", object)
        surprise = np.ones(len(chosen.act))
        if reject is not None:
            # A row without a posterior has no expected cost.
            reason[~(chosen.cost <= reject)] = UNSURE
            if strange:
                x = self._without(data, target, unseen)
                found = self._surprise(x, among, unseen, expected_cost.DRAWS, key_of(seed, 1))
                surprise = np.asarray(found.value)
                reason[surprise < strange] = STRANGE
        act = chosen.act
        if (reason != "").any():
            plain = act.dtype.kind == "f"
            act = act.copy() if plain else act.astype(object)
            act[reason != ""] = None if variable.discrete else np.nan
        if variable.time and not variable.discrete:
            act = as_numpy(act, variable.dtype)
        return Decisions(target, act, chosen.cost, surprise, reason)

    @in_model_width
    def interval(
        self,
        data: Any,
        target: str,
        level: float = 0.9,
        *,
        unseen: Unseen = "error",
        draws: int = 1000,
        seed: int = 0,
    ) -> Any:
        """The central interval that holds a number with probability `level` given the other cells.

        Columns low and high, of the kind of data that was learned from: the quantiles of
        p(target | the others) at (1 - level) / 2 and (1 + level) / 2, in the data's units.
        """
        variable = self._number(target)
        if not 0 < level < 1:
            raise PofxError(f"level: wanted a probability between 0 and 1, got {level!r}")
        ends = ((1 - level) / 2, (1 + level) / 2)
        found = self._summary(data, target, unseen, ends, draws, seed).quantiles
        dtype = variable.dtype if variable.time else exact_dtype(variable) or "float64"
        unit = Variable("", "real", shift=variable.shift, scale=variable.scale, dtype=dtype)
        return self._numbers(["low", "high"], found, data, unit)

    @in_model_width
    @of_estimates
    def surprise(
        self,
        data: Any,
        *,
        among: Any = None,
        unseen: Unseen = "error",
        draws: int = expected_cost.DRAWS,
        seed: int = 0,
    ) -> Answer:
        """How unlike what was learned each row is: P(log p(X) <= log p(x)), X a fresh draw.

        Uniform for rows from the model, near 0 for rows unlike it; each row is compared on its own
        observed cells, by densities in the units that the model sees. With `among`, rows held out
        from learning, X is one of these instead: uniform then for rows of their kind, however well
        the model fits. An `Answer` that holds an array of shape (n,), of standard error at most
        1 / (2 sqrt(draws)).
        """
        at_least_one("draws", draws)
        x = self._read(data, unseen)[:, self.entries.free]
        self._check(x)
        return self._surprise(x, among, unseen, draws, key_of(seed))

    def _surprise(
        self, x: np.ndarray, among: Any, unseen: Unseen, draws: int, key: PRNGKeyArray
    ) -> Answer:
        if among is None:
            return expected_cost.surprise(key, self.model, rows(x), draws)
        known = rows(self._read(among, unseen)[:, self.entries.free])
        return expected_cost.surprise(key, self.model, rows(x), among=known)

    def _levels(self, data: Any, target: str, cost: Any, unseen: Unseen) -> _Acts:
        variable = self._discrete(target)
        if len(variable.levels) < 2:
            only = ", ".join(map(repr, variable.levels))
            raise PofxError(f"target: {target!r} has one level, {only}; there is nothing to decide")
        acts, table = costs(cost, variable)
        act, expected = expected_cost.least_cost(self._posterior(data, target, unseen), table)
        return _Acts(acts[act], expected)

    def _guesses(
        self,
        data: Any,
        target: str,
        variable: Variable,
        cost: Any,
        unseen: Unseen,
        draws: int,
        seed: int,
    ) -> _Acts:
        self._number(target)
        at_least_one("draws", draws)
        loss = "squared" if cost is None else cost
        if not isinstance(loss, str):
            raise PofxError(f"cost: wanted 'squared' or 'absolute' for the number {target!r}")
        if loss not in LOSSES:
            raise unknown("cost", loss, LOSSES)
        if loss == "squared":
            found = self._summary(data, target, unseen, (), draws, seed)
            variance = np.asarray(found.variance, np.float64)
            return _Acts(
                in_data_units(variable, found.mean), variance * variable.scale * variable.scale
            )
        levels, weights = _lower_half()
        found = self._summary(data, target, unseen, (0.5, *levels), draws, seed)
        median, lower = found.quantiles[:, 0], found.quantiles[:, 1:]
        # E|X - m| = E[X] - 2 ∫ Q(u) du over u < 1/2, for a median m: exact in a long upper tail.
        mean, lower = np.asarray(found.mean, np.float64), np.asarray(lower, np.float64)
        spread = (mean - 2 * lower @ weights) * variable.scale
        return _Acts(in_data_units(variable, median), np.maximum(spread, 0))

    def _summary(
        self,
        data: Any,
        target: str,
        unseen: Unseen,
        levels: tuple[float, ...],
        draws: int,
        seed: int,
    ) -> row_conditionals.Summary:
        """p(target | the other cells) of each row, in entry units."""
        x, j = self._without(data, target, unseen), self._place(target)
        self._check(x)
        own = self.entries.columns[j]
        return row_conditionals.summary(key_of(seed), self.model, rows(x), own, j, levels, draws)

    def _array(
        self, data: Any, target: str, variable: Variable, unseen: Unseen, draws: int, seed: int
    ) -> np.ndarray:
        """The conditional mean of an array, or the most probable level of each of its entries."""
        at_least_one("draws", draws)
        x = self._without(data, target, unseen)
        self._check(x)
        guess = imputation.expect(key_of(seed), self.model, rows(x), self.entries.columns, draws)
        own = self.entries.whole(guess)[:, self.schema.slices[target]]
        return in_data_units(variable, own).reshape(-1, *variable.shape)

    def _number(self, target: str) -> Variable:
        variable = self.schema.variable(target)
        if variable.discrete or variable.shape:
            raise PofxError(f"target: wanted a column of numbers, and {target!r} is not")
        return variable

    def _numbers(
        self, names: list[str], entries: np.ndarray, like: Any, unit: Variable = NUMBER
    ) -> Any:
        """Columns of numbers, of the kind of data that was learned from."""
        container = "numpy" if self.schema.container == "vector" else self.schema.container
        schema = Schema(tuple(replace(unit, name=n) for n in names), container)
        return decode(schema, entries, index=like)


def _lower_half() -> tuple[tuple[float, ...], np.ndarray]:
    """Nodes u and weights of ∫ du over 0 < u < 1/2, dense at 0, where quantiles may be unbounded.

    Gauss and Legendre's in t, with u = t³ / 2.
    """
    t, weights = np.polynomial.legendre.leggauss(NODES)
    t, weights = (t + 1) / 2, weights / 2
    return tuple(map(float, t**3 / 2)), 1.5 * t**2 * weights
