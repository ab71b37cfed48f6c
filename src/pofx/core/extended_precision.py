"""Entropy and divergence of Gaussians on the host, in numpy's extended precision.

In float64 the log-determinant of a covariance of condition number c has an error of about 1e-16 c.
That is too much if two columns hold one quantity in two units. Extended precision has three more
digits on x86; on other machines it may be float64 itself.
"""

import numpy as np
from jaxtyping import Float

LOG_2PI = float(np.log(2 * np.pi))
MAX_COLUMNS = 256
"""The number of columns up to which a factorisation without LAPACK takes about a second."""


def normal_entropy(covariance: Float[np.ndarray, "d d"]) -> float:
    """H = 1/2 log det 2πeΣ in nats; NaN for a matrix that is not positive definite.

    >>> round(normal_entropy(np.eye(1)), 4)
    1.4189
    """
    log_det = np.log(np.diag(cholesky(covariance))).sum()
    return float(0.5 * len(covariance) * (1 + LOG_2PI) + log_det)


def normal_kl(
    p: tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d d"]],
    q: tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d d"]],
) -> float:
    """KL(p || q) in nats of two Gaussians, each given by its mean and covariance.

    1/2 [Σ_ij M_ij² + |L_q⁻¹ (μp - μq)|² - d - 2 Σ_i log M_ii],  M = L_q⁻¹ L_p

    If p = q, M is the identity. Neither M_ii² - 1 - 2 log M_ii nor M_ij² is negative, so nothing
    cancels, however nearly singular the covariances are.

    >>> normal_kl((np.zeros(1), np.eye(1)), (np.ones(1), np.eye(1)))
    0.5
    """
    lower_p, lower_q = cholesky(p[1]), cholesky(q[1])
    m = _solve_lower(lower_q, lower_p)
    shift = _solve_lower(lower_q, np.asarray(p[0], np.longdouble) - q[0])
    u = np.diag(m) - 1
    off_diagonal = (np.tril(m, -1) ** 2).sum()
    return float(0.5 * (off_diagonal + (u * u + 2 * (u - np.log1p(u))).sum() + shift @ shift))


def cholesky(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """The lower Cholesky factor; NaN for a matrix that is not positive definite."""
    lower = np.tril(np.asarray(matrix, np.longdouble))
    with np.errstate(invalid="ignore", divide="ignore"):
        for j in range(len(lower)):
            lower[j:, j] -= lower[j:, :j] @ lower[j, :j]
            lower[j:, j] /= np.sqrt(lower[j, j])
    return lower


def _solve_lower(lower: np.ndarray, b: np.ndarray) -> np.ndarray:
    """lower⁻¹ b by forward substitution."""
    x = np.array(b, np.longdouble)
    for i in range(len(lower)):
        x[i] = (x[i] - lower[i, :i] @ x[:i]) / lower[i, i]
    return x
