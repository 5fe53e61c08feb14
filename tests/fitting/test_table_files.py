"""Tables as people write them, read to the numbers they hold."""

from __future__ import annotations

import gzip
import os
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from steepest import InputError
from steepest.fitting.table_files import read_table

# What each of the texts below says.
X, Y = [0.0, 1.5, 2.0], [5.25, -3.0, 1.25e3]


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n0,5.25\n1.5,-3\n2,1.25e3\n",
        "x;y\n0;5.25\n1.5;-3\n2;1.25e3\n",
        "x;y\n0,0;5,25\n1,5;-3,0\n2,0;1250,000\n",
        "x\ty\n0,0\t5,25\n1,5\t-3,0\n2,0\t1250,0\n",
        "x y\n0 5.25\n1.5   -3\n2 1.25e3\n",
        "  x    y\n  0.0  5.25\n  1.5 -3.00\n  2.0 1250\n",
        "x, y\n0, 5.25\n1.5, -3\n2, 1250\n",
        "# by hand\n\nx,y\r\n0,5.25\r\n# a pause\r\n1.5,-3\r\n2,1250\r\n",
        "\ufeffx,y\n0,5.25\n1.5,-3\n2,1250\n",
        "0,5.25\n1.5,-3\n2,1250\n",
        "\ufeff0 5.25\n1.5 -3\n2 1250",
        "# x y\n0.0 5.25\n1.5 -3.0\n2.0 1250.0\n",
        "0,0 5,25\n1,5 -3,0\n2,0 1250,0\n",
    ],
)
def test_every_way_of_writing_the_same_numbers_reads_the_same(tmp_path, text):
    path = tmp_path / "data.txt"
    path.write_bytes(text.encode())
    table = read_table(path)
    assert table.columns == ["x", "y"]
    assert_array_equal(table["x"].to_numpy(), X)
    assert_array_equal(table["y"].to_numpy(), Y)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_names_keep_their_letters_in_every_alphabet(tmp_path, encoding):
    path = tmp_path / "data.csv"
    path.write_bytes("t,signal µV\n0,1\n1,2\n".encode(encoding))
    assert read_table(path).columns == ["t", "signal µV"]


def test_text_that_gzip_has_packed_is_read_and_what_is_cut_off_is_told(tmp_path):
    path, packed = tmp_path / "data.csv.gz", gzip.compress(b"x,y\n" + b"0,1\n1,2\n" * 1000)
    path.write_bytes(packed)
    assert read_table(path)["y"].to_list() == [1, 2] * 1000
    path.write_bytes(packed[:-12])
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_table(path)


def test_a_pipe_is_read_from_its_first_line(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "x,y\n" + "".join(f"{k},{k * k}\n" for k in range(20_000))
    writer = threading.Thread(target=pipe.write_text, args=(text,), daemon=True)
    writer.start()
    table = read_table(pipe)
    writer.join(10.0)
    assert table["y"].to_list() == [k * k for k in range(20_000)]


def test_a_line_ends_where_files_end_lines_and_not_inside_a_cell(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x,remark\n1,one\u2028two\x0cthree\n2,four\n", encoding="utf-8")
    table = read_table(path)
    assert table["x"].to_list() == [1, 2]
    assert table["remark"].to_list() == ["one\u2028two\x0cthree", "four"]


def test_a_long_remark_below_the_heading_is_read(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x,remark\n1," + "a" * 200_000 + "\n")
    assert read_table(path).shape == (1, 2)


def test_commas_after_a_zero_are_decimal(tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text("x\ty\n1\t0,345\n2\t13,456\n")
    assert read_table(path)["y"].to_list() == [0.345, 13.456]


@pytest.mark.parametrize("gap", ["", "NA", "nan", "n/a", "-", "?", "null", " NA "])
def test_a_word_for_nothing_measured_is_a_gap(tmp_path, gap):
    path = tmp_path / "data.csv"
    path.write_text(f"x,y\n0,1.5\n1,{gap}\n2,2.5\n")
    assert_array_equal(read_table(path)["y"].to_numpy(), [1.5, np.nan, 2.5])


def test_a_separator_inside_a_quoted_name_is_none(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('"time; s","a, b"\n0,1\n1,2\n')
    assert read_table(path).columns == ["time; s", "a, b"]


@pytest.mark.parametrize(("separator", "known"), [("\t", False), (";", True)])
def test_commas_that_may_part_thousands_are_not_guessed_to_be_decimal(tmp_path, separator, known):
    path = tmp_path / "data.csv"
    path.write_text(f"x{separator}y\n1{separator}1,234\n2{separator}5,678\n")
    column = read_table(path)["y"].to_list()
    assert column == ([1.234, 5.678] if known else ["1,234", "5,678"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"# only\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is no table in text"),
        (b"x,y\n1,2\n3,4,5\n", "x,y, has 2 entries, and the line 3,4,5 has 3"),
    ],
)
def test_what_is_no_table_is_told_with_the_file_and_the_line(tmp_path, content, complaint):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as error:
        read_table(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_table(tmp_path / "gone.csv")
    with pytest.raises(InputError, match="there is no file"):
        read_table(tmp_path / "gone.parquet")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"x,y\n1,2\n")
    with pytest.raises(InputError, match=r"bad\.parquet cannot be read"):
        read_table(tmp_path / "bad.parquet")
