"""The variational autoencoder: a latent point decoded to the distributions of the columns."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import (
    AbstractOnePhase,
    AbstractQueryable,
    AbstractTractable,
    Example,
    Mask,
    Row,
)
from pofx.core.abstract_approximate import AbstractLowerBound
from pofx.core.column import KINDS, Column, Kind
from pofx.core.compilation import compiled
from pofx.core.errors import check_at_least, warn
from pofx.core.rows import Rows, per_row
from pofx.models.independent import Independent
from pofx.nets.mlp import MLP
from pofx.nets.row_embedding import Embedding

MIN_ACTIVE_VARIANCE = 0.01
"""A latent unit is active if its posterior mean varies at least so much over rows."""
PROPOSAL_SD_SCALE = 0.4
"""The proposal for z is wider than q by a factor of 1 + 0.4 / sqrt(latent).

Training on a bound makes q too narrow, so weights of draws from q itself have a heavy tail.
"""


class VAE(AbstractLowerBound, AbstractOnePhase):
    """A variational autoencoder: a normal latent point z, decoded to independent columns.

    log p(x_O) = log ∫ N(z; 0, I) Π_{j in O} p_j(x_j | decoder(z)) dz
               >= E_q[log p(x_O | z)] - KL(q(z | x_O) || N(0, I))

    Columns: all kinds. q is a normal distribution with independent entries, from an encoder that
    sees x_O and the mask of missing entries. A decoder output of zero gives `part`, the independent
    columns of all rows. In training, several draws of z tighten the bound (Burda, Grosse and
    Salakhutdinov, "Importance weighted autoencoders", 2016; for rows with missing entries Mattei
    and Frellsen, "MIWAE", 2019), and the weight of the KL grows from 0 to 1 over the first `warmup`
    steps. Kingma and Welling, "Auto-encoding variational Bayes" (2014).

    >>> p = VAE.example(jax.random.key(0)).model
    >>> x = p.draw(jax.random.key(1))
    >>> [a.shape for a in p.posterior(x, jnp.ones(4, bool))]
    [(2,), (2,)]
    """

    embedding: Embedding
    encoder: MLP
    decoder: MLP
    part: Independent
    step_count: Int[Array, ""]
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True)

    needs_proposal: ClassVar[bool] = False
    # The bound is not monotone while the KL warms up, so patience would stop too early.
    sgd_defaults: ClassVar[Mapping[str, Any]] = {
        "epochs": 200,
        "rate": 3e-3,
        "average": 0.99,
        "patience": 0,
    }

    @property
    def size(self) -> int:
        return self.part.size

    def posterior(
        self, x: Row, observed: Mask
    ) -> tuple[Float[Array, "latent"], Float[Array, "latent"]]:
        """Mean and standard deviation of q(z | x_O)."""
        codes = self.embedding(x, observed)
        mean, raw = jnp.split(self.encoder(jnp.concatenate([codes, ~observed])), 2)
        return mean, jnp.exp(8 * jnp.tanh(raw / 8))

    def decode(self, z: Float[Array, "latent"]) -> Independent:
        """The distributions of the columns given a latent point z."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        raw = jnp.split(self.decoder(z), ends)
        return self.part.from_unconstrained(tuple(r.reshape(s) for r, s in zip(raw, self.shapes)))

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable | None, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        latent_key, column_key = jax.random.split(key)
        mean, sd = self.posterior(x, observed)
        sd *= 1 + PROPOSAL_SD_SCALE / np.sqrt(len(mean))
        z = mean + sd * jax.random.normal(latent_key, mean.shape, mean.dtype)
        columns = self.decode(z)
        log_w = columns.log_prob(x, observed) + _log_prior_ratio(z, mean, sd)
        return columns.sample(column_key, x, observed), log_w

    def log_weight(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        return self.weighted_completion(key, None, x, jnp.ones(self.size, bool))[1]

    def draw(self, key: PRNGKeyArray) -> Row:
        latent_key, column_key = jax.random.split(key)
        latent = len(self.encoder.biases[-1]) // 2
        z = jax.random.normal(latent_key, (latent,), self.embedding.shift.dtype)
        return self.decode(z).sample(column_key)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        bound_key, mask_key = jax.random.split(key)
        bound = self._bounds(bound_key, x, observed, self._kl_weight(), self.samples)
        # A term of value zero with a gradient: from it only the encoder learns patterns of missing
        # entries that the rows do not have, because questions will have them.
        share_key, entry_key, bound_key = jax.random.split(mask_key, 3)
        u = jax.random.uniform(entry_key, x.shape)
        mask = observed & (u < jax.random.uniform(share_key, (len(x), 1)))
        fixed_decoder = jax.lax.stop_gradient(self.decoder)
        encoder_only = eqx.tree_at(lambda p: p.decoder, self, fixed_decoder)
        masked_bound = encoder_only._bounds(bound_key, x, mask, self._kl_weight(), 1)
        return -bound - (masked_bound - jax.lax.stop_gradient(masked_bound))

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return -self._bounds(key, x, observed, jnp.ones(()), self.samples)

    def _kl_weight(self) -> Float[Array, ""]:
        """The weight of the KL in the current training step."""
        return jnp.minimum(self.step_count / max(self.warmup, 1), 1)

    def _bounds(self, key, x, observed, kl_weight, samples) -> Float[Array, "n"]:
        """A bound on log p(x_O) per row, from this number of draws of z."""

        def bound_row(key, x, observed):
            mean, sd = self.posterior(x, observed)
            z = mean + sd * jax.random.normal(key, (samples, *mean.shape), mean.dtype)
            log_p = jax.vmap(lambda z: self.decode(z).log_prob(x, observed))(z)
            if samples == 1:
                kl = (mean**2 + sd**2 - 1 - 2 * jnp.log(sd)).sum() / 2
                return log_p[0] - kl_weight * kl
            log_w = log_p + kl_weight * jax.vmap(lambda z: _log_prior_ratio(z, mean, sd))(z)
            return jax.nn.logsumexp(log_w) - jnp.log(samples)

        keys = jax.random.split(key, len(x))
        mask_axis = 0 if observed.ndim == 2 else None
        return jax.vmap(bound_row, (0, 0, mask_axis))(keys, x, observed)

    def advance(self, key: PRNGKeyArray) -> "VAE":
        return eqx.tree_at(lambda p: p.step_count, self, self.step_count + 1)

    def trainable_mask(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        nets = jax.tree.map(lambda _: True, (self.encoder, self.decoder))
        return eqx.tree_at(lambda p: (p.encoder, p.decoder), fixed, nets)

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> "VAE":
        """The model itself; warns if fewer than half of its latent units are active."""
        is_active = self.active_units(rows)
        active = int(is_active.sum())
        if not active:
            warn(
                f"vae: none of {len(is_active)} latent units depends on the row, so the model "
                "makes all columns independent; if they are not, try a longer warmup"
            )
        elif 2 * active < len(is_active):
            warn(
                f"vae: only {active} of {len(is_active)} latent units depend on the row; "
                f"latent={active} would do as well, or try a longer warmup"
            )
        return self

    def active_units(self, rows: Rows) -> Bool[np.ndarray, "latent"]:
        """Which latent units have a posterior mean that varies over rows (Burda et al. 2016)."""
        means = per_row(_posterior_mean, self, rows)
        _, _, weight = rows.to_arrays()
        centre = np.average(means, 0, weight)
        return np.average((means - centre) ** 2, 0, weight) > MIN_ACTIVE_VARIANCE

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        latent: int = 8,
        width: int = 128,
        depth: int = 2,
        samples: int = 1,
        warmup: int = 0,
        prior: float = 1.0,
    ) -> "VAE":
        """Independent columns learned from all rows, and random networks.

        Args:
            latent: number of latent units, default 8.
            width: units per hidden layer, default 128.
            depth: number of hidden layers, default 2.
            samples: draws of z per row in training, default 1.
            warmup: steps of KL warm-up; 0 (default) is one per five rows, from 200 to 1000.
            prior: number of pseudo-rows of the independent columns, default 1.

        Raises PofxError for an option out of range.
        """
        # A short warm-up leaves latent units unused. A long one overfits small tables, because
        # each step sees a larger share of their rows.
        warmup = warmup or min(max(rows.count // 5, 200), 1000)
        check_at_least(1, latent=latent, width=width, samples=samples)
        check_at_least(0, depth=depth, warmup=warmup)
        x, observed, weight = rows.to_arrays()
        cell_weight = observed * weight[:, None]
        part = _em_step(Independent.from_cells(columns, x, cell_weight, prior), rows)
        embedding = Embedding.from_data(columns, x, cell_weight)
        hidden = [width] * depth
        return cls._init(key, embedding, part, columns, latent, hidden, samples, warmup)

    @classmethod
    def _init(cls, key, embedding, part, columns, latent, hidden, samples, warmup) -> "VAE":
        """Random networks; `hidden` are the numbers of units of their hidden layers."""
        encoder_key, decoder_key = jax.random.split(key)
        shapes = part.raw_shapes(columns)
        outputs = sum(math.prod(shape) for shape in shapes)
        encoder = MLP.init(encoder_key, (embedding.size + len(columns), *hidden, 2 * latent))
        decoder = MLP.init(decoder_key, (latent, *hidden, outputs))
        step_count = jnp.zeros((), jnp.int32)
        return cls(embedding, encoder, decoder, part, step_count, shapes, samples, warmup)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        part, columns = Independent.example(key)
        zeros = np.zeros((1, len(columns)))
        embedding = Embedding.from_data(columns, zeros, zeros)
        return Example(cls._init(key, embedding, part, columns, 2, [8], 1, 0), columns)


@compiled
def _em_step(part: Independent, rows: Rows) -> Independent:
    return part.m_step(rows.sum(part.expected_statistics)[0])


def _log_prior_ratio(z: Array, mean: Array, sd: Array) -> Float[Array, ""]:
    """log N(z; 0, I) - log N(z; mean, sd²)."""
    return (norm.logpdf(z) - norm.logpdf(z, mean, sd)).sum()


def _posterior_mean(model: VAE, x: Row, observed: Mask) -> Float[Array, "latent"]:
    return model.posterior(x, observed)[0]


@closed_forms.latent.register(VAE)
def _latent(p: VAE, x: Row, observed: Mask) -> dict[str, Float[Array, "latent"]]:
    # The mean of q(z | x_O), which approximates p(z | x_O).
    return {"latent": _posterior_mean(p, x, observed)}
