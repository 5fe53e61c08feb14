"""What one evaluation of a jaxpr costs, interpreted and compiled, and what compiling it costs: seconds, foreseen.

Rough, but the same at every run: the choice of tier, and with it the last bits of every result, must not
depend on what else the machine is doing. The constants were measured on two cores of a current server; a
machine twice as fast is twice as fast at all of them, and only their ratios matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..tracing.primitives import INITIAL_VALUE
from ..tracing.primitives.control import called_jaxpr
from ..tracing.primitives.integral import side_by_side as integrands
from ..tracing.primitives.integral import together
from ..tracing.primitives.root import side_by_side as roots
from .unrolled import MOST

# Seconds for each operation of the interpreter, whatever its size: on arrays and on single numbers.
ARRAY_OPERATION = 4e-7
SCALAR_OPERATION = 2e-8
# Seconds for each call of either tier.
INTERPRETED_CALL = 1.5e-6
COMPILED_CALL = 8e-6
# What takes XLA longer than this, in seconds, gains nothing from being a part of a compiled loop: what a call of it and
# a few operations on vectors take besides is a tenth of a millisecond.
WORTH_LOOPING = 5e-4
# What a call is foreseen to take is a bound, and what compiling saves is less: a compiled call may take so much longer,
# and up to so many elements, which the second-level cache holds, the interpreter takes this part of the time for each.
# Without these, programs of 50 to 10,000 parameters were compiled that then took up to three times as long.
COMPILED_ARRAYS = 2.5e-5
CACHED, IN_CACHE = 1 << 15, 0.4
# Iterations expected of a `while` loop, whose number nobody knows.
WHILE_ITERATIONS = 30
# How often the intervals of integrals are looked at together.
ROUNDS = 5
# Evaluations of the right-hand side expected of a differential equation, and what the interpreter takes around each.
RATE_EVALUATIONS = 600
# The same of one of many pieces, of which most may be empty.
RATES_OF_A_PIECE = 20
AROUND_A_RATE = 5e-6

# Compiling: always; each equation; and each pair of scalar equations, since LLVM schedules a long block of
# them in more than linear time (0.4, 1 and 18 s for 400, 1,400 and 4,200 scalar equations).
COMPILE = 0.05
COMPILE_EQUATION = 3e-4
COMPILE_SCALAR_PAIR = 7e-7
# What is not fused with its neighbours is a program of its own to LLVM: seconds for each of these equations. Twelve
# gathers, their twelve scatters and twelve products of matrices took 0.1, 0.25 and 0.1 s.
COMPILE_ALONE: dict[str, float] = {
    "gather": 8e-3,
    "dot_general": 8e-3,
    "conv_general_dilated": 3e-2,
    "integral": 0.5,
    # Loops are functions of their own, called for each turn: recursions of a thousand turns, their slopes and second
    # derivatives, with one, two and some four loops, took 0.2, 0.28 and 0.5 to 0.7 s.
    **dict.fromkeys(("scan", "while"), 0.1),
    **dict.fromkeys("scatter scatter-add scatter-sub scatter-mul scatter-min scatter-max".split(), 2e-2),
    # Tracing and compiling the loops of both of its methods, each with its right-hand side more than once.
    INITIAL_VALUE: 2.0,
}

# Seconds for each element, interpreted (through memory, one operation at a time) and compiled (fused).
CHEAP = (8e-10, 2e-10)
ELEMENTARY = (8e-9, 6e-9)
SPECIAL = (6e-8, 6e-8)
SORTED = (6e-8, 8e-8)
INDEXED = (6e-9, 3e-9)
MULTIPLY_ADD = (2e-10, 2e-10)
FACTORISED = (1e-9, 1e-9)

WEIGHTS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            "exp exp2 expm1 log log1p logistic sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh".split()
        ),
        ELEMENTARY,
    ),
    **dict.fromkeys("pow cbrt atan2 rem erf erfc".split(), ELEMENTARY),
    **dict.fromkeys(
        "lgamma digamma erf_inv igamma igammac regularized_incomplete_beta zeta".split(), SPECIAL
    ),
    **dict.fromkeys(
        "polygamma bessel_i0e bessel_i1e igamma_grad_a cumlogsumexp scipy_special".split(), SPECIAL
    ),
    **dict.fromkeys("sort top_k".split(), SORTED),
    **dict.fromkeys(
        "gather scatter scatter-add scatter-sub scatter-mul scatter-min scatter-max fft".split(), INDEXED
    ),
}
# No arithmetic: views in both tiers.
FREE = set(
    "reshape squeeze expand_dims broadcast_in_dim transpose rev slice split stop_gradient copy".split()
)
CUBIC = set("cholesky lu qr eigh eig svd triangular_solve".split())


@dataclass(frozen=True)
class Foreseen:
    """Seconds for one interpreted call, one compiled call, and compiling.

    `cached`: by how much an interpreted call is quicker where its arrays stay in the cache.
    """

    interpreted: float
    compiled: float
    compiling: float
    cached: float = 0.0

    @property
    def at_best(self) -> float:
        """Seconds for one call in the quicker of the two tiers."""
        return min(self.interpreted, self.compiled)

    @property
    def saving(self) -> float:
        """Seconds that one call saves when it is compiled; negative where interpreting is faster."""
        return self.interpreted - self.compiled

    @property
    def wasted(self) -> float:
        """Seconds that an interpreted call takes longer than a compiled one for sure: what may buy the compiling."""
        return self.saving - self.cached - COMPILED_ARRAYS


def foresee(closed: Any) -> Foreseen:
    """Foreseen cost of a closed jaxpr, from its equations alone.

    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x**2).sum())(jax.ShapeDtypeStruct((3,), np.float64))
    >>> foresee(jaxpr).saving < 0          # three numbers: the compiler has nothing to give
    True
    """
    interpreted, compiled, cached, equations, scalars, alone = _count(closed.jaxpr.eqns)
    compiling = COMPILE + COMPILE_EQUATION * equations + COMPILE_SCALAR_PAIR * scalars**2 + alone
    return Foreseen(INTERPRETED_CALL + interpreted, COMPILED_CALL + compiled, compiling, cached)


def _count(equations: Sequence[Any]) -> tuple[float, float, float, int, int, float]:
    """Seconds interpreted, compiled, saved by the cache; equations and scalar ones to compile, and seconds alone."""
    interpreted, compiled, cached, total, scalars, alone = 0.0, 0.0, 0.0, 0, 0, 0.0
    for equation in equations:
        for repetitions, inner in _inner(equation):
            slow, fast, kept, more, more_scalars, more_alone = _count(inner)
            # A loop in Python binds and stacks at every turn; in XLA it is a jump.
            interpreted += repetitions * (slow + INTERPRETED_CALL)
            compiled += repetitions * (fast + SCALAR_OPERATION)
            cached += repetitions * kept
            total += more
            scalars += more_scalars
            alone += more_alone
        slow, fast, kept = _one(equation)
        interpreted += slow
        compiled += fast
        cached += kept
        total += 1
        scalars += all(var.aval.shape == () for var in equation.outvars)
        alone += COMPILE_ALONE.get(equation.primitive.name, 0.0)
    return interpreted, compiled, cached, total, scalars, alone


def _inner(equation: Any) -> list[tuple[float, Sequence[Any]]]:
    """How often each jaxpr inside an equation is evaluated."""
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        return [(params["length"], params["jaxpr"].jaxpr.eqns)]
    if name == "while":
        return [(WHILE_ITERATIONS, params[key].jaxpr.eqns) for key in ("cond_jaxpr", "body_jaxpr")]
    if name == "integral":
        return [(ROUNDS, integrands(equation, together(params)).jaxpr.eqns)]
    if name == "root":
        return [(1, roots(equation).jaxpr.eqns)]
    if name == "cond":
        branches = params["branches"]
        return [(1 / len(branches), branch.jaxpr.eqns) for branch in branches]
    if name == INITIAL_VALUE:
        return [(_rates(params["flow"]), params["flow"].flat.jaxpr.eqns)]
    inner = called_jaxpr(equation)
    return [] if inner is None else [(1, inner.jaxpr.eqns)]


def _rates(flow: Any) -> float:
    return max(RATE_EVALUATIONS / flow.control.pieces, RATES_OF_A_PIECE)


def _one(equation: Any) -> tuple[float, float, float]:
    """Seconds for one equation without what is inside it, interpreted, compiled, and saved by the cache."""
    name = equation.primitive.name
    outputs = sum(math.prod(var.aval.shape) for var in equation.outvars)
    inputs = sum(math.prod(atom.aval.shape) for atom in equation.invars)
    overhead = SCALAR_OPERATION if outputs == inputs == len(equation.invars) == 1 else ARRAY_OPERATION
    if all(var.aval.shape == () for var in (*equation.invars, *equation.outvars)):
        overhead = SCALAR_OPERATION
    elif max(inputs, outputs) <= MOST:
        # Element by element: moving costs nothing, the rest a few scalar operations.
        overhead = 0.0 if name in FREE else min(max(inputs, outputs) * SCALAR_OPERATION, ARRAY_OPERATION)
    if name in FREE:
        return overhead, 0.0, 0.0
    if name == INITIAL_VALUE:
        return _rates(equation.params["flow"]) * AROUND_A_RATE, 0.0, 0.0
    if name == "dot_general":
        ((contracted, _), _) = equation.params["dimension_numbers"]
        work = outputs * math.prod(equation.invars[0].aval.shape[d] for d in contracted)
        return overhead + work * MULTIPLY_ADD[0], work * MULTIPLY_ADD[1], 0.0
    if name in CUBIC:
        shape = equation.invars[0].aval.shape
        # Each number of a solution takes one row of the triangle.
        work = (outputs if name == "triangular_solve" else math.prod(shape)) * shape[-1]
        return 10 * overhead + work * FACTORISED[0], 2 * overhead + work * FACTORISED[1], 0.0
    slow, fast = WEIGHTS.get(name, CHEAP)
    elements = max(inputs, outputs) if name.startswith(("reduce", "cum", "arg", "sort")) else outputs
    stays = elements <= CACHED and (slow, fast) in (CHEAP, INDEXED)
    return overhead + elements * slow, elements * fast, (1.0 - IN_CACHE) * elements * slow if stays else 0.0
