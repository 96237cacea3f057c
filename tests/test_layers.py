"""The architecture as tests: imports run downwards, heavy libraries have one owner."""

import ast
import subprocess
import sys
from pathlib import Path

import lidarpan

PACKAGE = Path(lidarpan.__file__).parent

# Longest matching prefix decides; a module may import only from its own level or below.
LEVELS = {
    "lidarpan": 0,
    "lidarpan.errors": 0,
    "lidarpan.structures": 0,
    "lidarpan.clock": 0,
    "lidarpan.overlap": 0,
    "lidarpan.optional": 0,
    "lidarpan.whole_file": 0,
    "lidarpan.checked_yaml": 0,
    "lidarpan.classes": 1,
    "lidarpan.class_rows": 1,
    "lidarpan.scans": 1,
    "lidarpan.voxels": 1,
    "lidarpan.metrics": 1,
    "lidarpan.config": 2,
    "lidarpan.grouping": 2,
    "lidarpan.model": 2,
    "lidarpan.datasets": 2,
    "lidarpan.tracking": 3,
    "lidarpan.synthetic": 3,
    "lidarpan.draw": 3,
    "lidarpan.pipeline": 3,
    "lidarpan.viewer": 3,
    "lidarpan.inference": 4,
    "lidarpan.group_files": 4,
    "lidarpan.objects_files": 4,
    "lidarpan.evaluation": 5,
    "lidarpan.training": 5,
    "lidarpan.bench": 5,
    "lidarpan.demo": 5,
    "lidarpan.doctor": 5,
    "lidarpan.cli": 6,
}

UPWARDS = {("lidarpan.structures", "lidarpan.grouping.objects")}
"""On first use: the method PanopticLabels.objects."""

OWNERS = {
    "numba": (
        "draw/raster_kernel",
        "draw/surface_kernel",
        "draw/votes_kernel",
        "grouping/",
        "metrics/contingency",
        "model/sparse/",
        "synthetic/heightfield",
        "synthetic/raycast_kernel",
        "voxels/",
    ),
    "spconv": ("model/sparse/",),
    "open3d": ("synthetic/raycast", "scans/", "viewer", "doctor"),
    "rerun": ("viewer/rerun",),
    "nuscenes": ("datasets/nuscenes", "doctor"),
    "lightning": ("training/",),
    "typer": ("cli/",),
}


def level_of(module):
    prefixes = [p for p in LEVELS if module == p or module.startswith((p + ".", p + "_"))]
    return LEVELS[max(prefixes, key=len)]


def imports_of(path):
    """(imported module, whether it is under TYPE_CHECKING) of every import of a file."""
    tree = ast.parse(path.read_text())
    checking = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in checking:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names if node.module == "lidarpan")


def files():
    return [(p, p.relative_to(PACKAGE).as_posix()) for p in sorted(PACKAGE.rglob("*.py"))]


def test_imports_run_downwards():
    wrong = []
    for path, name in files():
        if name == "__init__.py":
            continue  # its imports are on first use
        module = "lidarpan." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        wrong += [
            f"{module} imports {imported}"
            for imported in imports_of(path)
            if imported.startswith("lidarpan.") and level_of(imported) > level_of(module)
            if (module, imported) not in UPWARDS
        ]
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_have_one_owner():
    wrong = [
        f"{name} imports {imported}"
        for path, name in files()
        for imported in imports_of(path)
        for library in [imported.split(".")[0]]
        if library in OWNERS and not name.startswith(OWNERS[library])
    ]
    assert not wrong, "\n".join(wrong)


def test_import_is_light():
    code = (
        "import sys, lidarpan, lidarpan.cli; "
        "print([m for m in ('torch', 'numba', 'open3d', 'lightning', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
