"""Double-double arithmetic against exact fractions."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.double_double import Double, add, divide, double, square, total, two_product, two_sum


@pytest.mark.parametrize("wide", [False, True])
def test_what_rounding_takes_is_kept(wide):
    with jax.enable_x64(wide):
        rng = np.random.default_rng(0)
        dtype = np.float64 if wide else np.float32
        a, b = (rng.normal(size=50).astype(dtype) * dtype(1e5) for _ in range(2))
        eps = Fraction(float(np.finfo(dtype).eps))
        exact = [[Fraction(float(v)) for v in c] for c in (a, b)]

        def check(number, expected, tolerance):
            high, low = (np.asarray(v, np.float64) for v in number)
            for h, r, w in zip(high.ravel(), low.ravel(), expected):
                assert abs(Fraction(float(h)) + Fraction(float(r)) - w) <= tolerance * abs(w)

        pairs = list(zip(*exact))
        one, other = jnp.asarray(a), jnp.asarray(b)
        check(jax.jit(two_sum)(one, other), [p + q for p, q in pairs], 0)
        check(jax.jit(two_product)(one, other), [p * q for p, q in pairs], 0)
        ratio = jax.jit(lambda p, q: divide(square(two_sum(p, q)), q))(one, other)
        check(ratio, [(p + q) ** 2 / q for p, q in pairs], 20 * eps**2)
        sums = jax.jit(lambda p, q: total(two_product(p, q)))(one, other)
        size = sum(abs(p * q) for p, q in pairs)
        error = (
            Fraction(float(sums.high)) + Fraction(float(sums.low)) - sum(p * q for p, q in pairs)
        )
        assert abs(error) <= 50 * eps**2 * size


def test_what_is_not_finite_has_no_remainder():
    far = jnp.asarray([jnp.inf, -jnp.inf, np.finfo(np.float32).max])
    for number in (two_sum(far, far), two_product(far, far), add(double(far), double(far))):
        assert not np.isnan(np.asarray(number.low)).any()
    assert float(total(Double(jnp.zeros(0), jnp.zeros(0))).high) == 0
