"""Arrays added up in memory that processes share: the exact sum, the same bits in each, no waiting for the gone."""

import mmap
import socket
import threading
import warnings
from functools import reduce

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils
from numpy.testing import assert_array_equal

from steepest.training import shared
from steepest.training.shared import PIECE_BYTES, ProcessGone, SharedSums, pieces_of

LONG = PIECE_BYTES // 4 + 7


def added_up(given):
    """What each of as many processes finds in every round of `given`[round][process]."""
    found = [[] for _ in given[0]]

    def run(k, sums):
        for arrays in given:
            found[k].append(sums(arrays[k]))

    threads = [threading.Thread(target=run, args=item) for item in enumerate(processes(len(found)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return found


def processes(count):
    """As many that add up, each to run on a thread of its own."""
    memory = mmap.mmap(-1, 2 * count * PIECE_BYTES)
    ends = {(a, b): socket.socketpair() for a in range(count) for b in range(a)}
    others = [
        [ends[max(k, j), min(k, j)][0 if k > j else 1] for j in range(count) if j != k] for k in range(count)
    ]
    return [SharedSums(k, memory, others[k]) for k in range(count)]


@pytest.mark.parametrize("count", [2, 3])
def test_all_hold_the_bits_of_the_sum_in_the_order_of_the_processes(count):
    rng = np.random.default_rng(count)
    shapes = [(), (3, 5), (LONG,), (0,), (2, 2)]
    kinds = [np.float32, np.float32, np.float32, np.float32, np.float64]
    rounds = [
        [[rng.normal(size=s).astype(k) for s, k in zip(shapes, kinds, strict=True)] for _ in range(count)]
        for _ in range(5)
    ]
    found = added_up(rounds)
    for number, given in enumerate(rounds):
        for place in range(len(shapes)):
            wanted = reduce(np.add, [given[k][place] for k in range(count)])
            for k in range(count):
                assert_array_equal(found[k][number][place], wanted)
                assert found[k][number][place].dtype == kinds[place]


def test_sums_beyond_the_largest_number_are_infinite_without_a_word_of_numpy():
    most = np.finfo(np.float32).max
    given = [np.array([most, np.inf, 1.0], np.float32), np.array([most, -np.inf, 2.0], np.float32)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = added_up([[[array] for array in given]])
    assert not [one for one in said if one.category is RuntimeWarning]
    for process in found:
        assert_array_equal(process[0][0], [np.inf, np.nan, 3.0])


def test_pieces_hold_every_number_once_and_none_two_types():
    arrays = [np.zeros(LONG), np.zeros((2, 3)), np.zeros(4, np.float32)]
    seen = [np.zeros(array.size) for array in arrays]
    for kind, segments in pieces_of(arrays):
        full = 0
        for segment in segments:
            assert segment.at == full and arrays[segment.array].dtype == kind
            full += segment.stop - segment.start
            seen[segment.array][segment.start : segment.stop] += 1
        assert full * kind.itemsize <= PIECE_BYTES
    assert all((counts == 1).all() for counts in seen)


def test_a_process_that_is_gone_is_not_waited_for():
    staying, leaving = processes(2)
    for other in leaving.others:  # as the system does for whatever way a process ends
        other.close()
    with pytest.raises(ProcessGone):
        staying([np.zeros(3)])


def test_a_process_with_one_device_beside_one_with_two_does_not_wait_for_it(monkeypatch):
    def waits(*_):
        raise AssertionError("the process with two devices never asks")

    for name, number in (("process_count", 2), ("device_count", 3), ("local_device_count", 1)):
        monkeypatch.setattr(jax, name, lambda number=number: number)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", waits)
    assert shared.shared_sums() is None


def test_where_there_is_no_shared_memory_or_no_room_in_it_none_is_promised(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shared, "SHARED", tmp_path / "nowhere")
        assert shared._made(2) is None
    monkeypatch.setattr(shared, "SHARED", tmp_path)
    monkeypatch.setattr(shared.os, "posix_fallocate", full)
    assert shared._made(2) is None and not list(tmp_path.iterdir())
    assert shared._opened("", 0, 2)[0] == bytes(shared.PROOF_BYTES)
