"""A growth curve fitted to measurements of pasture yield (NIST), a sum of squares with named parameters."""

import numpy as np

import steepest as st
from steepest.reference_problems import nist


def main():
    data = nist.load("Rat42")
    day, weight = data.x, data.y

    def misfit(limit, delay, rate):
        return np.sum((weight - limit / (1 + np.exp(delay - rate * day))) ** 2)

    fit = st.minimize(misfit, {"limit": 75.0, "delay": 2.5, "rate": 0.07}, bounds={"rate": (0, None)})
    print(fit)
    assert fit.success
    assert np.allclose(list(fit.x.values()), data.parameters, rtol=1e-6)


if __name__ == "__main__":
    main()
