"""Entropies, mutual informations and total correlations of named columns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pofx.core.answer import Answer
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.float_width import in_model_width
from pofx.named.independence import with_note_if_ignored
from pofx.named.model import NamedModel
from pofx.named.precision import Precision
from pofx.named.seed_averaging import averaged_over_seeds
from pofx.named.weight_warnings import warn_if_draws_unreliable
from pofx.queries import information, pairwise_information
from pofx.table.frames.cells import Cells
from pofx.table.frames.reading import read_frame
from pofx.table.schema import Schema

if TYPE_CHECKING:
    from pofx.estimate.permutation import IndependenceTest

HAS_DENSITY = ("real", "positive")
"""Kinds of column whose entropy is differential."""

Group = tuple[str, ...]


@in_model_width
@averaged_over_seeds
def entropy(p: NamedModel, names: Group, given: Group, precision: Precision) -> Answer:
    """H(names | given), for all columns if no names are listed."""
    names = names or p.schema.names
    _check_no_repeats("entropy", names)
    _check_not_given("entropy", p.schema, names, given)
    a, b = p.entries.mask_free(names), p.entries.mask_free(given)
    warn_if_draws_unreliable(p, a | b, b)
    answer = information.conditional_entropy(
        precision.key, p.model, p.entries.columns, a, b, **precision.limits
    )
    answer += p.entries.entropy_unit_offset(p.model, a & ~b)
    answer = precision.labelled(answer, f"H({_conditional_label(names, given)})")
    return with_note_if_ignored(p, answer, names, given)


@in_model_width
@averaged_over_seeds
def mutual_information(
    p: NamedModel, a: Group, b: Group, given: Group, precision: Precision
) -> Answer:
    """I(a; b | given)."""
    _check_no_repeats("mutual_information", a, b)
    _check_finite("mutual_information", p.schema, a, b, given)
    x, y, z = map(p.entries.mask_free, (a, b, given))
    warn_if_draws_unreliable(p, x | y | z, x | z, y | z, z)
    answer = information.mutual_information(
        precision.key, p.model, p.entries.columns, x, y, z, **precision.limits
    )
    answer = precision.labelled(answer, _information_label(a, b, given))
    return with_note_if_ignored(p, answer, a + b, given)


@in_model_width
@averaged_over_seeds
def mutual_informations(p: NamedModel, names: Group, precision: Precision) -> Answer:
    """I(a; b) of every pair of the names, of all columns if none are listed."""
    names = names or p.schema.names
    for i, name in enumerate(names):
        _check_disjoint("mutual_informations", [name], names[i + 1 :])
    answer = pairwise_information.mutual_informations(
        precision.key,
        p.model,
        p.entries.columns,
        [p.entries.mask_free([name]) for name in names],
        **precision.limits,
    )
    answer = precision.labelled(answer, f"I of pairs of {', '.join(names)}")
    return with_note_if_ignored(p, answer, names)


@in_model_width
@averaged_over_seeds
def total_correlation(p: NamedModel, names: Group, given: Group, precision: Precision) -> Answer:
    """TC(names | given), for all columns if no names are listed."""
    names = names or p.schema.names
    if len(names) < 2:
        got = ", ".join(names)
        raise PofxError(f"total_correlation: expected two columns or more, got {got}")
    for i, name in enumerate(names):
        _check_disjoint("total_correlation", [name], names[i + 1 :])
    answer = information.total_correlation(
        precision.key,
        p.model,
        p.entries.columns,
        [p.entries.mask_free([name]) for name in names],
        p.entries.mask_free(given),
        **precision.limits,
    )
    answer = precision.labelled(answer, f"TC({_conditional_label(names, given)})")
    return with_note_if_ignored(p, answer, names, given)


def independence_test(
    p: NamedModel, a: Group, b: Group, data: Any, given: Group, permutations: int, seed: int
) -> "IndependenceTest":
    """A permutation test of I(a; b | given) = 0 on the rows of the data."""
    # Imported late, because scipy.stats takes a second.
    from pofx.estimate.permutation import independence_test as permutation_test

    _check_no_repeats("independence_test", a, b)
    _check_disjoint("independence_test", a, b)
    cells = read_frame(data, p.schema.names).cells
    groups = {"x": a, "y": b, "given": given}
    samples = {k: _samples(p.schema, cells, names) for k, names in groups.items() if names}
    test = permutation_test(
        **{k: values for k, (values, _) in samples.items()},
        discrete={k: discrete for k, (_, discrete) in samples.items()},
        permutations=permutations,
        seed=seed,
    )
    label = _information_label(a, b, given)
    return replace(test, information=replace(test.information, question=label))


def _check_no_repeats(verb: str, *groups: Sequence[str]) -> None:
    """Raises PofxError for a group without a column, and for one that lists a column twice."""
    for names in groups:
        if not names:
            raise PofxError(f"{verb}: expected at least one column on each side")
        repeats = [name for name in names if list(names).count(name) > 1]
        if repeats:
            raise PofxError(f"{verb}: column {repeats[0]!r} is listed twice")


def _check_not_given(verb: str, schema: Schema, names: Group, given: Group) -> None:
    """Raises PofxError for a number that is also given: its entropy would be minus infinity."""
    for name in names:
        if name in given and schema.variable(name).kind in HAS_DENSITY:
            raise PofxError(
                f"{verb}: {name!r} is both asked and given; a number that is known has the "
                "differential entropy -infinity, so leave it out of one of the two"
            )


def _check_finite(verb: str, schema: Schema, a: Group, b: Group, given: Group) -> None:
    """Raises PofxError for a number on both sides that is not given: I would be infinite."""
    for name in a:
        if name in b and name not in given and schema.variable(name).kind in HAS_DENSITY:
            raise PofxError(
                f"{verb}: {name!r} is on both sides; I(a; a) is infinite for a column of "
                "numbers, so leave it out of one of the two"
            )


def _check_disjoint(verb: str, a: Sequence[str], b: Sequence[str]) -> None:
    both = sorted(set(a) & set(b))
    if both:
        raise PofxError(f"{verb}: {both[0]!r} is on both sides; I(a; a) is H(a)")


def _samples(schema: Schema, cells: Mapping[str, Cells], names: Group) -> Any:
    """The cells of some columns side by side, and which of them hold levels."""
    for name in names:
        if name not in cells:
            raise unknown_name_error("column", name, cells)
    columns = [cells[n].values.reshape(len(cells[n].values), -1) for n in names]
    discrete = [schema.variable(n).discrete for n in names for _ in range(schema.variable(n).size)]
    return np.concatenate(columns, axis=1), discrete


def _information_label(a: Group, b: Group, given: Group) -> str:
    return f"I({', '.join(a)}; {_conditional_label(b, given)})"


def _conditional_label(names: Group, given: Group) -> str:
    return ", ".join(names) + (f" | {', '.join(given)}" if given else "")
