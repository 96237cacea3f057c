"""Pickled tables: what they hold is read, and nothing that they name is run."""

import gzip
import io
import os
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas_pickles import pandas_pickle

from lidarpan.scans.frame_pickle import read_frame_pickle
from lidarpan.structures import InputError

COLUMNS = {
    "x": np.array([1.5, -2.0, 3.25]),
    "name": np.array(["a", "b", None], object),
    "d": np.array([0, 1, 1]),
    "y": np.array([0.5, 7.0, -1.0]),
    "ok": np.array([True, False, True]),
}


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("numbered", [False, True])
def test_tables_read_back(tmp_path, protocol, is_new, numbered):
    content = pandas_pickle(COLUMNS, is_new=is_new, protocol=protocol, numbered=numbered)
    for name, written in (("t.pkl", content), ("t.pkl.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        read = read_frame_pickle(tmp_path / name)
        assert list(read) == list(COLUMNS)
        for key, column in COLUMNS.items():
            assert read[key].tolist() == column.tolist()
            assert read[key].dtype == column.dtype


class Hostile:
    """Runs a command where it is unpickled."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def hostile_pickles(mark):
    """Pickles that would make the file `mark`, one way or another."""
    touch = f"open({str(mark)!r}, 'w').close()"
    yield "a call", pickle.dumps(Hostile(os.system, f"touch {mark}"))
    yield "eval", pickle.dumps(Hostile(eval, touch))
    yield "exec in the end", pickle.dumps([1, Hostile(exec, touch)])
    yield "the oldest protocol", pickle.dumps(Hostile(eval, touch), 0)
    yield (
        "an old instance",
        b"(c__builtin__\neval\n" + f"(S{touch!r}\n".encode() + b"i__builtin__\neval\n.",
    )
    inside = dict(COLUMNS)
    inside["name"] = np.array(["a", Hostile(eval, touch), None], object)
    yield "in a column", pandas_pickle(inside)
    # the state of what is allowed, set to something else
    yield "getattr", b"cbuiltins\ngetattr\n(cpandas.core.frame\nDataFrame\nS'x'\ntR."
    yield "numpy's own loader", b"cnumpy\nload\n(S'x'\ntR."
    yield "ctypes by numpy", b"cnumpy.core._internal\n_ctypes\n(S'x'\ntR."
    yield "an attribute by dots", b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93."
    yield "a persistent id", b"Pname\n."
    yield "an extension", b"\x80\x02\x82\x01."
    yield (
        "a state for a class",
        b"\x80\x03cpandas.core.frame\nDataFrame\n}X\x01\x00\x00\x00aK\x01sb.",
    )


def test_no_pickle_runs_anything(tmp_path):
    mark = tmp_path / "was_run"
    cases = list(hostile_pickles(mark))
    for what, content in cases:
        file = tmp_path / "hostile.pkl.gz"
        file.write_bytes(gzip.compress(content))
        with pytest.raises(InputError, match=r"hostile\.pkl\.gz: "):
            read_frame_pickle(file)
        assert not mark.exists(), what
    try:
        pickle.loads(cases[1][1])  # it does what it says
    finally:
        assert mark.exists()


def test_what_it_names_is_said(tmp_path):
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps(Hostile(os.system, "true")))
    with pytest.raises(InputError, match=r"it wants posix\.system, which no table of numbers has"):
        read_frame_pickle(file)


def test_little_does_not_become_much(tmp_path, monkeypatch):
    file = tmp_path / "big.pkl.gz"
    file.write_bytes(gzip.compress(bytes(1 << 20)))
    monkeypatch.setattr("lidarpan.scans.frame_pickle._MAX_BYTES", 1 << 16)
    with pytest.raises(InputError, match="at most 65536 bytes, got a larger one"):
        read_frame_pickle(file)
    # a memo slot far away, which the reader in C would make room for
    file.write_bytes(b"\x80\x02K\x01r\xff\xff\xff\x7f.")
    with pytest.raises(InputError, match="wanted a DataFrame of pandas, got int"):
        read_frame_pickle(file)


def array_of(code, raw, shape=(3,)):
    """A table whose column is an array of this type and these bytes."""
    content = pandas_pickle({"x": np.array([1.5, -2.0, 3.25])})
    return content.replace(b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00" + code)


@pytest.mark.parametrize("code", [b"V8", b"M8", b"c8", b"f9", b"|O", b"i4", b"U2"])
def test_other_columns_are_refused(tmp_path, code):
    file = tmp_path / "a.pkl"
    file.write_bytes(array_of(code, b""))
    with pytest.raises(InputError, match=r"a\.pkl: wanted"):
        read_frame_pickle(file)


def test_damaged_files_are_named(tmp_path):
    file = tmp_path / "a.pkl.gz"
    with pytest.raises(InputError, match="no such file"):
        read_frame_pickle(file)
    whole = gzip.compress(pandas_pickle(COLUMNS))
    for content in (b"", whole[:50], whole[:-9], whole[:100] + b"x" + whole[101:], b"nonsense"):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.pkl\.gz: "):
            read_frame_pickle(file)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_an_input_error(tmp_path_factory, data):
    content = bytearray(pandas_pickle(COLUMNS))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.pkl"
    file.write_bytes(content)
    try:
        read = read_frame_pickle(file)
    except InputError:
        return
    assert all(len(column) == len(next(iter(read.values()))) for column in read.values())


def test_the_writer_of_these_tests_writes_what_pandas_writes():
    """The names in order, as in the files of PandaSet (pandas 0.25, protocol 3)."""
    columns = {"class": np.array([5, 5, 7])}
    operations = pickletools.genops(io.BytesIO(pandas_pickle(columns)))
    named = [argument for op, argument, _ in operations if op.name == "GLOBAL"]
    expected = [
        "pandas.core.frame DataFrame",
        "pandas.core.internals.managers BlockManager",
        "pandas.core.indexes.base _new_Index",
        "pandas.core.indexes.base Index",
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
        "pandas.core.indexes.range RangeIndex",
        "builtins slice",
    ]
    assert [name.replace("_core", "core") for name in named] == expected
