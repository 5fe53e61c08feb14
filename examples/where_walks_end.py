"""Six costs on which a walk ends in six different ways, and the word that is said of each."""

import numpy as np

import steepest as st

COSTS = {
    "a bowl": (lambda x: (x - 1) ** 2, 3.0),
    "a kink": (lambda x: np.abs(x - 1), 3.0),
    "a trough": (lambda p: (p[0] + p[1] - 1) ** 2, [0.0, 0.0]),
    "a slide to zero": (lambda x: np.exp(x), 0.0),
    "a saddle": (lambda p: p[0] ** 2 - p[1] ** 2, [1.0, 0.0]),
    "a staircase": (lambda x: np.floor(x) ** 2, 3.5),
}


def main():
    for name, (cost, start) in COSTS.items():
        answer = st.minimize(cost, start)
        print(f"{name}: {answer.verdict}")
        assert answer.success == answer.verdict.is_minimum


if __name__ == "__main__":
    main()
