"""Weights to and from the hub, with a hub of this test's own: nothing goes over the network."""

import shutil
import sys
from types import ModuleType

import pytest
from typer.testing import CliRunner

from lidarpan.cli.app import app
from lidarpan.model import hub
from lidarpan.model.checkpoint import load_weights
from lidarpan.model.weights import find_weights
from lidarpan.structures import InputError


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A folder in the hub's place; files lie in OWNER/NAME below."""
    fake = ModuleType("huggingface_hub")
    root = tmp_path / "hub"

    def create_repo(repository, *, private, exist_ok):
        if repository.startswith("closed/"):
            raise PermissionError("403 Client Error\nForbidden")
        (root / repository).mkdir(parents=True, exist_ok=exist_ok)
        (root / repository / "private").write_text(str(private))

    def upload_folder(*, repo_id, folder_path, revision, commit_message):
        shutil.copytree(folder_path, root / repo_id, dirs_exist_ok=True)

    def hf_hub_download(repository, name, *, revision):
        path = root / repository / name
        if not path.is_file() or revision == "gone":
            raise FileNotFoundError("404 Client Error: Entry Not Found")
        return str(path)

    fake.create_repo, fake.upload_folder = create_repo, upload_folder
    fake.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return root


def test_weights_go_and_come_back(there):
    town = find_weights("town")
    said = CliRunner().invoke(app, ["publish", str(town), "hf://me/my-town"])
    assert said.output.strip() == "https://huggingface.co/me/my-town"
    assert (there / "me/my-town/private").read_text() == "True"
    for name in ("hf://me/my-town", "hf:/me/my-town", "hf://me/my-town@main"):
        assert find_weights(name).read_bytes() == town.read_bytes()
    card = (there / "me/my-town/README.md").read_text()
    _, header = load_weights(town)
    assert "--weights hf://me/my-town" in card
    assert ", ".join(header["classes"][1:]) in card
    assert card.startswith("---\nlibrary_name: lidarpan\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf://me", "wanted hf://OWNER/NAME"),
        ("hf://me/../x", "wanted hf://OWNER/NAME"),
        ("hf://me/none", "cannot be fetched: 404"),
        ("hf://me/none@gone", "cannot be fetched: 404"),
    ],
)
def test_what_is_not_there_is_one_line(there, name, words):
    with pytest.raises(InputError, match=words) as fault:
        find_weights(name)
    assert "\n" not in str(fault.value)


def test_a_hub_that_refuses_is_one_line(there, tmp_path):
    with pytest.raises(InputError, match="403 Client Error Forbidden: hf auth login"):
        hub.publish_weights(find_weights("town"), "hf://closed/x")
    with pytest.raises(InputError, match="no such weights file"):
        hub.publish_weights(tmp_path / "no.safetensors", "hf://me/x")


def test_the_library_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'lidarpan\[hub\]'"):
        find_weights("hf://me/x")
