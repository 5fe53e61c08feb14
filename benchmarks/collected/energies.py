"""Energies of fields on grids and of particles, free and between bounds: problems of the calculus of variations.

Torsion, journal bearing, minimal surface, optimal design, combustion, superconductors and clusters after Averick,
Carter, Moré & Xue, The MINPACK-2 test problem collection, Argonne MCS-P153-0692 (1992); the obstacle after Moré &
Toraldo, SIAM J. Optim. 1 (1991) 93-113; charges on a sphere after Thomson, Phil. Mag. 7 (1904) 237-265.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .terms import Cost, Problem, beside, numbers, posed, squares


def square(xp: Any, x: Any) -> Any:
    """A field on the inner points of a square grid, with zeros around it."""
    m = int(x.size**0.5)
    return xp.pad(x.reshape(m, m), 1)


def bending(xp: Any, u: Any) -> Any:
    """Half the integral of |∇u|² on a square grid."""
    return squares(xp, u[1:] - u[:-1], u[:, 1:] - u[:, :-1]) / 2


def laplacian(u: Any) -> Any:
    """Minus h² times the five-point Laplacian at the inner points."""
    return 4 * u[1:-1, 1:-1] - u[:-2, 1:-1] - u[2:, 1:-1] - u[1:-1, :-2] - u[1:-1, 2:]


def part(x: Any) -> float:
    """The area of a cell of the unit square."""
    return float((x.size**0.5 + 1) ** -2)


def loaded(density: Callable[[Any, Any], Any]) -> Cost:
    """Half the integral of |∇u|² less that of a density of u."""
    return lambda xp, x: bending(xp, square(xp, x)) - part(x) * xp.sum(density(xp, x))


def torsion(twist: float, m: int) -> Problem:
    """A rod of elastic and plastic parts: the field stays below the distance to the edge."""
    return posed(loaded(lambda xp, u: twist * u), to_edge(m)).within(-to_edge(m), to_edge(m))


def combustion_residuals(rate: float) -> Cost:
    return lambda xp, x: squares(xp, laplacian(square(xp, x)).ravel() - rate * part(x) * xp.exp(x))


def triangles(xp: Any, u: Any, hx: float, hy: float) -> Any:
    """|∇u|² on the lower and the upper triangle of each cell."""
    dx, dy = (u[1:] - u[:-1]) / hx, (u[:, 1:] - u[:, :-1]) / hy
    return xp.stack([dx[:, :-1] ** 2 + dy[:-1] ** 2, dx[:, 1:] ** 2 + dy[1:] ** 2])


def minimal_surface(xp: Any, x: Any) -> Any:
    """Area of a surface over the unit square: a parabola on two edges, zero on the others."""
    m = int(x.size**0.5)
    edge = np.zeros((m + 2, m + 2))
    edge[0] = edge[-1] = 1 - (2 * np.linspace(0, 1, m + 2) - 1) ** 2
    h = 1 / (m + 1)
    return h * h / 2 * xp.sum(xp.sqrt(1 + triangles(xp, square(xp, x) + edge, h, h)))


def optimal_design(xp: Any, x: Any) -> Any:
    """Two materials in a rod's section: the density is quadratic, linear in between, and quadratic again."""
    multiplier, strong, weak = 0.008, 2.0, 1.0
    low, high = (2 * multiplier * weak / strong) ** 0.5, (2 * multiplier * strong / weak) ** 0.5
    h = part(x) ** 0.5
    t2 = triangles(xp, square(xp, x), h, h)
    t = xp.sqrt(xp.maximum(t2, low**2))
    beyond = weak * (t2 - high**2) / 2 + strong * low * (high - low / 2)
    psi = xp.where(t2 <= low**2, strong * t2 / 2, xp.where(t <= high, strong * low * (t - low / 2), beyond))
    return h * h * (xp.sum(psi) / 2 + xp.sum(x))


def journal_bearing(xp: Any, x: Any) -> Any:
    """Pressure of the film between two cylinders, not negative; eccentricity 0.1, length 10."""
    m = int(x.size**0.5)
    u, hx, hy, eccentricity = square(xp, x), 2 * np.pi / (m + 1), 20 / (m + 1), 0.1
    angle = np.arange(m + 2) * hx
    film = (1 + eccentricity * np.cos(angle)) ** 3
    bends = xp.sum((film[1:] + film[:-1])[:, None] / 2 * (u[1:] - u[:-1]) ** 2) / hx**2
    bends = bends + xp.sum(film[:, None] * (u[:, 1:] - u[:, :-1]) ** 2) / hy**2
    return hx * hy * (bends / 2 - eccentricity * xp.sum(np.sin(angle)[:, None] * u))


def layers(xp: Any, x: Any) -> Any:
    """A ring of superconductor between normal metal, in one dimension and in units that leave its constants one."""
    h = 5.2 / x.size
    at = (np.arange(x.size) + 0.5) * h
    normal = np.where(abs(at - 2.6) < 1.6, 0.3, -1.0)
    return squares(xp, x - xp.roll(x, -1)) / (2 * h) + h * xp.sum(normal * x**2 / 2 + x**4 / 4)


def superconductor(xp: Any, x: Any) -> Any:
    """Ginzburg & Landau's energy in two dimensions with eight vortices: order parameter and vector potential."""
    vortices, kappa, m = 8, 5.0, int((x.size // 4) ** 0.5)
    re, im, ax, ay = x.reshape(4, m, m)
    hx, hy = (vortices / 2) ** 0.5 * 3 / m, (vortices / 2) ** 0.5 * 3 * 3**0.5 / m
    turn = 2 * np.pi * vortices * np.arange(m) / m
    c, s = np.cos(turn), np.sin(turn)

    def right(u: Any, edge: Any) -> Any:
        return xp.concatenate([u[1:], edge[None]])

    def up(u: Any) -> Any:
        return xp.roll(u, -1, axis=1)

    def kinetic(re_next: Any, im_next: Any, a: Any, h: float) -> Any:
        cos, sin = xp.cos(h * a), xp.sin(h * a)
        return squares(xp, re_next - re * cos + im * sin, im_next - im * cos - re * sin) / h**2

    re_right, im_right = right(re, re[0] * c - im[0] * s), right(im, re[0] * s + im[0] * c)
    density = re**2 + im**2
    curl = (right(ay, ay[0] + 2 * np.pi * vortices / (m * hy)) - ay) / hx - (up(ax) - ax) / hy
    energy = xp.sum(-density + density**2 / 2) + kappa**2 * squares(xp, curl)
    return (energy + kinetic(re_right, im_right, ax, hx) + kinetic(up(re), up(im), ay, hy)) / m**2


def superconductor_start(m: int) -> np.ndarray:
    i, j = np.arange(m)[:, None], np.arange(m)[None, :]
    dip = 1 - (0.5 * np.sin(np.pi * i / m) * np.sin(np.pi * j / m)) ** 2
    hx = 6 / m
    slope = 2 * np.pi * 8 * i / (m * m * hx * 3**0.5) + 0 * j
    return np.stack([dip, 0 * dip, 0 * dip, slope]).ravel()


def double_well(width: float) -> Cost:
    """A boundary between two phases (Allen & Cahn): not convex, flat where it may slide."""
    return lambda xp, x: (
        width * squares(xp, beside(xp, x, 1, 0)[:-1] - x) * x.size
        + xp.sum((x**2 - 1) ** 2) / (4 * width * x.size)
    )


def chain_of_springs(xp: Any, x: Any) -> Any:
    """A chain that hangs from two nails, of springs that resist pulling and not pushing: points (x, y) in turn."""
    p = xp.concatenate([np.zeros((1, 2)), x.reshape(-1, 2), np.array([[1.0, 0.0]])])
    length2 = xp.sum((p[1:] - p[:-1]) ** 2, axis=1)
    rest = 1.5 / (x.size // 2 + 1)
    stretch = xp.maximum(length2 / rest**2 - 1, 0.0)
    return 50 * squares(xp, stretch) + xp.sum(p[:, 1])


def power_laplacian(p: float) -> Cost:
    """∫ |∇u|ᵖ/p − u: for p above two the curvature dies out where the slope does."""
    return lambda xp, x: (
        part(x)
        * (
            xp.sum((1e-12 + triangles(xp, square(xp, x), part(x) ** 0.5, part(x) ** 0.5)) ** (p / 2))
            / (2 * p)
            - xp.sum(x)
        )
    )


def quickest_slide(xp: Any, x: Any) -> Any:
    """Time of a bead along a polygon from (0, 0) down to (1, -1): the brachistochrone, heights x at equal steps."""
    y = xp.concatenate([np.zeros(1), x, np.array([1.0])])
    length = xp.sqrt((1 / (x.size + 1)) ** 2 + (y[1:] - y[:-1]) ** 2)
    return xp.sum(2 * length / (xp.sqrt(y[1:]) + xp.concatenate([np.zeros(1), xp.sqrt(y[1:-1])])))


def between(points: Any, xp: Any) -> Any:
    """Squares of the distances between all points (N, d)."""
    i, j = np.triu_indices(points.shape[0], 1)
    return xp.sum((points[i] - points[j]) ** 2, axis=1)


def lennard_jones(xp: Any, x: Any) -> Any:
    q = between(x.reshape(-1, 3), xp) ** -3.0
    return xp.sum(q**2 - 2 * q)


def charges(xp: Any, x: Any) -> Any:
    """On a sphere, by the angles (θ, φ) of each."""
    theta, phi = x[::2], x[1::2]
    points = [xp.sin(theta) * xp.cos(phi), xp.sin(theta) * xp.sin(phi), xp.cos(theta)]
    return xp.sum(between(xp.stack(points, axis=1), xp) ** -0.5)


def chequerboard(xp: Any, x: Any) -> Any:
    """Fourth powers of differences, less the sum: bounds differ from square to square."""
    u = x.reshape(40, 40)
    return xp.sum((u[1:] - u[:-1]) ** 4) + xp.sum((u[:, 1:] - u[:, :-1]) ** 4) - 0.01 * xp.sum(x)


def plate(xp: Any, x: Any) -> Any:
    """A clamped plate under its weight: the biharmonic energy."""
    return squares(xp, laplacian(xp.pad(square(xp, x), 1))) / 2 - 1e-3 * xp.sum(x)


def to_edge(m: int) -> np.ndarray:
    """Distance to the nearest edge of the unit square at each inner point."""
    one = np.minimum(numbers(m), m + 1 - numbers(m)) / (m + 1)
    return np.minimum(one[:, None], one).ravel()


def bumps(m: int) -> np.ndarray:
    t = numbers(m) / (m + 1)
    return np.asarray((np.sin(3.2 * np.pi * t)[:, None] * np.sin(3.3 * np.pi * t)) ** 3).ravel()


def lattice(particles: int) -> np.ndarray:
    """Points of a cube's lattice, one like the other, a little out of place."""
    at = np.stack(np.meshgrid(*[np.arange(3.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:particles]
    return (at + 0.05 * np.sin(7 * numbers(at.size)).reshape(at.shape)).ravel()


def film(m: int) -> np.ndarray:
    wave = np.maximum(np.sin(numbers(m) * 2 * np.pi / (m + 1)), 0)
    return np.repeat(wave, m)


_block = np.zeros((50, 50))
_block[15:35, 15:35] = 0.7
_wide = np.where(np.arange(1600) % 2 == 0, 1.0, 0.0)
_halves = np.tanh(np.linspace(-3, 5, 400))

# Lowest energies of so many particles (Hoare & Pal, Adv. Phys. 20, 1971; Northby, J. Chem. Phys. 87, 1987).
LENNARD_JONES = {3: -3.0, 5: -9.103852, 13: -44.326801}

PROBLEMS: dict[str, Problem] = {
    **{f"COMBUSTION-{m}": posed(loaded(lambda xp, x: 5 * xp.exp(x)), np.zeros(m * m)) for m in (30, 70)},
    **{
        f"BRATU-{m}-{rate:g}": posed(combustion_residuals(rate), np.zeros(m * m), 0.0)
        for m, rate in ((20, 4), (70, 4), (20, 6.8))
    },
    **{f"MINSURF-{m}": posed(minimal_surface, np.zeros(m * m)) for m in (30, 70)},
    "MINSURF-OBSTACLE-50": posed(minimal_surface, _block.ravel()).within(
        np.where(_block > 0, _block, -10).ravel(), np.inf
    ),
    **{f"DESIGN-{m}": posed(optimal_design, -(to_edge(m) ** 2)) for m in (20, 50)},
    **{f"TORSION-60-{c}": torsion(c, 60) for c in (5, 20)},
    "JOURNAL-50": posed(journal_bearing, film(50)).within(0, np.inf),
    "OBSTACLE-60": posed(loaded(lambda xp, x: x), np.maximum(bumps(60), 1)).within(bumps(60), 2000),
    "OBSTACLE-60-UPPER": posed(loaded(lambda xp, x: x), np.zeros(3600)).within(
        -1, np.maximum(bumps(60), 0) * 0.02
    ),
    **{f"LAYERS-{n}": posed(layers, 0.5 * np.cos(10 * np.arange(n) / n)) for n in (200, 2000)},
    **{f"SUPERCONDUCTOR-{m}": posed(superconductor, superconductor_start(m)) for m in (10, 20)},
    "PHASES-400": posed(double_well(0.02), _halves),
    "PHASES-400-FLAT": posed(double_well(0.02), 0.1 * np.sin(numbers(400))),
    **{
        f"SPRINGS-{n}": posed(
            chain_of_springs, np.column_stack([numbers(n) / (n + 1), 0 * numbers(n)]).ravel()
        )
        for n in (10, 100)
    },
    "P-LAPLACIAN-20-3": posed(power_laplacian(3), to_edge(20)),
    "P-LAPLACIAN-20-1.5": posed(power_laplacian(1.5), to_edge(20)),
    "SLIDE-50": posed(quickest_slide, numbers(50) / 51).within(1e-6, np.inf),
    **{f"CLUSTER-{n}": posed(lennard_jones, lattice(n), lowest) for n, lowest in LENNARD_JONES.items()},
    **{f"CHARGES-{n}": posed(charges, 1.5 + 1.4 * np.sin(5 * numbers(2 * n) ** 2)) for n in (6, 20)},
    "CHEQUER-1600": posed(chequerboard, np.full(1600, 10.0)).within(_wide, 10 + 10 * _wide),
    "PLATE-1600": posed(plate, np.zeros(1600)).within(-np.inf, 0.5),
}
