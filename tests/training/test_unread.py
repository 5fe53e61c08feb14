"""Parameters that the cost does not read are named before the run; those that it reads are not."""

import numpy as np

import steepest

from .test_ignored import X, Y, layers, squares, start, walked
from .test_meeting_rows import of

TOLD = "the cost does not read"


def left_out(params, batch):
    np.tanh(batch[0] @ params["W2"])  # computed, and made nothing of
    return squares(params, batch)


def test_a_layer_that_is_left_out_is_named_and_not_called_dead():
    result = walked(left_out, start(W2=np.ones((5, 3)), b2=np.zeros(3)), (X, Y), epochs=1)
    assert [remark for remark in result.remarks if remark.startswith(f"{TOLD} W2, b2:")]
    assert "Dead" not in result.message
    more = {f"z{k}": 1.0 for k in range(7)} | {"empty": np.zeros((0, 2))}
    assert f"{TOLD} z0, z1, z2, z3, z4, z5 and 1 more:" in of(squares, start(**more), (X, Y))
    whole = steepest.train(left_out, start(W2=np.ones((5, 3))), (X, Y), method="l-bfgs", steps=3)
    assert any(f"{TOLD} W2:" in remark for remark in whole.remarks)


def test_what_is_read_in_a_loop_a_call_or_by_a_part_of_it_is_not_named():
    def by_parts(params, batch):
        x, y = batch
        for k in range(3):
            x = np.tanh(x @ params["turns"][k])
        scaled = params["one"] * np.linalg.norm(params["part"][:1])
        return squares(params, (x, y)) + 1e-6 * scaled * np.mean(layers(params, x) ** 2)

    params = start(turns=np.stack([np.eye(5)] * 3), one=1.0, part=np.ones(4))
    assert TOLD not in of(by_parts, params, (X, Y))
