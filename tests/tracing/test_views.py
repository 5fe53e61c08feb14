"""Views: what NumPy writes through, a trace writes through, and what NumPy copies, a trace copies."""

import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.testing import assert_allclose

import steepest as st
from steepest.errors import TracingError
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.tracing.trace import trace

START = np.arange(1.0, 7.0) / 3
WEIGHTS = np.arange(1.0, 7.0) ** 2


def weighed(x):
    return np.sum(np.abs(x.ravel()) ** 2 * WEIGHTS)


def halves(p):
    x = p * 1.0
    a, b = np.split(x, 2)
    a += 1
    b[0] = 0
    return weighed(x)


def pieces_of_different_lengths(p):
    x = p * 1.0
    for k, part in enumerate(np.array_split(x, 4)):
        part *= k
    return weighed(x)


def rows_and_columns(p):
    x = (p * 1.0).reshape(3, 2)
    first, _, _ = np.vsplit(x, 3)
    first *= 2
    _, right = np.hsplit(x, 2)
    right -= p[0]
    return weighed(x)


def other_shapes(p):
    x = p * 1.0
    np.reshape(x, (2, 3))[0] *= 3
    np.ravel(x.reshape(2, 3))[2:] *= p[1]
    np.expand_dims(x, 0)[0, 2] = 7
    np.squeeze(x[None])[1] = p[0] ** 2
    np.atleast_2d(x)[0, 0] = p[3]
    for part in np.atleast_1d(x, p[0]):
        part[0] += 1
    return weighed(x)


def other_orders_of_axes(p):
    x = (p * 1.0).reshape(2, 3)
    np.transpose(x)[1] = p[1]
    np.swapaxes(x, 0, 1)[0] += 7
    np.moveaxis(x, 0, 1)[1] *= 2
    np.rollaxis(x, 1)[0] -= p[2]
    np.matrix_transpose(x)[2] *= 3
    return weighed(x)


def turned_round(p):
    x = (p * 1.0).reshape(2, 3)
    np.flip(x)[0] += p[4]
    np.rot90(x)[0] += 1
    np.fliplr(x)[0] *= 2
    np.flipud(x[:, 1:])[0] *= 2
    return weighed(x)


def copies_where_memory_has_another_order(p):
    x = (p * 1.0).reshape(2, 3)
    copies = [x.T.ravel(), x.T.reshape(-1), x[:, 1:].ravel(), np.ravel(x.T), np.reshape(x.T, 6), x.ravel("F")]
    for k, copy in enumerate(copies):
        copy += k
    views = [x.T.ravel("F"), x[1:].ravel(), x.T.T.reshape(-1), x[:, 1:].reshape(2, 2, 1)]
    for k, view in enumerate(views):
        view *= 1 + k
    return weighed(x) + sum(np.sum(copy**3) for copy in copies)


def halves_of_complex_numbers(p):
    x = p * (1 + 2j)
    x.real[1:3] = 2
    x.imag += p[0]
    np.real(x)[0] = 9
    np.imag(x)[1] = p[2]
    x.real = x.real * 3
    return weighed(x)


def entry_by_entry(p):
    x = (p * 1.0).reshape(2, 3)
    x.flat[2] = p[1]
    x.flat[3:] = 1.0
    last = x.flat[0]
    x.flat[0] = 4
    return weighed(x) + last + len(x.flat) + sum(v**2 for v in x.flat)


def seen_before_it_was_stored_into(p):
    x = np.zeros(6)
    y = np.reshape(x, (2, 3))
    x[:] = p
    y[0, 0] = 2
    _, b = np.split(x, 2)
    b *= 2
    return np.sum(y**2) + weighed(x)


def halves_of_complex_numbers_made(p):
    x = np.zeros(6, complex)
    before = x.imag[::2]
    x.real = p
    x.imag[1:3] = p[4]
    before[2] = p[0]
    x[5] = p[1] * (1 + 2j)
    return weighed(x) + np.sum(x.real**3) + np.sum(np.abs(before)) + np.sum(x.imag[::-1] ** 2 * WEIGHTS)


def as_they_lie_in_memory(p):
    x = np.outer(p[:2], p[3:])
    order = weighed(x.T.ravel("K")) + weighed(x.T.flatten("A")) + weighed(x.T.reshape(2, 3, order="A"))
    x.T.ravel("K")[:2] = 0
    x.T.reshape(6, order="A")[5] = p[0]
    np.ravel(x[:, 1:].T, "K")[0] = 3
    return order + weighed(x) + weighed(x[:, ::-1].T.ravel("K"))


def of_one_entry(p):
    x = p * 1.0
    one, two = x[0, ...], np.squeeze(x[1:2])
    one += 5
    two *= p[2]
    entry = x[3]
    entry += 1
    return weighed(x) + one * two + entry


def not_copied(p):
    x = p * 1.0
    np.array(x, copy=None)[0] = 9
    x.astype(float, copy=False)[1] = p[0]
    np.array(x)[2] = 9
    x.astype(float)[3] = 9
    rows = np.unstack(x.reshape(2, 3))
    rows[1][2] = p[0]
    whole, part = np.zeros(6), np.zeros(6)
    np.modf(p * 0.9, part, whole)
    return weighed(x) + np.sum(part**2) + np.sum(whole)


COSTS = [
    halves,
    pieces_of_different_lengths,
    rows_and_columns,
    other_shapes,
    other_orders_of_axes,
    turned_round,
    copies_where_memory_has_another_order,
    halves_of_complex_numbers,
    entry_by_entry,
    seen_before_it_was_stored_into,
    halves_of_complex_numbers_made,
    as_they_lie_in_memory,
    of_one_entry,
    not_copied,
]


@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.__name__)
def test_what_is_stored_into_a_view_is_seen_where_numpy_shows_it(cost):
    # The costs are of degree 3 at most along a line, so central differences of step 1 are off by the third difference.
    recorded = jaxpr_as_fun(trace(cost, Parameters.of(START)).jaxpr)
    for place in (START, START[::-1] - 1.5):
        with double_precision():
            value = float(np.reshape(recorded(place)[0], ()))
        assert_allclose(value, cost(place), rtol=1e-13)
    slope = st.gradient(cost)(START)
    for k, step in enumerate(np.eye(START.size) * 1e-3):
        wide, narrow = ((cost(START + h) - cost(START - h)) / (2 * h[k]) for h in (2 * step, step))
        assert_allclose(slope[k], (4 * narrow - wide) / 3, rtol=1e-9, atol=1e-9)


def test_complex_numbers_seen_as_pairs_of_others_are_refused():
    def pairs(p):
        x = np.zeros(3, complex)
        x[:] = p[:3]
        return np.sum(np.abs(x.view(float)))

    with pytest.raises(TracingError, match="float64 of an array of complex128"):
        trace(pairs, Parameters.of(START))


def test_compiled_code_that_would_read_addresses_as_numbers_is_refused_by_name():
    from scipy import ndimage

    def blurred(w):
        return np.sum(np.abs(ndimage.fourier_gaussian(np.eye(3), w)) ** 2)

    with pytest.raises(TracingError, match=r"fourier_gaussian.*'x"):
        trace(blurred, Parameters.of(np.full(2, 0.1)))


# How an array A of shape (3, 4) may come about, and what may then be done with it.
MADE = (
    "np.arange(12.0).reshape(3, 4)",
    "np.outer(x, np.append(x, 1.0))",
    "np.zeros((3, 4))",
    "np.ones((4, 3)).T",
)
MADE += ("np.asfortranarray(np.outer(x, np.append(x, 1.0)))",)
DONE = (
    "np.einsum('ij->ji', A)[1] = x",
    "np.einsum('ii->i', A[:, :3])[:] = x",
    "np.einsum('ij', A)[1] += x[0]",
    "A[1, 1] = np.einsum('ij->i', A)[0] * x[0]",
    "d = np.diagonal(A); A[0] = x[0]; A[1, 1] = d.sum()",
    "d = A.diagonal(1); A[0] = x[0]; A[1, 1] = d.sum()",
    "d = np.diag(A[:, :3]); A[0] = x[0]; A[1, 1] = d.sum()",
    "b = np.broadcast_to(A, (2, 3, 4)); A[0] = x[0]; A[1, 1] = b.sum()",
    "a, b = np.broadcast_arrays(A, x[:, None]); A[0] = x[0]; A[1, 1] = a.sum()",
    "w = sliding_window_view(A, 2, axis=1); A[0] = x[0]; A[1, 1] = w.sum()",
    "w = as_strided(A, (2, 2), A.strides); w[1] = x[:2]; A[2, 2] = w.sum()",
    "np.atleast_3d(A)[0, 1, 0] = x[2]",
    "np.ascontiguousarray(A)[1] = x[0]",
    "np.ascontiguousarray(A.T)[1] = x",
    "np.asfortranarray(A)[1] = x[0]",
    "A.ravel()[5] = x[2]",
    "A.ravel()[::5][:] = x",
    "A[1].fill(x[0])",
    "A.flat[::4] = x; A.flat[[1, 2]] = x[:2]; A.flat[5] = x[0]",
    "A.flat = x",
    "A.flat[...] = A.ravel() * x[1]",
    "A[1].put([0, 2], x[:2])",
    "np.put(A, [0, 5], x[0] ** 2)",
    "A *= x[0]; A.partition(2, axis=1)",
    "np.copyto(A, x[:, None], where=A > 0.5)",
    "np.log(np.abs(x) + 1, where=x > 0, out=A[:, 1])",
)


@pytest.mark.parametrize("done", DONE)
@pytest.mark.parametrize("made", MADE)
def test_a_view_and_its_array_stay_one(made, done):
    cost, x = _cost_of(made, done), np.array([0.7, -0.4, 1.3])
    recorded = trace(cost, Parameters.of(x))
    with double_precision():
        (value,) = jaxpr_as_fun(recorded.jaxpr)(x)
    assert_allclose(value, cost(x), rtol=1e-13)
    steps = 1e-5 * np.eye(3)
    measured = [(cost(x + step) - cost(x - step)) / 2e-5 for step in steps]
    assert_allclose(st.gradient(cost)(x), measured, rtol=1e-6, atol=1e-5)


def _cost_of(made, done):
    source = f"def cost(x):\n    A = {made}\n    {done}\n    return np.sum(A**3 * np.arange(1.0, 13.0).reshape(3, 4))\n"
    names = {"np": np, **{f.__name__: f for f in (as_strided, sliding_window_view)}}
    exec(source, names)
    return names["cost"]


def test_what_numpy_only_shows_is_not_stored_into():
    for show in (
        np.diagonal,
        lambda A: np.broadcast_to(A, (2, 3, 3)),
        lambda A: sliding_window_view(A, 2, axis=0),
    ):
        with pytest.raises(ValueError, match="read-only"):
            st.gradient(lambda x, show=show: _stored(show(np.outer(x, x)), x))(np.ones(3))


def test_overlapping_windows_are_not_stored_into():
    def cost(x):
        windows = sliding_window_view(x * 1.0, 2, writeable=True)
        windows[0] = x[0]
        return np.sum(windows)

    with pytest.raises(TracingError, match="Store into the array itself"):
        st.gradient(cost)(np.ones(3))


def _stored(view, x):
    view[...] = x[0]
    return np.sum(view)
