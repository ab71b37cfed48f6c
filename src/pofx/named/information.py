"""What variables tell: entropy, mutual information, total correlation, independence."""

import math
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown
from pofx.core.float_width import in_model_width
from pofx.named.model import Held, Names, listed
from pofx.named.random_keys import key_of
from pofx.named.seed_averaging import of_estimates
from pofx.queries import information, pairwise_information
from pofx.queries.monte_carlo import MAX_DRAWS
from pofx.table.frames.cells import Cells
from pofx.table.frames.reading import read_frame
from pofx.table.schema import Schema

if TYPE_CHECKING:
    from pofx.estimate.permutation import Test

UNITS = {"nats": 1.0, "bits": math.log(2)}
DENSE = ("real", "positive")
"""Kinds of column whose values have a density."""


class Informs(Held):
    """Information between the variables of a distribution.

    Everywhere `unit` is nats or bits, an answer is exact where closed forms or enumerations give
    it, else an estimate: to a standard error of `stderr` if asked, within `max_draws`, in whole
    blocks of 2048 draws.
    """

    @in_model_width
    @of_estimates
    def entropy(
        self,
        *names: str,
        given: Names = (),
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """H(names | given) = -E log p(names | given), of all variables where none is named.

        Differential for continuous columns, in the data's units. Cover and Thomas (2006), ch. 2, 8.
        """
        names, others = names or self.schema.names, listed(given)
        self._once("entropy", names)
        self._known("entropy", names, others)
        a, b = self.entries.mask(names), self.entries.mask(others)
        self._check_draws(a | b, b)
        answer = information.conditional_entropy(
            key_of(seed),
            self.model,
            self.entries.columns,
            a,
            b,
            stderr=in_nats(stderr, unit),
            max_draws=max_draws,
        )
        answer += self.entries.entropy_units(self.model, a & ~b)
        answer = in_unit(answer, unit, f"H({_bar(', '.join(names), others)})")
        return self._noted(answer, names, others)

    @in_model_width
    @of_estimates
    def mutual_information(
        self,
        a: Names,
        b: Names,
        *,
        given: Names = (),
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """I(a; b | given) = H(a | given) - H(a | b, given): what a and b tell about each other.

        Of levels and counts that are on both sides it is their entropy, I(a; a) = H(a).
        """
        one, other, others = map(listed, (a, b, given))
        self._once("mutual_information", one, other)
        self._finite("mutual_information", one, other, others)
        x, y, z = map(self.entries.mask, (one, other, others))
        self._check_draws(x | y | z, x | z, y | z, z)
        answer = information.mutual_information(
            key_of(seed),
            self.model,
            self.entries.columns,
            x,
            y,
            z,
            stderr=in_nats(stderr, unit),
            max_draws=max_draws,
        )
        what = f"I({', '.join(one)}; {_bar(', '.join(other), others)})"
        return self._noted(in_unit(answer, unit, what), one + other, others)

    @in_model_width
    @of_estimates
    def mutual_informations(
        self,
        *names: str,
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """I(a; b) of every pair of the variables named, of all where none is.

        An `Answer` that holds a symmetric matrix in the order of the names, NaN on its diagonal;
        all pairs share the draws, and each has its own standard error.
        """
        names = names or self.schema.names
        for i, name in enumerate(names):
            self._distinct("mutual_informations", [name], names[i + 1 :])
        answer = pairwise_information.mutual_informations(
            key_of(seed),
            self.model,
            self.entries.columns,
            [self.entries.mask([name]) for name in names],
            stderr=in_nats(stderr, unit),
            max_draws=max_draws,
        )
        return self._noted(in_unit(answer, unit, f"I of pairs of {', '.join(names)}"), names)

    @in_model_width
    @of_estimates
    def total_correlation(
        self,
        *names: str,
        given: Names = (),
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """TC(names | given) = Σ H(name | given) - H(names | given), of all where none is named.

        How far the variables are from independent of each other; of two it is I (Watanabe 1960).
        """
        names, others = names or self.schema.names, listed(given)
        if len(names) < 2:
            got = ", ".join(names)
            raise PofxError(f"total_correlation: wanted two columns or more, got {got}")
        for i, name in enumerate(names):
            self._distinct("total_correlation", [name], names[i + 1 :])
        answer = information.total_correlation(
            key_of(seed),
            self.model,
            self.entries.columns,
            [self.entries.mask([name]) for name in names],
            self.entries.mask(others),
            stderr=in_nats(stderr, unit),
            max_draws=max_draws,
        )
        answer = in_unit(answer, unit, f"TC({_bar(', '.join(names), others)})")
        return self._noted(answer, names, others)

    @in_model_width
    def independent(
        self,
        a: Names,
        b: Names,
        *,
        given: Names = (),
        data: Any = None,
        permutations: int = 199,
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> "Answer | Test":
        """Are a and b independent given others? Zero nats for yes, in the model; a test, from data.

        Without `data` the model's own I(a; b | given), which is 0 exactly where they are. With it
        a permutation test on the rows that are complete in these columns: `Test.p_value` is
        uniform where they are independent, for no statistic of the model enters it (the model was
        fitted, maybe to the same rows).
        """
        from pofx.estimate.permutation import independence_test

        one, other, others = map(listed, (a, b, given))
        if data is None:
            return self.mutual_information(
                a, b, given=given, stderr=stderr, max_draws=max_draws, seed=seed
            )
        self._once("independent", one, other)
        self._distinct("independent", one, other)
        cells = read_frame(data, self.schema.names).cells
        groups = {"x": one, "y": other, "given": others}
        samples = {k: _samples(self.schema, cells, names) for k, names in groups.items() if names}
        found = independence_test(
            **{k: values for k, (values, _) in samples.items()},
            discrete={k: discrete for k, (_, discrete) in samples.items()},
            permutations=permutations,
            seed=seed,
        )
        what = f"I({', '.join(one)}; {_bar(', '.join(other), others)})"
        return replace(found, information=replace(found.information, what=what))

    def _once(self, what: str, *groups: Names) -> None:
        """Raises PofxError for a group without a column, and for one that stands twice in it."""
        for names in groups:
            if not names:
                raise PofxError(f"{what}: wanted at least one column on each side")
            twice = [name for name in names if list(names).count(name) > 1]
            if twice:
                raise PofxError(f"{what}: {twice[0]!r} stands twice")

    def _known(self, what: str, names: Names, given: Names) -> None:
        """Raises PofxError for a number that is given too: of a point H is minus infinity."""
        both = [n for n in names if n in given and self.schema.variable(n).kind in DENSE]
        if both:
            raise PofxError(
                f"{what}: {both[0]!r} is both asked and given; a number that is known has the "
                "differential entropy -infinity, so leave it out of one of the two"
            )

    def _finite(self, what: str, one: Names, other: Names, given: Names) -> None:
        """Raises PofxError for a number on both sides that is not given: what it tells is all."""
        both = [n for n in one if n in other and n not in given]
        for name in both:
            if self.schema.variable(name).kind in DENSE:
                raise PofxError(
                    f"{what}: {name!r} is on both sides; I(a; a) is infinite for a column of "
                    "numbers, so leave it out of one of the two"
                )

    def _distinct(self, what: str, one: Names, other: Names) -> None:
        both = sorted(set(one) & set(other))
        if both:
            raise PofxError(f"{what}: {both[0]!r} is on both sides; I(a; a) is H(a)")


def in_unit(answer: Answer, unit: str, what: str) -> Answer:
    """An answer in nats as one in the unit asked for."""
    return replace(answer / in_nats(1.0, unit), unit=unit, what=what)


def in_nats(number: float | None, unit: str) -> Any:
    """A number of that unit in nats. Raises PofxError for an unknown unit."""
    if unit not in UNITS:
        raise PofxError(f"unit: wanted 'nats' or 'bits', got {unit!r}")
    if number is None:
        return None
    if not isinstance(number, Real) or not number > 0:
        raise PofxError(f"stderr: wanted a number > 0, in {unit}; got {number!r}")
    return number * UNITS[unit]


def _samples(schema: Schema, cells: Mapping[str, Cells], names: tuple[str, ...]) -> Any:
    """The cells of some variables side by side, and which of their columns hold levels."""
    for name in names:
        if name not in cells:
            raise unknown("column", name, cells)
    columns = [cells[n].values.reshape(len(cells[n].values), -1) for n in names]
    discrete = [schema.variable(n).discrete for n in names for _ in range(schema.variable(n).size)]
    return np.concatenate(columns, axis=1), discrete


def _bar(names: str, given: tuple[str, ...]) -> str:
    return f"{names} | {', '.join(given)}" if given else names
