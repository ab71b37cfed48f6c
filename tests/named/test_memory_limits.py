"""More rows than fit into memory are rejected at once."""

import numpy as np
import pytest

import pofx
from pofx.core.errors import PofxError
from pofx.named import memory_limits


@pytest.fixture(scope="module")
def p():
    x = np.random.default_rng(0).normal(size=(30, 2))
    return pofx.fit({"a": x[:, 0], "b": x[:, 1]}, "gaussian")


@pytest.mark.parametrize("n", [10**12, 10**30, 10**5000], ids=["12", "30", "5000"])
def test_rows_without_room_are_refused(p, n):
    with pytest.raises(PofxError, match=r"^n: expected at most \d+, for which .* got (\d+|more)"):
        p.sample(n)
    with pytest.raises(PofxError, match=r"^draws: expected at most \d+, for which"):
        p.impute({"a": [0.0], "b": [np.nan]}, draws=n)


@pytest.mark.parametrize("given", ["", " | b = 0", " | b > 0"])
def test_questions_refuse_them_too(p, given):
    with pytest.raises(PofxError, match=r"^ask: sample\[n\]: expected at most \d+, for which"):
        p.ask(f"sample[{10**11}](a{given})")


def test_the_limit_is_that_of_the_memory(p, monkeypatch):
    monkeypatch.setattr(
        memory_limits,
        "memory_bytes",
        lambda: 2 * memory_limits.CELL_BYTES * 100 / memory_limits.MAX_MEMORY_SHARE,
    )
    assert len(p.sample(100)["a"]) == 100
    with pytest.raises(PofxError, match="n: expected at most 100, "):
        p.sample(101)


def test_the_distribution_asked_keeps_its_name(p):
    with pytest.raises(PofxError, match="p: expected another name"):
        p.ask("KL(p || q)", p=p, q=p)
