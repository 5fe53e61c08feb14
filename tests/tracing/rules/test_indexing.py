"""Reading and storing through every kind of key gives what NumPy gives, and NumPy's errors."""

import jax
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import integer_array_indices
from numpy.testing import assert_allclose, assert_array_equal

from steepest import TracingError
from steepest.numerics import double_precision
from steepest.tracing import rules

from .recorded import evaluate, record, slope_along

SHAPE = (3, 4, 2)
WHOLE = np.arange(24.0).reshape(SHAPE) + 1.0
MASK = np.arange(12).reshape(3, 4) % 3 == 1


@st.composite
def keys(draw):
    """A key of whole numbers, slices, None, an ellipsis, index arrays and masks that fits SHAPE."""
    parts = []
    axis = 0
    ellipsis = False
    while axis < len(SHAPE):
        length = SHAPE[axis]
        kind = draw(st.sampled_from(["int", "slice", "array", "mask", "none", "ellipsis", "stop", "list"]))
        if kind == "int":
            parts.append(draw(st.integers(-length, length - 1)))
        elif kind == "slice":
            parts.append(draw(st.slices(length)))
        elif kind == "array":
            parts.append(
                draw(integer_array_indices((length,), result_shape=st.sampled_from([(2,), (2, 2), (1,)])))[0]
            )
        elif kind == "list":
            parts.append(draw(st.lists(st.integers(-length, length - 1), min_size=2, max_size=2)))
        elif kind == "mask":
            # Two True: broadcasts with the index arrays above.
            mask = np.zeros(length, bool)
            mask[:2] = True
            parts.append(mask)
        elif kind == "none":
            parts.append(None)
            continue
        elif kind == "ellipsis":
            if ellipsis:
                continue
            ellipsis = True
            parts.append(Ellipsis)
            axis += draw(st.integers(0, len(SHAPE) - axis))
            continue
        else:
            break
        axis += 1
    try:
        WHOLE[tuple(parts)]
    except IndexError:
        assume(False)
    return tuple(parts)


@given(keys())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_reading_is_numpys(key):
    closed = record(lambda x: x[key], [WHOLE])
    (found,) = evaluate(closed, [WHOLE])
    assert found.shape == WHOLE[key].shape
    assert_array_equal(found, WHOLE[key])


@given(keys(), st.sampled_from(["number", "full", "row"]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_storing_is_numpys_and_so_is_its_slope(key, kind):
    selected = WHOLE[key].shape
    value = {"number": np.array(2.5), "full": -np.arange(np.prod(selected)).reshape(selected) - 1.0,
             "row": -1.5 * np.ones(selected[-1:])}[kind]  # fmt: skip

    def stored(x, y):
        out = x + 0.0
        out[key] = y
        return out

    expected = stored(WHOLE.copy(), value)
    closed = record(stored, [WHOLE, value])
    assert_array_equal(evaluate(closed, [WHOLE, value])[0], expected)
    # Storing is linear: its slope along the values themselves is the result.
    weights = np.sin(np.arange(24.0)).reshape(SHAPE)
    slope = slope_along(closed, [WHOLE, value], [WHOLE, value], [weights])
    assert_allclose(slope, np.sum(weights * expected), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    "key",
    [3, -4, (0, 4), (0, 0, 0, 0), [0, 5], (slice(None), [4]), np.ones(2, bool), np.ones((3, 3), bool), 1.5, "a",
     (Ellipsis, Ellipsis), ([0, 1], [0, 1, 2])],
    ids=str,
)  # fmt: skip
def test_a_key_that_does_not_fit_raises_numpys_error(key):
    with pytest.raises(IndexError) as numpys:
        WHOLE[key]
    with pytest.raises(IndexError) as ours:
        record(lambda x: x[key], [WHOLE])
    assert str(ours.value) == str(numpys.value)


def test_a_value_that_does_not_fit_raises_numpys_error():
    def stored(x):
        out = np.zeros((2, 3)) + x[0]
        out[0] = x
        return out

    with pytest.raises(ValueError) as numpys:
        stored(np.ones(2))
    with pytest.raises(ValueError) as ours:
        record(stored, [np.ones(2)])
    assert str(ours.value) == str(numpys.value)


def test_slices_become_slices_and_not_gathers():
    closed = record(lambda x: (x[1], x[1:], x[::-1], x[..., ::2], x[:, None, 2], x[np.arange(1, 3)]), [WHOLE])
    used = {eqn.primitive.name for eqn in closed.jaxpr.eqns}
    assert used <= {"slice", "squeeze", "rev", "reshape", "broadcast_in_dim"}


def test_an_index_that_depends_on_the_parameters_is_followed():
    key = np.array([0, 2, -1, 2])
    closed = record(lambda x, k: (x[k], x[k, 1], x[1, k[:2], :], x[k[0]]), [WHOLE, key])
    expected = (WHOLE[key], WHOLE[key, 1], WHOLE[1, key[:2], :], WHOLE[key[0]])
    for found, numpys in zip(evaluate(closed, [WHOLE, key]), expected, strict=True):
        assert_array_equal(found, numpys)


def test_storing_one_number_at_a_mask_that_depends_on_the_parameters_is_followed():
    def stored(x):
        out = x + 0.0
        out[x > 7.0] = 7.0
        return out

    assert_array_equal(evaluate(record(stored, [WHOLE]), [WHOLE])[0], np.minimum(WHOLE, 7.0))


def test_storing_many_values_at_such_a_mask_is_refused():
    def stored(x):
        out = x + 0.0
        out[x > 7.0] = np.arange(17.0) * x[0, 0, 0]
        return out

    with pytest.raises(TracingError, match=r"np\.where\(mask"):
        record(stored, [WHOLE])


def test_where_a_place_occurs_twice_the_last_value_stays():
    def stored(x):
        out = np.zeros(3) + 0.0 * x[0]
        out[[0, 0, 2]] = x
        return out

    assert_array_equal(
        evaluate(record(stored, [np.arange(1.0, 4.0)]), [np.arange(1.0, 4.0)])[0], [2.0, 0.0, 3.0]
    )


@pytest.mark.parametrize("dtype", [None, np.float32, complex])
def test_nested_lists_become_arrays_as_numpy_makes_them(dtype):
    def built(x, y):
        return [[x[0], 1, 2.5], [y, x[1], True], list(x[:3])]

    x, y = np.arange(1.0, 5.0), np.array(2)
    with double_precision():
        closed = jax.make_jaxpr(
            lambda x, y: rules.BUILD_ARRAY([[x[0], 1, 2.5], [y, x[1], True], x[:3]], dtype)
        )(x, y)
    expected = np.array(built(x, y), dtype)
    found = evaluate(closed, [x, y])[0]
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


def test_a_long_list_is_one_concatenation():
    with double_precision():
        closed = jax.make_jaxpr(lambda x: rules.BUILD_ARRAY([x[k] for k in range(50)] + [0.0] * 50))(
            np.ones(50)
        )
    assert sum(eqn.primitive.name == "concatenate" for eqn in closed.jaxpr.eqns) == 1


def test_a_ragged_list_raises_numpys_error():
    with pytest.raises(ValueError) as numpys:
        np.array([[1.0, 2.0], [3.0]])
    with pytest.raises(ValueError) as ours, double_precision():
        jax.make_jaxpr(lambda x: rules.BUILD_ARRAY([[x, 2.0], [3.0]]))(1.0)
    assert str(ours.value) == str(numpys.value)
