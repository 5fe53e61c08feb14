"""Andrei, An unconstrained optimization test functions collection, Adv. Model. Optim. 10 (2008) 147-161.

Its functions with its starts, each at several numbers of parameters; left out are those of Moré, Garbow & Hillstrom.
Many of them come from CUTE (Bongartz, Conn, Gould & Toint, ACM Trans. Math. Softw. 21, 1995), and carry its names.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .more_garbow_hillstrom import BEALE, FREUDENSTEIN, trigonometric, wood
from .terms import (
    Cost,
    Problem,
    Starts,
    all_at,
    chain,
    each,
    fours,
    numbers,
    of_sizes,
    pairs,
    plus,
    repeated,
    squares,
)


def generalized_tridiagonal2(xp: Any, x: Any) -> Any:
    y = (5 - 3 * x - x**2) * x + 1
    return squares(xp, y[0] - 3 * x[1], y[1:-1] - x[:-2] - 3 * x[2:], y[-1] - x[-2])


def full_hessian1(xp: Any, x: Any) -> Any:
    return squares(xp, x[0] - 3, x[0] - 3 - 2 * xp.cumsum(x)[1:] ** 2)


def curly20(xp: Any, x: Any) -> Any:
    sums = xp.concatenate([np.zeros(1), xp.cumsum(x)])
    q = sums[np.minimum(np.arange(x.size) + 21, x.size)] - sums[:-1]
    return xp.sum(q**4 - 20 * q**2 - 0.1 * q)


def bdqrtic(xp: Any, x: Any) -> Any:
    a, b, c, d = x[:-4], x[1:-3], x[2:-2], x[3:-1]
    return squares(xp, -4 * a + 3, a**2 + 2 * b**2 + 3 * c**2 + 4 * d**2 + 5 * x[-1] ** 2)


def sinquad(xp: Any, x: Any) -> Any:
    inner = x[1:-1]
    return (x[0] - 1) ** 4 + squares(xp, xp.sin(inner - x[-1]) - x[0] ** 2 + inner**2, x[-1] ** 2 - x[0] ** 2)


def indef(xp: Any, x: Any) -> Any:
    return xp.sum(x) + 0.5 * xp.sum(xp.cos(2 * x[1:-1] - x[-1] - x[0]))


def fletcbv3(xp: Any, x: Any) -> Any:
    h = 1 / (x.size + 1)
    bends = 0.5 * (squares(xp, x[0], x[1:] - x[:-1], x[-1]))
    return 1e-8 * (bends - xp.sum((1 + 2 / h**2) * x + xp.cos(x) / h**2))


def harkerp2(xp: Any, x: Any) -> Any:
    tails = xp.cumsum(x[::-1])[::-1]
    return tails[0] ** 2 + 2 * squares(xp, tails[1:]) - xp.sum(x + x**2 / 2)


def dixmaan(a: float, b: float, c: float, d: float, k: int, end: int) -> Cost:
    """Dixon & Maany's twelve, by their weights and the powers of i/n at the squares and at the last products."""

    def cost(xp: Any, x: Any) -> Any:
        n, m = x.size, x.size // 3
        r = numbers(n) / n
        near = xp.sum(x[:-1] ** 2 * (x[1:] + x[1:] ** 2) ** 2)
        far = xp.sum(x[: 2 * m] ** 2 * x[m:] ** 4)
        return (
            1 + a * xp.sum(r**k * x**2) + b * near + c * far + d * xp.sum(r[:m] ** end * x[:m] * x[2 * m :])
        )

    return cost


def psc(xp: Any, a: Any, b: Any) -> Any:
    return (a**2 + b**2 + a * b) ** 2 + xp.sin(a) ** 2 + xp.cos(b) ** 2


def tridiagonal(xp: Any, a: Any, b: Any) -> Any:
    return (a + b - 3) ** 2 + (a - b + 1) ** 4


def ramp(n: int) -> np.ndarray:
    return numbers(n) / (n + 1)


def first(term: Any) -> Cost:
    """A term in x₁ alone."""
    return lambda xp, x: term(x[0])


def last(term: Any) -> Cost:
    """A term in the last parameter alone."""
    return lambda xp, x: term(x[-1])


def row(
    cost: Cost, start: Starts, *sizes: int, minimum: float | dict[int, float] | None = None
) -> tuple[Any, ...]:
    """A line of the table."""
    return cost, start, sizes, minimum


WHITE: Cost = pairs(lambda xp, a, b: 100 * (b - a**3) ** 2 + (1 - a) ** 2)

# fmt: off
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "A-FREUD": row(FREUDENSTEIN, repeated(0.5, -2), 10, 5000),
    "A-TRIG": row(trigonometric, all_at(0.2), 4, 50, 500),
    "GENROSE": row(chain(lambda xp, a, b: 100 * (b - a**2) ** 2 + (1 - a) ** 2), repeated(-1.2, 1), 10, 100, 1000),
    "WHITE": row(WHITE, repeated(-1.2, 1), 10, 5000, minimum=0.0),
    "A-BEALE": row(BEALE, repeated(1, 0.8), 10, 5000, minimum=0.0),
    "PENALTY": row(
        plus(chain(lambda xp, a, b: (a - 1) ** 2), lambda xp, x: (xp.sum(x**2) - 0.25) ** 2), numbers, 10, 1000
    ),
    "PQUAD": row(
        plus(each(lambda xp, x, i: i * x**2), lambda xp, x: xp.sum(x) ** 2 / 100), all_at(0.5), 10, 5000, minimum=0.0
    ),
    "RAYDAN1": row(each(lambda xp, x, i: i / 10 * (xp.exp(x) - x)), all_at(1), 10, 100, 5000),
    "RAYDAN2": row(each(lambda xp, x, i: xp.exp(x) - x), all_at(1), 10, 10_000),
    "DIAG1": row(each(lambda xp, x, i: xp.exp(x) - i * x), lambda n: np.full(n, 1 / n), 10, 1000),
    "DIAG2": row(each(lambda xp, x, i: xp.exp(x) - x / i), lambda n: 1 / numbers(n), 10, 1000),
    "DIAG3": row(each(lambda xp, x, i: xp.exp(x) - i * xp.sin(x)), all_at(1), 10, 1000),
    "HAGER": row(each(lambda xp, x, i: xp.exp(x) - np.sqrt(i) * x), all_at(1), 10, 5000),
    "GTRI1": row(chain(tridiagonal), all_at(2), 10, 5000),
    "XTRI1": row(pairs(tridiagonal), all_at(2), 10, 5000),
    "TET": row(
        pairs(lambda xp, a, b: xp.exp(a + 3 * b - 0.1) + xp.exp(a - 3 * b - 0.1) + xp.exp(-a - 0.1)),
        all_at(0.1), 10, 5000,
    ),
    "GTRI2": row(generalized_tridiagonal2, all_at(-1), 10, 100, 5000),
    "DIAG4": row(pairs(lambda xp, a, b: (a**2 + 100 * b**2) / 2), all_at(1), 10, minimum=0.0),
    "DIAG5": row(each(lambda xp, x, i: xp.log(xp.exp(x) + xp.exp(-x))), all_at(1.1), 10, 5000),
    "HIMMEL": row(
        pairs(lambda xp, a, b: (a**2 + b - 11) ** 2 + (a + b**2 - 7) ** 2), all_at(1), 10, 5000, minimum=0.0
    ),
    "GWHITE": row(chain(lambda xp, a, b: 100 * (b - a**3) ** 2 + (1 - a) ** 2), repeated(-1.2, 1), 10, 100, 1000),
    "GPSC1": row(chain(psc), repeated(3, 0.1), 10, 5000),
    "PSC1": row(pairs(psc), repeated(3, 0.1), 10, 5000),
    "FULLHESS1": row(full_hessian1, all_at(0.01), 10, 50, 500),
    "FULLHESS2": row(
        lambda xp, x: squares(xp, x[0] - 5, xp.cumsum(x)[1:] - 1), all_at(0.01), 10, 100, 1000, minimum=0.0
    ),
    "FULLHESS3": row(lambda xp, x: xp.sum(x) ** 2 + xp.sum(x * xp.exp(x) - 2 * x - x**2), all_at(1), 10, 100, 1000),
    "XBD1": row(pairs(lambda xp, a, b: (a**2 + b**2 - 2) ** 2 + (xp.exp(a - 1) - b) ** 2), all_at(0.1), 10, 5000),
    "MARATOS": row(pairs(lambda xp, a, b: a + 100 * (a**2 + b**2 - 1) ** 2), repeated(1.1, 0.1), 10, 5000),
    "CLIFF": row(
        pairs(lambda xp, a, b: ((a - 3) / 100) ** 2 - (a - b) + xp.exp(20 * (a - b))), repeated(0, -1), 2, 10, 1000
    ),
    "PQUADDIAG": row(
        plus(each(lambda xp, x, i: i / 100 * x**2), lambda xp, x: xp.sum(x) ** 2), all_at(0.5), 10, 1000, minimum=0.0
    ),
    "A-WOOD": row(
        fours(
            lambda xp, a, b, c, d: (
                100 * (a**2 - b) ** 2
                + (a - 1) ** 2
                + 90 * (c**2 - d) ** 2
                + (1 - c) ** 2
                + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2)
                + 19.8 * (b - 1) * (d - 1)
            )
        ),
        repeated(-3, -1), 12, 5000, minimum=0.0,
    ),
    "HIEBERT": row(pairs(lambda xp, a, b: (a - 10) ** 2 + (a * b - 50_000) ** 2), all_at(0), 2, 10, 1000, minimum=0.0),
    "QF1": row(plus(each(lambda xp, x, i: i * x**2 / 2), last(lambda z: -z)), all_at(1), 10, 5000),
    "QP1": row(
        plus(chain(lambda xp, a, b: (a**2 - 2) ** 2), lambda xp, x: (xp.sum(x**2) - 0.5) ** 2), all_at(1), 10, 1000
    ),
    "QP2": row(
        plus(chain(lambda xp, a, b: (a**2 - xp.sin(a)) ** 2), lambda xp, x: (xp.sum(x**2) - 100) ** 2),
        all_at(1), 10, 1000,
    ),
    "QF2": row(plus(each(lambda xp, x, i: i * (x**2 - 1) ** 2 / 2), last(lambda z: -z)), all_at(0.5), 10, 100, 5000),
    "EP1": row(
        pairs(lambda xp, a, b: (xp.exp(a - b) - 5) ** 2 + (a - b) ** 2 * (a - b - 11) ** 2), all_at(1.5), 2, 10, 5000
    ),
    "XTRI2": row(chain(lambda xp, a, b: (a * b - 1) ** 2 + 0.1 * (a + 1) * (b + 1)), all_at(1), 10, 1000),
    "FLETCBV3": row(fletcbv3, ramp, 10, 1000),
    "FLETCHCR": row(chain(lambda xp, a, b: 100 * (b - a + 1 - a**2) ** 2), all_at(0), 10, 100, 1000, minimum=0.0),
    "BDQRTIC": row(bdqrtic, all_at(1), 10, 100, 5000),
    "TRIDIA": row(
        lambda xp, x: (x[0] - 1) ** 2 + xp.sum(numbers(x.size)[1:] * (2 * x[1:] - x[:-1]) ** 2),
        all_at(1), 10, 5000, minimum=0.0,
    ),
    "ARWHEAD": row(
        lambda xp, x: xp.sum(-4 * x[:-1] + 3 + (x[:-1] ** 2 + x[-1] ** 2) ** 2), all_at(1), 10, 5000, minimum=0.0
    ),
    "NONDIA": row(
        lambda xp, x: (x[0] - 1) ** 2 + 100 * squares(xp, x[0] - x[:-1] ** 2), all_at(-1), 10, 5000, minimum=0.0
    ),
    "NONDQUAR": row(
        lambda xp, x: squares(xp, x[0] - x[1], x[-2] - x[-1]) + xp.sum((x[:-2] + x[1:-1] + x[-1]) ** 4),
        repeated(1, -1), 10, 100, 5000, minimum=0.0,
    ),
    "DQDRTIC": row(chain(lambda xp, a, b, c: a**2 + 100 * b**2 + 100 * c**2, 3), all_at(3), 10, 5000, minimum=0.0),
    "EG2": row(
        lambda xp, x: xp.sum(xp.sin(x[0] + x[:-1] ** 2 - 1)) + xp.sin(x[-1] ** 2) / 2, all_at(1), 10, 100, 1000
    ),
    "CURLY20": row(curly20, lambda n: np.full(n, 0.001 / (n + 1)), 100, 1000),
    "PPQUAD": row(
        lambda xp, x: x[0] ** 2 + xp.sum(numbers(x.size) * x**2) + squares(xp, xp.cumsum(x)) / 100,
        all_at(0.5), 10, 1000, minimum=0.0,
    ),
    "APQUAD": row(
        lambda xp, x: xp.sum(numbers(x.size) * x**2) + (x[0] + x[-1]) ** 2 / 100, all_at(0.5), 10, 5000, minimum=0.0
    ),
    "PTRIQUAD": row(
        lambda xp, x: x[0] ** 2 + xp.sum(numbers(x.size)[1:-1] * x[1:-1] ** 2) + squares(xp, x[:-2] + x[1:-1] + x[2:]),
        all_at(0.5), 10, 5000, minimum=0.0,
    ),
    "STAIR1": row(lambda xp, x: squares(xp, xp.cumsum(x)), all_at(1), 10, 1000, minimum=0.0),
    "STAIR2": row(lambda xp, x: squares(xp, xp.cumsum(x) - numbers(x.size)), all_at(0), 10, 1000, minimum=0.0),
    "LIARWHD": row(lambda xp, x: squares(xp, 2 * (x**2 - x[0]), x - 1), all_at(4), 10, 5000, minimum=0.0),
    "POWER": row(each(lambda xp, x, i: (i * x) ** 2), all_at(1), 10, 1000, minimum=0.0),
    "ENGVAL1": row(chain(lambda xp, a, b: (a**2 + b**2) ** 2 - 4 * a + 3), all_at(2), 10, 5000),
    "CRAGGLVY": row(
        chain(
            lambda xp, a, b, c, d: (
                (xp.exp(a) - b) ** 4 + 100 * (b - c) ** 6 + (xp.tan(c - d) + c - d) ** 4 + a**8 + (d - 1) ** 2
            ),
            4,
            2,
        ),
        lambda n: np.where(numbers(n) == 1, 1.0, 2.0),
        4, 100, 5000,
    ),
    "EDENSCH": row(chain(lambda xp, a, b: (a - 2) ** 4 + (a * b - 2 * b) ** 2 + (b + 1) ** 2), all_at(0), 10, 2000),
    "INDEF": row(indef, ramp, 10, 50, 1000, minimum=-np.inf),
    "CUBE": row(
        plus(first(lambda a: (a - 1) ** 2), chain(lambda xp, a, b: 100 * (b - a**3) ** 2)),
        repeated(-1.2, 1), 10, 100, minimum=0.0,
    ),
    # Falls without limit where a + b < 0 and c grows: (-1, 0, t) costs -exp(t).
    "BDEXP": row(
        chain(lambda xp, a, b, c: (a + b) * xp.exp(-c * (a + b)), 3), all_at(1), 10, 5000, minimum=-np.inf
    ),
    "HARKERP2": row(harkerp2, numbers, 10, 100),
    "GENHUMPS": row(
        chain(lambda xp, a, b: xp.sin(2 * a) ** 2 * xp.sin(2 * b) ** 2 + 0.05 * (a**2 + b**2)),
        lambda n: np.where(numbers(n) == 1, -506.0, 506.2),
        5, 100, 1000, minimum=0.0,
    ),
    "MCCORMCK": row(
        chain(lambda xp, a, b: -1.5 * a + 2.5 * b + 1 + (a - b) ** 2 + xp.sin(a + b)),
        all_at(1), 10, 1000, minimum=-np.inf,
    ),
    "NONSCOMP": row(
        plus(first(lambda a: (a - 1) ** 2), chain(lambda xp, a, b: 4 * (b - a**2) ** 2)),
        all_at(3), 10, 100, 5000, minimum=0.0,
    ),
    "QUARTC": row(each(lambda xp, x, i: (x - 1) ** 4), all_at(2), 10, 5000, minimum=0.0),
    "DIAG6": row(each(lambda xp, x, i: xp.exp(x) - (1 + x)), all_at(1), 10, 5000, minimum=0.0),
    "SINQUAD": row(sinquad, all_at(0.1), 5, 100, 5000),
    "DENSCHNB": row(
        pairs(lambda xp, a, b: (a - 2) ** 2 + (a - 2) ** 2 * b**2 + (b + 1) ** 2), all_at(1), 10, 5000, minimum=0.0
    ),
    "DENSCHNF": row(
        pairs(lambda xp, a, b: (2 * (a + b) ** 2 + (a - b) ** 2 - 8) ** 2 + (5 * a**2 + (b - 3) ** 2 - 9) ** 2),
        repeated(2, 0), 10, 5000, minimum=0.0,
    ),
    "DIXON3DQ": row(
        plus(first(lambda a: (a - 1) ** 2), last(lambda z: (z - 1) ** 2), lambda xp, x: squares(xp, x[1:-1] - x[2:])),
        all_at(-1), 10, 1000, minimum=0.0,
    ),
    "COSINE": row(chain(lambda xp, a, b: xp.cos(a**2 - b / 2)), all_at(1), 10, 100, 10_000),
    # Every term is -1 where each b = 2 a² + π, whatever the first.
    "SINE": row(
        chain(lambda xp, a, b: xp.sin(a**2 - b / 2)), all_at(1), 10, 100, 10_000,
        minimum={n: 1.0 - n for n in (10, 100, 10_000)},
    ),
    "BIGGSB1": row(
        plus(first(lambda a: (a - 1) ** 2), last(lambda z: (z - 1) ** 2), chain(lambda xp, a, b: (b - a) ** 2)),
        all_at(0), 10, 5000, minimum=0.0,
    ),
    "GQUARTIC": row(chain(lambda xp, a, b: a**2 + (b + a**2) ** 2), all_at(1), 10, 5000, minimum=0.0),
    "DIAG7": row(each(lambda xp, x, i: xp.exp(x) - 2 * x - x**2), all_at(1), 10, 1000),
    "DIAG8": row(each(lambda xp, x, i: x * xp.exp(x) - 2 * x - x**2), all_at(1), 10, 1000),
    "DIAG9": row(
        plus(lambda xp, x: xp.sum(xp.exp(x[:-1]) - numbers(x.size - 1) * x[:-1]), last(lambda z: 10_000 * z**2)),
        all_at(1), 10, 1000,
    ),
    "HIMMELBG": row(pairs(lambda xp, a, b: (2 * a**2 + 3 * b**2) * xp.exp(-a - b)), all_at(1.5), 2, 10, 5000),
    "HIMMELH": row(pairs(lambda xp, a, b: -3 * a - 2 * b + 2 + a**3 + b**2), all_at(1.5), 2, 10, 1000),
    # Powell's singular function, Wood's and a bent valley over runs of neighbours (Conn, Gould & Toint's LANCELOT).
    "POWSING2": row(
        chain(lambda xp, a, b, c, d: (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4, 4),
        repeated(3, -1, 0, 1), 20, 4000, minimum=0.0,
    ),
    "CHAINWOO": row(
        chain(wood, 4, 2),
        lambda n: np.r_[-3.0, -1, -3, -1, repeated(-2, 0)(n - 4)],
        20, 100, 4000,
    ),
    "BROYDN7D": row(
        lambda xp, x: (
            xp.sum(xp.abs((3 - 2 * x[1:-1]) * x[1:-1] - x[:-2] - x[2:] + 1) ** (7 / 3))
            + xp.sum(xp.abs(x[: x.size // 2] + x[x.size // 2 :]) ** (7 / 3))
        ),
        all_at(-1), 10, 1000,
    ),
    "TOINTGSS": row(
        lambda xp, x: xp.sum(
            (10 / x.size + x[2:] ** 2) * (2 - xp.exp(-((x[:-2] - x[1:-1]) ** 2) / (0.1 + x[2:] ** 2)))
        ),
        all_at(3), 10, 1000,
    ),
    "CHAINCB": row(chain(lambda xp, a, b: a**4 + b**2 + xp.exp(b - a)), all_at(2), 10, 1000),
    **{
        f"DIXMAAN{letter}": row(dixmaan(1, b, c, d, k, end), all_at(2), *sizes, minimum=1.0)
        for letters, k, end, sizes in (("ABCD", 0, 0, (15, 3000)), ("EFGH", 1, 1, (300,)), ("IJKL", 2, 2, (15, 300)))
        for letter, (b, c, d) in zip(
            letters, ((0, 0.125, 0.125), (0.0625,) * 3, (0.125,) * 3, (0.26,) * 3), strict=True
        )
    },
}
# fmt: on


def scaled_sine(of: Any) -> tuple[Cost, Starts]:
    """Sums of waves whose parameters differ in size by e⁶ (SCOSINE of CUTE)."""

    def scale(n: int) -> np.ndarray:
        return np.asarray(np.exp(6 * (numbers(n) - 1) / (n - 1)))

    def cost(xp: Any, x: Any) -> Any:
        y = scale(x.size) * x
        return xp.sum(of(xp, y[:-1] ** 2 - y[1:] / 2))

    return cost, lambda n: 1 / scale(n)


FUNCTIONS["SCOSINE"] = row(*scaled_sine(lambda xp, y: xp.cos(y)), 10, 1000)

PROBLEMS: dict[str, Problem] = {}
for _name, (_cost, _start, _sizes, _minimum) in FUNCTIONS.items():
    PROBLEMS |= of_sizes(_name, _cost, _start, _sizes, _minimum)

_FAR: Sequence[str] = (
    "A-FREUD-10 WHITE-10 A-BEALE-10 HIMMEL-10 PSC1-10 MARATOS-10 A-WOOD-12 ENGVAL1-10 LIARWHD-10 BDQRTIC-10 "
    "NONDQUAR-10 GENROSE-10 CHAINWOO-20 DENSCHNF-10 SINQUAD-5 QF2-10 COSINE-10 SINE-10 EG2-10 HAGER-10 A-FREUD-5000 "
    "WHITE-5000 HIMMEL-5000 BDQRTIC-5000 ENGVAL1-5000 CHAINWOO-4000 LIARWHD-5000"
).split()
PROBLEMS |= {f"{name}×10": Problem(PROBLEMS[name].cost, 10 * PROBLEMS[name].start) for name in _FAR}
