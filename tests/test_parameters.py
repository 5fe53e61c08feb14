"""Parameters come back in the structure they were given in."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from steepest import InputError
from steepest.parameters import Parameters

Pair = namedtuple("Pair", "low high")


@dataclass(frozen=True)
class Curve:
    limit: float
    knots: np.ndarray
    name: str = "growth"
    closed: bool = False


leaves = st.one_of(
    st.floats(-1e6, 1e6),
    st.integers(-1000, 1000),
    st.lists(st.floats(-9, 9), min_size=1, max_size=3).map(np.array),
)
structures = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(st.text("abcdef", min_size=1, max_size=3), inner, min_size=1, max_size=3),
        st.lists(inner, min_size=1, max_size=3),
        st.tuples(inner, inner),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=8,
)


@given(structures)
def test_restoring_the_flat_vector_gives_the_structure_back(structure):
    parameters = Parameters.of(structure)
    again = parameters.restore(parameters.vector)
    assert_array_equal(Parameters.of(again).vector, parameters.vector)
    assert len(parameters.names) == parameters.n == len(set(parameters.names)) or isinstance(structure, dict)
    if isinstance(structure, (dict, Pair)):
        assert type(again) is type(structure)


def test_a_dataclass_keeps_its_settings_and_an_ordered_dict_its_type():
    curve = Curve(1.0, np.array([2.0, 3.0]))
    parameters = Parameters.of(curve)
    again = parameters.restore(parameters.vector * 2)
    assert parameters.names == ("limit", "knots[0]", "knots[1]")
    assert isinstance(again, Curve) and again.name == "growth" and again.limit == 2.0
    assert type(Parameters.of(OrderedDict(b=1.0, a=2.0)).restore(np.ones(2))) is OrderedDict


def test_nothing_given_is_shared_with_what_comes_back():
    start = np.array([1.0, 2.0])
    parameters = Parameters.of(start)
    vector = parameters.vector
    restored = parameters.restore(vector)
    restored[0] = 99.0
    assert start[0] == vector[0] == 1.0
    assert not np.shares_memory(start, vector)


def test_a_registered_pytree_is_a_structure():
    import jax

    class Weights:
        def __init__(self, w, b):
            self.w, self.b = w, b

    jax.tree_util.register_pytree_node(Weights, lambda p: ((p.w, p.b), None), lambda _, c: Weights(*c))
    parameters = Parameters.of(Weights(np.ones(2), 3.0))
    again = parameters.restore(np.array([4.0, 5.0, 6.0]))
    assert isinstance(again, Weights) and again.b == 6.0


@pytest.mark.parametrize(
    ("structure", "said"),
    [
        ("text", "x = 'text' is no real number"),
        ({"a": {"b": "no"}}, "a.b = 'no' is no real number"),
        ([1.0, np.nan], r"x\[1\] = nan is not finite"),
        ({"a": np.inf}, "a = inf is not finite"),
        (1j, "is no real number"),
        ([], "holds no parameter"),
        ({}, "holds no parameter"),
        (np.zeros((0, 3)), "holds no parameter"),
        (np.array([["a"]]), "is not of real numbers"),
        ({"a": [1.0, object()]}, r"a\[1\] = <object object"),
    ],
)
def test_what_is_not_real_numbers_is_refused_with_its_place(structure, said):
    with pytest.raises(InputError, match=said):
        Parameters.of(structure)
