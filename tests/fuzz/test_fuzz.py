"""No damaged file gets anything out of a reader but an answer or one line."""

import pytest
from fuzzing import fuzz, readers

READERS = readers()
PER_READER = -(-2000 // len(READERS))


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_whole_file_is_read(reader, tmp_path):
    if reader.name == "bench.json":
        pytest.skip("the beginning of a report only")
    (tmp_path / reader.name).write_bytes(reader.content)
    reader.read(tmp_path / reader.name)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damaged_files_are_answered(reader, tmp_path):
    assert fuzz(reader, 0, PER_READER, tmp_path) == {}
