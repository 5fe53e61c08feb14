"""Data as minibatches in a seeded order, the same whatever the number of processes.

Every source answers one question: which rows make up batch number k of epoch e? The answer depends on the seed,
the epoch and k alone, so that a run can be taken up again anywhere, and each of P processes can take its own part
of the same batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, is_dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from ..errors import InputError
from ..parameters import Layout
from .mapped_rows import asked_for, larger_than_memory
from .sparse_rows import is_sparse, sparse_aside

Batch = list[np.ndarray]

# Rows that are read from a file together. Shuffling goes on inside a pool of blocks, so that reading stays
# sequential inside a block: with far fewer rows a block, a Parquet file is read page by page.
BLOCK = 16_384
# Blocks that are mixed with each other. With 1, rows that were written together would be trained together.
POOL = 8
# Batches of fewer rows than the first that a generator may give one after the other, and that are left out. Files that
# are read one by one end in a smaller one each; without a limit a stream of nothing else would never end.
SHORTER = 10
# Separates the random streams under one seed: of the shuffle, of generated data, of what PyTorch draws in a step.
SHUFFLE_STREAM, BLOCK_STREAM, ROW_STREAM, DATA_STREAM, TORCH_STREAM = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Part:
    """Which part of every batch this process takes: part `index` of `count` equal ones."""

    index: int = 0
    count: int = 1

    def of(self, rows: Any, batch_size: int) -> Any:
        """The rows of a batch that are this process's."""
        share = batch_size // self.count
        return rows[self.index * share : (self.index + 1) * share]


class Source(Protocol):
    """Where batches come from.

    `rows`: how many there are, None where nobody knows. `layout`: the form of a batch and the types in it.
    `batches(epoch, first)` gives this process's part of each batch of the epoch from number `first` on.
    """

    layout: Layout

    @property
    def rows(self) -> int | None:
        """How many rows there are."""

    def batches(self, epoch: int, first: int, batch_size: int, part: Part) -> Iterator[Batch]:
        """The batches of one epoch."""

    def describe(self) -> str:
        """The data in a few words."""


def random_numbers(seed: int, *stream: int) -> np.random.Generator:
    """A generator that depends on the seed and the numbers of its stream alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *stream])))


def read_data(data: Any, seed: int, name: str = "data", *, aside: bool = False) -> Source:
    """The source behind `data`: arrays, a table, a file, an iterable of batches, or a function of a generator.

    `aside`: whether only their cost is asked for, and no step is taken on them.

    Raises
    ------
    InputError: the data cannot be read as any of these, or hold no row.
    """
    if isinstance(data, (str, Path)):
        return _from_file(Path(data), seed, name)
    if hasattr(data, "collect_schema") and hasattr(data, "collect"):  # a LazyFrame of polars, no DataFrame
        from .tables import lazy_rows

        return lazy_rows(data, seed)
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):  # a frame of polars or pandas
        return Rows(_columns(data, name), seed, name)
    if isinstance(data, np.lib.npyio.NpzFile):
        return Rows(_unpacked(data, name), seed, name)
    if getattr(getattr(data, "dtype", None), "names", None):  # a structured array
        return Rows({field: data[field] for field in data.dtype.names}, seed, name)
    if hasattr(data, "shape") or isinstance(data, (Mapping, tuple)) or _holds_arrays(data):
        return Rows(data, seed, name)
    if isinstance(data, list) and data and not _is_batch(data[0]):
        try:
            rows = np.asarray(data)
        except ValueError:
            raise InputError(
                f"{name} is a list of rows of different lengths; fill them up to one, or give batches of equal shapes"
            ) from None
        return Rows(rows, seed, name)
    if callable(data) and not hasattr(data, "__iter__"):
        return Generated(data, seed, name)
    if isinstance(data, Iterable):
        return Given(data, name, aside)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        raise InputError(
            f"{name} is of type {type(data).__name__}, which gives one row at a time; give arrays, or what puts its "
            "rows into batches, such as torch.utils.data.DataLoader(data, batch_size=128, shuffle=True)"
        )
    raise InputError(
        f"{name} is of type {type(data).__name__}; give arrays (one, a tuple or a dict), a table, the name of an "
        ".npy, .npz, .parquet or .csv file, an iterable of batches, or a function of a random generator"
    )


def _columns(frame: Any, name: str) -> dict[str, np.ndarray]:
    """The columns of a frame of polars or pandas; raises `InputError` for one that holds no numbers."""
    found = {}
    for column in frame.columns:
        values = numbers_of(frame[column])
        if values is None:
            raise InputError(
                f"{name}: the column {column!r} holds {frame[column].dtype}, not numbers; drop it or turn it into "
                "numbers"
            )
        found[column] = values
    return found


def numbers_of(column: Any) -> np.ndarray | None:
    """A column of a table as an array, lists of equal length as its rows; None where it holds no numbers."""
    values = np.asarray(column)
    if values.dtype == object and len(values) and len({np.shape(value) for value in values}) == 1:
        values = np.array(values.tolist())
    return values if values.dtype.kind in "fiub" else None


def _holds_arrays(data: Any) -> bool:
    """Whether this is a dataclass whose fields are the data, rather than one that makes batches of them."""
    makes = callable(data) or hasattr(data, "__iter__") or hasattr(data, "__getitem__")
    return is_dataclass(data) and not isinstance(data, type) and not makes


def _is_batch(item: Any) -> bool:
    """Whether an element of a list is a whole batch rather than a row of numbers."""
    return isinstance(item, (Mapping, tuple)) or hasattr(item, "shape") or _holds_arrays(item)


def _from_file(path: Path, seed: int, name: str) -> Source:
    kind = path.suffix.lower()
    if kind in (".parquet", ".csv"):
        from .tables import file_rows

        return file_rows(path, seed, name)
    if not path.is_file():
        raise InputError(f"{name}: there is no file {path}")
    if kind == ".npy":
        return Rows(_loaded(path, name, mapped=True), seed, name)
    if kind == ".npz":
        return Rows(_loaded(path, name), seed, name)
    raise InputError(f"{name}: {path.name} is none of .npy, .npz, .parquet, .csv")


def _loaded(path: Path, name: str, *, mapped: bool = False) -> Any:
    """The array of an .npy file, or those of an .npz by their names; nothing in them is run."""
    try:
        if mapped:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, AttributeError, BadZipFile, EOFError):
        raise InputError(
            f"{name}: {path} is damaged, or holds other things than the plain arrays that numpy.save writes"
        ) from None


def _unpacked(archive: Any, name: str) -> dict[str, np.ndarray]:
    """The arrays of an open .npz file by their names."""
    try:
        return dict(archive)
    except (ValueError, AttributeError, BadZipFile):
        raise InputError(
            f"{name} is an .npz file that is closed, is damaged, or holds other things than plain arrays"
        ) from None


class Rows:
    """Arrays with equal numbers of rows, in memory or mapped from a file.

    >>> source = Rows({"x": np.arange(6.0), "y": np.arange(6)}, seed=0, name="data")
    >>> first = next(source.batches(epoch=0, first=0, batch_size=3, part=Part()))
    >>> [array.shape for array in first], (first[0] == first[1]).all()
    ([(3,), (3,)], np.True_)
    """

    def __init__(self, data: Any, seed: int, name: str) -> None:
        data, sparse = sparse_aside(data)
        whole = Layout.of(data, name)
        for leaf in whole.leaves:
            if leaf.shape == ():
                raise InputError(
                    f"{leaf.name} is one number; data are arrays whose first axis counts the examples"
                )
        counts = {leaf.name: leaf.shape[0] for leaf in whole.leaves}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{key}: {count:,}" for key, count in counts.items())
            raise InputError(f"the arrays of {name} have different numbers of rows ({told})")
        self.rows: int = whole.leaves[0].shape[0]
        if self.rows == 0:
            raise InputError(f"{name} holds no row")
        self.arrays: list[Any] = [
            array if isinstance(array, np.memmap) else np.asarray(array) for array in whole.arrays
        ]
        self.layout = Layout.of(whole.build(iter([array[:1] for array in self.arrays])), name)
        for place in range(len(whole.leaves)):
            held = [matrix for stand_in, matrix in sparse if stand_in is whole.arrays[place]]
            if held:
                self.arrays[place] = held[0]
        self.seed = seed
        self._asks = larger_than_memory(self.arrays)
        self._order: tuple[int, np.ndarray] | None = None

    def batch_bytes(self, batch_size: int) -> float:
        """Bytes that gathering a batch moves in memory; infinite where a disk may have a say."""
        if any(isinstance(array, np.memmap) for array in self.arrays):
            return float("inf")
        return float(
            sum(batch_size * np.prod(array.shape[1:]) * array.dtype.itemsize for array in self.arrays)
        )

    def order(self, epoch: int) -> np.ndarray:
        """The rows in the order of this epoch, shape (rows,)."""
        if self._order is None or self._order[0] != epoch:
            kind = np.int32 if self.rows < 2**31 else np.int64
            order = np.arange(self.rows, dtype=kind)
            random_numbers(self.seed, SHUFFLE_STREAM, epoch).shuffle(order)
            self._order = (epoch, order)
        return self._order[1]

    def chosen(self, epoch: int, k: int, batch_size: int, part: Part) -> np.ndarray:
        """Which rows this process's part of batch `k` holds."""
        return part.of(self.order(epoch)[k * batch_size : (k + 1) * batch_size], batch_size)

    def batches(self, epoch: int, first: int, batch_size: int, part: Part) -> Iterator[Batch]:
        """The batches of one epoch; rows that do not fill a last one are left to another epoch."""
        for k in range(first, self.rows // batch_size):
            yield self.taken(self.chosen(epoch, k, batch_size, part))

    def taken(self, rows: np.ndarray) -> Batch:
        """These rows of every array; `rows` may have several axes, which take the place of the first."""
        with asked_for(self.arrays, rows) if self._asks else nullcontext():
            return [
                array[rows.ravel()].toarray().reshape(*rows.shape, *array.shape[1:])
                if is_sparse(array)
                else np.take(array, rows, axis=0)
                for array in self.arrays
            ]

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows in the order they are stored, the last batch possibly smaller."""
        for start in range(0, self.rows, batch_size):
            pieces = [array[start : start + batch_size] for array in self.arrays]
            yield [piece.toarray() if is_sparse(piece) else np.asarray(piece) for piece in pieces]

    def describe(self) -> str:
        """The data in a few words."""
        return f"{self.rows:,} rows"


class Generated:
    """Data made by a function of a seeded generator: `data(rng)`, or `data(key)` for a key of JAX's."""

    rows: int | None = None

    def __init__(self, function: Callable[[Any], Any], seed: int, name: str) -> None:
        self.function = function
        self.seed = seed
        try:
            first = next(iter(inspect.signature(function).parameters))
        except (StopIteration, TypeError, ValueError):
            raise InputError(
                f"{name} is a function that takes nothing; call it if it gives batches, or write it as a function of "
                "a random generator, def data(rng): ..."
            ) from None
        self.wants_key = first == "key"
        self.layout = Layout.of(self.make(0, 0), name)

    def make(self, epoch: int, k: int) -> Any:
        """Batch `k` of the epoch, whole."""
        if self.wants_key:
            import jax

            return self.function(jax.random.fold_in(jax.random.fold_in(jax.random.key(self.seed), epoch), k))
        return self.function(random_numbers(self.seed, DATA_STREAM, epoch, k))

    def batches(self, epoch: int, first: int, batch_size: int, part: Part) -> Iterator[Batch]:
        """Batches without end, each made when it is asked for."""
        k = first
        while True:
            whole = Layout.of(self.make(epoch, k), "data").arrays
            yield [part.of(np.asarray(array), len(array)) for array in whole]
            k += 1

    def describe(self) -> str:
        """The data in a few words."""
        return "made as it goes"


def _count(batches: Any) -> int | None:
    """Batches in an epoch; None where the iterable does not say, as a `DataLoader` over what has no length."""
    try:
        return len(batches)
    except TypeError:
        return None


def _left_over(batches: Any) -> int:
    """Rows of a smaller last batch, as PyTorch's `DataLoader` tells them; 0 where there is none, or nobody says.

    What it draws in an epoch is told by its sampler, where it has one: a part of the rows, or some of them twice.
    """
    size, drawn = getattr(batches, "batch_size", None), getattr(batches, "dataset", None)
    drawn = getattr(batches, "sampler", drawn)
    if not isinstance(size, int) or getattr(batches, "drop_last", False):
        return 0
    return (_count(drawn) or 0) % size


def _check_together(arrays: list[Any], name: str) -> None:
    """Raises `InputError` for a list of arrays whose rows belong together, which would be taken for batches."""
    shapes: list[tuple[int, ...]] = [getattr(array, "shape", ()) for array in arrays]
    if () not in shapes and len({shape[0] for shape in shapes}) == 1 < len(set(shapes)):
        raise InputError(
            f"{name} is a list, which is read as one batch after the other, but its arrays are of different shapes; "
            "where their rows belong together, give them as a tuple, (x, y)"
        )


class Given:
    """Batches of the user's own making, one after the other.

    `aside`: whether only their cost is asked for, which is had of batches of any number of rows.
    """

    rows: int | None = None

    def __init__(self, batches: Iterable[Any], name: str, aside: bool = False) -> None:
        self.once = iter(batches) is batches
        # Batches in an epoch, where the iterable says how many it has.
        self.count = None if self.once else _count(batches)
        self.source = batches
        self.remark = ""
        # Of an iterable that can be read once: batches by number, and the number of the one it gives next.
        self._held: dict[int, Batch] = {}
        self._next: int | None = None
        self.shorter = 0  # batches of fewer rows that it gave, and that were left out
        iterator = iter(batches)
        try:
            first = next(iterator)
        except StopIteration:
            raise InputError(f"{name} is an iterable that gives no batch") from None
        self.layout = Layout.of(first, name)
        for leaf in self.layout.leaves:
            if leaf.shape == ():
                raise InputError(
                    f"{leaf.name} is one number; an iterable gives batches, arrays of several rows"
                )
        if self.once:
            self._first = self._copied(first)
        if isinstance(batches, list):
            _check_together(batches, name)
        if not aside:
            self._leave_out_smaller()
        if isinstance(batches, list) and not aside:  # at hand: better told now than at the end of an epoch
            for k, batch in enumerate(islice(batches, self.count)):
                self._arrays(batch, f"batch {k} of {name}")

    def _leave_out_smaller(self) -> None:
        """Where the last batch of an epoch is known to be a smaller one, tell of it now and count without it."""
        if self.count is None or self.count < 2:
            return
        if not isinstance(self.source, list):
            left = _left_over(self.source)
        else:
            last = self.source[-1]
            left = len(Layout.of(last, "data").arrays[0]) if self._is_shorter(last) else 0
        if left:
            self.count -= 1
            why = "every batch has the shape of the first"
            self.remark = f"the last batch of an epoch, of {left} rows, is left out, since {why}"

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """The batches as they come, with as many rows as each has."""
        for k, whole in enumerate(self.source):
            arrays = [np.array(array) for array in Layout.of(whole, "validation").arrays]
            shapes, first = ([a.shape[1:] for a in of] for of in (arrays, self.layout.arrays))
            if shapes != first:
                raise InputError(
                    f"batch {k} of validation holds rows of shape {shapes}, the first one of shape {first}; give all "
                    "of them one form"
                )
            yield arrays

    def batches(self, epoch: int, first: int, batch_size: int, part: Part) -> Iterator[Batch]:
        """What the iterable gives from batch `first` on; a generator goes on where it stands, or stood a while ago."""
        for whole in self._read_once(first) if self.once else self._read_again(first):
            yield [part.of(array, len(array)) for array in whole]

    def _read_again(self, first: int) -> Iterator[Batch]:
        for k, whole in enumerate(islice(self.source, self.count)):
            if k >= first:
                # A list holds all of its batches; what makes them may fill the same arrays again while one is in use.
                yield (
                    self._arrays(whole, "a batch")
                    if isinstance(self.source, (list, tuple))
                    else self._copied(whole)
                )

    def _read_once(self, first: int) -> Iterator[Batch]:
        """Those held from number `first` on, then what comes new, which is held too until it is let go of."""
        if self._next is None:
            self._held[first], self._next = _unchangeable(self._first), first + 1
        k, running = first, 0  # batches just left out, one after the other
        while True:
            if k == self._next:
                try:
                    whole = next(self.source)  # type: ignore[call-overload]
                except StopIteration:
                    return
                # The last one often is: no reason to lose what all before it came to.
                if running < SHORTER and self._is_shorter(whole):
                    self.shorter, running = self.shorter + 1, running + 1
                    continue
                self._held[k], self._next, running = _unchangeable(self._copied(whole)), k + 1, 0
            yield self._held[k]
            k += 1

    def _is_shorter(self, whole: Any) -> bool:
        """Whether a batch differs from the first by fewer rows alone."""
        shapes = [np.shape(array) for array in Layout.of(whole, "data").arrays]
        first = [leaf.shape for leaf in self.layout.leaves]
        if [shape[1:] for shape in shapes] != [shape[1:] for shape in first] or () in shapes:
            return False
        return len({shape[0] for shape in shapes}) == 1 and shapes[0][0] < first[0][0]

    def holds(self, k: int) -> bool:
        """Whether batch `k` and those after it can be read."""
        return not self.once or self._next is None or k in self._held or k == self._next

    def let_go(self, before: int) -> None:
        """Hold no longer the batches with lower numbers than `before`."""
        for k in [k for k in tuple(self._held) if k < before]:
            del self._held[k]

    def _copied(self, whole: Any) -> Batch:
        """The arrays of a batch in memory of their own: a generator may fill the same array again."""
        return [np.array(array) for array in self._arrays(whole, "a batch")]

    def _arrays(self, whole: Any, which: str) -> Batch:
        """The arrays of a batch; raises `InputError` where they have other shapes than those of the first."""
        arrays = [np.asarray(array) for array in Layout.of(whole, "data").arrays]
        if len(arrays) != len(self.layout.leaves):
            raise InputError(
                f"{which} holds {len(arrays)} arrays, the first one held {len(self.layout.leaves)}"
            )
        for leaf, array in zip(self.layout.leaves, arrays, strict=True):
            if array.shape != leaf.shape:
                raise InputError(
                    f"{which} holds {leaf.name} of shape {array.shape}, the first one held {leaf.shape}; every batch "
                    "must have the shape of the first: leave a smaller last one out"
                )
        return arrays

    def describe(self) -> str:
        """The data in a few words."""
        return "an iterable of batches"


def _unchangeable(batch: Batch) -> Batch:
    """The batch for reading alone: it may be read again, and a cost in PyTorch may divide its rows in place."""
    for array in batch:
        array.setflags(write=False)
    return batch
