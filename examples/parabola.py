"""The lesson: three slopes of a parabola, and the walk down it."""

import steepest as st


def cost(x):
    return x**2 - 2 * x + 3


def main():
    slopes = st.slope(cost, at=[-1, 1, 3])
    print(slopes)
    walk = st.minimize(cost, 3.0, method="gradient descent", options={"rate": 0.1})
    print(walk)
    assert [point.slope for point in slopes.points] == [-4.0, 0.0, 4.0]
    assert abs(walk.x - 1.0) < 1e-6


if __name__ == "__main__":
    main()
