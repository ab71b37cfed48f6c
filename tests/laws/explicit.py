"""The exact models as explicit finite mixtures in extended precision, from their parameters.

The only function of pofx that is called is the decoder of a continuous mixture. A part of a mixture
is a normal block, of numbers or their logarithms, and columns that are independent given the part.
A tree has one part per joint state. Sums over a column enumerate its levels, counts and point
masses, and integrate its density by Gauss-Legendre quadrature.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import product
from typing import Any

import jax
import numpy as np
from scipy import special, stats

Real = np.longdouble
LOG_2PI = np.log(2 * Real("3.14159265358979323846264338327950288"))
NODES = 16
MAX_OUTER_STEPS = 400
"""Panels outside of that range, up to the end of an interval."""
REACH = 14
"""The range over which a density is integrated, in standard deviations on each side."""
TAIL = 1e-25
"""The probability of a count or a gamma variable that is left out on each side."""


def wide(a: Any) -> np.ndarray:
    """An array in extended precision."""
    return np.asarray(np.asarray(a, np.float64), Real)


def logsumexp(a: np.ndarray, axis: int = -1) -> np.ndarray:
    """log Σ exp a, in extended precision."""
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(a - top).sum(axis)) + np.squeeze(top, axis)


def log_normalised(logits: Any, axis: int = -1) -> np.ndarray:
    """Log-weights, normalised so that the weights sum to one."""
    logits = wide(logits)
    return logits - np.expand_dims(logsumexp(logits, axis), axis)


def cholesky(a: np.ndarray) -> np.ndarray:
    """The lower Cholesky factor in extended precision, which LAPACK does not have."""
    lower = np.zeros_like(a)
    for j in range(len(a)):
        lower[j, j] = np.sqrt(a[j, j] - lower[j, :j] @ lower[j, :j])
        for i in range(j + 1, len(a)):
            lower[i, j] = (a[i, j] - lower[i, :j] @ lower[j, :j]) / lower[j, j]
    return lower


def forward(lower: np.ndarray, b: np.ndarray) -> np.ndarray:
    """lower⁻¹ b, for one column or many."""
    out = np.zeros((len(lower), *b.shape[1:]), Real)
    for i in range(len(lower)):
        out[i] = (b[i] - np.tensordot(lower[i, :i], out[:i], 1)) / lower[i, i]
    return out


@dataclass(frozen=True, eq=False)
class Law:
    """The distribution of one column: point masses, and a density of share exp(log_share).

    `family` is a density of scipy, or None for a normal density with mean `centre` and standard
    deviation `spread`. With `logs` it is the density of the logarithm. `counts` is scipy's
    distribution of the counts beyond the points.
    """

    points: np.ndarray = field(default_factory=lambda: np.zeros(0, Real))
    log_mass: np.ndarray = field(default_factory=lambda: np.zeros(0, Real))
    log_share: Any = -np.inf
    centre: Any = 0.0
    spread: Any = 1.0
    logs: bool = False
    family: Any = None
    counts: Any = None

    def log_value(self, x: np.ndarray) -> np.ndarray:
        """The log-mass if x is a point mass, else the log-density."""
        out = self.log_density(x)
        for point, mass in zip(self.points, self.log_mass):
            # Models may hold spikes and entries in float32.
            out = np.where(np.float32(x) == np.float32(point), mass, out)
        if self.counts is not None:
            out = np.where(x > self.points[-1], self.counts.logpmf(np.asarray(x, float)), out)
        return out

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """The log-density of the smooth part."""
        if self.log_share == -np.inf:
            return np.full(np.shape(x), -np.inf, Real)
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log(x) if self.logs else x
        if self.family is not None:
            with np.errstate(divide="ignore", over="ignore"):
                return self.log_share + wide(self.family.logpdf(np.asarray(x, np.float64)))
        z = (y - self.centre) / self.spread
        log_p = -z * z / 2 - LOG_2PI / 2 - np.log(self.spread) - (y if self.logs else 0)
        return self.log_share + np.where(np.isnan(log_p), -np.inf, log_p)

    def edges(self) -> np.ndarray:
        """Ends of panels of x (of log x with `logs`) over which its density is smooth."""
        if self.log_share == -np.inf:
            return np.zeros(0, Real)
        if self.family is None:
            return self.centre + self.spread * wide(np.arange(-REACH, REACH + 1))
        shape, scale = self.family.args[0], self.family.kwds["scale"]
        low = (np.log(TAIL) + special.gammaln(shape + 1)) / shape + np.log(scale)
        high = np.log(self.family.isf(TAIL))
        return wide(np.linspace(low, high, 80))


def number(a: Any) -> Any:
    return wide(a)[()]


def law_of(family: Any, i: int) -> Law:
    """Column i of a family of pofx."""
    one = jax.tree.map(lambda a: np.asarray(a, np.float64)[i], family)
    match type(family).__name__:
        case "Normal":
            return Law(log_share=Real(0), centre=number(one.centre), spread=_root(one.dispersion))
        case "LogNormal":
            log = one.log
            spread = _root(log.dispersion)
            return Law(log_share=Real(0), centre=number(log.centre), spread=spread, logs=True)
        case "Gamma":
            law = stats.gamma(float(one.shape), scale=1 / float(one.rate))
            return Law(log_share=Real(0), logs=True, family=law)
        case "Poisson":
            return _counted(stats.poisson(float(one.rate)))
        case "NegativeBinomial":
            r, m = float(one.size), float(one.rate)
            return _counted(stats.nbinom(r, r / (r + m)))
        case "Bernoulli":
            z = number(one.log_odds)
            return _levels(np.array([-np.logaddexp(Real(0), z), -np.logaddexp(Real(0), -z)]))
        case "Categorical":
            with np.errstate(divide="ignore"):
                return _levels(log_normalised(np.log(wide(one.probabilities))))
        case "Inflated":
            return _inflated(law_of(family.base, i), one)
    raise NotImplementedError(type(family).__name__)


def _root(variance: Any) -> Any:
    return np.sqrt(number(variance))


def _levels(log_mass: np.ndarray) -> Law:
    return Law(wide(np.arange(len(log_mass))), log_mass)


def _counted(law: Any) -> Law:
    top = law.isf(TAIL)
    # scipy inverts some tails so far out to NaN.
    top = int(top if np.isfinite(top) else law.mean() + 40 * law.std() + 100) + 2
    counts = np.arange(top + 1)
    return Law(wide(counts), log_normalised(law.logpmf(counts)), counts=law)


def _inflated(base: Law, one: Any) -> Law:
    with np.errstate(divide="ignore"):
        shares = log_normalised(np.log(wide(one.probabilities)))
    points, log_masses = wide(one.points), shares[:-1]
    if base.log_share > -np.inf:
        return Law(points, log_masses, shares[-1], base.centre, base.spread, base.logs, base.family)
    mass = base.log_mass + shares[-1]
    for point, more in zip(points, log_masses):
        mass = np.where(base.points == point, np.logaddexp(mass, more), mass)
    return Law(base.points, mass)


@dataclass(frozen=True, eq=False)
class Part:
    """One part of the mixture: a normal block at `place`, and the laws of the other columns."""

    log_weight: Any
    laws: Mapping[int, Law]
    place: tuple[int, ...] = ()
    logs: tuple[bool, ...] = ()
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0, Real))
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), Real))

    def log_prob(self, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """log p(x_O) of rows with the same observed columns."""
        total = np.zeros(len(x), Real)
        for j, law in self.laws.items():
            if seen[j]:
                total = total + law.log_value(x[:, j])
        observed = [i for i, j in enumerate(self.place) if seen[j]]
        if observed:
            y, volume = self._outward(x, observed)
            lower = cholesky(self.covariance[np.ix_(observed, observed)])
            z = forward(lower, y.T - self.mean[observed][:, None])
            total = total - (z * z).sum(0) / 2 - len(observed) * LOG_2PI / 2 - volume
            total = total - np.log(np.diag(lower)).sum()
        return total

    def _outward(self, x: np.ndarray, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        y = x[:, [self.place[i] for i in indices]].copy()
        volume = np.zeros(len(x), Real)
        for at, i in enumerate(indices):
            if self.logs[i]:
                y[:, at] = np.log(y[:, at])
                volume = volume + y[:, at]
        return y, volume

    def law(self, j: int, x: np.ndarray, seen: np.ndarray) -> Law:
        """p(x_j | x_O) in this part."""
        if j in self.laws:
            return self.laws[j]
        i = self.place.index(j)
        observed = [k for k, at in enumerate(self.place) if seen[at] and at != j]
        centre, variance = self.mean[i], self.covariance[i, i]
        if observed:
            y, _ = self._outward(x[None], observed)
            lower = cholesky(self.covariance[np.ix_(observed, observed)])
            half = forward(lower, self.covariance[observed, i])
            centre = centre + half @ forward(lower, y[0] - self.mean[observed])
            variance = variance - half @ half
        return Law(log_share=Real(0), centre=centre, spread=np.sqrt(variance), logs=self.logs[i])


@dataclass(frozen=True)
class Grid:
    """Values of one column with their probabilities: point masses and quadrature nodes."""

    x: np.ndarray
    p: np.ndarray
    log_density: np.ndarray

    def inside(self, low: float, high: float) -> Any:
        """P(low < X <= high); the grid must have been made with these ends as breaks."""
        return self.p[(self.x > low) & (self.x <= high)].sum()

    def mean(self) -> Any:
        """E[X]."""
        return self.p @ self.x

    def variance(self) -> Any:
        """Var[X]."""
        return self.p @ (self.x - self.mean()) ** 2

    def entropy(self) -> Any:
        """-E log p(X)."""
        positive = self.p > 0
        return -self.p[positive] @ self.log_density[positive]


@dataclass(frozen=True, eq=False)
class Explicit:
    """p(x) = Σ_k w_k p_k(x) of `size` columns, in the units of the model's entries."""

    parts: Sequence[Part]
    size: int

    @cached_property
    def _log_weights(self) -> np.ndarray:
        return log_normalised(np.array([part.log_weight for part in self.parts]))

    def joint(self, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """log p(k, x_O), (n, K)."""
        each = [part.log_prob(wide(x), seen) for part in self.parts]
        return self._log_weights + np.stack(each, 1)

    def log_prob(self, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """log p(x_O) of each row."""
        return logsumexp(self.joint(x, seen))

    def column(self, j: int, x: np.ndarray, seen: np.ndarray, breaks: Iterable[float] = ()) -> Grid:
        """p(x_j | x_O), by enumeration and quadrature of the joint density."""
        seen = seen.copy()
        seen[j] = False
        share = self.joint(x[None], seen)[0]
        share = share - logsumexp(share)
        laws: dict[int, tuple[Law, Any]] = {}
        for part, weight in zip(self.parts, share):
            if weight < -200:
                continue
            law = part.law(j, wide(x), seen)
            known = laws.get(id(law), (law, -np.inf))[1]
            laws[id(law)] = law, np.logaddexp(known, weight)
        return grid([law for law, _ in laws.values()], [w for _, w in laws.values()], breaks)

    def box(self, x: np.ndarray, seen: np.ndarray, event: Mapping[int, tuple]) -> Any:
        """p(x_O, each x_j of the event in (low, high])."""
        joint, known = self.joint(x[None], seen)[0], {}
        total = Real(0)
        for part, weight in zip(self.parts, joint):
            inside = np.exp(weight)
            for j, (low, high) in event.items():
                law = part.law(j, wide(x), seen)
                key = id(law), j
                if key not in known:
                    known[key] = law, grid([law], [Real(0)], (low, high)).inside(low, high)
                inside = inside * known[key][1]
            total = total + inside
        return total


def grid(laws: Sequence[Law], shares: Sequence[Any], breaks: Iterable[float] = ()) -> Grid:
    """The mixture of laws of one column, as values and probabilities."""
    points = np.unique(np.concatenate([law.points for law in laws]))
    masses = [
        np.array([_mass(law, point) for point in points], Real).reshape(len(points)) for law in laws
    ]
    shares = np.array(shares, Real)
    x, p, log_p = [], [], []
    if len(points):
        log_mass = logsumexp(shares[:, None] + np.stack(masses), 0)
        x.append(points)
        p.append(np.exp(log_mass))
        log_p.append(log_mass)
    edges = np.unique(np.concatenate([law.edges() for law in laws]))
    if len(edges):
        logs = laws[0].logs
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.array([np.log(Real(b)) if logs else Real(b) for b in breaks])
        edges = _extended(edges, ends[np.isfinite(ends)])
        node, weight = map(wide, np.polynomial.legendre.leggauss(NODES))
        half = np.diff(edges)[:, None] / 2
        y = (edges[:-1, None] + half * (1 + node)).ravel()
        values = np.exp(y) if logs else y
        each = np.stack([law.log_density(values) for law in laws])
        log_density = logsumexp(shares[:, None] + each, 0)
        x.append(values)
        log_p.append(log_density)
        p.append((half * weight).ravel() * np.exp(log_density + (y if logs else 0)))
    return Grid(*map(np.concatenate, (x, p, log_p)))


def _extended(edges: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The edges of quadrature with these ends too, which may lie far outside of them."""
    more = [edges, ends]
    for end in ends:
        for edge, inner in ((edges[0], edges[1]), (edges[-1], edges[-2])):
            step = edge - inner
            count = int(np.ceil(2 * (end - edge) / step)) if abs(step) > 0 else 0
            if 0 < count <= MAX_OUTER_STEPS:
                more.append(np.linspace(edge, end, count, endpoint=False))
    return np.unique(np.concatenate(more))


def _mass(law: Law, point: Any) -> Any:
    at = np.flatnonzero(law.points == point)
    return law.log_mass[at[0]] if len(at) else Real(-np.inf)


def explicit(model: Any) -> Explicit:
    """The explicit form of a model of pofx. A new exact model must be added to `PARTS`."""
    parts = PARTS[type(model).__name__](model)
    return Explicit(parts, model.size)


def _weighted(log_weight: Any, part: Part, **changes: Any) -> Part:
    fields = {name: getattr(part, name) for name in part.__dataclass_fields__}
    return Part(**{**fields, "log_weight": part.log_weight + log_weight, **changes})


def _normal(mean: Any, covariance: Any) -> list[Part]:
    d = len(np.asarray(mean))
    mean = np.asarray(mean, Real)
    return [Part(Real(0), {}, tuple(range(d)), (False,) * d, mean, covariance)]


def _gaussian(p: Any) -> list[Part]:
    return _normal(p.mean, wide(p.covariance))


def _factors(p: Any) -> list[Part]:
    loading = wide(p.loading)
    noise = np.diag(np.broadcast_to(wide(p.noise), len(loading)))
    return _normal(p.mean, loading @ loading.T + noise)


def _laws(p: Any) -> dict[int, Law]:
    return {
        j: law_of(family, i)
        for family, place in zip(p.groups, p.places)
        for i, j in enumerate(place)
    }


def _independent(p: Any) -> list[Part]:
    return [Part(Real(0), _laws(p))]


def _correlated(p: Any) -> list[Part]:
    others = [j for j in range(p.size) if j not in p.place]
    laws = {others[i]: law for i, law in _laws(p.independent).items()} if p.independent else {}
    normal = wide(p.normal.mean), wide(p.normal.covariance)
    return [Part(Real(0), laws, p.place, p.logs, *normal)]


def _slices(stacked: Any, count: int) -> list[list[Part]]:
    return [list(explicit(_one(stacked, k)).parts) for k in range(count)]


def _one(stacked: Any, k: int) -> Any:
    return jax.tree.map(lambda a: np.asarray(a)[k], stacked)


def _mixture(p: Any) -> list[Part]:
    weights = log_normalised(p.log_weights)
    inner = _slices(p.parts, len(weights))
    return [_weighted(w, part) for w, inner_parts in zip(weights, inner) for part in inner_parts]


def _chain(p: Any) -> list[Part]:
    weights = log_normalised(p.log_prior)
    parts = []
    for level, (w, inner_parts) in enumerate(zip(weights, _slices(p.parts, len(weights)))):
        point = Law(wide(np.arange(len(weights))), np.full(len(weights), -np.inf, Real))
        point.log_mass[level] = 0
        for part in inner_parts:
            laws = {j + (j >= p.on): law for j, law in part.laws.items()}
            place = tuple(j + (j >= p.on) for j in part.place)
            parts.append(_weighted(w, part, laws={**laws, p.on: point}, place=place))
    return parts


def _tree(p: Any) -> list[Part]:
    """One part per joint state of the nodes."""
    log_t, parents = wide(p.tree.log_transition), p.tree.parents
    place = {j: i for i, j in enumerate(p.hidden)}
    laws: list[list[Law]] = []
    emitted = []
    if p.emissions is not None:
        states = jax.tree.leaves(p.emissions)[0].shape[0]
        emitted = [_laws(_one(p.emissions, k)) for k in range(states)]
    for j, count in enumerate(p.levels):
        if j in place:
            laws.append([emitted[k][place[j]] for k in range(count)])
        else:
            with np.errstate(divide="ignore"):
                laws.append([_levels(np.log(wide(np.eye(count)[k]))) for k in range(count)])
    parts = []
    for states in product(*map(range, p.levels)):
        weight = Real(0)
        for j, parent in enumerate(parents):
            row = log_t[j, 0 if parent < 0 else states[parent], : p.levels[j]]
            weight = weight + (row - logsumexp(row))[states[j]]
        if weight > -200:
            parts.append(Part(weight, {j: laws[j][s] for j, s in enumerate(states)}))
    return parts


def _stack(p: Any) -> list[Part]:
    weights = log_normalised(p.log_weights)
    return [_weighted(w, part) for w, one in zip(weights, p.parts) for part in explicit(one).parts]


def _recoded(p: Any) -> list[Part]:
    """Normal columns in another order and other units: y_order[j] = slope_j x_j + offset_j."""
    (part,) = explicit(p.model).parts
    if part.laws or any(part.logs):
        raise NotImplementedError("other units of columns that are not normal")
    order, slope = list(p.order), wide(p.slope)
    mean = (part.mean[order] - wide(p.offset)) / slope
    return _normal(mean, part.covariance[np.ix_(order, order)] / np.outer(slope, slope))


def _both(one: Part, other: Part) -> Part:
    """Two parts of different columns that are independent of each other."""
    m, n = len(one.mean), len(other.mean)
    covariance = np.zeros((m + n, m + n), Real)
    covariance[:m, :m], covariance[m:, m:] = one.covariance, other.covariance
    return Part(
        one.log_weight + other.log_weight,
        {**one.laws, **other.laws},
        one.place + other.place,
        one.logs + other.logs,
        np.concatenate([one.mean, other.mean]),
        covariance,
    )


def _at(part: Part, place: Sequence[int]) -> Part:
    """The part with its columns at other indices."""
    laws = {place[j]: law for j, law in part.laws.items()}
    return _weighted(0, part, laws=laws, place=tuple(place[j] for j in part.place))


def _product(p: Any) -> list[Part]:
    blocks = [
        [_at(part, place) for part in explicit(block).parts]
        for block, place in zip(p.parts, p.places)
    ]
    return [reduce(_both, choice) for choice in product(*blocks)]


def _point(level: int, levels: int) -> Law:
    with np.errstate(divide="ignore"):
        return _levels(np.log(wide(np.eye(levels)[level])))


def _discrete_network(p: Any) -> list[Part]:
    """One part per joint level."""
    parts = []
    for x in product(*map(range, p.levels)):
        weight = Real(0)
        for j, (table, parents) in enumerate(zip(p.tables, p.parents)):
            row = wide(table)[tuple(x[i] for i in parents)]
            weight = weight + (row - logsumexp(row))[x[j]]
        if weight > -np.inf:
            parts.append(Part(weight, {j: _point(x[j], n) for j, n in enumerate(p.levels)}))
    return parts


def _hybrid_network(p: Any) -> list[Part]:
    """One part per joint level of the discrete columns."""
    discrete, normal, other = p.places
    parts = []
    for part in _discrete_network(p.discrete):
        levels = [int(np.argmax(part.laws[j].log_mass)) for j in range(len(discrete))]
        matrix, centre = np.eye(len(normal), dtype=Real), np.zeros(len(normal), Real)
        variance = np.zeros(len(normal), Real)
        for i, node in enumerate(p.normals):
            cell = tuple(levels[j] for j in node.levels)
            centre[i], variance[i] = wide(node.intercept)[cell], wide(node.variance)[cell]
            matrix[i, list(node.numbers)] -= wide(node.coefficients)[cell]
        # (I - B) x = intercept + noise, and I - B is triangular with ones on its diagonal.
        mean, half = forward(matrix, centre), forward(matrix, np.diag(np.sqrt(variance)))
        laws = {}
        for j, family, scope in zip(other, p.families, p.family_levels):
            counts = [p.discrete.levels[i] for i in scope]
            cell = np.ravel_multi_index([levels[i] for i in scope], counts) if scope else 0
            laws[j] = law_of(family, int(cell))
        of_levels = {discrete[j]: law for j, law in part.laws.items()}
        logs = (False,) * len(normal)
        parts.append(
            Part(part.log_weight, {**of_levels, **laws}, normal, logs, mean, half @ half.T)
        )
    return parts or [Part(Real(0), {})]


PARTS = {
    "ChowLiuTree": _tree,
    "ClassConditional": _chain,
    "ContinuousMixture": lambda p: _mixture(p.mixture()),
    "Correlated": _correlated,
    "DiscreteNetwork": _discrete_network,
    "FactorAnalysis": _factors,
    "Gaussian": _gaussian,
    "HybridNetwork": _hybrid_network,
    "Independent": _independent,
    "LatentTree": _tree,
    "Mixture": _mixture,
    "PPCA": _factors,
    "Product": _product,
    "Recoded": _recoded,
    "Stack": _stack,
}
