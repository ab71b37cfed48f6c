"""The examples run, small, and do what they say."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_odd_transactions_are_found_with_their_reasons(capsys):
    found, made = example("odd_transactions").main(1500)
    assert made == 6
    assert found >= 4
    assert "km: -" in capsys.readouterr().out


def test_a_survey_is_completed_with_honest_uncertainty():
    value, error, truth = example("survey").main(600, tables=8)
    assert abs(value - truth) < 3 * error
    assert error < 0.04 * truth


def test_a_generative_classifier_copes_with_lost_sensors():
    accuracy = example("lost_sensors").main(600)
    assert accuracy[0.0][0] > 0.97
    assert all(ours > theirs for ours, theirs in accuracy.values())


def test_synthetic_rows_are_no_copies():
    from palmerpenguins import load_penguins

    told = example("synthetic_data").main(load_penguins(), "mixture", components=6)
    assert told["synthetic nearer to training rows"] < 0.55
    assert told["copies of training rows nearer"] > 0.95
    assert told["told apart, synthetic from held out"] < 0.75
