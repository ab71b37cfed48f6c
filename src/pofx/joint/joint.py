"""The named distribution that users hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pofx.core import html
from pofx.core.abstract_approximate import Estimated
from pofx.core.answer import Answer
from pofx.core.errors import PofxError, warn
from pofx.core.escaping import escaped
from pofx.core.float_width import in_model_width
from pofx.core.rows import rows
from pofx.joint import model_file
from pofx.models.conditional import condition
from pofx.named.independence import HINT, UNRELATED
from pofx.named.information import Informs
from pofx.named.memory_limits import check_room
from pofx.named.model import at_least_one
from pofx.named.prediction import Decides
from pofx.named.random_keys import key_of
from pofx.named.seed_averaging import of_estimates, replicated
from pofx.queries import density, imputation, weight_diagnostics
from pofx.queries.latent import latent
from pofx.table.encoding import Unseen, decode, encode_values, log_scale


class Joint(Informs, Decides):
    """A probability distribution over the variables of a table, by name.

    `schema` says what the variables are, `model` is the distribution of their free entries, and
    `fixed` holds the entries of partly given arrays (NaN: free). `fit` tells how it was learned.
    Log-probabilities are in nats and in the data's own units: densities with respect to Lebesgue
    measure for real and positive columns, counting measure for discrete ones, counts and spikes.
    Methods never change it.
    """

    # -- densities and draws

    @in_model_width
    def log_prob(self, data: Any, *, unseen: Unseen = "error") -> Answer:
        """log p(x_O) of each row: missing cells are integrated out.

        An `Answer` that holds an array of shape (n,), in nats. A level never seen is an error, as
        is a number outside of its kind's support; with unseen="missing" they are missing cells.
        """
        x = self._read(data, unseen)
        scale = log_scale(self.schema, x)[:, self.entries.free]
        x = x[:, self.entries.free]
        answer = self._log_probs(x) - np.where(np.isnan(x), 0, scale).sum(1)
        seen, mask = np.asarray((~np.isnan(x)).any(0)), self.entries.mask
        return self._noted(answer, [n for n in self.schema.names if seen[mask([n])].any()])

    @in_model_width
    def sample(self, n: int = 1, *, seed: int = 0) -> Any:
        """n new rows, of the kind of data that was learned from.

        Raises PofxError at once for more rows than the memory has room for.
        """
        at_least_one("n", n)
        check_room("n", n, self.schema.size)
        if self._ignores(self.schema.names):
            warn(f"sample: what is drawn is {UNRELATED}; {HINT}")
        draws = self._complete(np.full((n, self.model.size), np.nan), seed)
        return decode(self.schema, self.entries.whole(draws))

    # -- other distributions

    @in_model_width
    def given(self, evidence: Mapping[str, Any] | None = None, /, **values: Any) -> "Joint":
        """p(rest | evidence), by names and values; a missing value (None, NaN) is no evidence.

        Of an array the entries that are not NaN are given, and the others stay in play. Raises
        PofxError for evidence of probability zero.
        """
        values = {**(evidence or {}), **values}
        for name in values:
            known = [e for e in self.evidence if e.startswith(f"{name} = ")]
            if known and name not in self.schema.names:
                raise PofxError(f"given: {name!r} is given already: {known[0]}")
        x = encode_values(self.schema, values)
        if (x != self.fixed)[~np.isnan(x) & ~self.entries.free].any():
            raise PofxError(f"given: {_told(values)} contradicts the evidence given before")
        observed = ~np.isnan(x) & self.entries.free
        if not observed.any():
            return self
        keep = (self.entries.free & ~observed)[self.entries.free]
        if not keep.any():
            raise PofxError("given: nothing is left to be random; use log_prob for its probability")
        one = rows(np.where(observed, x, np.nan)[None, self.entries.free])
        if not density.log_prob(self.model, one)[0] > -np.inf:
            raise PofxError(f"given: the evidence {_told(values)} has probability zero")
        model = condition(self.model, x[self.entries.free], observed[self.entries.free], keep)
        unrelated = self._unrelated_to(observed[self.entries.free])
        fixed = np.where(observed, x, self.fixed)
        parts = self.schema.slices
        names = [n for n in self.schema.names if np.isnan(fixed[parts[n]]).any()]
        told = tuple(f"{k} = {_brief(v)}" for k, v in values.items() if v is not None)
        return self._on(model, names, fixed, self.evidence + told, unrelated)

    @in_model_width
    def marginal(self, *names: str) -> "Joint":
        """p(names), the other variables integrated out."""
        if not names:
            raise PofxError("marginal: wanted at least one column")
        entries = self.entries.of(names)
        keep = entries[self.entries.free]
        nothing = np.zeros(self.model.size, bool)
        model = condition(self.model, np.zeros(self.model.size), nothing, keep)
        ordered = [n for n in self.schema.names if n in names]
        return self._on(model, ordered, self.fixed, self.evidence, self.unrelated)

    # -- Bayes' rule and missing cells

    @in_model_width
    def impute(
        self, data: Any, *, draws: int | None = None, unseen: Unseen = "missing", seed: int = 0
    ) -> Any:
        """The data with missing cells filled in.

        By default with one guess a cell: the conditional mean of a number (over 100 draws where it
        has no closed form), or the most probable level. With `draws=m`, a list of m tables, each
        cell a draw from p(x_M | x_O): what to use where the uncertainty matters (Rubin 1987).
        """
        free = self._read(data, unseen)[:, self.entries.free]
        self._warn_of_unrelated("impute", free)
        if draws is None:
            return decode(self.schema, self.entries.whole(self._expect(free, 100, seed)), like=data)
        at_least_one("draws", draws)
        check_room("draws", draws, len(free) * self.schema.size)
        return [
            decode(self.schema, self.entries.whole(self._complete(free, seed, i)), like=data)
            for i in range(draws)
        ]

    @in_model_width
    def complete(self, data: Any, *, unseen: Unseen = "missing") -> Any:
        """The data with missing cells at their most probable values together.

        argmax over x_M, and the hidden categories z of the model, of p(x_M, z | x_O): one whole
        row that hangs together, where `impute` guesses cell by cell. For trees by max-product
        messages, for mixtures over all components. Raises PofxError where columns have been
        integrated out or the model knows no such row.

        >>> import pofx
        >>> p = pofx.fit({"a": [0, 1] * 10, "b": [0, 1] * 10}, "chow_liu_tree")
        >>> {k: v.tolist() for k, v in p.complete({"a": [1.0], "b": [None]}).items()}
        {'a': [1], 'b': [1]}
        """
        free = self._read(data, unseen)[:, self.entries.free]
        found = imputation.completion(self.model, rows(free))
        if found is None:
            raise PofxError(
                f"complete: {type(self.model).__name__} knows no most probable completion; "
                "pass the evidence as cells to the distribution of all columns, or use impute"
            )
        self._warn_of_unrelated("complete", free)
        return decode(self.schema, self.entries.whole(found[0]), like=data)

    @in_model_width
    def latent(self, data: Any, *, unseen: Unseen = "error") -> Any:
        """What each row says of the model's hidden variables, whatever of it is missing.

        Of a mixture the responsibilities p(k | x_O), columns component0, component1, ...; of PPCA
        and factor analysis the factor scores E[z | x_O], factor0, ...; of a latent tree p(s_j |
        x_O) of the state behind each entry j, state0_0, ...; of a variational autoencoder the mean
        of q(z | x_O), latent0, .... Columns of the kind of data that was learned from; an array for
        an array. Raises PofxError for other models, and where evidence was given.

        >>> import pofx
        >>> p = pofx.fit({"x": [0.0, 0.1, 0.2, 5.0, 5.1, 5.2]}, "mixture", components=2)
        >>> sorted(values.round().item() for values in p.latent({"x": [0.1]}).values())
        [0.0, 1.0]
        """
        if self.evidence:
            raise PofxError("latent: wanted a distribution without evidence; pass it as cells")
        found = latent(self.model, rows(self._read(data, unseen)[:, self.entries.free]))
        if found is None:
            raise PofxError(
                f"latent: {type(self.model).__name__} has no hidden variables to tell; these have: "
                "mixture, ppca, factor_analysis, latent_tree, vae"
            )
        places = [(name, place) for name, v in found.items() for place in np.ndindex(v.shape[1:])]
        names = [name + "_".join(map(str, place)) for name, place in places]
        values = np.stack([found[name][:, *place] for name, place in places], axis=1)
        return self._numbers(names, values, data)

    # -- questions in the notation of textbooks

    def ask(
        self,
        text: str,
        /,
        *,
        unit: str = "nats",
        stderr: float | None = None,
        max_draws: int | None = None,
        seed: int = 0,
        **others: "Joint",
    ) -> Any:
        """The answer to a question such as "P(a > 3 | b = x)", "E[a | b = x]" or "I(a; b | c)".

        An `Answer`, or a table of them where names are left free; `docs/notation.md` is the
        reference. `unit` is that of information; `others` are distributions by the names that a
        divergence gives them: p.ask("KL(p || q)", q=q). Raises `NotationError`, with the text and a
        caret under the place, for what cannot be read or answered.

        >>> import pofx
        >>> p = pofx.fit({"a": ["x", "y"] * 10, "b": [0, 1] * 10}, "chain", on="a")
        >>> print(p.ask("H(a)", unit="bits"))
        H(a) = 1 bits   exact, by enumeration
        """
        from pofx.ask.ask import ask

        if "p" in others:
            raise PofxError("p: wanted another name, p is the distribution that is asked")
        request = {"seed": seed, "stderr": stderr, "max_draws": max_draws, "unit": unit}

        def put(own: Joint, *more: Joint) -> Any:
            return ask(own, text, {"p": own, **dict(zip(others, more))}, **request)

        return replicated(put, self, *others.values())

    # -- files

    def save(self, path: str | Path) -> None:
        """Writes a model file: arrays and a JSON header, whole or not at all."""
        model_file.save(path, self.model, self._header())

    def _header(self) -> dict[str, Any]:
        return {
            "schema": self.schema.to_json(),
            "fixed": [None if np.isnan(v) else float(v) for v in self.fixed],
            "evidence": list(self.evidence),
            "fit": dict(self.fit),
            **({} if self.unrelated is None else {"unrelated": list(self.unrelated)}),
        }

    def __repr__(self) -> str:
        bar = f" | {', '.join(self.evidence)}" if self.evidence else ""
        return escaped(f"p({', '.join(self.schema.names)}{bar})  {type(self.model).__name__}")

    def _repr_html_(self) -> str:
        return html.text(repr(self)) + self.report()._repr_html_() + self.schema._repr_html_()

    def _on(self, model, names, fixed, evidence, unrelated) -> "Joint":
        entries = self.entries.of(names)
        parts, schema = self.schema.slices, self.schema
        first = {v.name: fixed[parts[v.name]][0] for v in schema.variables if not v.shape}
        given = {schema.variable(n): entry for n, entry in first.items() if not np.isnan(entry)}
        known = {
            v.name: float(v.levels[int(e)] if v.discrete else e * v.scale + v.shift)
            for v, e in given.items()
            if v.numeric
        }
        levels = {v.name: int(e) for v, e in given.items() if v.discrete}
        if unrelated is not None:
            unrelated = tuple(name for name in names if name in unrelated)
        schema = schema.select(names, known, levels)
        return Joint(model, schema, fixed[entries], evidence, self.fit, unrelated)

    def _log_probs(self, free: np.ndarray) -> Answer:
        if isinstance(self.model, Estimated):
            own = weight_diagnostics.reliability(self.model, rows(free))
            self._doubt(own)
            return own.answer
        # Of a conditional p(evidence) is asked for too.
        self._check(np.vstack([np.full_like(free[:1], np.nan), free]))
        return self._exactly(free)

    @of_estimates
    def _exactly(self, free: np.ndarray) -> Answer:
        return Answer(density.log_prob(self.model, rows(free)), how="closed form", unit="nats")

    def _complete(self, free: np.ndarray, *seed: int) -> np.ndarray:
        self._check(free)
        return imputation.complete(key_of(*seed), self.model, rows(free))

    def _expect(self, free: np.ndarray, draws: int, seed: int) -> np.ndarray:
        self._check(free)
        return imputation.expect(key_of(seed), self.model, rows(free), self.entries.columns, draws)


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={_brief(v)}" for k, v in values.items() if v is not None)


def _brief(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else f"array of shape {np.shape(value)}"
