"""The named distribution that users hold."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from pofx.core.answer import Answer
from pofx.core.distribution import Tractable
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.rows import rows
from pofx.models.conditional import condition
from pofx.queries import bayes, density, information, missing
from pofx.table import store
from pofx.table.encode import Unseen, decode, encode, encode_values, log_scale
from pofx.table.entries import Entries
from pofx.table.schema import Schema, Variable
from pofx.table.seeds import key_of

Names = str | Sequence[str]


@dataclass(frozen=True, repr=False, eq=False)
class Joint:
    """A probability distribution over the variables of a table, by name.

    `schema` says what the variables are, `model` is the distribution of their free entries, and
    `fixed` holds the entries of partly given arrays (NaN: free). `fit` tells how it was learned.
    Log-probabilities are in nats and in the data's own units: densities with respect to Lebesgue
    measure for real and positive columns, counting measure for discrete ones, counts and spikes.
    Methods never change it.
    """

    model: Tractable
    schema: Schema
    fixed: np.ndarray
    evidence: tuple[str, ...] = ()
    fit: Mapping[str, Any] = field(default_factory=dict)

    # -- densities and draws

    def log_prob(self, data: Any, *, unseen: Unseen = "error") -> Answer:
        """log p(x_O) of each row: missing cells are integrated out.

        An `Answer` that holds an array of shape (n,), in nats. A level never seen is an error, or
        with unseen="missing" a missing cell.
        """
        x = self._read(data, unseen)
        scale = log_scale(self.schema, x)[:, self.entries.free]
        x = x[:, self.entries.free]
        value = density.log_prob(self.model, rows(x)) - np.where(np.isnan(x), 0, scale).sum(1)
        return Answer(value, how="closed form", unit="nats")

    def sample(self, n: int = 1, *, seed: int = 0) -> Any:
        """n new rows, of the kind of data that was learned from."""
        _at_least_one("n", n)
        draws = self._complete(np.full((n, self.model.size), np.nan), seed)
        return decode(self.schema, self.entries.whole(draws))

    # -- other distributions

    def given(self, evidence: Mapping[str, Any] | None = None, /, **values: Any) -> "Joint":
        """p(rest | evidence), by names and values; a missing value (None, NaN) is no evidence.

        Of an array the entries that are not NaN are given, and the others stay in play. Raises
        PofxError for evidence of probability zero.
        """
        values = {**(evidence or {}), **values}
        for name in values:
            known = [e for e in self.evidence if e.startswith(f"{name} = ")]
            if known and name not in self.schema.names:
                raise PofxError(f"given: {name!r} is given already: {known[0]}")
        x = encode_values(self.schema, values)
        if (x != self.fixed)[~np.isnan(x) & ~self.entries.free].any():
            raise PofxError(f"given: {_told(values)} contradicts the evidence given before")
        observed = ~np.isnan(x) & self.entries.free
        if not observed.any():
            return self
        keep = (self.entries.free & ~observed)[self.entries.free]
        if not keep.any():
            raise PofxError("given: nothing is left to be random; use log_prob for its probability")
        one = rows(np.where(observed, x, np.nan)[None, self.entries.free])
        if not density.log_prob(self.model, one)[0] > -np.inf:
            raise PofxError(f"given: the evidence {_told(values)} has probability zero")
        model = condition(self.model, x[self.entries.free], observed[self.entries.free], keep)
        fixed = np.where(observed, x, self.fixed)
        parts = self.schema.slices
        names = [n for n in self.schema.names if np.isnan(fixed[parts[n]]).any()]
        told = tuple(f"{k} = {_brief(v)}" for k, v in values.items() if v is not None)
        return self._on(model, names, fixed, self.evidence + told)

    def marginal(self, *names: str) -> "Joint":
        """p(names), the other variables integrated out."""
        if not names:
            raise PofxError("marginal: wanted at least one column")
        entries = self.entries.of(names)
        keep = entries[self.entries.free]
        nothing = np.zeros(self.model.size, bool)
        model = condition(self.model, np.zeros(self.model.size), nothing, keep)
        ordered = [n for n in self.schema.names if n in names]
        return self._on(model, ordered, self.fixed, self.evidence)

    # -- Bayes' rule and missing cells

    def predict_proba(self, data: Any, target: str, *, unseen: Unseen = "error") -> Any:
        """p(target | the other cells) of each row, whatever of them is missing.

        One column a level, of the kind of data that was learned from; an array for an array.
        """
        variable = self._discrete(target)
        posterior = self._posterior(data, target, unseen)
        if self.schema.container in ("numpy", "vector"):
            return posterior
        levels = (Variable(str(level), "real", dtype="float64") for level in variable.levels)
        return decode(Schema(tuple(levels), self.schema.container), posterior, index=data)

    def predict(
        self, data: Any, target: str, *, unseen: Unseen = "error", draws: int = 100, seed: int = 0
    ) -> np.ndarray:
        """The most probable level of each row, or the conditional mean of a number.

        A mean is taken over `draws` conditional draws.
        """
        variable, place = self.schema.variable(target), self.schema.slices[target]
        if variable.discrete and not variable.shape:
            best = np.nan_to_num(self._posterior(data, target, unseen)).argmax(1)
            return np.array(variable.levels)[best]
        _at_least_one("draws", draws)
        x = self._without(data, target, unseen)
        guess = self.entries.whole(self._expect(x, draws, seed))[:, place]
        return (guess * variable.scale + variable.shift).reshape(-1, *variable.shape)

    def impute(
        self, data: Any, *, draws: int | None = None, unseen: Unseen = "missing", seed: int = 0
    ) -> Any:
        """The data with missing cells filled in.

        By default with one guess a cell: the mean of 100 conditional draws of a number, or the most
        probable level. With `draws=m`, a list of m tables, each cell a draw from p(x_M | x_O):
        what to use where the uncertainty matters (Rubin 1987).
        """
        free = self._read(data, unseen)[:, self.entries.free]
        if draws is None:
            return decode(self.schema, self.entries.whole(self._expect(free, 100, seed)), like=data)
        _at_least_one("draws", draws)
        return [
            decode(self.schema, self.entries.whole(self._complete(free, seed, i)), like=data)
            for i in range(draws)
        ]

    # -- information

    def entropy(
        self,
        *names: str,
        given: Names = (),
        stderr: float | None = None,
        max_draws: int = information.MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """H(names | given) in nats, of all variables where none is named.

        Differential for continuous columns, in the data's units. Exact where a closed form or an
        enumeration gives it, else an estimate: to `stderr` if asked, within `max_draws`.
        """
        names = names or self.schema.names
        a, b = self.entries.mask(names), self.entries.mask(_listed(given))
        answer = information.conditional_entropy(
            key_of(seed),
            self.model,
            self.entries.columns,
            a,
            b,
            stderr=stderr,
            max_draws=max_draws,
        )
        answer += self.entries.entropy_units(self.model, a & ~b)
        bar = f" | {', '.join(_listed(given))}" if given else ""
        return replace(answer, what=f"H({', '.join(names)}{bar})")

    def mutual_information(
        self,
        a: Names,
        b: Names,
        *,
        given: Names = (),
        stderr: float | None = None,
        max_draws: int = information.MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """I(a; b | given) in nats: what a and b tell about each other.

        Exact where closed forms or enumerations give it, else an estimate.
        """
        listed = [_listed(names) for names in (a, b, given)]
        both = set(listed[0]) & set(listed[1])
        if both:
            raise PofxError(
                f"mutual_information: {both.pop()!r} stands on both sides; I(a; a) is H(a)"
            )
        answer = information.mutual_information(
            key_of(seed),
            self.model,
            self.entries.columns,
            *map(self.entries.mask, listed),
            stderr=stderr,
            max_draws=max_draws,
        )
        one, other, bar = (", ".join(names) for names in listed)
        return replace(answer, what=f"I({one}; {other}{' | ' + bar if bar else ''})")

    # -- files

    def save(self, path: str | Path) -> None:
        """Writes a model file: arrays and a JSON header, whole or not at all."""
        store.save(path, self.model, self._header())

    def _header(self) -> dict[str, Any]:
        return {
            "schema": self.schema.to_json(),
            "fixed": [None if np.isnan(v) else float(v) for v in self.fixed],
            "evidence": list(self.evidence),
            "fit": dict(self.fit),
        }

    def __repr__(self) -> str:
        bar = f" | {', '.join(self.evidence)}" if self.evidence else ""
        return f"p({', '.join(self.schema.names)}{bar})  {type(self.model).__name__}"

    # -- from data to entries

    @cached_property
    def entries(self) -> Entries:
        """Where the variables stand in a row, and which entries are random."""
        return Entries(self.schema, self.fixed)

    def _on(self, model, names, fixed, evidence) -> "Joint":
        entries = self.entries.of(names)
        return Joint(model, self.schema.select(names), fixed[entries], evidence, self.fit)

    def _complete(self, free: np.ndarray, *seed: int) -> np.ndarray:
        return missing.complete(key_of(*seed), self.model, rows(free))

    def _expect(self, free: np.ndarray, draws: int, seed: int) -> np.ndarray:
        return missing.expect(key_of(seed), self.model, rows(free), self.entries.columns, draws)

    def _read(self, data: Any, unseen: Unseen, **how: Any) -> np.ndarray:
        """The rows of the data as entries."""
        x = encode(self.schema, data, unseen=unseen, **how)
        if not len(x):
            raise PofxError("data: wanted at least one row, got no rows")
        return x

    def _without(self, data: Any, target: str, unseen: Unseen) -> np.ndarray:
        """The free entries of the data, those of the target missing."""
        inputs = [n for n in self.schema.names if n != target]
        return self._read(data, unseen, require=inputs, ignore=target)[:, self.entries.free]

    def _posterior(self, data: Any, target: str, unseen: Unseen) -> np.ndarray:
        variable = self._discrete(target)
        x = self._without(data, target, unseen)
        place = int(np.flatnonzero(self.entries.mask([target]))[0])
        posterior = bayes.posterior(self.model, rows(x), place, len(variable.levels))
        lost = np.flatnonzero(np.isnan(posterior).any(1))
        if len(lost):
            warnings.warn(
                f"{len(lost)} rows (the first is row {lost[0]}, counted from 0) have probability "
                f"zero whatever {target!r} is; their posterior is NaN, their prediction arbitrary",
                PofxWarning,
                stacklevel=3,
            )
        return posterior

    def _discrete(self, target: str) -> Variable:
        variable = self.schema.variable(target)
        if not variable.discrete or variable.shape:
            raise PofxError(
                f"target: wanted a column of levels, and {target!r} is {variable.kind}"
                f"{' of shape ' + str(variable.shape) if variable.shape else ''}"
            )
        return variable


def _listed(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _at_least_one(name: str, number: Any) -> None:
    if not isinstance(number, Integral) or number < 1:
        raise PofxError(f"{name}: wanted a whole number, at least 1; got {number!r}")


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={_brief(v)}" for k, v in values.items() if v is not None)


def _brief(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else f"array of shape {np.shape(value)}"
