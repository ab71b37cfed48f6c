"""Log-probabilities of rows, and how unusual they are."""

from typing import Any

import numpy as np

from pofx.core.abstract_approximate import AbstractImportanceSampled
from pofx.core.answer import Answer
from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows
from pofx.named.independence import with_note_if_ignored
from pofx.named.model import NamedModel, check_positive_int
from pofx.named.random_keys import key_of
from pofx.named.rows import encode_rows
from pofx.named.seed_averaging import averaged_over_seeds
from pofx.named.weight_warnings import warn_about_weights, warn_if_unreliable
from pofx.queries import density, expected_cost, weight_diagnostics
from pofx.table.encoding import Unseen, log_scale


@in_model_width
def log_prob(p: NamedModel, data: Any, unseen: Unseen) -> Answer:
    """log p(x_O) of each row in nats, in the units of the data."""
    x = encode_rows(p, data, unseen)
    free = p.entries.free
    log_units = log_scale(p.schema, x)[:, free]
    x = x[:, free]
    answer = _log_prob_of_entries(p, x) - np.where(np.isnan(x), 0, log_units).sum(1)
    observed = np.asarray((~np.isnan(x)).any(0))
    names = [name for name in p.schema.names if observed[p.entries.mask_free([name])].any()]
    return with_note_if_ignored(p, answer, names)


@in_model_width
@averaged_over_seeds
def tail_probability(
    p: NamedModel, data: Any, reference: Any, unseen: Unseen, draws: int, seed: int
) -> Answer:
    """P(log p(X) <= log p(x)) of each row x, for draws X of the model or rows of `reference`."""
    check_positive_int("draws", draws)
    x = encode_rows(p, data, unseen)[:, p.entries.free]
    warn_if_unreliable(p, x)
    return tail_probability_of_entries(p, x, reference, unseen, draws, seed)


def tail_probability_of_entries(
    p: NamedModel, x: np.ndarray, reference: Any, unseen: Unseen, draws: int, *seed: int
) -> Answer:
    """`tail_probability` of the free entries of rows."""
    key = key_of(*seed)
    if reference is None:
        return expected_cost.tail_probability(key, p.model, make_rows(x), draws)
    reference_rows = make_rows(encode_rows(p, reference, unseen)[:, p.entries.free])
    return expected_cost.tail_probability(key, p.model, make_rows(x), reference=reference_rows)


def _log_prob_of_entries(p: NamedModel, x: np.ndarray) -> Answer:
    if isinstance(p.model, AbstractImportanceSampled):
        diagnostics = weight_diagnostics.diagnose_weights(p.model, make_rows(x))
        warn_about_weights(p, diagnostics)
        return diagnostics.answer
    # A conditional computes p(evidence) too.
    warn_if_unreliable(p, np.vstack([np.full_like(x[:1], np.nan), x]))
    return _closed_form_log_prob(p, x)


@averaged_over_seeds
def _closed_form_log_prob(p: NamedModel, x: np.ndarray) -> Answer:
    return Answer(density.log_prob(p.model, make_rows(x)), method="closed form", unit="nats")
