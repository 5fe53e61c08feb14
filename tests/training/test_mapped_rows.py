"""Rows of a memory map larger than memory: asked for, no more than these, and the same run."""

import ctypes
import mmap
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import steepest
from steepest.training import mapped_rows
from steepest.training.batches import Rows
from steepest.training.mapped_rows import asked_for, larger_than_memory

pytestmark = pytest.mark.skipif(mapped_rows.NEEDED is None, reason="the system takes no advice")


@pytest.fixture
def small(monkeypatch):
    """A machine of next to no memory."""
    monkeypatch.setattr(mapped_rows, "memory_of_machine", lambda: 1e5)


def saved(path, array):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def resident(file):
    """Which pages of a mapped file are in memory, as the kernel tells."""
    start = np.frombuffer(file, np.uint8)
    pages = np.zeros(-(-len(start) // mmap.PAGESIZE), np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    told = libc.mincore(
        ctypes.c_void_p(start.ctypes.data), ctypes.c_size_t(len(start)), ctypes.c_void_p(pages.ctypes.data)
    )
    assert told == 0
    return np.flatnonzero(pages & 1)


@pytest.mark.skipif(
    not hasattr(os, "posix_fadvise"), reason="needs a system that forgets a file when told to"
)
def test_the_pages_of_the_rows_asked_for_are_read_and_no_others(tmp_path):
    path, width = tmp_path / "rows.npy", 300
    np.save(path, np.arange(40_000 * width, dtype=np.float32).reshape(-1, width))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    array = np.load(path, mmap_mode="r")
    before = resident(array._mmap)
    if before.size > 100:
        pytest.skip("this file system keeps files in memory")
    rows = np.random.default_rng(0).choice(len(array), 100, replace=False)
    starts = array.offset + rows * 4 * width
    wanted = {
        page for s in starts for page in range(s // mmap.PAGESIZE, (s + 4 * width - 1) // mmap.PAGESIZE + 1)
    }
    with asked_for([array], rows):
        found = np.take(array, rows, axis=0)
    assert_array_equal(found[:, 0], rows * width)
    assert wanted <= set(resident(array._mmap))
    assert (
        len(set(resident(array._mmap)) - set(before) - wanted) < 32
    )  # the page cache reads what else it likes


FORMS = {
    "columns": lambda a: a,
    "numbers": lambda a: a.reshape(-1),
    "pictures": lambda a: a.reshape(-1, 5, 10),
    "the later rows": lambda a: a[17:],
    "backwards": lambda a: a[::-1],
    "every third": lambda a: a[::3],
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_asked_for_holds_the_rows_whole_in_whatever_form(tmp_path, monkeypatch, form):
    array = FORMS[form](saved(tmp_path / "rows.npy", np.random.default_rng(1).normal(size=(4000, 50))))
    said = []
    monkeypatch.setattr(mapped_rows, "_advise", lambda file, *advice: said.append((file, *advice)))
    rows = np.array([3, 900, 41, 3])
    with asked_for([array, np.zeros(len(array))], rows):
        asked = [
            (file[page : page + size], page)
            for file, *words in said
            if words[0] == mapped_rows.NEEDED
            for page, size in [words[1:]]
        ]
    assert len(asked) == 3
    assert all(page % mmap.PAGESIZE == 0 for _, page in asked)
    for row in rows:
        assert any(array[row].tobytes() in piece for piece, _ in asked)
    assert [words[0] for _, *words in said][::4] == [mapped_rows.ALONE, mapped_rows.NORMAL]


def test_what_lies_strewn_in_its_file_or_in_none_is_left_alone(tmp_path, monkeypatch):
    strewn = saved(tmp_path / "columns.npy", np.asfortranarray(np.ones((400, 50))))
    monkeypatch.setattr(mapped_rows, "_advise", lambda *advice: pytest.fail("asked"))
    for array in (strewn, np.ones((400, 3)), saved(tmp_path / "none.npy", np.ones((400, 0)))):
        with asked_for([array], np.array([1, 7])):
            pass
    with asked_for([saved(tmp_path / "rows.npy", np.ones((400, 5)))], np.array([], int)):
        pass


def test_after_an_error_the_system_reads_ahead_again(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(mapped_rows, "_advise", lambda file, *advice: said.append(advice[0]))
    with pytest.raises(IndexError), asked_for([saved(tmp_path / "rows.npy", np.ones((9, 5)))], np.array([1])):
        raise IndexError
    assert said == [mapped_rows.ALONE, mapped_rows.NEEDED, mapped_rows.NORMAL]


@pytest.mark.parametrize("method", ["adam", "l-bfgs"])
def test_a_run_on_a_map_larger_than_memory_has_the_bits_of_one_in_memory(
    tmp_path, monkeypatch, small, method
):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 8))
    rows = np.column_stack([x, np.where(x @ np.ones(8) + rng.normal(size=4000) > 0, 1.0, -1.0)])
    asked = []
    ask = mapped_rows._ask
    monkeypatch.setattr(mapped_rows, "_ask", lambda *of: asked.append(ask(*of)) or asked[-1])

    def cost(w, rows):
        return np.mean(np.logaddexp(0.0, -rows[:, -1] * (rows[:, :-1] @ w))) + 0.01 * np.sum(w**2)

    mapped = saved(tmp_path / "rows.npy", rows)
    found, same = (
        steepest.train(cost, np.zeros(8), data, method=method, steps=40) for data in (mapped, rows)
    )
    assert_array_equal(found.params, same.params)
    assert any(file is not None for file in asked)


def test_a_map_is_too_large_by_what_the_machine_and_its_container_have(tmp_path, monkeypatch):
    array = saved(tmp_path / "rows.npy", np.ones((1000, 50)))  # 0.4 MB
    limits = tmp_path / "max", tmp_path / "limit", tmp_path / "missing"
    limits[0].write_text("max\n")
    limits[1].write_text("1000000\n")
    monkeypatch.setattr(mapped_rows, "LIMITS", limits[::2])
    machine = mapped_rows.memory_of_machine()
    assert machine > 1e8
    assert not larger_than_memory([array])
    monkeypatch.setattr(mapped_rows, "LIMITS", limits)
    assert mapped_rows.memory_of_machine() == 1e6
    assert not larger_than_memory([array])
    assert larger_than_memory([array, array[:300], None])
    assert not larger_than_memory([np.ones((1000, 500))])
    assert Rows({"a": array, "b": array}, 0, "data")._asks
