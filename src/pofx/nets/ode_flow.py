"""Integration of an ordinary differential equation together with its log-determinant."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.errors import PofxError

MAX_EXACT_TRACE_SIZE = 32
"""The trace of a larger Jacobian is estimated."""
SOLVER_TOLERANCE = 1e-5


def integrate_with_log_det(
    key: PRNGKeyArray,
    speed: Callable[[Float[Array, "c"], Float[Array, ""]], Float[Array, "c"]],
    z: Float[Array, "c"],
) -> tuple[Float[Array, "c"], Float[Array, ""]]:
    """Solve dz/dt = speed(z, t) from t = 0 to t = 1.

    log |det dz(1) / dz(0)| = ∫ tr ∂speed/∂z dt

    Args:
        key: gives the random direction that estimates the trace of more than 32 numbers
            (Hutchinson 1990; Grathwohl et al., "FFJORD", 2019).
        speed: dz/dt as a function of z and t.
        z: the start z(0).

    Returns z(1) and the log-determinant. Raises PofxError without diffrax.

    >>> z, log_det = integrate_with_log_det(jax.random.key(0), lambda z, t: z, jnp.ones(2))
    >>> print(f"{z[0]:.3f} {log_det:.3f}")
    2.718 2.000
    """
    try:
        import diffrax
    except ImportError:
        raise PofxError(
            "diffusion: expected the extra of diffusion; try pip install 'pofx[diffusion]'"
        ) from None
    probes = jnp.eye(len(z), dtype=z.dtype)
    if len(z) > MAX_EXACT_TRACE_SIZE:
        probes = jax.random.rademacher(key, (1, len(z)), z.dtype)

    def speed_and_trace(t, state, _):
        def along(probe):
            velocity, slope = jax.jvp(lambda z: speed(z, t), (state[0],), (probe,))
            return velocity, probe @ slope

        velocity, slope = jax.vmap(along, out_axes=(None, 0))(probes)
        return velocity, slope.sum()

    end = diffrax.diffeqsolve(
        diffrax.ODETerm(speed_and_trace),
        diffrax.Tsit5(),
        t0=0.0,
        t1=1.0,
        dt0=None,
        y0=(z, jnp.zeros((), z.dtype)),
        stepsize_controller=diffrax.PIDController(rtol=SOLVER_TOLERANCE, atol=SOLVER_TOLERANCE),
    )
    assert end.ys is not None
    return end.ys[0][0], end.ys[1][0]
