"""YAML and JSON are plain values, whatever a file asks for."""

import pytest

from lidarpan.structures import InputError
from lidarpan.text_trees import parse_yaml


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "a: !!python/object/new:os.system ['touch {mark}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "- !<tag:yaml.org,2002:python/object/apply:subprocess.check_output> [[touch, '{mark}']]",
    ],
)
def test_no_yaml_runs_code(text, tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(InputError, match=r"mine\.yaml: not valid YAML") as error:
        parse_yaml(text.format(mark=mark), "mine.yaml")
    assert "\n" not in str(error.value)
    assert not mark.exists()


def test_plain_values():
    assert parse_yaml("{a: [1, 2.5, true, null, x], b: &k {c: d}, e: *k}", "mine") == {
        "a": [1, 2.5, True, None, "x"],
        "b": {"c": "d"},
        "e": {"c": "d"},
    }
