"""The family of each column, and the errors for columns without one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import DEFAULT_FAMILY, KINDS, Column
from pofx.core.errors import PofxError
from pofx.core.family import AbstractFamily
from pofx.core.registry import discover
from pofx.families import (
    Categorical,
    Inflated,
    Normal,
    families_from_data,
    family_class,
    group_columns,
)


def test_every_kind_has_a_default_that_carries_it():
    for kind in KINDS:
        column = Column("a", kind, levels=2)
        assert kind in family_class(column).kinds
        assert kind in discover("pofx.families", AbstractFamily)[DEFAULT_FAMILY[kind]].kinds


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (Column("age", "real", family="poisson"), ["age", "poisson", "real", "normal"]),
        (Column("age", "real", family="normel"), ["age", "normel", "did you mean 'normal'"]),
        (Column("age", "count", family="inflated"), ["age", "inflated", "poisson"]),
        (Column("age", "real", family="uniform"), ["age", "no family", "uniform", "normal"]),
        (Column("sex", "binary", levels=2, spikes=(0.0,)), ["sex", "spikes", "binary"]),
    ],
)
def test_a_family_that_cannot_carry_the_column_is_one_clear_line(column, words):
    with pytest.raises(PofxError) as raised:
        family_class(column)
    message = str(raised.value)
    assert "\n" not in message
    assert all(word in message for word in words)


COLUMNS = (
    Column("a", "real"),
    Column("b", "categorical", levels=3),
    Column("c", "real", family="normal"),
    Column("d", "ordinal", levels=4),
    Column("e", "categorical", levels=5),
    Column("f", "positive", spikes=(0.0,)),
    Column("g", "positive", spikes=(0.0, 9.0)),
    Column("h", "positive", spikes=(9.0,), family="gamma"),
    Column("i", "categorical", levels=1),
)


def test_columns_are_stacked_by_what_can_share_an_instance():
    assert [indices for indices, _ in group_columns(COLUMNS)] == [
        (0, 2),
        (1, 3),
        (4,),
        (5,),
        (6,),
        (7,),
        (8,),
    ]
    assert [cls for _, cls in group_columns(COLUMNS)][:4] == [
        Normal,
        Categorical,
        Categorical,
        Inflated,
    ]


def test_start_covers_all_columns_near_their_data():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(5, 1, 50), rng.integers(0, 3, 50), rng.normal(-2, 3, 50),
                  rng.integers(0, 4, 50), rng.integers(0, 5, 50), rng.choice([0, 1.5, 2], 50),
                  rng.choice([0, 9, 2.5, 3], 50), rng.choice([9, 2.5, 3], 50),
                  np.zeros(50)], 1)  # fmt: skip
    families = families_from_data(COLUMNS, x, np.ones_like(x))
    assert sorted(i for indices, _ in families for i in indices) == list(range(len(COLUMNS)))
    for indices, family in families:
        columns = [COLUMNS[i] for i in indices]
        size = type(family).num_raw(columns[0])
        assert {type(family).num_raw(c) for c in columns} == {size}
        unchanged = family.from_unconstrained(jnp.zeros((len(indices), size)))
        assert jax.tree.map(jnp.shape, unchanged) == jax.tree.map(jnp.shape, family)
        np.testing.assert_allclose(family.mean(), x[:, list(indices)].mean(0), rtol=0.2, atol=0.2)
        row = jnp.asarray(x[0, list(indices)])
        assert jnp.isfinite(jax.jit(lambda f, row: f.log_prob(row))(family, row)).all()
