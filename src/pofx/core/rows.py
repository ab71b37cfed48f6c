"""Rows in chunks: what learners sum over, grouped by their pattern of missing entries."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pofx.core.closed_forms import with_structure_as_data

CHUNK_ROWS = (16, 64, 256)
"""Rows in a chunk: few sizes, for each new shape is compiled anew."""
MAX_CHUNK_BYTES = 8192
"""Bytes of a column in one more size, the largest, that its temporaries stay in the cache."""
CHUNKS_PER_CALL = (64, 8, 1)
"""Numbers of chunks that one compiled call takes."""
UNSHARED_CHUNK_ROWS = 256
"""Rows in a chunk whose rows each carry their own pattern, and so their own factorisation."""
MAX_REALIGNED_ROWS = 8192
"""Rows of which compilation takes more than the work."""
MAX_NUMBERS_SHARED, MAX_NUMBERS_UNSHARED = 2**28, 2**22
"""Numbers that the rows at work at once may take, each as many as its model has: rows of one
pattern, which share a factorisation, fill memory at most; others the cache."""


class Rows(eqx.Module):
    """n rows of d columns in m chunks of c, padded by rows of weight zero.

    Rows of a chunk share one pattern of observed entries (`observed` of shape (m, d)), which is
    then factorised once a chunk; where nearly every row has its own, `observed` is (m, c, d).
    `index` is the number that each row had in its table, -1 in the padding.
    """

    x: Float[Array, "m c d"]
    observed: Bool[Array, "m d"] | Bool[Array, "m c d"]
    weight: Float[Array, "m c"]
    index: Int[np.ndarray, "m c"]

    @property
    def count(self) -> int:
        """The number of rows, padding left out."""
        return int((self.index >= 0).sum())

    @property
    def total(self) -> Float[Array, ""]:
        """The sum of the weights."""
        # Chunk by chunk: a float32 that has counted to 2^24 ignores a further 1.
        return self.weight.sum(1).sum()

    def to_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows (n, d), what of them is observed (n, d), and their weights (n,), in order."""
        observed = np.asarray(self.observed)
        if observed.ndim == 2:
            observed = np.broadcast_to(observed[:, None], self.x.shape)
        x, weight = np.asarray(self.x), np.asarray(self.weight)
        return self.from_chunks(x), self.from_chunks(observed), self.from_chunks(weight)

    def to_chunks(self, values: Float[np.ndarray, "n *k"]) -> Float[Array, "m c *k"]:
        """Values of the rows, in order, laid out as the chunks are."""
        return jnp.asarray(values[np.maximum(self.index, 0)])

    def from_chunks(self, values: Float[np.ndarray, "m c *k"]) -> Float[np.ndarray, "n *k"]:
        """What `split` laid out, back in order and without the padding."""
        inside = self.index >= 0
        out = np.empty((inside.sum(), *values.shape[2:]), values.dtype)
        out[self.index[inside]] = values[inside]
        return out

    def sum(self, f: Callable[..., Any], *more: Float[Array, "m c *k"]) -> Any:
        """The sum of f(x, observed, weight, *more) over chunks: memory of one chunk, not of n.

        Compensated, so that its error does not grow with the number of chunks (Kahan 1965).
        """
        chunks = (self.x, self.observed, self.weight, *more)
        shapes = eqx.filter_eval_shape(f, *jax.tree.map(lambda a: a[0], chunks))
        zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        def add(state, chunk):
            total, lost = state
            term = jax.tree.map(jnp.subtract, f(*chunk), lost)
            new = jax.tree.map(jnp.add, total, term)
            lost = jax.tree.map(lambda n, t, a: _finite((n - t) - a), new, total, term)
            return (new, lost), None

        return jax.lax.scan(add, (zero, zero), chunks)[0][0]


def _finite(lost: Array) -> Array:
    """What rounding lost; nothing where the sum itself is infinite or not a number."""
    return jnp.where(jnp.isfinite(lost), lost, 0)


def per_row(f: Callable[..., Any], model: Any, rows: Rows, *more: Any) -> Any:
    """f(model, x, observed, *more) of each row, in order, on the host.

    A few sizes of block go through one compiled function each, so that neither memory nor
    compilation grows with the rows; `more` is laid out as the chunks are. `f` is a function of a
    module, for a new one would be compiled anew.

    >>> r = make_rows(np.array([[1.0, np.nan], [3.0, 4.0]]))
    >>> per_row(_observed_count, None, r).tolist()
    [1, 2]
    """
    out, begin = [], 0
    while begin < len(rows.x):
        size = next(s for s in CHUNKS_PER_CALL if s <= len(rows.x) - begin)
        block = (a[begin : begin + size] for a in (rows.x, rows.observed, *more))
        out.append(_block(f, model, *block))
        begin += size
    return jax.tree.map(lambda *a: rows.from_chunks(np.concatenate(a)), *jax.device_get(out))


@eqx.filter_jit
def _block(f, model, x, observed, *more):
    numbers = sum(a.size for a in jax.tree.leaves(eqx.filter(model, eqx.is_array)))

    def chunk(chunk):
        _, observed, *more = chunk
        shared = observed.ndim == 1
        few = max((MAX_NUMBERS_SHARED if shared else MAX_NUMBERS_UNSHARED) // max(numbers, 1), 1)

        def row(own):
            x, seen, *more = own
            return f(model, x, observed if shared else seen, *more)

        each = (chunk[0], None if shared else observed, *more)
        return (
            jax.vmap(row)(each) if len(each[0]) <= few else jax.lax.map(row, each, batch_size=few)
        )

    return jax.lax.map(chunk, (x, observed, *more))


def log_prob(model: Any, rows: Rows) -> Float[np.ndarray, "n"]:
    """log p(x_O) of each row under a tractable model, in nats."""
    return per_row(_log_prob, with_structure_as_data(model)[0], rows)


def _log_prob(model, x, observed):
    return model.log_prob(x, observed)


def _observed_count(model, x, observed):
    return observed.sum()


def make_rows(
    x: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"] | None = None,
    weight: Float[np.ndarray, "n"] | None = None,
) -> Rows:
    """Rows from a table of entries; where `observed` is None, NaN is what is missing.

    >>> r = make_rows(np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]]))
    >>> r.count, r.x.shape, float(r.total)
    (3, (1, 16, 2), 3.0)
    """
    x = np.atleast_2d(np.asarray(x))
    n = len(x)
    observed = ~np.isnan(x) if observed is None else np.asarray(observed, bool)
    weight = np.ones(n) if weight is None else np.asarray(weight)
    chunk, shared = _layout(observed, (*CHUNK_ROWS, MAX_CHUNK_BYTES // jnp.zeros(()).dtype.itemsize))
    return _laid(x, observed, weight, chunk, shared)


def _laid(
    x: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n"],
    chunk: int,
    shared: bool,
) -> Rows:
    """The rows in chunks of that size, which share their patterns or do not."""
    n, dtype = len(x), jnp.zeros(()).dtype
    owner = _owners(observed)[0] if shared else None
    patterns, members = _members(observed, owner)
    sizes = [-(-len(rows) // chunk) * chunk for rows in members]
    place = np.empty(n, np.int64)
    for begin, rows_ in zip(np.cumsum([0, *sizes[:-1]]), members):
        place[rows_] = begin + np.arange(len(rows_))
    m = sum(sizes) // chunk

    def lay(values, fill=0):
        out = np.full((m * chunk, *values.shape[1:]), fill, values.dtype)
        out[place] = values
        return out.reshape(m, chunk, *values.shape[1:])

    if owner is None:
        seen = lay(observed)
    else:
        seen = np.repeat(patterns, [size // chunk for size in sizes], axis=0)
    filled = lay(np.where(observed, x, 0).astype(dtype))
    heavy = lay(weight.astype(dtype))
    index = lay(np.arange(n, dtype=np.int32), fill=-1)
    return Rows(jnp.asarray(filled), jnp.asarray(seen), jnp.asarray(heavy), index)


def with_common_shape(parts: Sequence[Rows]) -> list[Rows]:
    """The same rows, all in as many chunks of the first one's shape: one program serves them.

    Of more than FEW rows they stay as they are, for compilation is little beside the work.

    >>> few, more = make_rows(np.zeros((40, 2))), make_rows(np.zeros((130, 2)))
    >>> few.x.shape, more.x.shape, [part.x.shape for part in with_common_shape([more, few])]
    ((1, 64, 2), (1, 256, 2), [(1, 256, 2), (1, 256, 2)])
    """
    if max(part.count for part in parts) > MAX_REALIGNED_ROWS:
        return list(parts)
    chunk, shared = parts[0].x.shape[1], parts[0].observed.ndim == 2
    laid = [_laid(*part.to_arrays(), chunk, shared) for part in parts]
    most = max(len(part.x) for part in laid)
    return [_padded(part, most - len(part.x)) for part in laid]


def _padded(part: Rows, more: int) -> Rows:
    """With so many more chunks of no weight, of the last one's pattern."""

    def longer(values, fill):
        own = np.asarray(values)
        return np.concatenate([own, np.full_like(own[-1:], fill).repeat(more, 0)])

    return Rows(
        jnp.asarray(longer(part.x, 0)),
        jnp.asarray(np.concatenate([part.observed, part.observed[-1:].repeat(more, 0)])),
        jnp.asarray(longer(part.weight, 0)),
        longer(part.index, -1),
    )


def _layout(observed: np.ndarray, chunks: tuple[int, ...]) -> tuple[int, bool]:
    """The size of a chunk, and whether sharing patterns pays.

    In units of d^2 operations a row costs 1, a factorisation about d (one a chunk of a shared
    pattern, or one for each row that is alone with its own), a step of the loop some 32.
    """
    n, d = observed.shape
    counts = _owners(observed)[1]

    def cost(chunk):
        return int(np.ceil(counts / chunk).sum()) * (d + chunk + 32)

    best = min(chunks, key=cost)
    if cost(best) > n * (d + 1) or (len(counts) > 1 and len(counts) > n / 2):
        return min(c for c in chunks if c >= min(n, UNSHARED_CHUNK_ROWS)), False
    return best, True


def _owners(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's pattern, and how many rows each pattern has."""
    # A bit more, so that rows without columns have a pattern too.
    packed = np.packbits(np.pad(observed, ((0, 0), (0, 1))), axis=1)
    _, owner, counts = np.unique(
        np.ascontiguousarray(packed).view([("", packed.dtype, packed.shape[1])]),
        return_inverse=True,
        return_counts=True,
    )
    return owner.reshape(len(observed)), counts


def _members(observed: np.ndarray, owner: np.ndarray | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """The distinct patterns and, for each, the rows that have it in order."""
    if owner is None:
        return observed[:0], [np.arange(len(observed))]
    order = np.argsort(owner, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    return observed[order[starts]], np.to_chunks(order, starts[1:])
