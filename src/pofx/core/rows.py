"""Rows in chunks that share a pattern of missing entries, and functions applied to each row."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pofx.core.closed_forms import with_masks, with_structure_as_data
from pofx.core.compilation import array_size, compiled, compiled_fully, compiled_quickly
from pofx.core.row_patterns import layout, pattern_numbers, rows_of_patterns

CHUNK_ROWS = (16, 64, 256)
"""Numbers of rows in a chunk. There are few sizes, because each new shape is compiled anew."""
MAX_CHUNK_BYTES = 8192
"""Bytes per column of one more size, the largest, so that its temporaries stay in the cache."""
ROWS_PER_CALL = 8192
MAX_CHUNKS_PER_CALL = 64
"""What one compiled call takes at most; it has a loop over as many chunks as there are."""
MAX_SMALL_ROWS = 1024
"""Rows up to which compilation takes longer than the work, so that all have the smallest chunks."""
MAX_BRIEF_NUMBERS = 2**20
"""Numbers of the model, times rows, up to which a program runs briefly."""
MIN_LONG_NUMBERS = 2**26
"""The same from which a faster program is worth a longer compilation."""
MAX_REALIGNED_ROWS = 8192
"""Rows up to which compilation takes longer than the work."""
MAX_NUMBERS_SHARED = 2**28
"""Numbers in memory for the rows at work at once, if they share a pattern and a factorisation.

Each row counts with as many numbers as the model has. These rows may fill memory.
"""
MAX_NUMBERS_UNSHARED = 2**22
"""The same for rows with their own patterns, which may fill the cache only."""


class Rows(eqx.Module):
    """n rows of d columns in m chunks of c rows, padded by rows of weight zero.

    Rows of a chunk share one pattern of observed entries, which is factorised once per chunk:
    `observed` has shape (m, d). If nearly every row has its own pattern, it has shape (m, c, d).
    `index` is the number that each row had in its table; it is -1 in the padding.
    """

    x: Float[Array, "m c d"]
    observed: Bool[Array, "m d"] | Bool[Array, "m c d"]
    weight: Float[Array, "m c"]
    index: Int[np.ndarray, "m c"]

    @property
    def count(self) -> int:
        """The number of rows, without the padding."""
        return int((self.index >= 0).sum())

    @property
    def total(self) -> Float[Array, ""]:
        """The sum of the weights."""
        # Chunk by chunk, because a float32 that has counted to 2^24 ignores a further 1.
        return self.weight.sum(1).sum()

    @property
    def masks(self) -> Bool[np.ndarray, "p d"]:
        """The masks of observed entries; rows of a chunk may have one in common."""
        observed = np.asarray(self.observed)
        return observed if observed.ndim == 2 else observed[self.index >= 0]

    def to_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows (n, d), their masks of observed entries (n, d) and their weights (n,)."""
        observed = np.asarray(self.observed)
        if observed.ndim == 2:
            observed = np.broadcast_to(observed[:, None], self.x.shape)
        arrays = np.asarray(self.x), observed, np.asarray(self.weight)
        x, observed, weight = map(self.from_chunks, arrays)
        return x, observed, weight

    def to_chunks(self, values: Float[np.ndarray, "n *k"]) -> Float[np.ndarray, "m c *k"]:
        """Values of the rows, in order, laid out in chunks."""
        return values[np.maximum(self.index, 0)]

    def from_chunks(self, values: Float[np.ndarray, "m c *k"]) -> Float[np.ndarray, "n *k"]:
        """Values laid out by `to_chunks`, back in order and without the padding."""
        is_row = self.index >= 0
        out = np.empty((is_row.sum(), *values.shape[2:]), values.dtype)
        out[self.index[is_row]] = values[is_row]
        return out

    def sum(self, f: Callable[..., Any], *extras: Float[Array, "m c *k"]) -> Any:
        """The sum of f(x, observed, weight, *extras) over chunks, in the memory of one chunk.

        The sum is compensated: its error does not grow with the number of chunks (Kahan 1965).
        """
        chunks = (self.x, self.observed, self.weight, *extras)
        shapes = eqx.filter_eval_shape(f, *jax.tree.map(lambda a: a[0], chunks))
        zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        def add(state, chunk):
            total, error = state
            term = jax.tree.map(jnp.subtract, f(*chunk), error)
            new_total = jax.tree.map(jnp.add, total, term)
            error = jax.tree.map(lambda n, t, a: _finite((n - t) - a), new_total, total, term)
            return (new_total, error), None

        return jax.lax.scan(add, (zero, zero), chunks)[0][0]


def _finite(error: Array) -> Array:
    """The rounding error, or zero if the sum itself is infinite or NaN."""
    return jnp.where(jnp.isfinite(error), error, 0)


def per_row(f: Callable[..., Any], model: Any, rows: Rows, *extras: Any) -> Any:
    """f(model, x, observed, *extras) for each row, in order, on the host.

    Rows go through a compiled function in blocks of one size, so that neither memory nor
    compilation grows with the number of rows. Up to MAX_SMALL_ROWS rows of any number share one
    program, or one for rows that nearly all have a pattern of their own.

    Args:
        f: a function defined at the top of a module, because a new one would be compiled anew.
        model: its first argument.
        rows: the rows.
        extras: further values per row, laid out by `rows.to_chunks`.

    >>> r = make_rows(np.array([[1.0, np.nan], [3.0, 4.0]]))
    >>> per_row(_observed_count, None, r).tolist()
    [1, 2]
    """
    if len(rows.x) and rows.count <= MAX_SMALL_ROWS:
        in_order = [rows.from_chunks(np.asarray(a)) for a in extras]
        rows = _in_small_chunks(rows)
        extras = tuple(rows.to_chunks(a) for a in in_order)
    chunks, chunk = rows.x.shape[:2]
    size = max(min(MAX_CHUNKS_PER_CALL, ROWS_PER_CALL // chunk), 1)
    arrays = [np.asarray(a) for a in (rows.x, rows.observed, *extras)]
    apply_to_block = _brief_block if _runs_briefly(model, rows.count) else _block
    if rows.count * array_size(model) >= MIN_LONG_NUMBERS:
        apply_to_block = _long_block
    out = []
    for begin in range(0, chunks, size):
        count = min(size, chunks - begin)
        block = [_pad_to(size, a[begin : begin + size]) for a in arrays]
        result = apply_to_block(f, model, np.asarray(count, np.int32), *block)
        out.append(jax.tree.map(lambda a, count=count: np.asarray(a)[:count], result))
    return jax.tree.map(lambda *a: rows.from_chunks(np.concatenate(a)), *out)


def _in_small_chunks(rows: Rows) -> Rows:
    x, observed, weight = rows.to_arrays()
    num_patterns = len(pattern_numbers(observed)[1])
    shared = len(x) <= MAX_CHUNKS_PER_CALL or num_patterns <= len(x) / 2
    return _lay_out(x, observed, weight, CHUNK_ROWS[0], shared, x.dtype)


def _pad_to(size: int, chunks: np.ndarray) -> np.ndarray:
    if len(chunks) == size:
        return chunks
    return np.concatenate([chunks, np.zeros((size - len(chunks), *chunks.shape[1:]), chunks.dtype)])


def _apply_to_block(f, model, count, x, observed, *extras):
    """f for each row of the first `count` chunks; the others stay zero."""
    model_arrays, constants = eqx.partition(model, eqx.is_array)
    numbers = array_size(model)

    # Compiled, so that it is traced once, although its shape is needed first.
    @jax.jit
    def apply_to_chunk(model_arrays, chunk):
        model = eqx.combine(model_arrays, constants)
        _, observed, *extras = chunk
        shared = observed.ndim == 1
        max_numbers = MAX_NUMBERS_SHARED if shared else MAX_NUMBERS_UNSHARED
        max_rows = max(max_numbers // max(numbers, 1), 1)

        def apply_to_row(row):
            x, row_observed, *extras = row
            return f(model, x, observed if shared else row_observed, *extras)

        rows = (chunk[0], None if shared else observed, *extras)
        if len(rows[0]) <= max_rows:
            return jax.vmap(apply_to_row)(rows)
        return jax.lax.map(apply_to_row, rows, batch_size=max_rows)

    chunks = (x, observed, *extras)
    shapes = jax.eval_shape(apply_to_chunk, model_arrays, jax.tree.map(lambda a: a[0], chunks))
    zeros = jax.tree.map(lambda s: jnp.zeros((len(x), *s.shape), s.dtype), shapes)

    def add_chunk(i, out):
        result = apply_to_chunk(model_arrays, jax.tree.map(lambda a: a[i], chunks))
        return jax.tree.map(lambda all_rows, row: all_rows.at[i].set(row), out, result)

    return jax.lax.fori_loop(0, count, add_chunk, zeros)


_block = compiled(_apply_to_block)
_brief_block = compiled_quickly(_apply_to_block)
_long_block = compiled_fully(_apply_to_block)


def _runs_briefly(model: Any, count: int) -> bool:
    takes_many_steps = any(
        map(_takes_many_steps, jax.tree.leaves(model, is_leaf=_takes_many_steps))
    )
    return not takes_many_steps and count * array_size(model) <= MAX_BRIEF_NUMBERS


def _takes_many_steps(part: Any) -> bool:
    return not getattr(part, "runs_briefly", True)


def log_prob(model: Any, rows: Rows) -> Float[np.ndarray, "n"]:
    """log p(x_O) of each row under a tractable model, in nats."""
    model = with_structure_as_data(with_masks(model, rows.masks))[0]
    return per_row(_log_prob, model, rows)


def _log_prob(model, x, observed):
    return model.log_prob(x, observed)


def _observed_count(model, x, observed):
    return observed.sum()


def make_rows(
    x: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"] | None = None,
    weight: Float[np.ndarray, "n"] | None = None,
) -> Rows:
    """Rows from a table of entries.

    Args:
        x: the entries, of shape (n, d).
        observed: the mask of observed entries; by default those that are not NaN.
        weight: the weights of the rows, by default 1.

    >>> r = make_rows(np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]]))
    >>> r.count, r.x.shape, float(r.total)
    (3, (1, 16, 2), 3.0)
    """
    x = np.atleast_2d(np.asarray(x))
    n = len(x)
    observed = ~np.isnan(x) if observed is None else np.asarray(observed, bool)
    weight = np.ones(n) if weight is None else np.asarray(weight)
    largest = MAX_CHUNK_BYTES // jnp.result_type(float).itemsize
    chunk, shared = layout(observed, (*CHUNK_ROWS, largest))
    return _on_device(_lay_out(x, observed, weight, chunk, shared, jnp.result_type(float)))


def _on_device(rows: Rows) -> Rows:
    # `jnp.asarray` would compile a program for each kind of array.
    x, observed, weight = jax.device_put((rows.x, rows.observed, rows.weight))
    return Rows(x, observed, weight, rows.index)


def _lay_out(
    x: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    weight: Float[np.ndarray, "n"],
    chunk: int,
    shared: bool,
    dtype: Any,
) -> Rows:
    """The rows in chunks of that size, whose rows share a pattern if `shared`."""
    n = len(x)
    owner = pattern_numbers(observed)[0] if shared else None
    patterns, members = rows_of_patterns(observed, owner)
    sizes = [-(-len(numbers) // chunk) * chunk for numbers in members]
    place = np.empty(n, np.int64)
    for begin, numbers in zip(np.cumsum([0, *sizes[:-1]]), members):
        place[numbers] = begin + np.arange(len(numbers))
    m = sum(sizes) // chunk

    def lay(values, fill=0):
        out = np.full((m * chunk, *values.shape[1:]), fill, values.dtype)
        out[place] = values
        return out.reshape(m, chunk, *values.shape[1:])

    if owner is None:
        masks = lay(observed)
    else:
        masks = np.repeat(patterns, [size // chunk for size in sizes], axis=0)
    filled = lay(np.where(observed, x, 0).astype(dtype))
    weights = lay(weight.astype(dtype))
    index = lay(np.arange(n, dtype=np.int32), fill=-1)
    return Rows(cast(Any, filled), cast(Any, masks), cast(Any, weights), index)


def with_common_shape(parts: Sequence[Rows]) -> list[Rows]:
    """The same rows, all in as many chunks of the first one's shape, for one compiled program.

    If one part has more than MAX_REALIGNED_ROWS rows, all stay as they are: then compilation is
    short beside the work.

    >>> small, large = make_rows(np.zeros((40, 2))), make_rows(np.zeros((130, 2)))
    >>> small.x.shape, large.x.shape, [part.x.shape for part in with_common_shape([large, small])]
    ((1, 64, 2), (1, 256, 2), [(1, 256, 2), (1, 256, 2)])
    """
    if max(part.count for part in parts) > MAX_REALIGNED_ROWS:
        return list(parts)
    chunk = parts[0].x.shape[1]
    shared = parts[0].observed.ndim == 2
    dtype = parts[0].x.dtype
    realigned = [_lay_out(*part.to_arrays(), chunk, shared, dtype) for part in parts]
    num_chunks = max(len(part.x) for part in realigned)
    return [_on_device(_padded(part, num_chunks - len(part.x))) for part in realigned]


def _padded(part: Rows, num_chunks: int) -> Rows:
    """The rows with so many more chunks of weight zero, which have the last chunk's pattern."""

    def pad(values, fill):
        array = np.asarray(values)
        return np.concatenate([array, np.full_like(array[-1:], fill).repeat(num_chunks, 0)])

    observed = np.concatenate([part.observed, part.observed[-1:].repeat(num_chunks, 0)])
    x, weight = cast(Any, pad(part.x, 0)), cast(Any, pad(part.weight, 0))
    return Rows(x, cast(Any, observed), weight, pad(part.index, -1))
