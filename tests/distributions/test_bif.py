"""Bayesian networks in the interchange format."""

import numpy as np
import pytest

import pofx

from .test_definition import ASIA, NAMES

ALARM = """
// The part of ALARM about the left ventricle (Beinlich et al. 1989).
network alarm { property "a part of it" ; }
variable HYPOVOLEMIA { type discrete [ 2 ] { TRUE, FALSE }; }
variable LVFAILURE { type discrete [ 2 ] { TRUE, FALSE }; }
variable HISTORY { type discrete [ 2 ] { TRUE, FALSE }; property position = (1, 2) ; }
variable LVEDVOLUME { type discrete [ 3 ] { LOW, NORMAL, HIGH }; }
variable CVP { type discrete [ 3 ] { LOW, NORMAL, HIGH }; }
probability ( CVP | LVEDVOLUME ) {
  (LOW) 0.95, 0.04, 0.01;
  (NORMAL) 0.04, 0.95, 0.01;
  (HIGH) 0.01, 0.29, 0.70;
}
probability ( HISTORY | LVFAILURE ) { (TRUE) 0.9, 0.1; (FALSE) 0.01, 0.99; }
probability ( HYPOVOLEMIA ) { table 0.2, 0.8; }
probability ( LVFAILURE ) { table 0.05, 0.95; }
probability ( LVEDVOLUME | HYPOVOLEMIA, LVFAILURE ) {
  (TRUE, TRUE) 0.95, 0.04, 0.01;
  (FALSE, TRUE) 0.98, 0.01, 0.01;
  (TRUE, FALSE) 0.01, 0.09, 0.90;
  default 0.05, 0.90, 0.05;
}
"""


def written(tmp_path, text):
    path = tmp_path / "network.bif"
    path.write_text(text)
    return path


def test_a_network_is_its_formula(tmp_path):
    p = pofx.read_bif(written(tmp_path, ALARM))
    cvp = np.array([[0.95, 0.04, 0.01], [0.04, 0.95, 0.01], [0.01, 0.29, 0.70]])
    volume = np.array(
        [[[0.95, 0.04, 0.01], [0.01, 0.09, 0.9]], [[0.98, 0.01, 0.01], [0.05, 0.9, 0.05]]]
    )
    expected = np.einsum("h,l,hlv,vc->c", [0.2, 0.8], [0.05, 0.95], volume, cvp)
    computed = [float(p.ask(f"P(CVP = {level})")) for level in ("LOW", "NORMAL", "HIGH")]
    np.testing.assert_allclose(computed, expected, rtol=1e-12)
    joint = np.einsum("h,l,hlv,vc->lc", [0.2, 0.8], [0.05, 0.95], volume, cvp)
    failure = p.ask("P(LVFAILURE = TRUE | CVP = HIGH)")
    assert float(failure) == pytest.approx(joint[0, 2] / joint[:, 2].sum(), rel=1e-12)


def test_what_is_written_is_read_again(tmp_path):
    p = pofx.define(ASIA)
    pofx.write_bif(p, tmp_path / "asia.bif")
    q = pofx.read_bif(tmp_path / "asia.bif")
    assert set(q.schema.names) == set(NAMES)
    rows = p.sample(50)
    np.testing.assert_allclose(q.log_prob(rows).value, p.log_prob(rows).value, rtol=1e-12)
    names = pofx.pmf(np.full((2, 2), 0.25), {"a b": ["x, y", "z"], "c": ["1", "2"]})
    pofx.write_bif(names, tmp_path / "names.bif")
    assert pofx.read_bif(tmp_path / "names.bif").schema.variable("a b").levels == ("x, y", "z")


def test_a_table_of_all_numbers_has_its_own_levels_slowest(tmp_path):
    text = """
    variable a { type discrete [ 2 ] { no, yes }; }
    variable b { type discrete [ 3 ] { x, y, z }; }
    probability ( a ) { table 0.5, 0.5; }
    probability ( b | a ) { table 0.2, 0.1, 0.3, 0.1, 0.5, 0.8; }
    """
    p = pofx.read_bif(written(tmp_path, text))
    assert float(p.ask("P(b = x | a = no)")) == pytest.approx(0.2)
    assert float(p.ask("P(b = z | a = yes)")) == pytest.approx(0.8)


HEAD = "variable a { type discrete [ 2 ] { no, yes }; }\n"
MISTAKES = {
    "variable a": "line 1: not the format",
    HEAD + "probability ( a ) { table 0.5, 0.6; }": "of a: expected a sum of 1, got 1.1",
    HEAD + "probability ( a ) { table 0.5; }": "probability of a: expected 2 numbers, got 1",
    HEAD + "probability ( a | b ) { table 0.5, 0.5; }": "probability of a: no variable 'b'",
    HEAD + "probability ( a | a ) { default 0.5, 0.5; }": "a cycle",
    HEAD + "probability ( a ) { }": "some levels of its parents have no probabilities",
    HEAD.replace("2", "3"): "variable a: expected 3 levels, got 2",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_clear_line(tmp_path, text):
    with pytest.raises(pofx.PofxError, match="network.bif: .*" + MISTAKES[text]) as raised:
        pofx.read_bif(written(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_other_models_are_not_written(tmp_path):
    with pytest.raises(pofx.PofxError, match="expected a network of levels"):
        pofx.write_bif(pofx.normal(), tmp_path / "a.bif")
    assert not (tmp_path / "a.bif").exists()
