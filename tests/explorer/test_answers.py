"""What Python answers the page: samples that can be trusted, walks that are the library's, shares that add up."""

import json
import re

import numpy as np
import pytest

import steepest
from steepest import InputError
from steepest.explorer import still
from steepest.explorer.curve import sample
from steepest.explorer.fitting import EXAMPLE, EXAMPLE_MODEL, fitting, read_columns
from steepest.explorer.frames import pack, unpack
from steepest.explorer.landscape import window_for
from steepest.explorer.live import picture, thinned
from steepest.explorer.planes import plane, sharpest
from steepest.explorer.subject import Subject
from steepest.explorer.walks import FATES, METHODS, walk_all
from steepest.runs import RunReader, RunWriter


def hermite(curve, x):
    """The interpolant that the page draws, written out afresh (Hermite's basis)."""
    k = np.clip(np.searchsorted(curve.x, x, side="right") - 1, 0, len(curve.x) - 2)
    h = curve.x[k + 1] - curve.x[k]
    t = (x - curve.x[k]) / h
    value = (
        (1 + 2 * t) * (1 - t) ** 2 * curve.f[k]
        + t * (1 - t) ** 2 * h * curve.slope[k]
        + t**2 * (3 - 2 * t) * curve.f[k + 1]
        + t**2 * (t - 1) * h * curve.slope[k + 1]
    )
    return value, curve.smooth[k]


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("x**2 - 2*x + 3", lambda x: x**2 - 2 * x + 3),
        ("sin(12*x)/x", lambda x: np.sin(12 * x) / x),
        ("abs(x - 1/3)", lambda x: np.abs(x - 1 / 3)),
        ("where(x < pi/3, 0, 1)", lambda x: np.where(x < np.pi / 3, 0.0, 1.0)),
        ("exp(-1000*(x-0.7)**2)", lambda x: np.exp(-1000 * (x - 0.7) ** 2)),
        ("sqrt(x)", np.sqrt),
    ],
)
def test_wherever_samples_may_be_joined_the_line_between_them_is_the_cost(text, truth):
    *_, curve = sample(Subject(text, 0.5), -2.0, 3.0, np.zeros(1))
    x = np.random.default_rng(0).uniform(-2, 3, 20_000)
    value, joined = hermite(curve, x)
    with np.errstate(all="ignore"):
        exact = truth(x)
    height = np.nanmax(curve.f) - np.nanmin(curve.f)
    assert np.abs(value - exact)[joined].max() < 1e-3 * height
    # What may not be joined is narrower than can be seen, or outside where the cost has values.
    hidden = ~joined & np.isfinite(exact)
    assert hidden.mean() < 1e-2


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("x**2 + y**2", [1.0, 0.0]),  # a walk along one axis
        ("x**2 - y**2", [1.0, 0.0]),
        ("x**2 - y**2", [1.0, 0.1]),
        ("-x - y", [2.0, 3.0]),
        ("x**2 + y**2", [0.0, 0.0]),
        ("(x - 3e5)**2 + (y - 1e5)**2", [0.0, 0.0]),  # far, but it ends
    ],
)
def test_the_window_of_a_landscape_has_a_width_and_shows_the_start_even_of_a_fall_without_end(text, start):
    left, right, bottom, top = window_for(Subject(text, {"x": 0.0, "y": 0.0}), np.array(start), (0, 1))
    assert left < start[0] < right and bottom < start[1] < top
    if "e5" in text:
        assert left < 3e5 < right and bottom < 1e5 < top
    else:
        assert max(right - left, top - bottom) < 100
        assert 0.2 < (right - left) / (top - bottom) < 5


def test_a_jump_is_never_joined():
    *_, curve = sample(Subject("where(x < 1, 0, 5)", 0.5), -2.0, 3.0, np.zeros(1))
    across = (curve.x[:-1] < 1) & (curve.x[1:] >= 1)
    assert not curve.smooth[across].any()
    assert np.diff(curve.x)[across].max() < 1e-3


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.key)
@pytest.mark.parametrize(
    ("text", "start"),
    [("x**2 - 2*x + 3", 3.0), ("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0})],
    ids=["parabola", "valley"],
)
def test_a_walk_of_the_strip_is_the_walk_of_the_librarys_own_solver(text, start, method):
    subject = Subject(text, start)
    walks = walk_all(subject, subject.start, steps=40)
    rate = walks.rates[35]
    options = {"rate": rate, "maxiter": 40} | ({"momentum": method.momentum} if method.momentum else {})
    truth = steepest.minimize(text, start, method=method.name, options=options).history.x
    ours = walks.x[METHODS.index(method), 35, : len(truth)]
    np.testing.assert_allclose(ours, truth[:41], rtol=1e-9, atol=1e-12)


def test_plain_descent_on_a_parabola_diverges_exactly_beyond_two_over_the_curvature():
    walks = walk_all(Subject("3*x**2", 1.0), np.array([1.0]))
    assert walks.curvature == pytest.approx(6.0)
    for rate, final, fate in zip(walks.rates, walks.f[0, :, -1], walks.fates[0], strict=True):
        # x_k = (1 - 6·rate)^k
        if np.isfinite(final):
            assert final == pytest.approx(3 * (1 - 6 * rate) ** 400, rel=1e-9, abs=1e-300)
        assert (rate < 1 / 3) <= (FATES[fate] != "diverging")


def test_a_cost_that_cannot_be_traced_is_measured_and_says_so():
    subject = Subject(lambda x: float(x) ** 2, 1.0)
    assert subject.derivatives == "numeric"
    values, slopes = subject.values_and_slopes(np.array([[3.0]]))
    assert values[0] == 9.0
    assert slopes[0, 0] == pytest.approx(6.0, rel=1e-6)


def test_many_places_at_once_are_as_exact_as_one():
    subject = Subject(lambda x: np.sum(np.sin(x) ** 2) + x[0] * x[1], np.array([1.0, 2.0, 3.0]))
    places = np.random.default_rng(1).standard_normal((1_000, 3))
    values, slopes = subject.values_and_slopes(places)
    np.testing.assert_allclose(values, (np.sin(places) ** 2).sum(1) + places[:, 0] * places[:, 1], rtol=1e-13)
    expected = np.sin(2 * places) + np.stack([places[:, 1], places[:, 0], 0 * places[:, 0]], axis=1)
    np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=1e-13)


def test_a_plane_holds_all_of_a_flat_path_and_two_thirds_of_an_even_one():
    flat = np.stack([np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2, np.zeros(9)], axis=1)
    assert plane(flat, "principal").share == pytest.approx(1.0)
    assert plane(flat, "path").distance.max() < 1e-12
    corners = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
    assert plane(corners, "principal").share == pytest.approx(2 / 3)


def test_the_sharpest_directions_are_the_eigenvectors_of_the_largest_curvatures():
    random = np.random.default_rng(2)
    axes = np.linalg.qr(random.standard_normal((8, 8)))[0]
    H = axes @ np.diag([100.0, 30.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5]) @ axes.T
    directions, curvatures = sharpest(lambda places: places @ H, random.standard_normal(8))
    np.testing.assert_allclose(curvatures, [100, 30], rtol=1e-3)
    assert abs(directions[0] @ axes[:, 0]) == pytest.approx(1, abs=1e-3)


def test_thinning_keeps_every_spike_and_the_first_nan():
    random = np.random.default_rng(3)
    values = random.standard_normal(100_000)
    values[[777, 50_000]] = 1e9, -1e9
    values[60_001:] = np.nan
    kept = thinned(values, 1_000)
    assert len(kept) <= 1_400
    assert {777, 50_000, 60_001, 0, 99_999} <= set(kept.tolist())


def test_a_curve_that_is_pulled_passes_through_the_place_it_is_pulled_to():
    current = fitting(EXAMPLE_MODEL, EXAMPLE)
    p = np.array([60.0, 0.1, 4.0])
    found = current.pulled(p, (0, 1), 10.0, 30.0)
    assert found[0] * np.exp(-found[1] * 10.0) + found[2] == pytest.approx(30.0, rel=1e-8)
    assert found[2] == p[2]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("heading", [True, False])
def test_tables_are_read_as_people_write_them(tmp_path, separator, heading):
    path = tmp_path / "data.csv"
    rows = ([["x", "y"]] if heading else []) + [[k, 2.5 * k] for k in range(4)]
    path.write_text("\n".join(separator.join(map(str, row)) for row in rows))
    columns = read_columns(path)
    np.testing.assert_array_equal(columns["x"], [0, 1, 2, 3])
    np.testing.assert_array_equal(columns["y"], [0, 2.5, 5, 7.5])


def test_frames_carry_every_number_and_hostile_names():
    arrays = {
        "<b>": np.array([np.nan, np.inf, -0.0]),
        "empty": np.zeros((0, 3)),
        "i": np.arange(3, dtype=np.int32),
    }
    header, found = unpack(pack({"label": "\ud800</script>", "bad": np.nan}, arrays))
    assert header["bad"] is None
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_nothing_in_a_name_can_end_the_block_of_data_early():
    payload = still.screen("slope", "x**2", x=[1.0], title="</script><img src=x onerror=alert(1)><!--")
    text = still.block(payload)
    assert text.count("<") == 2  # the block's own beginning and end
    inside = re.fullmatch(r"<script [^>]*>(.*)</script>", text, re.S)[1]
    assert json.loads(inside)["title"] == payload["title"]


def test_a_screen_that_does_not_exist_is_named():
    with pytest.raises(InputError, match="no still screen"):
        still.screen("<b>", "x**2")


def test_a_validation_between_two_steps_is_a_curve_of_its_own_and_no_gap_in_the_others(tmp_path):
    with RunWriter(tmp_path / "run.jsonl", kind="train") as run:
        for step in range(0, 40, 10):
            group = {"gradient": 1.0, "step": 0.1, "size": 1.0}
            run.step(step, 1.0, gradient_norm=float(step), rate=0.1, groups={"W": group})
            run.step(step + 5, 1.0, validation=2.0 + step)
    reader = RunReader(tmp_path / "run.jsonl")
    reader.read()
    header, curves = picture(reader)
    np.testing.assert_array_equal(curves["step:gradient_norm"], [0, 10, 20, 30])
    np.testing.assert_array_equal(curves["gradient_norm"], [0, 10, 20, 30])
    np.testing.assert_array_equal(curves["step:validation"], [5, 15, 25, 35])
    np.testing.assert_array_equal(curves["validation"], [2, 12, 22, 32])
    assert len(curves["value"]) == 8
    assert [group["name"] for group in header["groups"]] == ["W"]
