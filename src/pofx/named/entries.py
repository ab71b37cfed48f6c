"""Names of variables to entries of rows, and what of them is still random."""

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
    """The entries of a schema: `fixed` holds those of partly given arrays, NaN where free.

    A model is over the free ones; masks that are asked for are over those too.
    """

    schema: Schema
    fixed: np.ndarray

    @cached_property
    def free(self) -> np.ndarray:
        """Which entries are random."""
        return np.isnan(self.fixed)

    @cached_property
    def columns(self) -> list[Column]:
        """What each free entry holds."""
        return [c for c, free in zip(self.schema.columns, self.free) if free]

    def of(self, names: Sequence[str]) -> np.ndarray:
        """A mask over all entries; PofxError for an unknown name."""
        mask = np.zeros(self.schema.size, bool)
        for name in names:
            self.schema.variable(name)
            mask[self.schema.slices[name]] = True
        return mask

    def mask(self, names: Sequence[str]) -> np.ndarray:
        """A mask over the free entries; PofxError for an unknown name."""
        return self.of(names)[self.free]

    def whole(self, free: np.ndarray) -> np.ndarray:
        """Rows of free entries with the fixed ones put back."""
        out = np.tile(self.fixed, (len(free), 1))
        out[:, self.free] = free
        return out

    def entropy_units(self, model: AbstractQueryable, asked: np.ndarray) -> Answer:
        """What the data's units add to the differential entropy of the asked free entries.

        H(sx + t) = H(x) + log s, which a point mass does not share.
        """
        total = 0.0
        scales = log_scale(self.schema, np.full((1, self.schema.size), np.pi))[0, self.free]
        for j in np.flatnonzero(asked & (scales != 0)):
            at_spikes = np.full((len(self.columns[j].spikes), model.size), np.nan)
            at_spikes[:, j] = self.columns[j].spikes
            smooth = 1.0
            if len(at_spikes):
                smooth -= np.exp(density.log_prob(model, make_rows(at_spikes))).sum()
            total += smooth * scales[j]
        return Answer(float(total), unit="nats")
