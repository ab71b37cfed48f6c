"""What a model promises: the abstract classes."""

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
    """A small instance of a model and what its columns hold, for the laws."""

    model: Any
    columns: tuple[Column, ...]


class AbstractDistribution(eqx.Module):
    """A probability distribution over rows of `size` columns.

    A concrete class is final, and nobody asks what class it is: a query asks for a promise.
    """

    sampling_cost: ClassVar[str] = "one pass"
    """What a new row costs, in words."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of columns d."""

    @classmethod
    @abstractmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        """A small instance with the kinds of its columns, for the laws."""


class AbstractQueryable(AbstractDistribution):
    """A distribution with marginals and conditionals, for any pattern of missing entries.

    Everything in elementary probability follows from its two functions. What `observed` leaves out
    is integrated out by the one and drawn by the other; a missing entry may hold anything, NaN too.
    """

    pattern_free: ClassVar[bool] = False
    """Whether nothing is factorised, so that rows of one pattern have no work to share."""

    def log_prob(self, x: Row, observed: Mask | None = None) -> Float[Array, ""]:
        """log p(x_O), the log-density in nats of the observed entries of one row x of shape (d,).

        With `observed` None all entries are. Raises ValueError for another shape. Use `jax.vmap`
        for many rows; leave `observed` unbatched where they share it, and its factorisation is
        paid once.
        """
        x, observed = self._checked(x, observed)
        return self._log_prob(x, observed)

    def sample(self, key: PRNGKeyArray, x: Row | None = None, observed: Mask | None = None) -> Row:
        """x with its missing entries drawn from p(x_M | x_O); without x, a new row."""
        if x is None:
            x, observed = jnp.zeros(self.size), jnp.zeros(self.size, bool)
        x, observed = self._checked(x, observed)
        return jnp.where(observed, x, self._sample(key, x, observed))

    @abstractmethod
    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        """`log_prob` with missing entries set to zero."""

    @abstractmethod
    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """`sample` with missing entries set to zero; its observed entries are not looked at."""

    def _checked(self, x: Row, observed: Mask | None) -> tuple[Row, Mask]:
        x = jnp.asarray(x)
        observed = jnp.ones(self.size, bool) if observed is None else jnp.asarray(observed)
        for name, array in (("x", x), ("observed", observed)):
            if array.shape != (self.size,):
                raise ValueError(
                    f"{name}: expected shape ({self.size},), got {array.shape}; "
                    "for many rows use jax.vmap"
                )
        # Not a number times zero is not zero: missing entries are filled before any arithmetic,
        # or gradients are NaN.
        return jnp.where(observed, x, 0), observed


class AbstractTractable(AbstractQueryable):
    """A distribution whose marginals and conditionals are exact."""


class AbstractLearnable(AbstractDistribution):
    """A distribution that is learned from rows, from a start of its own near the data."""

    random_start: ClassVar[bool] = False
    """Whether `start` depends on its key, so that several starts are worth trying."""

    @classmethod
    @abstractmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        """The kinds of column that a model with these options can carry in a variable."""

    @classmethod
    @abstractmethod
    def from_data(cls, *arguments: Any, **options: Any) -> "AbstractLearnable":
        """start(key, rows, columns, **options): a start for learning, near the data.

        `columns` says what each of the d entries holds; options are the model's own keywords.
        Raises PofxError for columns it cannot carry.
        """


class AbstractEMModel(AbstractTractable, AbstractLearnable):
    """A tractable model learned from sums over rows: in closed form, or by EM.

    With z what the observed entries leave unknown (missing cells, latent variables), `statistics`
    is the E-step, sums over rows of E[T(x, z) | x_O], and `m_step` the M-step. Closed form is EM
    that needs one step (Dempster, Laird and Rubin 1977).
    """

    def expected_statistics(
        self,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
        weight: Float[Array, "n"],
    ) -> tuple[Statistics, Float[Array, ""]]:
        """Expected sufficient statistics of the rows, and their weighted log-likelihood in nats.

        Rows that share their pattern of observed entries, `observed` of shape (d,), share its
        factorisation too.
        """
        if observed.ndim == 2 and not self.pattern_free:

            def one(x, observed, weight):
                return self.expected_statistics(x[None], observed, weight[None])

            return jax.tree.map(lambda a: a.sum(0), jax.vmap(one)(x, observed, weight))
        return self._expected_statistics(jnp.where(observed, x, 0), observed, weight)

    @abstractmethod
    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Statistics, Float[Array, ""]]:
        """`statistics` with missing entries set to zero, of rows that share one pattern.

        Of any rows, `observed` of shape (n, d), where `pattern_free` says so.
        """

    @abstractmethod
    def m_step(self, statistics: Statistics) -> "AbstractEMModel":
        """The model of greatest expected log-likelihood; never a smaller likelihood of the rows.

        Under a prior it is the sum with `log_prior_density` that never falls.
        """

    @abstractmethod
    def log_prior_density(self) -> Float[Array, ""]:
        """The log-density of the parameters under the prior, up to a constant; 0 without one."""


class AbstractStepwiseEMModel(AbstractEMModel):
    """A statistical model that can learn from one batch of rows after another (stepwise EM).

    Each step moves the statistics that the model stands for by a share `rate` towards those of a
    batch, scaled to all rows (Cappé and Moulines 2009).
    """

    @abstractmethod
    def init_carry(self) -> Any:
        """What is carried from step to step, before the first, whose rate is 1."""

    @abstractmethod
    def stepwise_update(
        self, statistics: Statistics, carried: Any, rate: Float[Array, ""]
    ) -> tuple["AbstractStepwiseEMModel", Any]:
        """The model a step further, and what it carries to the next."""


class AbstractParametric(AbstractEMModel):
    """A statistical model whose parameters may come from unconstrained numbers, as of a network."""

    @abstractmethod
    def raw_shapes(self, columns: Sequence[Column]) -> tuple[tuple[int, ...], ...]:
        """The shapes of the arrays of numbers that state such a model of these columns."""

    @abstractmethod
    def from_unconstrained(self, raw: tuple[Float[Array, "..."], ...]) -> "AbstractParametric":
        """The model with parameters from arrays of numbers; itself where they are zero."""


class AbstractSGDModel(AbstractLearnable):
    """A model learned by stochastic gradient descent on a loss."""

    sgd_defaults: ClassVar[Mapping[str, Any]] = {}
    """What its learner does otherwise than usual, by the names of `SGDConfig`."""

    @abstractmethod
    def trainable_mask(self) -> Any:
        """The model with True for each array that is learned, False for every other leaf."""

    @abstractmethod
    def advance(self, key: PRNGKeyArray) -> "AbstractSGDModel":
        """The model as a step begins: what moves by itself has moved, as a Markov chain."""

    @abstractmethod
    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """What each row costs in nats: -log p(x_O), an upper bound on it or a surrogate for it.

        `key` brings what is random in the loss; missing entries may hold anything.
        """

    @abstractmethod
    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """What each row held out costs, by which training stops: the loss, where that tells."""

    @abstractmethod
    def next_phase(self) -> "AbstractSGDModel | None":
        """What is to be learned next, from where this has come to; None where it is done."""

    @abstractmethod
    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> AbstractDistribution:
        """What answers questions once training is over, its settings chosen by the score.

        `rows` are those learned from; `score` gives the log-probability in nats of each row held
        out, of what is queryable.
        """


class AbstractValidatesOnLoss(AbstractSGDModel):
    """A model whose held-out rows are judged by the loss that it learns from."""

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return self.loss(key, x, observed)


class AbstractWithoutState(AbstractSGDModel):
    """A model in which nothing moves but what is learned."""

    def advance(self, key: PRNGKeyArray) -> "AbstractWithoutState":
        return self


class AbstractOnePhase(AbstractSGDModel):
    """A model that is learned in one go."""

    def next_phase(self) -> None:
        return None
