"""Which entries of a row belong to which column, and which of them are still random."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.answer import Answer
from pofx.core.column import Column
from pofx.core.rows import make_rows
from pofx.queries import density
from pofx.table.encoding import log_scale
from pofx.table.schema import Schema


@dataclass(frozen=True, eq=False)
class Entries:
    """The entries of a row, of which a model describes the free ones.

    Args:
        schema: the columns.
        fixed: the entries of partly given arrays; NaN for a free entry.
    """

    schema: Schema
    fixed: np.ndarray

    @cached_property
    def free(self) -> np.ndarray:
        """Which entries are random."""
        return np.isnan(self.fixed)

    @cached_property
    def columns(self) -> list[Column]:
        """The column of each free entry."""
        return [c for c, free in zip(self.schema.columns, self.free) if free]

    def mask_all(self, names: Sequence[str]) -> np.ndarray:
        """A mask over all entries; PofxError for an unknown name."""
        mask = np.zeros(self.schema.size, bool)
        for name in names:
            self.schema.variable(name)
            mask[self.schema.slices[name]] = True
        return mask

    def mask_free(self, names: Sequence[str]) -> np.ndarray:
        """A mask over the free entries; PofxError for an unknown name."""
        return self.mask_all(names)[self.free]

    def with_fixed(self, free: np.ndarray) -> np.ndarray:
        """Rows of free entries with the fixed ones put back."""
        out = np.tile(self.fixed, (len(free), 1))
        out[:, self.free] = free
        return out

    def entropy_unit_offset(self, model: AbstractQueryable, mask: np.ndarray) -> Answer:
        """What the units of the data add to the differential entropy of free entries, in nats.

        H(s x + t) = H(x) + log s for the continuous part of a column; a point mass adds nothing.
        """
        total = 0.0
        scales = log_scale(self.schema, np.full((1, self.schema.size), np.pi))[0, self.free]
        for j in np.flatnonzero(mask & (scales != 0)):
            at_spikes = np.full((len(self.columns[j].spikes), model.size), np.nan)
            at_spikes[:, j] = self.columns[j].spikes
            smooth = 1.0
            if len(at_spikes):
                smooth -= np.exp(density.log_prob(model, make_rows(at_spikes))).sum()
            total += smooth * scales[j]
        return Answer(float(total), unit="nats")
