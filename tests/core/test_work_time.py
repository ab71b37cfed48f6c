"""A clock that stands still during compilation, and only then."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.work_time import work_time


def slow(x):
    """A function that takes long to trace, and whose parts are traced within it."""
    for _ in range(4):
        x = jax.jit(lambda a: (time.sleep(0.1), jnp.sin(a))[1])(x)
    return x


def test_it_stands_still_while_a_program_is_traced_and_compiled():
    program = jax.jit(slow)
    begin, work_begin = time.monotonic(), work_time()
    program(np.ones(3)).block_until_ready()
    seconds, work = time.monotonic() - begin, work_time() - work_begin
    assert seconds > 0.4
    assert 0 <= work < seconds / 4


def test_it_goes_on_otherwise():
    begin = work_time()
    time.sleep(0.2)
    assert 0.2 <= work_time() - begin < 1
