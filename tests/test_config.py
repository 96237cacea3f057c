import pytest

from lidarpan.config import Config, dump_config, load_config
from lidarpan.structures import InputError


def write(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def test_defaults_round_trip(tmp_path):
    path = write(tmp_path, dump_config(Config()))
    assert load_config(path) == Config()


def test_unknown_key_names_file_path_and_nearest(tmp_path):
    path = write(tmp_path, "augment: {rotate_rads: 1.0}")
    with pytest.raises(
        InputError, match=r"c\.yaml: augment\.rotate_rads: unknown key, did you mean 'rotate_rad'"
    ):
        load_config(path)


def test_unknown_key_in_a_list_entry(tmp_path):
    path = write(tmp_path, "train_data: [{dataset: nuscenes, root: /x, split: train, repeats: 2}]")
    with pytest.raises(InputError, match="did you mean 'repeat'"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1", "wanted a mapping"),
        ("a: [", "not valid YAML"),
        ("training: {batch_size: 0}", "training.batch_size"),
        ("grid: {voxel_m: [0.15, 0.15, 0.17]}", "whole number"),
        ("network: {channels: [8, 16, 32]}", "encoder_blocks"),
        ("network: {decoder_blocks: [1, 1, 0, 1, 1]}", "decoder_blocks"),
        ("augment: {voxel_scale: [1.5, 0.9]}", r"voxel_scale: wanted \[least, most\]"),
        ("classes: lyft", "classes"),
    ],
)
def test_bad_values_are_one_line(tmp_path, text, words):
    with pytest.raises(InputError, match=words) as error:
        load_config(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_overrides(tmp_path):
    config = load_config(None, ["training.max_steps=7", "grid.voxel_m=[0.2, 0.2, 0.2]"])
    assert config.training.max_steps == 7
    assert config.grid.voxel_m == (0.2, 0.2, 0.2)
    with pytest.raises(InputError, match=r"key\.path=value"):
        load_config(None, ["training.max_steps"])
    with pytest.raises(InputError, match=r"missing\.yaml"):
        load_config(tmp_path / "missing.yaml")


def test_overrides_reach_into_lists(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("train_data: [{dataset: semantickitti, root: a, split: train}]")
    config = load_config(path, ["train_data.0.root=b", "train_data.0.limit=3"])
    assert (str(config.train_data[0].root), config.train_data[0].limit) == ("b", 3)
    for override in ("train_data.1.root=b", "train_data.x.root=b", "train_data.0.root.deep=1"):
        with pytest.raises(InputError, match="--set"):
            load_config(path, [override])
