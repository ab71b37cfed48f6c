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
from pofx.core.compilation import compiled, compiled_quickly
from pofx.core.errors import check_at_least
from pofx.core.rows import Rows
from pofx.models.energies.annealed_importance import warn_means, warn_mixing, warn_weights
from pofx.models.energies.boltzmann import (
    ANNEALED_CHAINS,
    BoltzmannLayers,
    draw_base,
    exact_log_z,
    log_hidden_sum,
    log_partition,
)
from pofx.models.energies.visible_units import SUPPORTED_KINDS, VisibleUnits

BURN_IN_SWEEPS = 200
KEPT_SWEEPS = 800
"""Sweeps of the chains after training, whose energies and means show how well they mix."""
THINNING_SWEEPS = 200
"""Sweeps from a stored chain to a new row."""
MAX_VALIDATION_COLUMNS = 32
"""The pseudo-likelihood of a row sums over a random choice of this many columns."""


class RBM(AbstractEnergyModel, AbstractOnePhase):
    """A restricted Boltzmann machine: hidden binary units connect binary and normal columns.

    p(x) = Σ_h exp(-E(x, h)) / Z
    E(x, h) = Σ_j E_j(x_j) - Σ_k (c_k + Σ_j W_jk z_j / σ_j²) (h_k - ½)

    Columns: binary, and real without point masses. z is x minus its mean, for real columns in
    standard deviations; `visible` defines E_j and σ_j. Given h, a binary column has log-odds
    b_j + Σ_k W_jk (h_k - ½), and a real column is normal with that mean and a learned variance
    (Cho, Ilin and Raiko 2011). Centred units learn better (Montavon and Müller 2012).

    - Training: persistent contrastive divergence (Tieleman 2008).
    - Z: a sum if there are at most 16 hidden units, or at most 16 columns, all binary. Otherwise an
      estimate by annealed importance sampling from independent columns at the data's means
      (Salakhutdinov and Murray 2008).
    - New rows are approximate: a chain of training after 200 more sweeps.

    Smolensky (1986); Hinton, "Training products of experts by minimizing contrastive divergence"
    (2002).

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
    sampling_cost: ClassVar[str] = f"{THINNING_SWEEPS} sweeps of a Markov chain"
    # The pseudo-likelihood is noisy and not monotone, so patience would stop too early.
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.99, "rate": 5e-3, "patience": 0}

    @property
    def size(self) -> int:
        return len(self.weights)

    def energy(self, x: Row) -> Float[Array, ""]:
        """F(x) = -log Σ_h exp(-E(x, h)), the free energy, in nats."""
        z = self.visible.standardise(x)
        energy = self.visible.energies(z).sum()
        return energy - log_hidden_sum(self.without_chains.inputs(z)).sum()

    @property
    def without_chains(self) -> BoltzmannLayers:
        """The machine without its chains."""
        return BoltzmannLayers(self.weights, self.hidden_bias, self.visible)

    def step(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """The row after a sweep of block Gibbs sampling, which leaves p(x_M | x_O) invariant."""
        beta = jnp.ones((), self.weights.dtype)
        return jnp.where(observed, x, self.without_chains.gibbs_sweep(key, x, beta))

    def draw(self, key: PRNGKeyArray) -> Row:
        pick_key, sweep_key = jax.random.split(key)
        x = self.chains[jax.random.randint(pick_key, (), 0, len(self.chains))]
        observed = jnp.zeros(self.size, bool)
        return self._run_gibbs(sweep_key, x[None], observed, THINNING_SWEEPS)[0]

    def _run_gibbs(
        self, key: PRNGKeyArray, x: Float[Array, "m d"], observed: Mask, sweeps: int
    ) -> Float[Array, "m d"]:
        """Rows after some sweeps of block Gibbs sampling."""

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
        chains = self._run_gibbs(key, self.chains, jnp.zeros(self.size, bool), self.sweeps)
        return eqx.tree_at(lambda p: p.chains, self, chains)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """The free energy minus the mean of the chains.

        The expected gradient of this loss is that of -log p(x).
        """
        energy = jax.vmap(self.energy)
        return energy(x) - energy(jax.lax.stop_gradient(self.chains)).mean()

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """-log p(x) if Z is a sum, else -Σ_j log p(x_j | x_j or x'_j, the other entries).

        Z cancels in this pseudo-likelihood, so it compares epochs, unlike the loss. How probability
        is shared between modes that are far apart does not change the pseudo-likelihood. x'_j is
        the other level of a binary entry. For a real entry, whose conditional density has no closed
        form, x'_j is a step of random length away (Ceylan and Gutmann 2018). If there are more than
        32 columns, j runs over 32 random ones, and the sum is scaled up.
        """
        if self.without_chains.is_enumerable:
            return jax.vmap(self.energy)(x) + exact_log_z(self.without_chains)
        column_key, step_key, length_key = jax.random.split(key, 3)
        count = min(self.size, MAX_VALIDATION_COLUMNS)
        j = jax.random.choice(column_key, self.size, (count,), replace=False)
        length = jnp.exp(-3 * jax.random.uniform(length_key, (len(x), count), x.dtype))
        step = length * jax.random.normal(step_key, (len(x), count), x.dtype)

        def row_loss(x, step):
            z = self.visible.standardise(x)
            other = self.visible.where_real(z.at[j].add(step), self.visible.standardise(1 - x))
            inputs = self.without_chains.inputs(z)
            change = ((other - z) / self.visible.variance())[j]
            new_inputs = inputs + change[:, None] * self.weights[j]
            hidden = log_hidden_sum(new_inputs) - log_hidden_sum(inputs)
            gain = (self.visible.energies(z) - self.visible.energies(other))[j] + hidden.sum(1)
            return jax.nn.softplus(gain).sum() * (self.size / count)

        return jax.vmap(row_loss)(x, step)

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> "RBM":
        """The machine with chains run at its final parameters, and with log Z.

        Warns if the chains do not mix, if their means miss the data, or if log Z is unreliable.
        """
        chain_key, log_z_key = jax.random.split(key)
        chains, energies, means = _run_and_monitor(self, chain_key)
        warn_mixing(np.asarray(energies))
        warn_means(np.asarray(means))
        estimate = log_partition(self.without_chains, log_z_key, self.temperatures)
        warn_weights(estimate, ANNEALED_CHAINS)
        return eqx.tree_at(
            lambda p: (p.chains, p.log_z, p.log_z_stderr),
            self,
            (chains, estimate.log_z, estimate.stderr),
        )

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
        """Columns at their means, almost independent.

        Args:
            hidden: number of hidden units, default 64.
            sweeps: sweeps of block Gibbs sampling per training step, default 1.
            chains: number of Markov chains, default 128.
            temperatures: steps of annealed importance sampling, default 2000.

        Raises PofxError for columns of other kinds or an option below 1.
        """
        check_at_least(1, hidden=hidden, sweeps=sweeps, chains=chains, temperatures=temperatures)
        visible = VisibleUnits.from_data(rows, columns)
        return _random_start(key, visible, hidden, chains, sweeps, temperatures)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        binary = (Column(name, "binary", levels=2, family="bernoulli") for name in "abc")
        columns = (*binary, Column("x", "real", family="normal"))
        visible = VisibleUnits.from_moments(
            np.array([0.4, 0.7, 0.5, 1.0]), np.array([1, 1, 1, 2.0]), np.zeros(4), np.arange(4) == 3
        )
        model = _init(key, 0.7 * jax.random.normal(key, (4, 3)), visible, 32)
        log_z = log_partition(model.without_chains, key, model.temperatures).log_z
        return Example(eqx.tree_at(lambda p: p.log_z, model, log_z), columns)


@compiled_quickly
def _random_start(
    key: PRNGKeyArray,
    visible: VisibleUnits,
    hidden: int,
    chains: int,
    sweeps: int,
    temperatures: int,
) -> RBM:
    weight_key, bias_key, chain_key = jax.random.split(key, 3)
    columns = len(visible.real)
    # For real columns, weights near zero and equal hidden biases are a saddle of the loss.
    scale = visible.where_real(jnp.full(columns, 0.1), jnp.full(columns, 0.01))
    weights = scale[:, None] * jax.random.normal(weight_key, (columns, hidden))
    model = _init(chain_key, weights, visible, chains, sweeps, temperatures)
    hidden_bias = any(visible.real) * jax.random.normal(bias_key, (hidden,))
    return eqx.tree_at(lambda p: p.hidden_bias, model, hidden_bias)


def _init(
    key: PRNGKeyArray,
    weights: Float[Array, "d hidden"],
    visible: VisibleUnits,
    chains: int,
    sweeps: int = 1,
    temperatures: int = 2000,
) -> RBM:
    """A machine with these weights, whose chains are rows of independent columns."""
    model = RBM(
        weights=weights,
        hidden_bias=jnp.zeros(weights.shape[1]),
        visible=visible,
        chains=jnp.zeros((chains, len(weights))),
        log_z=jnp.zeros(()),
        log_z_stderr=jnp.zeros(()),
        sweeps=sweeps,
        temperatures=temperatures,
    )
    return eqx.tree_at(lambda p: p.chains, model, draw_base(model.without_chains, key, chains))


@compiled
def _run_and_monitor(
    p: RBM, key: PRNGKeyArray
) -> tuple[Float[Array, "m d"], Float[Array, "kept m"], Float[Array, "m d"]]:
    """The chains after burn-in and kept sweeps; energies and means over the kept sweeps.

    Means are in standard deviations of the data from its mean.
    """
    shift = p.visible.shift
    deviation = p.visible.where_real(jnp.ones_like(shift), jnp.sqrt(shift * (1 - shift)))

    def sweep(carry, inputs):
        p, mean = carry
        key, is_kept = inputs
        p = p.advance(key)
        z = jax.vmap(p.visible.standardise)(p.chains) / deviation
        return (p, mean + is_kept * z / KEPT_SWEEPS), jax.vmap(p.energy)(p.chains)

    sweeps = BURN_IN_SWEEPS + KEPT_SWEEPS
    inputs = jax.random.split(key, sweeps), jnp.arange(sweeps) >= BURN_IN_SWEEPS
    (p, means), energies = jax.lax.scan(sweep, (p, jnp.zeros_like(p.chains)), inputs)
    return p.chains, energies[BURN_IN_SWEEPS:], means
