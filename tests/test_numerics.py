"""Scopes that change how Python or NumPy behave leave things as they found them."""

import gc

import pytest

from steepest.numerics import without_collections


@pytest.mark.parametrize("wanted", [True, False])
def test_collections_are_as_before_after_nested_scopes_and_errors(wanted):
    (gc.enable if wanted else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError), without_collections(), without_collections():
            assert not gc.isenabled() and 1 // 0
        assert gc.isenabled() == wanted
    finally:
        gc.enable()
