"""Every kind of data gives its rows, each once an epoch, in an order that only the seed decides."""

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import jax
import ml_dtypes
import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

import steepest
from steepest.errors import InputError
from steepest.training.batches import BLOCK, Part, random_numbers, read_data


def all_rows(source, epoch=0, size=100, part=None, first=0):
    return list(source.batches(epoch, first, size, part or Part()))


@pytest.fixture
def table(tmp_path):
    """A table a little longer than two pools of blocks, as Parquet and as CSV with a line end inside quotes."""
    rows = 2 * BLOCK + 777
    frame = pl.DataFrame({"row": np.arange(rows), "half": np.arange(rows) / 2})
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=5000)
    frame.write_csv(tmp_path / "rows.csv")
    return tmp_path, rows


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_file_gives_every_row_once_mixed_and_whole(table, name):
    folder, rows = table
    source = read_data(folder / name, seed=3)
    assert source.rows == rows
    batches = all_rows(source, size=100)
    seen = np.concatenate([batch[0] for batch in batches])
    assert len(seen) == rows // 100 * 100
    assert len(np.unique(seen)) == len(seen)
    assert np.abs(np.diff(seen[:100])).mean() > 100  # neighbours in the file are no neighbours here
    for batch in batches[:5]:
        assert_array_equal(batch[1], batch[0] / 2)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_file_taken_up_in_the_middle_goes_on_as_it_would_have(table, name):
    source = read_data(table[0] / name, seed=3)
    whole, later = all_rows(source, size=1000), all_rows(source, size=1000, first=20)
    assert len(whole) == len(later) + 20
    for a, b in zip(whole[20:], later, strict=True):
        assert_array_equal(a[0], b[0])


def test_a_csv_field_may_hold_a_line_end_in_quotes(tmp_path):
    path = tmp_path / "quoted.csv"
    lines = [f'{i},"a\n{i}"' for i in range(BLOCK + 50)]
    path.write_text("number,text\n" + "\n".join(lines) + "\n")
    with pytest.raises(steepest.InputError, match="'text'"):
        read_data(path, seed=0)
    chosen = read_data(pl.scan_csv(path).select("number"), seed=0)
    assert chosen.rows == BLOCK + 50


@pytest.mark.parametrize("processes", [2, 4])
def test_the_parts_of_all_processes_make_up_the_batch_of_one(processes):
    source = read_data({"x": np.arange(1000.0), "y": np.arange(1000)}, seed=5)
    whole = all_rows(source, epoch=2)
    parts = [all_rows(source, epoch=2, part=Part(i, processes)) for i in range(processes)]
    for k, batch in enumerate(whole):
        assert_array_equal(np.concatenate([part[k][0] for part in parts]), batch[0])


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_numpy_files_give_the_batches_of_the_arrays_themselves(tmp_path, kind):
    x = np.random.default_rng(0).normal(size=(300, 2))
    if kind == "npy":
        np.save(tmp_path / "x.npy", x)
        mapped, plain = read_data(str(tmp_path / "x.npy"), seed=1), read_data(x, seed=1)
        assert isinstance(mapped.arrays[0], np.memmap)
    else:
        np.savez(tmp_path / "x.npz", x=x)
        mapped, plain = read_data(str(tmp_path / "x.npz"), seed=1), read_data({"x": x}, seed=1)
    for a, b in zip(all_rows(mapped), all_rows(plain), strict=True):
        assert_array_equal(a[0], b[0])


def test_generated_data_depend_on_the_seed_and_the_batch_alone():
    def data(rng):
        return {"x": rng.normal(size=(8, 2))}

    source = read_data(data, seed=7)
    stream = source.batches(0, 0, 8, Part())
    first = [next(stream)[0] for _ in range(3)]
    assert_array_equal(next(source.batches(0, 2, 8, Part()))[0], first[2])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(next(read_data(data, seed=8).batches(0, 0, 8, Part()))[0], first[0])


def test_a_function_of_a_key_gets_keys_of_jax():
    import jax

    source = read_data(lambda key: jax.random.normal(key, (4, 2)), seed=0)
    one, two = (next(source.batches(0, k, 4, Part()))[0] for k in (0, 1))
    assert one.shape == (4, 2)
    assert not np.array_equal(one, two)


def test_a_generator_of_batches_is_used_up_once_and_none_is_lost():
    def mean_distance(params, batch):
        return np.mean((params["m"] - batch) ** 2)

    batches = (np.full(4, float(k)) for k in range(6))
    result = steepest.train(mean_distance, {"m": 0.0}, batches, method="sgd", rate=0.5, steps=100)
    assert result.ended == "no more data"
    assert result.steps == 6
    # With rate ½ each step lands on the mean of its batch: the last one holds 5s.
    assert result.params["m"] == pytest.approx(5.0)


@pytest.mark.parametrize("once", [False, True])
def test_what_fills_the_same_array_again_gives_every_batch_as_it_was(once):
    class Refilled:
        def __iter__(self):
            array = np.empty(4)
            for k in range(5):
                array[:] = k
                yield array

    source = read_data(iter(Refilled()) if once else Refilled(), 0)
    held = [arrays[0] for arrays in source.batches(0, 0, 4, Part())]  # as those made ready ahead are
    assert_array_equal(held, np.repeat(np.arange(5.0), 4).reshape(5, 4))


def test_batches_that_are_held_to_be_read_again_are_lent_for_reading_alone():
    """What is changed in one that was read must not be found in it when it is read again."""
    source = read_data((np.full((4, 2), float(k)) for k in range(3)), 0)
    for (array,) in source.batches(0, 0, 4, Part()):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array /= 255.0
    assert [array[0, 0] for (array,) in source.batches(0, 0, 4, Part())] == [0.0, 1.0, 2.0]


def test_a_generator_whose_last_batch_is_smaller_loses_that_one_alone():
    def mean_distance(params, batch):
        return np.mean((params["m"] - batch) ** 2)

    batches = (np.full(4 if k % 6 < 5 else 3, float(k)) for k in range(12))
    result = steepest.train(mean_distance, {"m": 0.0}, batches, method="sgd", rate=0.5, steps=100)
    assert result.ended == "no more data"
    assert result.steps == 10
    assert result.params["m"] == pytest.approx(10.0)
    assert "2 batches of fewer rows than the first left out" in result.events[-1]
    for others in ([np.ones(5)], [np.ones((4, 2))], [(np.ones(4), np.ones(4))], 11 * [np.ones(3)]):
        given = iter([np.ones(4), *others])
        with pytest.raises(steepest.InputError, match="the first one held"):
            steepest.train(mean_distance, {"m": 0.0}, given, method="sgd", rate=0.5, steps=100)


def test_smaller_batches_one_after_the_other_do_not_end_what_a_generator_has_taught():
    """Files read one by one: the second holds no whole batch."""
    sizes = [4, 4, 3, 2, 4, 4, 1]
    batches = (np.full(size, float(k)) for k, size in enumerate(sizes))
    result = steepest.train(
        lambda params, batch: np.mean((params["m"] - batch) ** 2),
        {"m": 0.0}, batches, method="sgd", rate=0.5, steps=100,
    )  # fmt: skip
    assert (result.ended, result.steps) == ("no more data", 4)
    assert result.history.costs == [0.0, 1.0, 9.0, 1.0]  # m is what it saw last: 0, 1, 4, 5
    assert "3 batches of fewer rows than the first left out" in result.events[-1]


def test_streams_of_random_numbers_of_one_seed_are_apart():
    one, two = random_numbers(0, 1, 5).normal(size=1000), random_numbers(0, 2, 5).normal(size=1000)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.15


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((np.ones(3), np.ones(4)), "different numbers of rows"),
        ({"x": np.ones(3), "name": np.array(["a", "b", "c"])}, "name holds text, not real numbers"),
        (np.ones((0, 2)), "holds no row"),
        ("missing.parquet", "no file missing.parquet"),
        ("data.txt", "no file data.txt"),
        ("part-*.parquet", "no file part-"),
        ("part-*.csv", "names several CSV files"),
        (pl.DataFrame({"x": [1.0], "name": ["a"]}), "column 'name' holds String, not numbers"),
        (3.0, "type float"),
        ([], "no batch"),
        ([np.ones((4, 2)), np.ones(4)], r"as a tuple, \(x, y\)"),
        (lambda: iter([np.ones(3)]), "call it if it gives batches"),
        (
            type("Rows", (), {"__getitem__": None, "__len__": None})(),
            "type Rows, which gives one row at a time",
        ),
        ((np.ma.masked_less(np.arange(3.0), 1), np.ones(3)), "hides some of its values behind a mask"),
        ((jax.random.split(jax.random.key(0), 3), np.ones(3)), "holds key<fry>, not real numbers"),
    ],
)
def test_data_that_cannot_be_are_refused_with_the_reason(data, said):
    with pytest.raises(steepest.InputError, match=said):
        read_data(data, seed=0)


@pytest.mark.parametrize("name", ["x.parquet", "x.npz", "x.npy", "ragged.csv"])
def test_a_file_that_is_not_what_its_name_says_is_refused_by_name(name, tmp_path):
    (tmp_path / name).write_text("a,b\n1,2\n1\n1,2,3\n")
    with pytest.raises(steepest.InputError, match=f"data: .*{name} "):
        read_data(tmp_path / name, seed=0)


def test_a_frame_of_polars_is_rows_of_named_columns():
    frame = pl.DataFrame({"x": np.arange(6.0), "y": np.arange(6)})
    source = read_data(frame, seed=0)
    assert source.rows == 6
    assert [leaf.name for leaf in source.layout.leaves] == ["x", "y"]
    x, y = next(source.batches(0, 0, 6, Part()))
    assert_array_equal(x, y)
    assert_array_equal(np.sort(x), np.arange(6))


NUMBERS = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    "given",
    [
        (pl.DataFrame(NUMBERS), pl.Series(NUMBERS[:, 0])),
        {"x": NUMBERS.astype(ml_dtypes.bfloat16), "y": jax.numpy.arange(0.0, 12, 2, dtype="bfloat16")},
        pl.DataFrame({"x": NUMBERS.tolist(), "y": NUMBERS[:, 0]}, schema={"x": pl.List(pl.Float64), "y": pl.Float32}),
        np.array([(row, row[0]) for row in NUMBERS], dtype=[("x", "f8", 2), ("y", "f4")]),
        (NUMBERS.view(np.matrix), np.ma.masked_less(NUMBERS[:, 0], -1)),
    ],
)  # fmt: skip
def test_whatever_holds_the_numbers_the_rows_are_the_same(given):
    source = read_data(given, seed=0)
    x, y = next(source.batches(0, 0, 6, Part()))
    order = source.order(0)
    assert type(x) is type(y) is np.ndarray
    assert x.dtype.kind == y.dtype.kind == "f"
    assert_array_equal(x, NUMBERS[order])
    assert_array_equal(y, NUMBERS[order, 0])


def test_an_open_archive_is_read_like_its_file(tmp_path):
    np.savez(tmp_path / "a.npz", x=NUMBERS)
    with np.load(tmp_path / "a.npz") as archive:
        found = read_data(archive, seed=0)
    assert_array_equal(found.arrays[0], read_data(tmp_path / "a.npz", seed=0).arrays[0])


class Frame:
    """A table of pandas whose columns are numbered, as far as it is asked for anything."""

    columns = (0, 1)
    to_numpy = None

    def __getitem__(self, column):
        return NUMBERS[:, column]


def test_columns_go_by_the_names_that_the_table_has_for_them():
    batch = read_data(Frame(), seed=0).layout.build(iter("ab"))
    assert batch == {0: "a", 1: "b"}


def csv_of(path, columns):
    path.write_text("\n".join(map(",".join, [columns, *zip(*columns.values(), strict=True)])) + "\n")
    return read_data(path, seed=0)


def test_a_column_of_a_csv_file_has_the_type_that_all_of_its_rows_have(tmp_path):
    rows = BLOCK + 200
    columns = {
        "late": ["1"] * (rows - 1) + ["0.5"],
        "gap": ["", *["2"] * (rows - 1)],
        "late_gap": [*["2"] * (rows - 1), ""],
        "begun_late": [""] * BLOCK + ["3"] * 200,
        "label": ["7"] * rows,
    }
    source = csv_of(tmp_path / "rows.csv", columns)
    assert [kind.kind for kind in source.layout.types] == ["f", "f", "f", "f", "i"]
    for batch in source.batches(0, 0, 100, Part()):
        assert [array.dtype.kind for array in batch] == ["f", "f", "f", "f", "i"]
    with pytest.raises(InputError, match="column 'late' holds String"):
        csv_of(tmp_path / "text.csv", columns | {"late": ["1"] * (rows - 1) + ["NA?"]})


def test_a_csv_file_without_a_heading_or_parted_by_other_signs_is_refused_with_what_reads_it(tmp_path):
    (tmp_path / "bare.csv").write_text("0.5,1\n1.5,2\n")
    (tmp_path / "semicolons.csv").write_text("a;b\n0.5;1\n")
    (tmp_path / "numbered.csv").write_text("0,1\n0.5,1\n")
    for name, reading in (("bare", {"has_header": False}), ("semicolons", {"separator": ";"})):
        path = tmp_path / f"{name}.csv"
        told = ", ".join(f"{key}={value!r}" for key, value in reading.items())
        with pytest.raises(InputError, match=told):
            read_data(path, seed=0)
        assert len(read_data(pl.scan_csv(path, **reading), seed=0).layout.leaves) == 2
    assert [leaf.name for leaf in read_data(tmp_path / "numbered.csv", seed=0).layout.leaves] == ["0", "1"]


def test_batches_that_can_be_counted_have_epochs():
    batches = [np.full(4, float(k)) for k in range(6)]
    result = steepest.train(
        lambda params, batch: np.mean((params["m"] - batch) ** 2),
        {"m": 0.0},
        batches,
        method="sgd",
        rate=0.5,
        epochs=3,
    )
    assert (result.steps, result.epochs) == (18, 3.0)
    # At the end all six are looked at once more: their mean cost at where the walk came to.
    m = result.params["m"]
    assert result.cost == pytest.approx(np.mean([(m - k) ** 2 for k in range(6)]), rel=1e-6)


class Loader:
    """What a DataLoader of PyTorch's tells of itself."""

    batch_size, drop_last = 8, False

    def __init__(self, rows):
        self.dataset = rows

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        return (self.dataset[k : k + 8] for k in range(0, len(self.dataset), 8))


class Drawing(Loader):
    """One that draws a part of its rows in an epoch, as a DataLoader with a sampler."""

    def __init__(self, rows, sampler):
        self.dataset, self.sampler = rows, sampler

    def __len__(self):
        return -(-len(self.sampler) // self.batch_size)

    def __iter__(self):
        return (self.dataset[self.sampler[k : k + 8]] for k in range(0, len(self.sampler), 8))


class Endless(Loader):
    """One over a stream: Python takes it for something with a length, which nobody can tell."""

    def __len__(self):
        raise TypeError("object of type 'Stream' has no len()")


@pytest.mark.parametrize(("drawn", "batches"), [(24, 3), (29, 3), (32, 4)])
def test_of_a_loader_with_a_sampler_no_whole_batch_is_left_out(drawn, batches):
    rows = np.arange(60.0).reshape(30, 2)
    given = read_data(Drawing(rows, np.arange(drawn) % 30), 0)
    assert given.count == batches == len(list(given.batches(0, 0, 8, Part())))
    assert bool(given.remark) == (drawn == 29)


def test_a_loader_that_cannot_tell_its_length_gives_its_batches():
    given = read_data(Endless(np.arange(48.0).reshape(24, 2)), 0)
    assert given.count is None and not given.remark
    assert len(list(given.batches(0, 0, 8, Part()))) == 3


def test_the_smaller_last_batch_of_a_loader_or_a_list_is_left_out_and_any_other_refused_before_the_run():
    rows = np.random.default_rng(0).normal(size=(29, 2))
    calls = []

    def cost(w, batch):
        calls.append(1)
        return np.mean((batch @ w - 1) ** 2)

    kept = steepest.train(
        cost, np.zeros(2), Loader(rows), method="sgd", epochs=4, validation=rows, patience=9
    )
    assert kept.steps == 12 and len(kept.history.validations) == 4
    assert any("of 5 rows, is left out" in remark for remark in kept.remarks)
    whole = steepest.train(cost, np.zeros(2), Loader(rows[:24]), method="sgd", epochs=4)
    assert whole.steps == 12 and not whole.remarks
    listed = steepest.train(cost, np.zeros(2), list(Loader(rows)), method="sgd", epochs=4)
    assert (listed.params == kept.params).all() and listed.remarks == kept.remarks
    calls.clear()
    with pytest.raises(InputError, match="batch 2 of data holds data of shape"):
        steepest.train(
            cost, np.zeros(2), [rows[:8], rows[8:16], rows[16:21], rows[21:]], method="sgd", epochs=4
        )
    assert not calls


class Thrice(Loader):
    """Batches of three sizes."""

    def __iter__(self):
        return iter([self.dataset[:5], self.dataset[5:17], self.dataset[17:]])


@pytest.mark.parametrize("kind", [list, Thrice])
def test_validation_in_batches_of_any_size_costs_what_its_rows_cost(kind):
    rows = np.random.default_rng(0).normal(size=(29, 2))
    aside = Thrice(rows) if kind is Thrice else list(Thrice(rows))
    result = steepest.train(
        lambda w, batch: np.mean((batch @ w - 1) ** 2), np.zeros(2), rows, batch_size=8, method="adam",
        epochs=2, validation=aside,
    )  # fmt: skip
    assert result.validation == pytest.approx(np.mean((rows @ result.params - 1) ** 2), rel=1e-5)
    assert not result.remarks


def test_validation_that_is_used_up_after_one_epoch_is_refused():
    rows = np.ones((16, 2))
    for aside in (iter([rows]), lambda rng: rng.normal(size=(4, 2))):
        with pytest.raises(InputError, match="read again after each epoch"):
            steepest.train(lambda w, batch: np.mean(batch @ w), np.zeros(2), rows, validation=aside)


STREAMED = """
import sys
from steepest.training.batches import Part, read_data

def held():
    told = open("/proc/self/status").read()
    return int(told.split("RssAnon:")[1].split()[0]) / 1024

source = read_data(sys.argv[1], 0)
batches = source.batches(0, 0, 1024, Part())
next(batches)
first = most = held()
for k, (x, *_) in enumerate(batches):
    if k % 16 == 0:
        most = max(most, held())
print(first, most - first, k + 2)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads what Linux tells of memory")
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_of_a_file_larger_than_memory_a_pool_of_blocks_is_held(tmp_path, ending):
    path, rows = tmp_path / f"rows.{ending}", 1_500_000
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"c{k}": rng.normal(size=rows) for k in range(12)})
    if ending == "csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path, row_group_size=100_000)
    done = subprocess.run(
        [sys.executable, "-c", STREAMED, str(path)], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    _, more, batches = map(float, done.stdout.split())
    assert batches == rows // 1024
    # A pool takes 13 MB, and again while it is mixed; all rows take 144 MB, and 1.5 times that as text.
    assert more < 80


@pytest.mark.parametrize("of", ["a list", "a generator", "a function", "validation"])
def test_values_behind_a_mask_are_refused_in_batches_too(of):
    x = np.ma.array(np.ones((8, 2)), mask=np.arange(16).reshape(8, 2) == 3)
    given = {"a list": [x, x], "a generator": (x for _ in range(3)), "a function": lambda rng: x}
    data, aside = (np.ones((8, 2)), [x]) if of == "validation" else (given[of], None)
    with pytest.raises(steepest.InputError, match="hides some of its values behind a mask"):
        steepest.train(
            lambda w, batch: np.mean((batch - w) ** 2), 0.0, data, validation=aside, steps=1, method="sgd"
        )


@pytest.mark.parametrize("method", ["sgd", "l-bfgs"])
@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 1_700_000_000_000])
def test_whole_numbers_beyond_32_bits_are_refused_in_single_precision_and_kept_in_double(method, number):
    data = np.full(8, number)

    def cost(w, batch):
        return np.mean((batch / 1e9 - w) ** 2)

    with pytest.raises(steepest.InputError, match=f"{number:,}, is beyond what int32 holds"):
        steepest.train(cost, 0.0, data, steps=1, method=method, precision="float32")
    kept = steepest.train(cost, 0.0, data, steps=1, method="sgd", rate=1e-9, precision="float64")
    assert abs(kept.history.costs[0] - (number / 1e9) ** 2) <= 1e-9 * (number / 1e9) ** 2


def test_rows_of_different_lengths_and_archives_without_arrays_are_told(tmp_path):
    with pytest.raises(steepest.InputError, match="different lengths"):
        read_data([[1.0, 2.0], [3.0]], 0)
    np.savez(tmp_path / "a.npz", a=np.ones(3))
    with np.load(tmp_path / "a.npz") as archive:
        pass
    with pytest.raises(steepest.InputError, match="closed"):
        read_data(archive, 0)


@dataclass
class Measured:
    x: Any
    y: Any


@dataclass
class Stream:
    """Gives batches, whatever its fields are."""

    size: int

    def __iter__(self):
        return ((np.full((self.size, 2), k), np.full(self.size, k)) for k in range(3))


def test_the_fields_of_a_dataclass_are_data_unless_it_gives_batches_itself():
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6.0)

    def cost(params, batch):
        return np.mean((batch.x @ params - batch.y) ** 2)

    settings = {"steps": 4, "batch_size": 3, "method": "sgd", "rate": 1e-3}
    result = steepest.train(cost, np.zeros(2), Measured(x, y), **settings)
    as_tuple = steepest.train(lambda p, b: np.mean((b[0] @ p - b[1]) ** 2), np.zeros(2), (x, y), **settings)
    assert np.array_equal(result.params, as_tuple.params)
    with pytest.raises(steepest.InputError, match=r"different numbers of rows \(x: 6, y: 5\)"):
        steepest.train(cost, np.zeros(2), Measured(x, y[:5]), **settings)
    assert read_data(Stream(4), 0).rows is None
