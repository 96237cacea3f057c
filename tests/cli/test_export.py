"""lidarpan export: what is refused, and that a file comes out."""

import pytest


def test_another_ending_is_refused(run, tmp_path):
    out = tmp_path / "town.pt2"
    code, _, err = run("export", "town", "--to", "onnx", "--out", out)
    assert code == 2
    assert "wanted a name that ends in .onnx" in err
    assert not out.exists()


def test_unknown_weights_leave_nothing_behind(run, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    code, _, err = run("export", "twon", "--to", "onnx", "--out", tmp_path / "a.onnx")
    assert code == 2
    assert "no weights 'twon'" in err
    assert not list(tmp_path.iterdir())
