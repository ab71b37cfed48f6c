"""The variational autoencoder: a latent point, whose decoder gives each column a law."""

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
from pofx.core.errors import check_at_least, warn
from pofx.core.rows import Rows, per_row
from pofx.models.independent import Independent
from pofx.nets.mlp import MLP
from pofx.nets.row_embedding import Embedding

ACTIVE = 0.01
"""The least variance over rows of a latent number's mean for it to tell of the row."""
WIDER = 0.4
"""How much wider than q the proposal is, over the root of the latent numbers.

A bound makes q too narrow, of which weights have a heavy tail; of this their variance is small.
"""


class VAE(AbstractLowerBound, AbstractOnePhase):
    """A variational autoencoder: a normal latent point z, decoded to independent columns.

    log p(x_O) = log ∫ N(z; 0, I) Π_{j in O} p_j(x_j | decoder(z)) dz
               >= E_q[log p(x_O | z)] - KL(q(z | x_O) || N(0, I))

    q is a normal of independent entries, from an encoder that sees x_O and which entries are
    missing. `samples` draws of z tighten the bound in training (Burda, Grosse and Salakhutdinov,
    "Importance weighted autoencoders", 2016; of rows with missing entries Mattei and Frellsen,
    "MIWAE", 2019); the weight of the KL grows to one over the first `warmup` steps, of which
    `taken` have been; for 0 that is one for five rows, from 200 to 1000. Where the decoder says
    zero stands `part`. Kingma and Welling, "Auto-encoding variational Bayes" (2014).

    >>> p = VAE.example(jax.random.key(0)).model
    >>> x = p.draw(jax.random.key(1))
    >>> [a.shape for a in p.posterior(x, jnp.ones(4, bool))]
    [(2,), (2,)]
    """

    embedding: Embedding
    encoder: MLP
    decoder: MLP
    part: Independent
    taken: Int[Array, ""]
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True)

    # The bound rises and falls while its KL warms up: patience would mistake that for the end.
    needs_proposal: ClassVar[bool] = False
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
        seen = self.embedding(x, observed)
        mean, raw = jnp.split(self.encoder(jnp.concatenate([seen, ~observed])), 2)
        return mean, jnp.exp(8 * jnp.tanh(raw / 8))

    def decoded(self, z: Float[Array, "latent"]) -> Independent:
        """The columns at this latent point."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        raw = jnp.split(self.decoder(z), ends)
        return self.part.from_unconstrained(tuple(r.reshape(s) for r, s in zip(raw, self.shapes)))

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        hidden, filling = jax.random.split(key)
        mean, spread = self.posterior(x, observed)
        spread *= 1 + WIDER / np.sqrt(len(mean))
        z = mean + spread * jax.random.normal(hidden, mean.shape, mean.dtype)
        columns = self.decoded(z)
        log_w = columns.log_prob(x, observed) + _log_ratio(z, mean, spread)
        return columns.sample(filling, x, observed), log_w

    def draw(self, key: PRNGKeyArray) -> Row:
        hidden, filling = jax.random.split(key)
        latent = len(self.encoder.biases[-1]) // 2
        z = jax.random.normal(hidden, (latent,), self.embedding.shift.dtype)
        return self.decoded(z).sample(filling)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        bounding, hiding = jax.random.split(key)
        own = self._bounds(bounding, x, observed, self._warmth(), self.samples)
        # Worth zero, but with a gradient: the encoder, and it alone, learns patterns of missing
        # entries that the rows do not have and questions will.
        share, entry, bounding = jax.random.split(hiding, 3)
        kept = jax.random.uniform(entry, x.shape) < jax.random.uniform(share, (len(x), 1))
        held = eqx.tree_at(lambda p: p.decoder, self, jax.lax.stop_gradient(self.decoder))
        hidden = held._bounds(bounding, x, observed & kept, self._warmth(), 1)
        return -own - (hidden - jax.lax.stop_gradient(hidden))

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return -self._bounds(key, x, observed, jnp.ones(()), self.samples)

    def _warmth(self) -> Float[Array, ""]:
        """The weight of the KL in the step under way."""
        return jnp.minimum(self.taken / max(self.warmup, 1), 1)

    def _bounds(self, key, x, observed, warmth, samples) -> Float[Array, "n"]:
        """A bound on log p(x_O) of each row, by so many draws of z."""

        def one(key, x, observed):
            mean, spread = self.posterior(x, observed)
            z = mean + spread * jax.random.normal(key, (samples, *mean.shape), mean.dtype)
            log_p = jax.vmap(lambda z: self.decoded(z).log_prob(x, observed))(z)
            if samples == 1:
                kl = (mean**2 + spread**2 - 1 - 2 * jnp.log(spread)).sum() / 2
                return log_p[0] - warmth * kl
            log_w = log_p + warmth * jax.vmap(lambda z: _log_ratio(z, mean, spread))(z)
            return jax.nn.logsumexp(log_w) - jnp.log(samples)

        keys = jax.random.split(key, len(x))
        return jax.vmap(one, (0, 0, 0 if observed.ndim == 2 else None))(keys, x, observed)

    def advance(self, key: PRNGKeyArray) -> "VAE":
        return eqx.tree_at(lambda p: p.taken, self, self.taken + 1)

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
        """Itself; with a warning where most of its latent numbers tell nothing of the rows."""
        active = self.active(rows)
        used = int(active.sum())
        if not used:
            _warn(
                f"none of {len(active)} latent numbers tells of the row, so columns come out "
                "independent; if they are not, try a longer warmup"
            )
        elif 2 * used < len(active):
            _warn(
                f"only {used} of {len(active)} latent numbers tell of the row; latent={used} "
                "would do as well, or try a longer warmup"
            )
        return self

    def active(self, rows: Rows) -> Bool[np.ndarray, "latent"]:
        """Which latent numbers tell of the row: whose mean varies over rows (Burda et al. 2016)."""
        means, (_, _, weight) = per_row(_mean, self, rows), rows.to_arrays()
        centre = np.average(means, 0, weight)
        return np.average((means - centre) ** 2, 0, weight) > ACTIVE

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
        """Independent columns learned from all rows, and a decoder that strays from them."""
        # A short warm-up leaves latent numbers without use; in a long one few rows, which are met
        # the more often, are learned by heart.
        warmup = warmup or min(max(rows.count // 5, 200), 1000)
        check_at_least(1, latent=latent, width=width, samples=samples)
        check_at_least(0, depth=depth, warmup=warmup)
        x, observed, weight = rows.to_arrays()
        heavy = observed * weight[:, None]
        part = _learned(Independent.from_cells(columns, x, heavy, prior), rows)
        embedding = Embedding.from_data(columns, x, heavy)
        hidden = (latent, [width] * depth, samples, warmup)
        return cls._of(key, embedding, part, columns, *hidden)

    @classmethod
    def _of(cls, key, embedding, part, columns, latent, hidden, samples, warmup) -> "VAE":
        encoding, decoding = jax.random.split(key)
        shapes = part.raw_shapes(columns)
        numbers = sum(math.prod(shape) for shape in shapes)
        encoder = MLP.init(encoding, (embedding.size + len(columns), *hidden, 2 * latent))
        decoder = MLP.init(decoding, (latent, *hidden, numbers))
        taken = jnp.zeros((), jnp.int32)
        return cls(embedding, encoder, decoder, part, taken, shapes, samples, warmup)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        part, columns = Independent.example(key)
        nothing = np.zeros((1, len(columns)))
        embedding = Embedding.from_data(columns, nothing, nothing)
        return Example(cls._of(key, embedding, part, columns, 2, [8], 1, 0), columns)


@eqx.filter_jit
def _learned(part: Independent, rows: Rows) -> Independent:
    return part.m_step(rows.sum(part.expected_statistics)[0])


def _log_ratio(z: Array, mean: Array, spread: Array) -> Float[Array, ""]:
    """log N(z; 0, I) - log q(z)."""
    return (norm.logpdf(z) - norm.logpdf(z, mean, spread)).sum()


def _mean(model: VAE, x: Row, observed: Mask) -> Float[Array, "latent"]:
    return model.posterior(x, observed)[0]


def _warn(what: str) -> None:
    warn(f"vae: {what}")


@closed_forms.latent.register(VAE)
def _latent(p: VAE, x: Row, observed: Mask) -> dict[str, Float[Array, "latent"]]:
    # The mean of q(z | x_O), which stands for p(z | x_O).
    return {"latent": _mean(p, x, observed)}
