"""The abstract classes of models: what a model can do, and what a subclass must provide."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.column import Column, Kind
from pofx.core.family import Statistics
from pofx.core.rows import Rows

Row = Float[Array, "d"]
Mask = Bool[Array, "d"]


class Example(NamedTuple):
    """A small instance of a model, and what its columns hold, for the tests of all models."""

    model: Any
    columns: tuple[Column, ...]


class AbstractDistribution(eqx.Module):
    """A probability distribution over rows of `size` columns.

    Concrete classes are final. A query checks which abstract classes a model has, never its
    concrete class.

    A subclass provides
        size: the number of columns;
        example: a small instance for the tests;
        sampling_cost: what it costs to draw a new row, if that is not one pass.
    """

    sampling_cost: ClassVar[str] = "one pass"
    """What it costs to draw a new row, in words."""
    runs_briefly: ClassVar[bool] = True
    """Whether an answer about a row takes one pass, and no draws, chains or steps."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of columns d."""

    @classmethod
    @abstractmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        """A small instance with its columns, for the tests of all models."""


class AbstractQueryable(AbstractDistribution):
    """A distribution with marginals and conditionals, for any pattern of missing entries.

    `log_prob` integrates missing entries out, and `sample` draws them. All other queries follow
    from these two. A missing entry may hold any value, also NaN.

    A subclass provides
        _log_prob: log p(x_O);
        _sample: a draw from p(x_M | x_O);
        pattern_free: True, if rows of one pattern have no factorisation to share.
    """

    pattern_free: ClassVar[bool] = False
    """Whether nothing is factorised, so that rows of one pattern have no work to share."""

    def log_prob(self, x: Row, observed: Mask | None = None) -> Float[Array, ""]:
        """The log-density log p(x_O) of the observed entries of one row, in nats.

        Use `jax.vmap` for many rows. If they share `observed`, leave it unbatched: then its
        factorisation is computed once.

        Args:
            x: one row, of shape (d,).
            observed: the mask of observed entries, of shape (d,); by default all of them.

        Raises ValueError for another shape.
        """
        x, observed = self._checked(x, observed)
        return self._log_prob(x, observed)

    def sample(self, key: PRNGKeyArray, x: Row | None = None, observed: Mask | None = None) -> Row:
        """The row x with its missing entries drawn from p(x_M | x_O); without x, a new row.

        The arguments are those of `log_prob`.
        """
        if x is None:
            x, observed = jnp.zeros(self.size), jnp.zeros(self.size, bool)
        x, observed = self._checked(x, observed)
        return jnp.where(observed, x, self._sample(key, x, observed))

    @abstractmethod
    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        """`log_prob` of a row whose missing entries are zero."""

    @abstractmethod
    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """`sample` for a row whose missing entries are zero; observed entries may change."""

    def _checked(self, x: Row, observed: Mask | None) -> tuple[Row, Mask]:
        x = jnp.asarray(x)
        observed = jnp.ones(self.size, bool) if observed is None else jnp.asarray(observed)
        for name, array in (("x", x), ("observed", observed)):
            if array.shape != (self.size,):
                raise ValueError(
                    f"{name}: expected shape ({self.size},), got {array.shape}; "
                    "for many rows use jax.vmap"
                )
        # NaN times zero is NaN, so missing entries are set to zero before any arithmetic.
        # Otherwise gradients would be NaN.
        return jnp.where(observed, x, 0), observed


class AbstractTractable(AbstractQueryable):
    """A distribution whose marginals and conditionals are exact."""


class AbstractLearnable(AbstractDistribution):
    """A distribution that is learned from rows, from initial parameters near the data.

    A subclass provides
        supported_kinds: the kinds of columns that it can model;
        from_data: its initial parameters;
        random_start: True, if these depend on the random key.
    """

    random_start: ClassVar[bool] = False
    """Whether `from_data` depends on its key, so that several starts are worth trying."""

    @classmethod
    @abstractmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        """The kinds of column that a model with these options can model in a variable."""

    @classmethod
    @abstractmethod
    def from_data(cls, *arguments: Any, **options: Any) -> "AbstractLearnable":
        """from_data(key, rows, columns, **options): initial parameters near the data.

        Args:
            key: a random key.
            rows: the rows to learn from.
            columns: what each of the d entries holds.
            options: the model's own keywords.

        Raises PofxError for columns that the model does not support.
        """


class AbstractEMSteps(AbstractTractable):
    """A tractable model whose parameters are improved by sums over rows: the steps of EM.

    Let z be what the observed entries leave unknown (missing cells, latent variables).
    `expected_statistics` is the E-step, the sums over rows of E[T(x, z) | x_O], and `m_step` is
    the M-step. Closed form is EM that needs one step (Dempster, Laird and Rubin 1977).

    A subclass provides
        _expected_statistics: the E-step for rows of one pattern;
        m_step: the M-step;
        log_prior_density: the log-density of its parameters under the prior.
    """

    def expected_statistics(
        self,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
        weight: Float[Array, "n"],
    ) -> tuple[Statistics, Float[Array, ""]]:
        """Expected sufficient statistics of the rows, and their weighted log-likelihood in nats.

        Rows that share their pattern, with `observed` of shape (d,), share its factorisation.
        """
        if observed.ndim == 2 and not self.pattern_free:

            def row_statistics(x, observed, weight):
                return self.expected_statistics(x[None], observed, weight[None])

            return jax.tree.map(lambda a: a.sum(0), jax.vmap(row_statistics)(x, observed, weight))
        return self._expected_statistics(jnp.where(observed, x, 0), observed, weight)

    @abstractmethod
    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Statistics, Float[Array, ""]]:
        """`expected_statistics` for rows of one pattern whose missing entries are zero.

        If `pattern_free` is True, it is for any rows, with `observed` of shape (n, d).
        """

    @abstractmethod
    def m_step(self, statistics: Statistics) -> "AbstractEMSteps":
        """The model with the greatest expected log-likelihood.

        The likelihood of the rows never falls. Under a prior, its sum with `log_prior_density`
        never falls.
        """

    @abstractmethod
    def log_prior_density(self) -> Float[Array, ""]:
        """The log-density of the parameters under the prior, up to a constant; 0 without one."""


class AbstractEMModel(AbstractEMSteps, AbstractLearnable):
    """A model learned from sums over rows, in closed form or by EM, from a start near the data."""


class AbstractStepwiseEMModel(AbstractEMModel):
    """A model that can learn from one batch of rows after another, by stepwise EM.

    Each step moves the current statistics by a share `rate` towards those of a batch, scaled to
    all rows (Cappé and Moulines 2009).

    A subclass provides
        init_carry: the state before the first step;
        stepwise_update: one step.
    """

    @abstractmethod
    def init_carry(self) -> Any:
        """The state before the first step; the rate of that step is 1."""

    @abstractmethod
    def stepwise_update(
        self, statistics: Statistics, carry: Any, rate: Float[Array, ""]
    ) -> tuple["AbstractStepwiseEMModel", Any]:
        """The model after one more step, and the state for the next step."""


class AbstractParametric(AbstractEMModel):
    """A model whose parameters may come from unconstrained numbers, such as a network's output.

    A subclass provides
        raw_shapes: the shapes of these numbers;
        from_unconstrained: the model with parameters from such numbers.
    """

    @abstractmethod
    def raw_shapes(self, columns: Sequence[Column]) -> tuple[tuple[int, ...], ...]:
        """The shapes of the arrays of numbers that determine such a model of these columns."""

    @abstractmethod
    def from_unconstrained(self, raw: tuple[Float[Array, "..."], ...]) -> "AbstractParametric":
        """The model with parameters from arrays of numbers; itself if they are all zero."""


class AbstractSGDModel(AbstractLearnable):
    """A model learned by stochastic gradient descent on a loss.

    A subclass provides
        trainable_mask: which arrays are learned;
        loss: the cost of each row;
        validation_loss, advance, next_phase: or inherits from AbstractValidatesOnLoss,
            AbstractWithoutState and AbstractOnePhase, which provide the usual ones;
        finalise: the model that answers questions;
        sgd_defaults: settings of the learner that differ from the usual ones.
    """

    sgd_defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings of the learner that differ from the usual ones, by the names of `SGDConfig`."""

    @abstractmethod
    def trainable_mask(self) -> Any:
        """The model with True for each array that is learned, False for every other leaf."""

    @abstractmethod
    def advance(self, key: PRNGKeyArray) -> "AbstractSGDModel":
        """The model at the beginning of a step, after the update of its state (a Markov chain)."""

    @abstractmethod
    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """The cost of each row in nats: -log p(x_O), an upper bound on it or a surrogate for it.

        `key` is for random parts of the loss. Missing entries may hold any value.
        """

    @abstractmethod
    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """The cost of each held-out row, which decides when training stops."""

    @abstractmethod
    def next_phase(self) -> "AbstractSGDModel | None":
        """The model to train next, from where this one has come to; None if training is done."""

    @abstractmethod
    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> AbstractDistribution:
        """The model that answers questions after training, its settings chosen by the score.

        Args:
            key: a random key.
            rows: the rows that the model was trained on.
            score: gives the log-probability of each held-out row under a model, in nats.
        """


class AbstractValidatesOnLoss(AbstractSGDModel):
    """A model that is validated on the same loss that it is trained on."""

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return self.loss(key, x, observed)


class AbstractWithoutState(AbstractSGDModel):
    """A model in which nothing changes in training but the learned arrays."""

    def advance(self, key: PRNGKeyArray) -> "AbstractWithoutState":
        return self


class AbstractOnePhase(AbstractSGDModel):
    """A model that is trained in one phase."""

    def next_phase(self) -> None:
        return None
