"""Fits to data: curves from near and far starts, regressions, factors of matrices, eigenvalues, and small networks.

The kinds are those of NIST's reference data sets and of CUTEst's least squares; the data are drawn here, from a seed,
around known parameters, so that nothing has to be fetched.
"""

from typing import Any

import numpy as np

from .terms import Cost, Problem, numbers, posed, squares

_RANDOM = np.random.default_rng(1)


def noise(*shape: int) -> np.ndarray:
    return _RANDOM.standard_normal(shape)


def curve(model: Any, t: np.ndarray, truth: Any, spread: float) -> Cost:
    """Σ (model(xp, x, t) − y)² for y drawn around the model of the true parameters."""
    y = model(np, np.asarray(truth, float), t) + spread * noise(t.size)
    return lambda xp, x: squares(xp, model(xp, x, t) - y)


def rational(xp: Any, x: Any, t: np.ndarray) -> Any:
    return (x[0] + x[1] * t + x[2] * t**2 + x[3] * t**3) / (1 + x[4] * t + x[5] * t**2 + x[6] * t**3)


def exponentials(xp: Any, x: Any, t: np.ndarray) -> Any:
    """Heights and rates in turn, and a level where one more parameter is there."""
    terms = sum(x[k] * xp.exp(-x[k + 1] * t) for k in range(0, x.size - 1, 2))
    return terms + (x[-1] if x.size % 2 else 0)


def peaks(xp: Any, x: Any, t: np.ndarray) -> Any:
    height, at, width = x[::3, None], x[1::3, None], x[2::3, None]
    return xp.sum(height * xp.exp(-((t - at) ** 2) / (2 * width**2)), axis=0)


def prey(xp: Any, x: Any, t: np.ndarray) -> Any:
    """Lotka & Volterra's prey by Euler's steps."""
    a, b, seen = 1.0, 0.5, []
    for _ in t:
        a, b = a + 0.1 * (x[0] * a - x[1] * a * b), b + 0.1 * (-x[2] * b + x[3] * a * b)
        seen.append(a)
    return xp.stack(seen)


def logistic_loss(X: np.ndarray, label: np.ndarray, decay: float) -> Cost:
    return lambda xp, x: xp.mean(xp.logaddexp(0, -label * (X @ x))) + decay * xp.sum(x**2)


def regression(loss: Any) -> Cost:
    """A robust loss of the residuals of a linear model."""
    return lambda xp, x: xp.sum(loss(xp, X @ x - Y))


def factors(M: np.ndarray, rank: int) -> Cost:
    """‖U V − M‖² for U (m, rank) and V (rank, k), flat and one behind the other."""
    m, k = M.shape
    return lambda xp, x: squares(xp, x[: m * rank].reshape(m, rank) @ x[m * rank :].reshape(rank, k) - M)


def network(xp: Any, x: Any) -> Any:
    """One hidden layer of ten, and a little decay."""
    W, v = x[:200].reshape(20, 10), x[200:]
    return xp.mean((xp.tanh(X @ W) @ v - np.sin(X[:, 0]) - X[:, 1] * X[:, 2]) ** 2) + 1e-4 * xp.sum(x**2)


def eigenvectors(A: np.ndarray) -> Cost:
    """QᵀDQ = A and QᵀQ = I as least squares, by D's diagonal and Q."""
    n = len(A)

    def cost(xp: Any, x: Any) -> Any:
        Q = x[n:].reshape(n, n)
        return squares(xp, (Q.T * x[:n]) @ Q - A, Q.T @ Q - np.eye(n))

    return cost


def square_root(A: np.ndarray) -> Cost:
    return lambda xp, x: squares(xp, x.reshape(A.shape) @ x.reshape(A.shape) - A)


def mixture(xp: Any, x: Any) -> Any:
    """Minus the log-likelihood of a mixture of two normal distributions: shares and widths by logarithms."""
    share = xp.array([0.0, 1.0]) * x[0]
    log = share - x[3:] - (MIXED[:, None] - x[1:3]) ** 2 / (2 * xp.exp(2 * x[3:]))
    return xp.sum(xp.logaddexp(share[0], share[1]) - xp.logaddexp(log[:, 0], log[:, 1]))


def counts(xp: Any, x: Any) -> Any:
    """Poisson's likelihood of a positive mixture of positive spectra."""
    return xp.sum(SPECTRA @ x) - xp.sum(SEEN * xp.log(SPECTRA @ x))


def hinge(xp: Any, x: Any) -> Any:
    """A support vector machine: kinks where a point meets its margin."""
    return xp.mean(xp.maximum(0, 1 - LABEL * (X @ x))) + 0.01 * xp.sum(x**2)


def hilbert(n: int) -> np.ndarray:
    i = np.arange(n)
    return np.asarray(1 / (i[:, None] + i + 1.0))


X, _weights = noise(300, 20), noise(20)
LABEL = np.sign(X @ _weights + noise(300))
Y = X @ _weights + 0.1 * noise(300) + np.where(np.arange(300) < 20, 20.0, 0.0)
SPECTRA = abs(noise(50, 20))
SEEN = np.round(SPECTRA @ abs(noise(20)))
MIXED = np.r_[0.5 * noise(60), 3 + noise(40)]
_symmetric = noise(10, 10)
_symmetric = _symmetric + _symmetric.T
_low_rank, _positive = noise(20, 3) @ noise(3, 15), abs(noise(20, 3)) @ abs(noise(3, 15))
_t = np.linspace(0, 10, 100)

_rational = curve(
    rational, np.linspace(-3, 2.2, 37), [1288, 1491, 583, 75.4, 0.966, 0.398, 0.0497], 5.0
)  # Thurber's
_two = curve(exponentials, np.linspace(0, 5, 40), [3, 0.5, 1.5, 2, 0.7], 0.01)
_three = curve(exponentials, np.linspace(0, 1.15, 24), [0.0951, 1, 0.8607, 3, 1.5576, 5], 1e-4)  # Lanczos'
_wave = curve(
    lambda xp, x, t: x[0] * xp.sin(x[1] * t + x[2]) * xp.exp(-x[3] * t), _t, [2, 1.7, 0.4, 0.1], 0.05
)
_growth = curve(lambda xp, x, t: x[0] / (1 + xp.exp(-x[1] * (t - x[2]))), _t, [100, 1, 5], 1.0)
_rate = curve(lambda xp, x, t: x[0] * t / (x[1] + t), _t[1:], [5, 1.3], 0.05)
_power = curve(lambda xp, x, t: x[0] * t ** x[1], _t[1:], [2, -0.7], 0.01)
_arrhenius = curve(lambda xp, x, t: xp.exp(x[0] - x[1] / (300 + 10 * t)), _t, [20, 8000], 1e-4)
_peaks = curve(peaks, np.linspace(-5, 5, 120), [1, -2, 0.5, 2, 0, 0.7, 1.5, 2.2, 0.4], 0.02)
_prey = curve(prey, numbers(30), [1.1, 0.8, 0.6, 0.9], 0.0)

PROBLEMS: dict[str, Problem] = {
    "RATIONAL": posed(_rational, [1000, 1000, 400, 40, 0.7, 0.3, 0.03]),
    "RATIONAL-FAR": posed(_rational, [1, 1, 1, 1, 0.1, 0.1, 0.01]),
    "TWO-DECAYS": posed(_two, [1, 1, 1, 1.5, 0]),
    "TWO-DECAYS-FAR": posed(_two, [10, 5, 10, 0.01, -3]),
    "TWO-DECAYS-SAME": posed(_two, [1, 1, 1, 1, 1]),
    "THREE-DECAYS": posed(_three, [1.2, 0.3, 5.6, 5.5, 6.5, 7.6]),
    "WAVE": posed(_wave, [1, 1.6, 0, 0]),
    "WAVE-FAR": posed(_wave, [1, 1, 0, 0]),
    "GROWTH": posed(_growth, [50, 0.5, 3]),
    "GROWTH-FAR": posed(_growth, [1, 1, 0]),
    "RATE": posed(_rate, [1, 10]),
    "RATE-BOUNDED": posed(_rate, [1, 10]).within(0, np.inf),
    "POWER-LAW": posed(_power, [1, 1]),
    "ARRHENIUS": posed(_arrhenius, [10, 5000]),
    "PEAKS": posed(_peaks, [1, -2.5, 1, 1, 0.5, 1, 1, 2.5, 1]),
    "PEAKS-FAR": posed(_peaks, [1, -0.5, 1, 1, 0.1, 1, 1, 0.5, 1]),
    "PEAKS-BOUNDED": posed(_peaks, [1, -2.5, 1, 1, 0.5, 1, 1, 2.5, 1]).within(
        [0, -5, 0.05] * 3, [1.2, 5, 3] * 3
    ),
    "PREY": posed(_prey, [0.5] * 4, 0.0),
    "LOGISTIC-DECAY": posed(logistic_loss(X, LABEL, 1e-3), np.zeros(20)),
    "LOGISTIC": posed(logistic_loss(X, LABEL, 0.0), np.zeros(20)),
    "LOGISTIC-SEPARABLE": posed(logistic_loss(X, np.sign(X @ _weights), 0.0), np.zeros(20)),
    "HINGE": posed(hinge, np.zeros(20)),
    "HUBER": posed(
        regression(lambda xp, r: xp.where(xp.abs(r) < 1, r**2 / 2, xp.abs(r) - 0.5)), np.zeros(20)
    ),
    "SOFT-L1": posed(regression(lambda xp, r: xp.sqrt(1 + r**2) - 1), np.zeros(20)),
    "CAUCHY": posed(regression(lambda xp, r: xp.log1p(r**2)), np.zeros(20)),
    "MIXTURE": posed(mixture, [0, -1, 1, 0, 0]),
    "POISSON": posed(counts, np.ones(20)).within(1e-8, np.inf),
    "NONNEGATIVE": posed(lambda xp, x: squares(xp, SPECTRA @ x - SEEN), np.ones(20)).within(0, np.inf),
    "FACTORS": posed(factors(_low_rank, 3), 0.5 * noise(105), 0.0),
    "FACTORS-FEWER": posed(factors(_low_rank, 2), 0.5 * noise(70)),
    "FACTORS-POSITIVE": posed(factors(_positive, 3), abs(noise(105))).within(0, np.inf),
    "NETWORK": posed(network, 0.3 * noise(210)),
    "RAYLEIGH": posed(lambda xp, x: x @ (_symmetric @ x) / (x @ x), np.ones(10)),
    "EIGENPAIR": posed(
        lambda xp, x: squares(xp, _symmetric @ x[1:] - x[0] * x[1:], x[1:] @ x[1:] - 1), np.ones(11)
    ),
    "EIGENVECTORS": posed(eigenvectors(_symmetric), np.r_[np.ones(10), np.eye(10).ravel()], 0.0),
    "SQUARE-ROOT": posed(square_root(_symmetric @ _symmetric), np.eye(10).ravel(), 0.0),
    "SQUARE-ROOT-NONE": posed(square_root(np.array([[0.0, 1], [0, 0]])), [1, 1, 0.1, 1]),
    "HILBERT": posed(lambda xp, x: x @ (hilbert(12) @ x), np.full(12, -3.0), 0.0),
}
