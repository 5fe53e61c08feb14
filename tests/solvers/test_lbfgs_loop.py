"""L-BFGS many steps at a time, in one compiled loop: the host's steps, and the host's wherever they are unusual."""

import importlib

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest import numerics
from steepest.budget import Budget
from steepest.derivatives import compiled
from steepest.problem import pose
from steepest.solvers import lbfgs, lbfgs_loop, line_search
from steepest.solvers.lbfgs_loop import Loop

host = importlib.import_module("steepest.solvers.lbfgs")
N, MEMORY = 40, 5
START = np.tile([-1.2, 1.0], N // 2)


def valley(x):
    """Chained Rosenbrock: curved, so that many searches need more than one trial."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def narrow(x):
    """Lowest at 1, where it is 0; curvatures from 1 to 1000 and quartic terms."""
    weights = np.linspace(1.0, 1000.0, N)
    return np.sum(weights * (x - 1.0) ** 2) + np.sum((x[1:] - x[:-1]) ** 4)


@pytest.fixture
def at_once(monkeypatch):
    """The loop is made without waiting; gives the chunks' lengths."""
    lengths = []
    run = Loop.__call__

    def told(self, *arguments):
        chunk = run(self, *arguments)
        lengths.append(len(chunk))
        return chunk

    monkeypatch.setattr(host, "MANY_STEPS", 0)
    monkeypatch.setattr(Loop, "__call__", told)
    return lengths


def walked(cost, start=START, **named):
    return steepest.minimize(cost, start, method="l-bfgs", options={"memory": MEMORY}, **named)


def by_host(cost, start=START, **named):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host.LBFGS, "_loop", lambda *_: None)
        return walked(cost, start, **named)


def kept_loop(objective, solver):
    """The loop that the walks of this cost share."""
    state = solver.init(objective, START)
    while (found := solver._loop(objective, state)) is None:
        state = solver._stepped(objective, state)
    return found


def test_each_step_of_the_loop_is_the_step_of_the_host(monkeypatch, at_once):
    objective = pose(
        valley, START, (), jac=None, hess=None, bounds=None, fixed=None, derivatives="auto", budget=Budget()
    ).objective
    solver = lbfgs(memory=MEMORY)
    loop = kept_loop(objective, solver)
    monkeypatch.setattr(loop, "room", 1)
    monkeypatch.setattr(host.LBFGS, "_loop", lambda *_: None)
    state, trials, left_to_host = solver.init(objective, START), [], 0
    for _ in range(150):
        before, spent = state, objective.evaluations
        ready = before.pairs is not None and len(before.pairs.slots) == MEMORY and before.products is not None
        placed = host._placed_in(before) if ready else None
        state = solver.step(objective, before)
        if state.stop is not None:
            break
        if placed is None:
            continue
        chunk = loop(*placed, np.inf, True)
        if not len(chunk):
            left_to_host += 1
            continue
        told = chunk.told[0]
        trials.append(int(told.trials))
        assert trials[-1] == objective.evaluations - spent
        assert_allclose(chunk.x[0], state.x, rtol=1e-9, atol=1e-9)
        assert told.value == pytest.approx(state.value, rel=1e-8)
        assert told.step == pytest.approx(np.linalg.norm(state.x - before.x), rel=1e-6)
        back = host._walked(objective.afresh(), loop, chunk, 0, before.x).handed_back()
        # The direction must lead down as steeply, seen from the loop's own point.
        assert_allclose(back.gradient @ back.direction, back.slope, rtol=1e-9)
        assert_allclose(back.pairs.R_inverse, np.triu(back.pairs.R_inverse))
        if state.pairs.slots == back.pairs.slots:
            scale = np.abs(state.direction).max()
            assert_allclose(back.direction, state.direction, atol=1e-5 * scale)
    assert len(trials) > 100 and sum(t > 1 for t in trials) > 10
    assert left_to_host < 0.2 * len(trials)


def test_a_walk_in_chunks_ends_where_the_host_ends_with_the_same_counts(at_once):
    here, there = by_host(narrow), walked(narrow)
    assert 20 < there.plan.looped <= sum(at_once)
    assert here.plan.looped == 0
    assert "in one compiled loop" in str(there.plan) and "compiled loop" not in str(here.plan)
    assert_allclose(there.x, 1.0, atol=1e-6)
    assert there.verdict == here.verdict
    # Sums in another order: equal to rounding first, which grows along the walk.
    assert_allclose(there.history.value[:15], here.history.value[:15], rtol=1e-8)
    assert list(there.history.evaluations[:15]) == list(here.history.evaluations[:15])
    assert_allclose(
        there.history.gradient_norm, np.linalg.norm(there.history.gradient, axis=1), rtol=1e-9, atol=1e-300
    )
    assert_allclose(
        there.history.step_length[1:], np.linalg.norm(there.history.step, axis=1), rtol=1e-3, atol=1e-12
    )
    assert there.nit == len(there.history) - 1


def test_the_last_digits_are_reached_in_chunks_too(at_once):
    there = walked(valley)
    assert at_once and there.verdict.is_minimum
    assert_allclose(there.x, 1.0, atol=1e-7)


@pytest.mark.parametrize("evaluations", [30, 41])
def test_no_evaluation_is_counted_beyond_the_budget_and_the_lowest_is_kept(at_once, evaluations):
    result = walked(valley, budget=evaluations)
    assert at_once and result.nfev == evaluations
    assert result.verdict == "out of budget"
    assert result.fun == pytest.approx(valley(result.x), rel=1e-12) == result.history.value.min()


def test_a_limit_of_steps_is_kept(at_once):
    result = steepest.minimize(valley, START, method="l-bfgs", options={"memory": MEMORY, "maxiter": 23})
    assert at_once and result.nit == 23


def test_a_callback_sees_each_step_and_may_stop_within_a_chunk(at_once):
    seen = []

    def stop(intermediate_result):
        seen.append(intermediate_result.fun)
        return len(seen) == 17

    result = walked(narrow, callback=stop)
    assert at_once and len(seen) == 17 == result.nit
    assert result.verdict == "stopped"
    assert_allclose(seen, result.history.value[1:])


def test_ctrl_c_during_a_chunk_keeps_the_lowest_point(monkeypatch, at_once):
    run = Loop.__call__

    def interrupted(self, *arguments):
        if at_once:
            raise KeyboardInterrupt
        return run(self, *arguments)

    monkeypatch.setattr(Loop, "__call__", interrupted)
    result = walked(valley)
    assert result.verdict == "stopped"
    assert result.fun == result.history.value.min() < valley(START)


def test_kinks_and_walls_lead_to_the_lowest_place_all_the_same(at_once):
    weights = np.linspace(1.0, 3.0, N)

    def kinked(x):
        return np.sum(np.abs(x - 1.0) * weights) + np.sum((x - 2.0) ** 2) - np.sum(np.log(x + 1.3))

    there = walked(kinked)
    # Each parameter alone: at the kink, or beyond it where w + 2(x - 2) = 1/(x + 1.3).
    beyond = [max(np.roots([2.0, w - 1.4, 1.3 * w - 6.2])) for w in weights]
    lowest = kinked(np.maximum(beyond, 1.0))
    assert there.plan.looped
    assert lowest <= there.fun <= lowest * 1.02  # as near as the last few steps tell a kink on the host too
    assert there.fun == pytest.approx(kinked(there.x), rel=1e-12)
    assert there.fun <= there.history.value.min() * (1.0 + 1e-13)  # of equal ones that of the smallest slope


def test_the_loop_is_made_once_steps_were_many_and_serves_the_next_walk_from_its_beginning(
    monkeypatch, at_once
):
    def own(x):
        return narrow(x) + 2.0

    monkeypatch.setattr(host, "MANY_STEPS", 40)
    first, second = walked(own), walked(own)
    assert 0 < first.plan.looped <= first.nit - 39 - MEMORY
    # All but the steps that fill the memory, and what is lost in rounding at the end.
    assert second.plan.looped > first.plan.looped
    assert second.fun == pytest.approx(2.0, abs=1e-12) == first.fun


def test_what_is_bounded_never_enters(at_once):
    result = walked(valley, bounds=[(-2.0, 0.9)] * N)
    assert at_once == [] and result.plan.looped == 0


def test_on_an_accelerator_the_loop_is_used_at_once_and_no_number_crosses_within_a_chunk(monkeypatch):
    monkeypatch.setattr(numerics, "accelerated", lambda: True)
    monkeypatch.setattr(compiled, "WORTH_SENDING", 0.0)
    monkeypatch.setattr(host, "LARGE", 8_192)
    held, is_slow = [], vars(Loop)["is_slow"]
    monkeypatch.setattr(Loop, "is_slow", False)  # nobody knows how busy the machine is
    run = Loop.__call__

    def guarded(self, place, rows, evaluations, on_host):
        with numerics.double_precision():
            place, rows = jax.device_put((place, rows))
            inside = self._run

            def alone(arguments, *given):
                with jax.transfer_guard("disallow"):
                    return inside(arguments, *given)

            self._run = lambda arguments, *given: alone(arguments, *jax.device_put(given))
            try:
                chunk = run(self, place, rows, evaluations, on_host)
            finally:
                self._run = inside
        held.append((rows, on_host, self, chunk))
        return chunk

    monkeypatch.setattr(Loop, "__call__", guarded)

    weights = np.linspace(1.0, 100.0, 8_200)

    def large(x):
        return np.sum(weights * (x - 1.0) ** 2)

    result = steepest.minimize(large, np.sin(weights), method="l-bfgs")
    assert_allclose(result.x, 1.0, atol=1e-6)
    assert result.plan.looped > 0.3 * result.nit
    rows, on_host, loop, chunk = held[0]
    assert rows.is_deleted()  # handed over, not copied
    assert not on_host and not isinstance(chunk.x[0], np.ndarray)
    assert type(result.x) is np.ndarray
    # Once seen to take longer than steps one by one it is given up, and the host goes on.
    loop._alone, loop._quickest = 1.0, 2.0
    assert is_slow.fget(loop)
    loop._quickest = 0.5
    assert not is_slow.fget(loop)
    calls = len(held)
    monkeypatch.setattr(Loop, "is_slow", property(lambda _: len(held) > calls + 3))
    again = steepest.minimize(large, np.sin(weights), method="l-bfgs")
    assert len(held) == calls + 4 and 0 < again.plan.looped < again.nit
    assert_allclose(again.x, 1.0, atol=1e-6)


def test_brackets_are_narrowed_and_widened_as_on_the_host():
    rng = np.random.default_rng(0)
    between, expanded = jax.jit(lbfgs_loop._between), jax.jit(lbfgs_loop._expanded)
    for case in range(300):
        low_t = rng.choice([0.0, rng.uniform()])
        low = np.array([low_t, rng.normal(), -rng.uniform()])
        high = np.array(
            [low_t + rng.uniform(0.1, 2.0), rng.choice([low[1], rng.normal(), np.inf]), rng.normal()]
        )
        with np.errstate(all="ignore"), numerics.double_precision():
            ours = float(between(low, high, 1e-12, case % 4))
            theirs = line_search._between(*map(float, (*low, *high, 1e-12)), case % 4)
            assert ours == pytest.approx(theirs, rel=1e-10)
            ours = float(expanded(low, high[[0, 2, 2]]))
            assert ours == pytest.approx(
                line_search._expand(float(low[0]), float(low[2]), float(high[0]), float(high[2]), 1e10),
                rel=1e-12,
            )
