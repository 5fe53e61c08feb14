"""Roots and powers of what is zero whatever the parameters are: their slopes are zero there, and not 0·∞.

The model a·exp(-(t/τ)^β) has measurements at t = 0. There (t/τ)^β is 0 for every τ and every β above zero, so that its
slopes are 0; the chain rule takes the infinite slope of the power times the zero slope of t/τ, which is no number. The
distance of a point from itself, on the diagonal of all distances, is another such root.
"""

from __future__ import annotations

import math
from typing import Any

import jax.core
import jax.extend.core as jex
import numpy as np
from jax import lax

from .primitives import NoRule, evaluate_equation
from .rewriting import Rewriting, read

# Functions of one number that are zero at zero.
_ZERO_AT_ZERO = frozenset(
    "neg abs sign sqrt cbrt square sin tan sinh tanh asin atan asinh atanh expm1 log1p erf copy "
    "convert_element_type real conj".split()
)
# What only moves elements, and makes none.
_MOVING = frozenset(
    "broadcast_in_dim reshape expand_dims squeeze transpose slice rev concatenate copy".split()
)
_OF_TWO = frozenset(("mul", "div", "add", "sub", "pow"))
# What has an infinite slope at a base of zero.
_STEEP_AT_ZERO = frozenset(("pow", "sqrt", "cbrt", "log"))

# Entries of an array whose zeros are followed: more are not worth their memory.
MOST_ENTRIES = 10**6


def with_constant_zeros_apart(closed: Any) -> Any:
    """The same closed jaxpr with roots and powers taken apart where their base is zero for all parameters.

    Values stay, also where they are no numbers: such an entry is the power of 0 itself, plus its base, which is 0 or
    NaN; all others are computed from bases whose constant zeros are ones.
    """
    if not any(equation.primitive.name in _STEEP_AT_ZERO for equation in closed.jaxpr.eqns):
        return closed
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    zeros = _Zeros(rewriting)
    for equation in closed.jaxpr.eqns:
        equation = equation.replace(invars=[read(environment, atom) for atom in equation.invars])
        zeros.follow(equation)
        base = equation.invars[0] if equation.invars else None
        where = zeros.of(base) if equation.primitive.name in _STEEP_AT_ZERO else None
        if where is None or rewriting.is_known(base):
            rewriting.equations.append(equation)
        else:
            _take_apart(equation, where, rewriting)
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


def _take_apart(equation: Any, where: np.ndarray, rewriting: Rewriting) -> None:
    """The root or power in `equation` with its base replaced `where` that is zero.

    Written with sums and a choice that is made for all parameters, which convexity, intervals and kinks see through.
    """
    base, *exponent = equation.invars
    (out,) = equation.outvars
    aval = base.aval

    def add(primitive: Any, invars: list[Any], shape: tuple[int, ...] = out.aval.shape) -> Any:
        made = jex.Var(_array(shape, aval.dtype))
        params = equation.params if primitive is equation.primitive else {}
        rewriting.equations.append(
            equation.replace(primitive=primitive, params=params, invars=invars, outvars=[made])
        )
        return made

    # Minus zero is what leaves every number as it is, minus zero too.
    nothing = complex(-0.0, -0.0) if aval.dtype.kind == "c" else -0.0
    ones = rewriting.constant(
        np.where(where, 1.0, nothing).astype(aval.dtype), _array(aval.shape, aval.dtype)
    )
    of_elsewhere = add(equation.primitive, [add(lax.add_p, [base, ones], aval.shape), *exponent])
    of_zero = base
    if equation.primitive is lax.log_p:
        of_zero = add(lax.add_p, [base, jex.Literal(aval.dtype.type(-np.inf), _array((), aval.dtype))])
    elif exponent:
        zero = jex.Literal(np.zeros((), aval.dtype)[()], _array((), aval.dtype))
        power = add(equation.primitive, [zero, *exponent], exponent[0].aval.shape)
        of_zero = add(lax.add_p, [base, power])
    mask = rewriting.constant(where, _array(where.shape, np.dtype(bool)))
    rewriting.equations.append(
        equation.replace(
            primitive=lax.select_n_p, params={}, invars=[mask, of_elsewhere, of_zero], outvars=[out]
        )
    )


def _array(shape: tuple[int, ...], dtype: Any) -> Any:
    return jax.core.ShapedArray(shape, dtype)


class _Zeros:
    """Which entries of each variable are zero for all parameters: a mask of its shape, or None for no entry."""

    def __init__(self, rewriting: Rewriting) -> None:
        self.rewriting = rewriting
        self.masks: dict[Any, np.ndarray | None] = {}
        self.movers: dict[Any, Any] = {}

    def of(self, atom: Any) -> np.ndarray | None:
        """The mask of an atom."""
        if isinstance(atom, jex.Literal):
            return self._some(self.rewriting.known(atom))
        if atom in self.rewriting.constants and atom not in self.masks:
            self.masks[atom] = self._some(self.rewriting.known(atom))
        return self.masks.get(atom)

    @staticmethod
    def _some(value: Any) -> np.ndarray | None:
        if np.size(value) > MOST_ENTRIES:
            return None
        zero = np.asarray(value) == 0
        return zero if zero.any() else None

    def follow(self, equation: Any) -> None:
        """Note the mask of what an equation gives."""
        found = self._given(equation) if len(equation.outvars) == 1 else None
        if found is not None and found.any():
            self.masks[equation.outvars[0]] = found

    def _given(self, equation: Any) -> np.ndarray | None:
        name, out = equation.primitive.name, equation.outvars[0].aval
        if math.prod(out.shape) > MOST_ENTRIES:
            return None
        if out.dtype.kind not in "fc":  # of whole numbers 0 over 0 is one, too
            return None
        if name in _MOVING and len(equation.invars) == 1:
            self.movers[equation.outvars[0]] = equation
        if name == "sub":
            same = self._same(*equation.invars)
            if same is not None:
                return same
        masks = [self.of(atom) for atom in equation.invars]
        if all(mask is None for mask in masks):
            return None
        first = masks[0]
        if name in _MOVING:
            return self._moved(equation, masks)
        if name == "reduce_sum":
            return None if first is None else np.asarray(first.all(axis=tuple(equation.params["axes"])))
        if name == "integer_pow":
            return first if equation.params["y"] > 0 else None
        if name in _ZERO_AT_ZERO:
            return first
        if name not in _OF_TWO:
            return None
        one, other = (None if mask is None else np.broadcast_to(mask, out.shape) for mask in masks)
        if name == "mul":
            return other if one is None else (one if other is None else one | other)
        if one is None or name == "div":
            return one
        if name == "pow":
            exponent = equation.invars[1]
            return one & (self.rewriting.known(exponent) > 0) if self.rewriting.is_known(exponent) else None
        return None if other is None else one & other

    def _same(self, one: Any, other: Any) -> np.ndarray | None:
        """Where two arrays hold the same element of an array that both were moved from, as x[:, None] and x[None]."""
        chains = [self._moves(atom) for atom in (one, other)]
        if chains[0][0] is not chains[1][0] or not (chains[0][1] or chains[1][1]):
            return None
        source = chains[0][0]
        if math.prod(source.aval.shape) > MOST_ENTRIES:
            return None
        places = []
        for _, equations in chains:
            place = np.arange(math.prod(source.aval.shape), dtype=np.float64).reshape(source.aval.shape)
            for equation in equations:
                try:
                    (place,) = evaluate_equation(equation, [place])
                except NoRule:
                    return None
            places.append(place)
        return np.asarray(places[0] == places[1]) if places[0].shape == places[1].shape else None

    def _moves(self, atom: Any) -> tuple[Any, list[Any]]:
        """The array that an atom was moved from, and by what, the first first."""
        equations: list[Any] = []
        while isinstance(atom, jex.Var) and atom in self.movers:
            equations.append(self.movers[atom])
            atom = self.movers[atom].invars[0]
        return atom, equations[::-1]

    def _moved(self, equation: Any, masks: list[np.ndarray | None]) -> np.ndarray | None:
        """The masks moved as the elements are."""
        values = [
            np.zeros(atom.aval.shape, atom.aval.dtype) if mask is None else mask.astype(atom.aval.dtype)
            for atom, mask in zip(equation.invars, masks, strict=True)
        ]
        try:
            (moved,) = evaluate_equation(equation, values)
        except NoRule:
            return None
        return np.asarray(moved) != 0
