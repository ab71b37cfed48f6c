"""The table of models, and the page that shows it."""

from pathlib import Path

import pytest

from pofx.core.abstract import AbstractLearnable, AbstractTractable
from pofx.core.registry import discover
from pofx.fitting.model_table import HEADINGS, markdown, model_properties

PAGE = Path(__file__).parents[2] / "docs" / "taxonomy.md"


def test_every_model_that_can_be_fitted_stands_there_once():
    names = [properties.model.strip("`") for properties in model_properties()]
    assert sorted(names) == sorted(discover("pofx.models", AbstractLearnable))


def test_exact_is_said_of_exact_models_only():
    classes = discover("pofx.models", AbstractLearnable)
    for properties in model_properties():
        exact = issubclass(classes[properties.model.strip("`")], AbstractTractable)
        assert (properties.marginals == "exact") == exact


def test_the_page_is_true():
    if not PAGE.exists():
        pytest.skip("without the repository")
    assert markdown() in PAGE.read_text(), "write docs/taxonomy.md anew: `pofx models --table`"
    assert all(len(line.split(" | ")) == len(HEADINGS) for line in markdown().splitlines())
