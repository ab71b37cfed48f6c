"""What a conditional network is given: some columns of the row, as numbers, and their own law."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.abstract import AbstractEMModel, AbstractTractable, Mask, Row
from pofx.core.abstract_approximate import importance_weighted
from pofx.core.column import Column
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.rows import Rows, make_rows
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.correlated import Correlated, is_number
from pofx.models.independent import Independent
from pofx.nets.row_embedding import Embedding

STEPS = 30
"""Steps of EM that p(c) is learned in; one is enough where nothing of it is hidden or missing."""


class Context(eqx.Module):
    """The columns c of a model p(c) p(x | c), at `place`; those of x are at `rest`.

    Without columns the model is p(x). `prior`, p(c), is of several numbers jointly normal, and of
    other columns a Chow-Liu tree.
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
    def columns(self) -> int:
        """The number of columns of c and x."""
        return len(self.context_columns) + len(self.x_columns)

    def split(self, row: Row) -> tuple[Row, Float[Array, "c"], Float[Array, ""]]:
        """x, the numbers that state c, and log p(c)."""
        if self.embedding is None or self.prior is None:
            return row, jnp.zeros(0, row.dtype), jnp.zeros((), row.dtype)
        c = row[np.array(self.context_columns)]
        given = self.embedding(c, jnp.ones(c.shape, bool))
        return row[np.array(self.x_columns)], given, self.prior.log_prob(c)

    def draw(self, key: PRNGKeyArray, row: Row, observed: Mask) -> Row:
        """The row with what is missing of c drawn from p(c_M | c_O)."""
        if self.prior is None:
            return row
        place = np.array(self.context_columns)
        return row.at[place].set(self.prior.sample(key, row[place], observed[place]))

    def with_x(self, row: Row, x: Row) -> Row:
        """The row with x in its place."""
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
        """The row completed, and log w.

        Where nothing of x is observed by p(c_M | c_O) and `draw` of p(x | c), of which no weight
        varies; else by the guide, `weigh` being log p of the whole row.
        """
        first, second = jax.random.split(key)

        def needs_proposal(row):
            return importance_weighted(
                first, proposal, lambda whole: weigh(second, whole), row, observed
            )

        def by_itself(row):
            whole = draw(second, self.draw(first, row, observed))
            place = np.array(self.context_columns)
            assert self.prior is not None
            return whole, self.prior.log_prob(row[place], observed[place]).astype(row.dtype)

        if self.prior is None:
            return needs_proposal(row)
        return jax.lax.cond(self.is_pure_conditional(observed), by_itself, needs_proposal, row)

    def is_pure_conditional(self, observed: Mask) -> Bool[Array, ""]:
        """Whether nothing of x is observed, and some of c may be."""
        return ~observed[np.array(self.x_columns)].any() & (self.prior is not None)

    @classmethod
    def from_data(
        cls, key: PRNGKeyArray, rows: Rows, columns: Sequence[Column], on: str
    ) -> "Context":
        """The columns of the variables that `on` names, with commas between, learned from rows."""
        names = [name.strip() for name in on.split(",") if name.strip()]
        known = dict.fromkeys(c.variable for c in columns)
        for name in names:
            if name not in known:
                raise unknown_name_error("column", name, known)
        place = [j for j, c in enumerate(columns) if c.variable in names]
        rest = [j for j, c in enumerate(columns) if c.variable not in names]
        if not rest:
            raise PofxError(f"on: expected columns beside {on!r}, and there are none")
        if not place:
            return cls(None, None, (), tuple(rest))
        x, observed, weight = rows.to_arrays()
        some, own = make_rows(x[:, place], observed[:, place], weight), [columns[j] for j in place]
        prior = _learned(key, some, own)
        embedding = Embedding.from_data(own, x[:, place], observed[:, place] * weight[:, None])
        return cls(prior, embedding, tuple(place), tuple(rest))


def _learned(key: PRNGKeyArray, rows: Rows, columns: Sequence[Column]) -> AbstractEMModel:
    """p(c)."""
    numbers = all(is_number(c) for c in columns)
    several: type[AbstractEMModel] = Correlated if numbers else ChowLiuTree
    prior = (several if len(columns) > 1 else Independent).from_data(key, rows, columns)
    for _ in range(STEPS):
        prior = _step(prior, rows)
    return prior


@eqx.filter_jit
def _step(prior: AbstractEMModel, rows: Rows) -> AbstractEMModel:
    return prior.m_step(rows.sum(prior.expected_statistics)[0])
