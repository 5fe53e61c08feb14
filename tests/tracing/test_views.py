"""Views: what NumPy writes through, a trace writes through, and what NumPy copies, a trace copies."""

import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun
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
