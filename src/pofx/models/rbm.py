"""The restricted Boltzmann machine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.abstract import AbstractOnePhase, AbstractQueryable, Example, Mask, Row
from pofx.core.abstract_approximate import AbstractEnergyModel
from pofx.core.column import Column, Kind
from pofx.core.errors import check_at_least
from pofx.core.rows import Rows
from pofx.models.energies.annealed_importance import warn_means, warn_mixing, warn_weights
from pofx.models.energies.boltzmann import (
    ANNEALED_CHAINS,
    BoltzmannLayers,
    draw_base,
    log_hidden_sum,
    log_partition,
    exact_log_z,
)
from pofx.models.energies.visible_units import SUPPORTED_KINDS, VisibleUnits

BURNT, KEPT = 200, 800
"""Sweeps of the chains after training: first unseen, then looked at for how they mix."""
DRAWN = 200
"""Sweeps between a stored chain and a new row."""
JUDGED = 32
"""The most columns that judge a row held out."""


class RBM(AbstractEnergyModel, AbstractOnePhase):
    """A restricted Boltzmann machine: hidden binary units tie binary and normal columns.

    p(x) = Σ_h exp(-E(x, h)) / Z
    E(x, h) = Σ_j E_j(x_j) - Σ_k (c_k + Σ_j W_jk z_j / σ_j²) (h_k - ½)

    z is x less its mean, in scales of real columns, as `visible` says, with E_j and σ_j: given h a
    binary column has log-odds b_j + Σ_k W_jk (h_k - ½), and a real one is normal about that with a
    variance that is learned (Cho, Ilin and Raiko 2011). Units about their means learn better
    (Montavon and Müller 2012). Trained by persistent contrastive divergence: `chains` of rows move
    by `sweeps` of block Gibbs sampling a step (Tieleman 2008). Z is summed where at most 16 units
    are hidden, else estimated in `temperatures` steps of annealed importance sampling from
    independent columns at the data's means (Salakhutdinov and Murray 2008). New rows are
    approximate: a chain of training, 200 sweeps on. Smolensky (1986); Hinton, "Training products of
    experts by minimizing contrastive divergence" (2002).

    >>> p = RBM.example(jax.random.key(0)).model
    >>> x = jnp.array([1.0, 0.0, 1.0, 0.5])
    >>> bool(p.energy(x) + p.log_z > 0), p.draw(jax.random.key(1)).shape
    (True, (4,))
    """

    weights: Float[Array, "d hidden"]
    hidden_bias: Float[Array, "hidden"]
    visible: VisibleUnits
    chains: Float[Array, "m d"]
    log_z: Float[Array, ""]
    log_z_stderr: Float[Array, ""]
    sweeps: int = eqx.field(static=True, default=1)
    temperatures: int = eqx.field(static=True, default=2000)

    learns_from_missing: ClassVar[bool] = False
    sampling_cost: ClassVar[str] = f"{DRAWN} sweeps of a Markov chain"
    # Pseudo-likelihood is rough, and rises and falls: patience would mistake that for the end.
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.99, "rate": 5e-3, "patience": 0}

    @property
    def size(self) -> int:
        return len(self.weights)

    def energy(self, x: Row) -> Float[Array, ""]:
        """F(x) = -log Σ_h exp(-E(x, h)), the free energy, in nats."""
        z = self.visible.standardise(x)
        return self.visible.energies(z).sum() - log_hidden_sum(self.layers.inputs(z)).sum()

    @property
    def layers(self) -> BoltzmannLayers:
        """The machine without its chains."""
        return BoltzmannLayers(self.weights, self.hidden_bias, self.visible)

    def step(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """A sweep of block Gibbs sampling, which leaves p(x_M | x_O) as it is."""
        return jnp.where(observed, x, self.layers.gibbs_sweep(key, x, jnp.ones((), self.weights.dtype)))

    def draw(self, key: PRNGKeyArray) -> Row:
        picking, moving = jax.random.split(key)
        x = self.chains[jax.random.randint(picking, (), 0, len(self.chains))]
        return self._after(moving, x[None], jnp.zeros(self.size, bool), DRAWN)[0]

    def _after(
        self, key: PRNGKeyArray, x: Float[Array, "m d"], observed: Mask, sweeps: int
    ) -> Float[Array, "m d"]:
        """Rows some sweeps on."""

        def sweep(x, key):
            keys = jax.random.split(key, len(x))
            return jax.vmap(self.step, (0, 0, None))(keys, x, observed), None

        return jax.lax.scan(sweep, x, jax.random.split(key, sweeps))[0]

    def trainable_mask(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(
            lambda p: (p.weights, p.hidden_bias, p.visible.bias, p.visible.log_variance),
            fixed,
            (True, True, True, True),
        )

    def advance(self, key: PRNGKeyArray) -> "RBM":
        chains = self._after(key, self.chains, jnp.zeros(self.size, bool), self.sweeps)
        return eqx.tree_at(lambda p: p.chains, self, chains)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """The free energy less that of the chains, whose gradient is that of -log p."""
        energy = jax.vmap(self.energy)
        return energy(x) - energy(jax.lax.stop_gradient(self.chains)).mean()

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """-log p(x) where Z is a sum; else -Σ_j log p(this x_j rather than another | the others).

        Z cancels in this pseudo-likelihood, so that it compares epochs, which the loss cannot; but
        of modes far apart it does not see which has how much. A binary entry is held against its
        other level; a real one, whose conditional density is not closed, against a step of random
        length away (Ceylan and Gutmann 2018). Of more than 32 columns some judge.
        """
        if self.layers.is_enumerable:
            return jax.vmap(self.energy)(x) + exact_log_z(self.layers)
        choosing, going, reaching = jax.random.split(key, 3)
        few = min(self.size, JUDGED)
        j = jax.random.choice(choosing, self.size, (few,), replace=False)
        reach = jnp.exp(-3 * jax.random.uniform(reaching, (len(x), few), x.dtype))
        away = reach * jax.random.normal(going, (len(x), few), x.dtype)

        def one(x, away):
            z = self.visible.standardise(x)
            other = self.visible.where_real(z.at[j].add(away), self.visible.standardise(1 - x))
            inputs = self.layers.inputs(z)
            change = ((other - z) / self.visible.variance())[j]
            hidden = log_hidden_sum(inputs + change[:, None] * self.weights[j]) - log_hidden_sum(inputs)
            gain = (self.visible.energies(z) - self.visible.energies(other))[j] + hidden.sum(1)
            return jax.nn.softplus(gain).sum() * (self.size / few)

        return jax.vmap(one)(x, away)

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> "RBM":
        """The chains run on by the parameters that training ended with, and log Z of these."""
        going, measuring = jax.random.split(key)
        chains, energies, means = _ran(self, going)
        warn_mixing(np.asarray(energies))
        warn_means(np.asarray(means))
        found = log_partition(self.layers, measuring, self.temperatures)
        warn_weights(found, ANNEALED_CHAINS)
        own = chains, found.log_z, found.stderr
        return eqx.tree_at(lambda p: (p.chains, p.log_z, p.log_z_stderr), self, own)

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(SUPPORTED_KINDS)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        hidden: int = 64,
        sweeps: int = 1,
        chains: int = 128,
        temperatures: int = 2000,
    ) -> "RBM":
        """Columns at their means, all but independent."""
        check_at_least(1, hidden=hidden, sweeps=sweeps, chains=chains, temperatures=temperatures)
        weighing, leaning, drawing = jax.random.split(key, 3)
        visible = VisibleUnits.from_data(rows, columns)
        # Standardised numbers are a saddle to weights near zero and to units that lean alike.
        size = visible.where_real(jnp.full(len(columns), 0.1), jnp.full(len(columns), 0.01))
        weights = size[:, None] * jax.random.normal(weighing, (len(columns), hidden))
        model = _begun(drawing, weights, visible, chains, sweeps, temperatures)
        lean = any(visible.real) * jax.random.normal(leaning, (hidden,))
        return eqx.tree_at(lambda p: p.hidden_bias, model, lean)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        binary = (Column(name, "binary", levels=2, family="bernoulli") for name in "abc")
        columns = (*binary, Column("x", "real", family="normal"))
        own = np.array([0.4, 0.7, 0.5, 1.0]), np.array([1, 1, 1, 2.0]), np.zeros(4)
        weights = 0.7 * jax.random.normal(key, (4, 3))
        model = _begun(key, weights, VisibleUnits.from_moments(*own, np.arange(4) == 3), 32)
        log_z = log_partition(model.layers, key, model.temperatures).log_z
        return Example(eqx.tree_at(lambda p: p.log_z, model, log_z), columns)


def _begun(
    key: PRNGKeyArray,
    weights: Float[Array, "d hidden"],
    visible: VisibleUnits,
    chains: int,
    sweeps: int = 1,
    temperatures: int = 2000,
) -> RBM:
    """A machine of these weights, its chains rows of independent columns."""
    bias, none, zero = jnp.zeros(weights.shape[1]), jnp.zeros((chains, len(weights))), jnp.zeros(())
    model = RBM(
        weights=weights,
        hidden_bias=bias,
        visible=visible,
        chains=none,
        log_z=zero,
        log_z_stderr=zero,
        sweeps=sweeps,
        temperatures=temperatures,
    )
    return eqx.tree_at(lambda p: p.chains, model, draw_base(model.layers, key, chains))


@eqx.filter_jit
def _ran(
    p: RBM, key: PRNGKeyArray
) -> tuple[Float[Array, "m d"], Float[Array, "kept m"], Float[Array, "m d"]]:
    """The chains some sweeps on; on the latter part of the way their energies, and mean places.

    Places are in standard deviations of the data from its mean.
    """
    shift = p.visible.shift
    deviation = p.visible.where_real(jnp.ones_like(shift), jnp.sqrt(shift * (1 - shift)))

    def sweep(carry, now):
        p, total = carry
        key, kept = now
        p = p.advance(key)
        place = jax.vmap(p.visible.standardise)(p.chains) / deviation
        return (p, total + kept * place / KEPT), jax.vmap(p.energy)(p.chains)

    steps = jax.random.split(key, BURNT + KEPT), jnp.arange(BURNT + KEPT) >= BURNT
    (p, means), energies = jax.lax.scan(sweep, (p, jnp.zeros_like(p.chains)), steps)
    return p.chains, energies[BURNT:], means
