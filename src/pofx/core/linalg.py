"""Factorisations of symmetric matrices that are safe in batches.

On a CPU, jaxlib 0.10 distributes a large batch of LAPACK calls over the same thread pool that waits
for it. Two such batches at once, on two threads, wait for each other forever. Batches here go to
LAPACK in portions too small to be distributed. Everything after the factor is a matrix product,
also in gradients.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

MAX_INLINE_OPS = 100_000
"""Operations of a batch that stay on the calling thread; from twice as many, JAX distributes."""


@jax.custom_jvp
def inverse_cholesky(matrix: Float[Array, "... d d"]) -> Float[Array, "... d d"]:
    """The inverse Cholesky factor W of a positive definite A, lower triangular with W A Wᵀ = I.

    A⁻¹ = Wᵀ W, A = L Lᵀ with L = A Wᵀ, log det A = -2 Σ log W_ii. NaN if A is not positive
    definite.

    >>> w = inverse_cholesky(jnp.array([[4.0, 0.0], [0.0, 9.0]]))
    >>> jnp.diagonal(w).round(3).tolist()
    [0.5, 0.3330000042915344]
    """
    return _inverse_cholesky(matrix)


@inverse_cholesky.defjvp
def _inverse_cholesky_jvp(primals, tangents):
    # dL = L Φ(W dA Wᵀ) and dW = -W dL W = -Φ(W dA Wᵀ) W, where Φ keeps the lower triangle and
    # half of the diagonal (Murray 2016, eq. 8).
    w = inverse_cholesky(primals[0])
    inner = w @ (tangents[0] + tangents[0].mT) @ w.mT / 2
    half = jnp.tril(inner) - 0.5 * inner * jnp.eye(w.shape[-1], dtype=w.dtype)
    return w, -half @ w


def eigh(matrix: Float[Array, "... d d"]) -> tuple[Float[Array, "... d"], Float[Array, "... d d"]]:
    """Eigenvalues in ascending order, and eigenvectors in columns, of a symmetric matrix."""
    return _eigh(matrix)


def half_log_det(w: Float[Array, "... d d"]) -> Float[Array, "..."]:
    """Half the log-determinant of A, from its inverse Cholesky factor."""
    return -jnp.log(jnp.diagonal(w, axis1=-2, axis2=-1)).sum(-1)


def normal_kl(
    p: tuple[Float[Array, "d"], Float[Array, "d d"]],
    q: tuple[Float[Array, "d"], Float[Array, "d d"]],
    target_mask: Bool[np.ndarray, "d"],
) -> Float[Array, ""]:
    """KL(p || q) in nats of two Gaussians over the columns of a mask.

    1/2 [Σ_ij M_ij² + |W_q (μp - μq)|² - d - 2 Σ_i log M_ii],  M = W_q L_p

    with L_p the Cholesky factor of Σp and W_q the inverse of that of Σq. If p = q, M is the
    identity. Neither M_ii² - 1 - 2 log M_ii nor M_ij² is negative, so nothing cancels, however
    nearly singular the covariances are.

    Args:
        p, q: each a mean and a covariance.
        target_mask: the columns of the marginals that are compared.

    >>> standard = jnp.zeros(1), jnp.eye(1)
    >>> round(float(normal_kl(standard, (jnp.ones(1), jnp.eye(1)), np.ones(1, bool))), 4)
    0.5
    """
    a = np.flatnonzero(target_mask)
    covariance_p, covariance_q = p[1][np.ix_(a, a)], q[1][np.ix_(a, a)]
    w_q = inverse_cholesky(covariance_q)
    m = jnp.tril(w_q @ _cholesky(covariance_p))
    scales = jnp.diagonal(m)
    # 2 (u - log(1 + u)) + u² for M_ii = 1 + u
    u = scales - 1
    r = w_q @ (p[0] - q[0])[a]
    off_diagonal = (jnp.tril(m, -1) ** 2).sum()
    kl = 0.5 * (off_diagonal + (u * u + 2 * (u - jnp.log1p(u))).sum() + r @ r)
    equal = (covariance_p == covariance_q).all() & (p[0] == q[0])[a].all()
    return jnp.where(equal, 0, kl)


def _in_portions(cost: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function of (n, d, d) arrays that costs `cost` d³ per matrix, to use portions."""

    def wrap(f):
        @custom_vmap
        def apply(matrix):
            *batch, d, _ = matrix.shape
            n = math.prod(batch)
            portion = (
                max(1, MAX_INLINE_OPS // max(cost * d**3, 1))
                if jax.default_backend() == "cpu"
                else n
            )
            if n <= portion:
                out = f(matrix.reshape(n, d, d))
            else:
                out = jax.lax.map(lambda m: f(m[None]), matrix.reshape(n, d, d), batch_size=portion)
                out = jax.tree.map(lambda a: a.reshape(n, *a.shape[2:]), out)
            return jax.tree.map(lambda a: a.reshape(*batch, *a.shape[1:]), out)

        @apply.def_vmap
        def _(size, batched, matrix):
            # Another batch is another leading axis, and is split together with the others.
            out = apply(matrix)
            return out, jax.tree.map(lambda _: True, out)

        return apply

    return wrap


@_in_portions(cost=1)
def _inverse_cholesky(matrix):
    factor = jnp.linalg.cholesky(matrix, symmetrize_input=False)
    identity = jnp.broadcast_to(jnp.eye(matrix.shape[-1], dtype=matrix.dtype), matrix.shape)
    return solve_triangular(factor, identity, lower=True)


@_in_portions(cost=1)
def _cholesky(matrix):
    return jnp.linalg.cholesky(matrix, symmetrize_input=False)


@_in_portions(cost=10)
def _eigh(matrix):
    return tuple(jnp.linalg.eigh(matrix))
