"""What rows say about the hidden variables of a model, and tables of numbers."""

from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows
from pofx.named.model import NamedModel
from pofx.named.rows import encode_rows
from pofx.queries import latent as latent_query
from pofx.table.encoding import Unseen, decode
from pofx.table.schema import Schema, Variable

PLAIN_NUMBER = Variable("", "real", dtype="float64")


@in_model_width
def latent(p: NamedModel, data: Any, unseen: Unseen) -> Any:
    """Expectations of the hidden variables given each row, one column for each."""
    if p.evidence:
        raise PofxError("latent: expected a distribution without evidence; pass it as cells")
    x = encode_rows(p, data, unseen)[:, p.entries.free]
    expectations = latent_query.latent(p.model, make_rows(x))
    if expectations is None:
        raise PofxError(
            f"latent: {type(p.model).__name__} has no hidden variables; these have: "
            "mixture, ppca, factor_analysis, latent_tree, vae"
        )
    places = [(name, i) for name, v in expectations.items() for i in np.ndindex(v.shape[1:])]
    names = [name + "_".join(map(str, i)) for name, i in places]
    values = np.stack([expectations[name][:, *i] for name, i in places], axis=1)
    return number_table(p, names, values, data)


def number_table(
    p: NamedModel, names: list[str], entries: np.ndarray, like: Any, unit: Variable = PLAIN_NUMBER
) -> Any:
    """Columns of numbers, of the kind of data that was learned from, with the index of `like`."""
    container = "numpy" if p.schema.container == "vector" else p.schema.container
    schema = Schema(tuple(replace(unit, name=name) for name in names), container)
    return decode(schema, entries, index=like)
