"""Columns of pandas in a cost: they mean what pandas means by them, or are refused with what to write instead."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest.errors import TracingError

pd = pytest.importorskip("pandas")

TABLE = pd.DataFrame(
    {
        "t": np.linspace(0.1, 3.0, 24),
        "y": np.cos(np.arange(24.0)) + 2.0,
        "w": np.linspace(1.0, 2.0, 24),
        "group": np.arange(24) % 3,
    },
    index=np.arange(100, 124),
)


def gradient_by_differences(cost, p, h=1e-5):
    def slope(direction):
        near = (cost(p + h * direction) - cost(p - h * direction)) / (2 * h)
        far = (cost(p + 2 * h * direction) - cost(p - 2 * h * direction)) / (4 * h)
        return (4.0 * near - far) / 3.0

    return np.array([slope(direction) for direction in np.eye(p.size)])


def by_groups(p):
    return sum(np.sum((part.y - p[0] - p[1] * part.t) ** 2) for _, part in TABLE.groupby("group"))


COSTS = {
    "column first": lambda p: np.sum((TABLE.y - p[0] * np.exp(-p[1] * TABLE.t)) ** 2),
    "parameter first": lambda p: ((p[0] / (1.0 + p[1] * TABLE["t"]) - TABLE["y"]) ** 2).mean(),
    "powers of either": lambda p: np.sum((TABLE.t ** p[1] - p[0] ** TABLE.t) ** 2),
    "pandas' own spread": lambda p: (TABLE.y - p[0] * TABLE.t).std() + (TABLE.t * p[1]).var(),
    "weights": lambda p: (TABLE.w * (TABLE.y - p[0] - p[1] * TABLE.t).abs()).sum(),
    "groups": by_groups,
    "one parameter for each group": lambda p: np.sum((TABLE.y - p[TABLE.group % 2]) ** 2),
    "where": lambda p: np.sum(np.where(TABLE.t > 1.0, TABLE.y - p[0], TABLE.t * p[1]) ** 2),
    "comparison with a parameter": lambda p: np.sum(np.where(TABLE.t > p[0] + 0.05, TABLE.y - p[1], p[0]) ** 2),
    "shifted": lambda p: np.sum((TABLE.y.shift(1).fillna(0.0) * p[0] + p[1] - TABLE.y) ** 2),
    "rolling": lambda p: np.sum((TABLE.y.rolling(3).mean().dropna() * p[0] - p[1]) ** 2),
    "labels of the rows": lambda p: np.sum((TABLE.y - p[0] - p[1] * TABLE.index / 100.0) ** 2),
    "numbers taken late": lambda p: np.sum((TABLE.y * p[0]).to_numpy()[3:9] ** 2) + (p[1] * TABLE.t).values[-1] ** 2,
    "running sums": lambda p: np.sum(((p[0] * TABLE.t).cumsum() - np.cumsum(TABLE.y * p[1])) ** 2),
    "a column beside an array": lambda p: np.linalg.norm(TABLE.y - (p[0] + p[1] * np.arange(24.0))) ** 2,
    "rows": lambda p: sum((row.y - p[0] - p[1] * row.t) ** 2 for row in TABLE.itertuples()),
}  # fmt: skip


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_columns_mean_what_pandas_means(cost):
    p = np.array([1.3, 0.7])
    assert_allclose(steepest.gradient(cost)(p), gradient_by_differences(cost, p), rtol=1e-7, atol=1e-7)
    result = steepest.minimize(cost, p, budget={"steps": 3})
    assert result.derivatives == "exact"
    assert_allclose(result.fun, cost(result.x), rtol=1e-12)


def test_a_column_is_fitted_as_its_numbers_are():
    t, y = TABLE.t.to_numpy(), TABLE.y.to_numpy()
    columns = steepest.minimize(lambda p: np.sum((TABLE.y - p[0] - p[1] * TABLE.t) ** 2), [0.0, 0.0])
    assert columns.plan.name == "Levenberg-Marquardt" and columns.verdict == "global minimum"
    assert_allclose(columns.x, np.polynomial.polynomial.polyfit(t, y, 1), rtol=1e-12)


OTHER = TABLE.sort_values("y")


@pytest.mark.parametrize(
    ("cost", "told", "remedy"),
    [
        (lambda p: np.sum((OTHER.y - p[0] * TABLE.t) ** 2), "different labels", ".to_numpy()"),
        (lambda p: np.sum((p[0] * OTHER.y - np.exp(p[1] * TABLE.t)) ** 2), "different labels", ".to_numpy()"),
        (lambda p: np.sum(((p[0] * OTHER.y).cumsum() - TABLE.t) ** 2), "different labels", ".to_numpy()"),
        (
            lambda p: np.sum((np.clip(p[0] * OTHER.y, 0.0, 9.0) - TABLE.t) ** 2),
            "different labels",
            ".to_numpy()",
        ),
        (lambda p: np.sum((p[0] * TABLE.y)[TABLE.t > 1.0] ** 2), "different labels", ".to_numpy()"),
        (lambda p: np.sum((TABLE[["t", "w"]] - p) ** 2), "table of pandas", "table.to_numpy()"),
        (lambda p: np.sum((TABLE.y.shift(1) - p[0]) ** 2), "gaps", "dropna"),
        (lambda p: np.sum((TABLE.y - p[0]).pow(2)), ".pow of a column", "**"),
    ],
    ids=[
        "rows in another order",
        "the same at second hand",
        "running sums",
        "clipped",
        "choice of rows",
        "a table",
        "gaps",
        "a method",
    ],
)
def test_what_pandas_would_do_otherwise_is_refused(cost, told, remedy):
    with pytest.raises(TracingError) as error:
        steepest.minimize(cost, [1.0, 1.0])
    assert told in str(error.value) and remedy in str(error.value)
    assert "test_columns.py, line" in str(error.value)


def test_columns_with_equal_labels_pair_whoever_made_them():
    again = TABLE.y.copy()
    again.index = list(TABLE.index)
    cost = lambda p: np.sum((again - p[0] * TABLE.t) ** 2) + p[1] ** 2  # noqa: E731
    expected = np.dot(TABLE.y, TABLE.t) / np.dot(TABLE.t, TABLE.t)
    assert_allclose(steepest.minimize(cost, [0.0, 1.0]).x, [expected, 0.0], atol=1e-12)
