"""Draw the pictures of README and docs: `make pictures`."""

from pathlib import Path

import steepest as st
from steepest import plots
from steepest.reference_problems import nist

IMAGES = Path(__file__).parent / "images"


def cost(x):
    return x**2 - 2 * x + 3


def valley(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def main():
    IMAGES.mkdir(exist_ok=True)
    walk = st.minimize(cost, 3.0, method="gradient descent", options={"rate": 0.1})
    pictures = {
        "lesson": plots.slope(st.slope(cost, at=[-1, 1, 3])),
        "descent": plots.descent(walk),
        "valley": plots.descent(st.minimize(valley, [-1.2, 1.0])),
        "compare": plots.compare(
            {name: st.minimize(valley, [-1.2, 1.0], method=name) for name in ("bfgs", "l-bfgs", "momentum")}
        ),
    }
    data = nist.load("Rat42")
    fit = st.fit(
        "limit / (1 + exp(delay - rate*x))",
        data.x,
        data.y,
        {"limit": 75.0, "delay": 2.5, "rate": 0.07},
    )
    pictures |= {"fit": plots.fit(fit), "region": plots.region(fit, "limit", "rate")}
    for name, axes in pictures.items():
        plots.save(axes, IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
