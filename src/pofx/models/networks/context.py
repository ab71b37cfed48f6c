"""The context of a conditional network: the columns that it is given, and their distribution."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.abstract import AbstractEMModel, AbstractEMSteps, AbstractTractable, Mask, Row
from pofx.core.abstract_approximate import importance_weighted
from pofx.core.column import Column
from pofx.core.compilation import compiled
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.rows import Rows, make_rows
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.correlated import Correlated, is_number
from pofx.models.independent import Independent
from pofx.nets.row_embedding import Embedding

PRIOR_EM_STEPS = 30
"""Steps of EM for p(c); one is enough if p(c) has no hidden variable and no missing cells."""


class Context(eqx.Module):
    """The context c of a model p(c) p(x | c). Without context columns the model is p(x).

    Attributes:
        prior: p(c): `Independent` for one column, `Correlated` for several numbers, else a
            Chow-Liu tree; None without context columns.
        embedding: the map from c to numbers for the network; None without context columns.
        context_columns: the indices of c.
        x_columns: the indices of x.
    """

    prior: AbstractTractable | None
    embedding: Embedding | None
    context_columns: tuple[int, ...] = eqx.field(static=True)
    x_columns: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The number of numbers that the network is given."""
        return 0 if self.embedding is None else self.embedding.size

    @property
    def num_columns(self) -> int:
        """The number of columns of c and x together."""
        return len(self.context_columns) + len(self.x_columns)

    def split(self, row: Row) -> tuple[Row, Float[Array, "c"], Float[Array, ""]]:
        """x, the numbers that encode c, and log p(c) in nats."""
        if self.embedding is None or self.prior is None:
            return row, jnp.zeros(0, row.dtype), jnp.zeros((), row.dtype)
        c = row[np.array(self.context_columns)]
        codes = self.embedding(c, jnp.ones(c.shape, bool))
        return row[np.array(self.x_columns)], codes, self.prior.log_prob(c)

    def draw(self, key: PRNGKeyArray, row: Row, observed: Mask) -> Row:
        """The row with the missing entries of c drawn from p(c_M | c_O)."""
        if self.prior is None:
            return row
        place = np.array(self.context_columns)
        return row.at[place].set(self.prior.sample(key, row[place], observed[place]))

    def with_x(self, row: Row, x: Row) -> Row:
        """The row with x in the columns of x."""
        return row.at[np.array(self.x_columns)].set(x.astype(row.dtype))

    def weighted_completion(
        self,
        key: PRNGKeyArray,
        proposal: AbstractTractable,
        row: Row,
        observed: Mask,
        weigh: Callable[[PRNGKeyArray, Row], Float[Array, ""]],
        draw: Callable[[PRNGKeyArray, Row], Row],
    ) -> tuple[Row, Float[Array, ""]]:
        """The completed row, and log w in nats, where E[w] = p(row_O).

        If nothing of x is observed, c is drawn from p(c_M | c_O) and x by `draw`; the weight is
        then the same for every draw. Else the proposal completes the row.

        Args:
            proposal: a tractable model of the same rows.
            row: a row whose missing entries are zero.
            weigh: weigh(key, row), log p of a complete row.
            draw: draw(key, row), the row with x drawn from p(x | c).
        """
        first, second = jax.random.split(key)

        def by_proposal(row):
            return importance_weighted(
                first, proposal, lambda completed: weigh(second, completed), row, observed
            )

        def by_model(row):
            return self.direct_completion(key, row, observed, draw)

        if self.prior is None:
            return by_proposal(row)
        return jax.lax.cond(self.is_pure_conditional(observed), by_model, by_proposal, row)

    def direct_completion(
        self,
        key: PRNGKeyArray,
        row: Row,
        observed: Mask,
        draw: Callable[[PRNGKeyArray, Row], Row],
    ) -> tuple[Row, Float[Array, ""]]:
        """`weighted_completion` of a row of which nothing of x is observed."""
        first, second = jax.random.split(key)
        completed = draw(second, self.draw(first, row, observed))
        if self.prior is None:
            return completed, jnp.zeros((), row.dtype)
        place = np.array(self.context_columns)
        return completed, self.prior.log_prob(row[place], observed[place]).astype(row.dtype)

    def is_pure_conditional(self, observed: Mask) -> Bool[Array, ""]:
        """Whether nothing of x is observed, in a model with context."""
        return ~observed[np.array(self.x_columns)].any() & (self.prior is not None)

    @classmethod
    def from_data(
        cls, key: PRNGKeyArray, rows: Rows, columns: Sequence[Column], on: str
    ) -> "Context":
        """The context of some variables, its distribution learned from the rows.

        Args:
            on: the names of the variables, separated by commas; empty for no context.

        Raises PofxError for an unknown name, or if no column is left for x.
        """
        names = [name.strip() for name in on.split(",") if name.strip()]
        variables = dict.fromkeys(c.variable for c in columns)
        for name in names:
            if name not in variables:
                raise unknown_name_error("column", name, variables)
        place = [j for j, c in enumerate(columns) if c.variable in names]
        x_columns = [j for j, c in enumerate(columns) if c.variable not in names]
        if not x_columns:
            raise PofxError(f"on: expected columns other than {on!r} in the data, got none")
        if not place:
            return cls(None, None, (), tuple(x_columns))
        x, observed, weight = rows.to_arrays()
        context_rows = make_rows(x[:, place], observed[:, place], weight)
        context_columns = [columns[j] for j in place]
        prior = _fit_prior(key, context_rows, context_columns)
        cell_weight = observed[:, place] * weight[:, None]
        embedding = Embedding.from_data(context_columns, x[:, place], cell_weight)
        return cls(prior, embedding, tuple(place), tuple(x_columns))


def _fit_prior(key: PRNGKeyArray, rows: Rows, columns: Sequence[Column]) -> AbstractEMSteps:
    """p(c)."""
    only_numbers = all(is_number(c) for c in columns)
    joint: type[AbstractEMModel] = Correlated if only_numbers else ChowLiuTree
    prior: AbstractEMSteps = (joint if len(columns) > 1 else Independent).from_data(
        key, rows, columns
    )
    for _ in range(PRIOR_EM_STEPS):
        prior = _em_step(prior, rows)
    return prior


@compiled
def _em_step(prior: AbstractEMSteps, rows: Rows) -> AbstractEMSteps:
    return prior.m_step(rows.sum(prior.expected_statistics)[0])
