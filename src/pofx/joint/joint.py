"""Joint, the named distribution that users hold: a method for each question, each one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pofx.ask.ask import ask
from pofx.core import html
from pofx.core.answer import Answer
from pofx.joint.description import title
from pofx.joint.fit_summary import FitSummary
from pofx.joint.saving import save
from pofx.joint.warming import warm_up
from pofx.named import (
    completion,
    conditioning,
    decision_rule,
    densities,
    information,
    moments,
    prediction,
)
from pofx.named.combinations import product
from pofx.named.decision_rule import DecisionRule
from pofx.named.decisions import Decisions
from pofx.named.latent import latent
from pofx.named.model import NamedModel, Names, as_names
from pofx.named.precision import Precision
from pofx.queries.expected_cost import DEFAULT_DRAWS
from pofx.queries.monte_carlo import MAX_DRAWS
from pofx.table.encoding import Unseen

if TYPE_CHECKING:
    from pofx.estimate.permutation import IndependenceTest

MOMENT_DRAWS = 10_000
"""Draws behind means and covariances that have no closed form."""


class Joint(NamedModel):
    """A probability distribution over the columns of a table, by name. Methods never change it.

    `p.schema` says what the columns are, `p.model` is the distribution behind them, `p.evidence`
    what was given, `p.fit_info` how it was learned. Log-probabilities are in nats and in the units
    of the data: densities with respect to Lebesgue measure for real and positive columns, with
    respect to counting measure for levels, counts and point masses.

    Arguments that many methods share:
        data: a pandas, polars or pyarrow table, a mapping from names to columns, or an array.
            All columns must be there, except the one to predict; cells may be missing.
        unseen: "error" to raise for a level never seen and for a number outside of the support of
            its column; "missing" to take them as missing cells.
        names: of variables, all by default; the others are integrated out.
        a, b: a variable or several, by name.
        target: the name of the variable to predict.
        given: names that are conditioned on, averaged over their values.
        n: number of rows.
        level: the probability that an interval holds.
        permutations: orders of the rows behind a p-value.
        unit: "nats" or "bits".
        stderr: the standard error that an estimate should reach, in that unit.
        max_draws: draws after which an estimate ends in any case; it comes in blocks of 2048.
        draws: draws behind a number that has no closed form.
        seed: of these draws; equal seeds give equal results.
    """

    # -- densities and draws

    def log_prob(self, data: Any, *, unseen: Unseen = "error") -> Answer:
        """log p(x_O) of each row: missing cells are integrated out.

        Returns an `Answer` that holds an array of shape (n,), in nats.
        """
        return densities.log_prob(self, data, unseen)

    def sample(self, n: int = 1, *, seed: int = 0) -> Any:
        """n new rows, in the kind of data that was learned from.

        Raises PofxError at once for more rows than fit into memory.
        """
        return completion.sample(self, n, seed)

    def tail_probability(
        self,
        data: Any,
        *,
        reference: Any = None,
        unseen: Unseen = "error",
        draws: int = DEFAULT_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """Tail probability of each row: P(log p(X) <= log p(x)) for a fresh draw X.

        Small values mean unusual rows; for rows of the model it is uniform. Each row is compared on
        its own observed cells, by densities in the units that the model sees.

        Args:
            reference: rows held out from learning, from which X is drawn instead. For rows of
                their kind the tail probability is then uniform, however well the model fits.

        Returns an `Answer` that holds an array of shape (n,), of standard error at most
        1 / (2 sqrt(draws)).
        """
        return densities.tail_probability(self, data, reference, unseen, draws, seed)

    # -- moments

    def mean(self, *names: str, draws: int = MOMENT_DRAWS, seed: int = 0) -> Answer:
        """E[names]: for one name in the shape of its cells, for several a vector of their entries.

        Args:
            names: of numbers and arrays of numbers, all by default.
            draws: behind an estimate.

        >>> import pofx
        >>> p = pofx.gaussian([0, 1, 2], [[2, 1, 0], [1, 2, 1], [0, 1, 2]], names={"a": 2, "b": 1})
        >>> p.given(b=[4]).mean("a").value
        array([0., 2.])
        """
        return moments.mean(self, names, draws, seed)

    def covariance(
        self, a: Names, b: Names = (), *, draws: int = MOMENT_DRAWS, seed: int = 0
    ) -> Answer:
        """Cov(a, b) as a matrix: a row for each entry of a, a column for each of b, which is a.

        Args:
            a, b: names of numbers and arrays of numbers.
            draws: behind an estimate.

        >>> import pofx
        >>> p = pofx.gaussian([0, 1, 2], [[2, 1, 0], [1, 2, 1], [0, 1, 2]], names={"a": 2, "b": 1})
        >>> p.given(b=[4]).covariance("a").value
        array([[2. , 1. ],
               [1. , 1.5]])
        """
        return moments.covariance(self, as_names(a), as_names(b), draws, seed)

    # -- other distributions

    def __mul__(self, other: NamedModel) -> Self:
        """p(x) q(y): the columns of both, independent of each other.

        Raises PofxError for a column that both have.
        """
        return product(self, other)

    def given(self, evidence: Mapping[str, Any] | None = None, /, **values: Any) -> Self:
        """p(the other columns | evidence); a missing value (None, NaN) is no evidence.

        Args:
            evidence: values by name, for names that are not valid in Python.
            values: further values by name. The entries of an array that are not NaN are given.

        Raises PofxError for evidence of probability zero.
        """
        return conditioning.given(self, {**(evidence or {}), **values})

    def marginal(self, *names: str) -> Self:
        """p(names), the other columns integrated out."""
        return conditioning.marginal(self, names)

    # -- missing cells and hidden variables

    def impute(
        self, data: Any, *, draws: int | None = None, unseen: Unseen = "missing", seed: int = 0
    ) -> Any:
        """The data with missing cells filled in.

        Args:
            draws: None for one guess per cell: the conditional mean of a number (over 100 draws if
                it has no closed form), or the most probable level. m for a list of m tables, each
                cell drawn from p(x_M | x_O): use it if the uncertainty matters (Rubin 1987).
        """
        return completion.impute(self, data, draws, unseen, seed)

    def most_probable(self, data: Any, *, unseen: Unseen = "missing") -> Any:
        """The data with missing cells at their most probable values together.

        argmax p(x_M, z | x_O) over x_M and the hidden categories z of the model: the cells of a row
        agree with each other, while `impute` guesses cell by cell. Trees use max-product messages,
        mixtures compare their components. Raises PofxError if columns have been integrated out, or
        if the model has no such completion.

        >>> import pofx
        >>> p = pofx.fit({"a": [0, 1] * 10, "b": [0, 1] * 10}, "chow_liu_tree")
        >>> row = p.most_probable({"a": [1.0], "b": [None]})
        >>> {name: column.tolist() for name, column in row.items()}
        {'a': [1], 'b': [1]}
        """
        return completion.most_probable(self, data, unseen)

    def latent(self, data: Any, *, unseen: Unseen = "error") -> Any:
        """What each row says about the model's hidden variables, with or without missing cells.

        For a mixture the responsibilities p(k | x_O): component0, component1, ...; for PPCA and
        factor analysis the factor scores E[z | x_O]: factor0, ...; for a latent tree p(s_j | x_O)
        of the state behind each entry j: state0_0, ...; for a variational autoencoder the mean of
        q(z | x_O): latent0, .... Raises PofxError for other models, and if evidence was given.

        >>> import pofx
        >>> p = pofx.fit({"x": [0.0, 0.1, 0.2, 5.0, 5.1, 5.2]}, "mixture", components=2)
        >>> sorted(values.round().item() for values in p.latent({"x": [0.1]}).values())
        [0.0, 1.0]
        """
        return latent(self, data, unseen)

    # -- predictions and decisions

    def predict_proba(self, data: Any, target: str, *, unseen: Unseen = "error") -> Any:
        """p(target | the other cells) of each row, one column per level.

        Returns the kind of data that was learned from; for an array an array (n, levels).
        """
        return prediction.predict_proba(self, data, target, unseen)

    def predict(
        self,
        data: Any,
        target: str,
        *,
        cost: Any = None,
        reject_cost: float | None = None,
        outlier_level: float = 0.01,
        reference: Any = None,
        unseen: Unseen = "error",
        draws: int = 100,
        seed: int = 0,
    ) -> np.ndarray:
        """The action of least expected cost for each row; None (NaN for a number) if rejected.

        By default the most probable level, or the conditional mean of a number: of a time as
        datetime64 (of UTC if it has a zone) or timedelta64. Arguments as for `decide`, which
        reports costs and reasons too.
        """
        rule = DecisionRule(cost, reject_cost, outlier_level, reference, unseen, draws, seed)
        return decision_rule.predict(self, data, target, rule)

    def decide(
        self,
        data: Any,
        target: str,
        *,
        cost: Any = None,
        reject_cost: float | None = None,
        outlier_level: float = 0.01,
        reference: Any = None,
        unseen: Unseen = "error",
        draws: int = 100,
        seed: int = 0,
    ) -> Decisions:
        """The action of least expected cost, argmin_a E[cost(a, target) | the other cells].

        Args:
            cost: for a column of levels a matrix with a row for each level as an action and a
                column for each as the truth, or a mapping from actions of any name to such rows; by
                default 1 for any mistake. For a number "squared" (the action is the mean, its
                expected cost the variance, in squared units) or "absolute" (the median, the mean
                absolute deviation).
            reject_cost: the cost of not deciding: rows whose best action is expected to cost more
                are rejected as "uncertain" (Chow 1970).
            outlier_level: with a `reject_cost`, rows whose `tail_probability` without the target is
                smaller are rejected as "outlier": their posterior may be certain but means nothing.
            reference: rows held out from learning, among which the tail probability is taken: of
                rows of their kind a share of `outlier_level` is rejected.

        Raises PofxError for costs of a wrong shape and for a target of one level.
        """
        rule = DecisionRule(cost, reject_cost, outlier_level, reference, unseen, draws, seed)
        return decision_rule.decide(self, data, target, rule)

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

        Returns columns low and high, of the kind of data that was learned from: the quantiles of
        p(target | the others) at (1 - level) / 2 and (1 + level) / 2, in the units of the data.
        """
        return prediction.interval(self, data, target, level, unseen, draws, seed)

    # -- information

    def entropy(
        self,
        *names: str,
        given: Names = (),
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """H(names | given) = -E log p(names | given), of all columns if no names are listed.

        Differential for continuous columns, in the units of the data. Exact if a closed form or an
        enumeration gives it, else an estimate. Cover and Thomas (2006), ch. 2, 8.
        """
        precision = Precision(unit, stderr, max_draws, seed)
        return information.entropy(self, names, as_names(given), precision)

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
        """I(a; b | given) = H(a | given) - H(a | b, given); 0 exactly if a and b are independent.

        For levels and counts that are on both sides it is their entropy: I(a; a) = H(a).
        """
        precision = Precision(unit, stderr, max_draws, seed)
        groups = (as_names(a), as_names(b), as_names(given))
        return information.mutual_information(self, *groups, precision)

    def mutual_informations(
        self,
        *names: str,
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """I(a; b) of every pair of the names, of all columns if no names are listed.

        Returns an `Answer` that holds a symmetric matrix in the order of the names, NaN on its
        diagonal. All pairs share the draws, and each has its own standard error.
        """
        precision = Precision(unit, stderr, max_draws, seed)
        return information.mutual_informations(self, names, precision)

    def total_correlation(
        self,
        *names: str,
        given: Names = (),
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """TC(names | given) = Σ H(name | given) - H(names | given), of all columns by default.

        How far the columns are from independent of each other; for two it is I (Watanabe 1960).
        """
        precision = Precision(unit, stderr, max_draws, seed)
        return information.total_correlation(self, names, as_names(given), precision)

    def independence_test(
        self,
        a: Names,
        b: Names,
        data: Any,
        *,
        given: Names = (),
        permutations: int = 199,
        seed: int = 0,
    ) -> "IndependenceTest":
        """A permutation test of the independence of a and b given others, from rows of data.

        The test uses the rows that are complete in these columns and no statistic of the model, so
        that `p_value` is uniform under independence even if the model was fitted to the same rows.
        The dependence in the model is `mutual_information`.
        """
        groups = (as_names(a), as_names(b), data, as_names(given))
        return information.independence_test(self, *groups, permutations, seed)

    # -- questions in the notation of textbooks

    def ask(
        self,
        text: str,
        rows: Any = None,
        /,
        *,
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
        **others: NamedModel,
    ) -> Any:
        """The answer to a question such as "P(a > 3 | b = x)", "E[a | b = x]" or "I(a; b | c)".

        Args:
            text: the question; `docs/notation.md` is the reference.
            rows: a frame whose rows give values to the names without one after the bar, for one
                answer per row: p.ask("E[a | b]", df).
            unit: that of an information.
            others: distributions by the names that a divergence gives them:
                p.ask("KL(p || q)", q=q).

        Returns an `Answer`, or a table of them if names are left free. Raises `NotationError`, with
        the text and a caret under the place, for what cannot be read or answered.

        >>> import pofx
        >>> p = pofx.fit({"a": ["x", "y"] * 10, "b": [0, 1] * 10}, "class_conditional", on="a")
        >>> print(p.ask("H(a)", unit="bits"))
        H(a) = 1 bits   exact, by enumeration
        """
        return ask(self, text, others, Precision(unit, stderr, max_draws, seed), rows)

    def warm_up(self, *questions: str, data: Any = None) -> None:
        """Compiles what scores, draws, guesses, predictions and these questions need.

        A service calls it before the first request. Other rows and other values then compile
        nothing, up to 1024 rows at once.

        Args:
            questions: in the notation, with any values.
            data: rows like those to come; by default a row without missing cells.

        >>> import pofx
        >>> p = pofx.fit({"a": ["x", "y"] * 10, "b": [0, 1] * 10}, "independent")
        >>> p.warm_up("p(a | b = 0)")
        """
        warm_up(self, questions, data)

    # -- files and summaries

    def save(self, path: str | Path) -> None:
        """Writes a model file of arrays and a JSON header, completely or not at all."""
        save(self, path)

    def report(self) -> FitSummary:
        """How the model was learned, and what it was compared with."""
        return FitSummary(self.fit_info)

    def __repr__(self) -> str:
        return title(self.schema, self.evidence, type(self.model).__name__)

    def _repr_html_(self) -> str:
        return html.text(repr(self)) + self.report()._repr_html_() + self.schema._repr_html_()
