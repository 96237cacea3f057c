"""The list of faults that the tests catch keeps up with the code."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_each_fault_can_be_put_in_once_and_has_its_tests():
    mutations = runpy.run_path(str(ROOT / "tools" / "mutate.py"), run_name="mutate")["MUTATIONS"]
    assert len(mutations) >= 10
    for one in mutations:
        assert (ROOT / "lidarpan" / one.file).read_text().count(one.right) == 1, one
        assert one.wrong != one.right
        assert (ROOT / one.tests[0]).is_file()
