"""Hypothesis, the same for all: examples repeat, and a busy machine is no failure."""

from itertools import count

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

_done = count(1)


@pytest.fixture(autouse=True)
def _room():
    """Thousands of tests in one process compile more than the kernel has maps for."""
    yield
    if next(_done) % 25 == 0:
        from pofx.core.memory_maps import spare_maps

        spare_maps()
