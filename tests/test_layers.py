"""The architecture as tests: rooms, levels, no circle, heavy libraries with one owner."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import lidarpan

PACKAGE = Path(lidarpan.__file__).parent
DESIGN = PACKAGE.parent / "docs" / "design.md"

UPWARDS = {("lidarpan.structures", "lidarpan.grouping.objects")}
"""On first use: the method PanopticLabels.objects."""

OWNERS = {
    "numba": (
        "draw/raster_kernel",
        "draw/surface_kernel",
        "doctor/kernels",
        "draw/votes_kernel",
        "grouping/",
        "metrics/contingency",
        "model/sparse/",
        "synthetic/heightfield",
        "synthetic/towns/ground_kernel",
        "synthetic/raycast_kernel",
        "tracking/",
        "voxels/",
    ),
    "spconv": ("model/sparse/",),
    "triton": ("model/sparse/",),
    "open3d": ("synthetic/raycast", "scans/", "viewer", "doctor"),
    "rerun": ("viewer/rerun",),
    "nuscenes": ("datasets/nuscenes", "doctor"),
    "lightning": ("training/",),
    "captum": ("attribution/",),
    "typer": ("cli/",),
    "ray": ("fleet/cluster",),
    "fsspec": ("fleet/store",),
    "huggingface_hub": ("model/hub",),
}


def levels():
    """Level of each room, from the table of docs/design.md."""
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", DESIGN.read_text(), re.M)
    return {room: int(level) for level, rooms in rows for room in re.findall(r"`(\w+)`", rooms)}


LEVELS = levels()


def room_of(module):
    return module.split(".")[1]


def module_of(path):
    name = path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
    return name.removesuffix(".__init__")


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TOP = ("lidarpan", "lidarpan.__main__")  # the lazy names, and the way to the command line


def imports_of(path, only_at_import=False):
    """Every module that a file imports, but for TYPE_CHECKING and, if asked, in functions."""
    tree = ast.parse(path.read_text())
    left_out = {
        node
        for block in ast.walk(tree)
        if (isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test))
        or (only_at_import and isinstance(block, ast.FunctionDef | ast.AsyncFunctionDef))
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in FILES else node.module


def graph(only_at_import):
    return {
        module: {
            imported
            for imported in imports_of(path, only_at_import)
            if imported in FILES and (module, imported) not in UPWARDS and imported != module
        }
        for module, path in FILES.items()
        if module not in TOP
    }


def circles(edges):
    """Nodes on a circle: what is left when those without a way on are taken off one by one."""
    left = {node: set(after) for node, after in edges.items()}
    while ends := [node for node, after in left.items() if not after & set(left)]:
        for node in ends:
            del left[node]
    return sorted(left)


def test_every_room_has_its_line_in_the_design():
    found = {room_of(module) for module in FILES if module not in TOP}
    assert found <= set(LEVELS)
    assert set(LEVELS) == found


def test_imports_run_downwards():
    wrong = [
        f"{module} imports {imported}"
        for module, after in graph(only_at_import=False).items()
        for imported in after
        if imported not in TOP and LEVELS[room_of(imported)] > LEVELS[room_of(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_and_no_rooms_import_in_a_circle():
    """Imports in functions count too; those on first use that UPWARDS names are the exception."""
    modules = graph(only_at_import=False)
    assert circles(modules) == []
    assert circles(graph(only_at_import=True)) == []
    rooms = {}
    for module, after in modules.items():
        own = rooms.setdefault(room_of(module), set())
        own |= {room_of(other) for other in after if other not in TOP} - {room_of(module)}
    assert circles(rooms) == []


def test_a_circle_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["a", "b", "c"]


def test_heavy_libraries_have_one_owner():
    wrong = [
        f"{name} imports {imported}"
        for path in FILES.values()
        for name in [path.relative_to(PACKAGE).as_posix()]
        for imported in imports_of(path)
        for library in [imported.split(".")[0]]
        if library in OWNERS and not name.startswith(OWNERS[library])
    ]
    assert not wrong, "\n".join(wrong)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_import_is_light_and_leaves_the_environment_alone():
    heavy = ("torch", "numba", "open3d", "lightning", "scipy", "nuscenes", "matplotlib", "jinja2")
    code = (
        "import os, sys; before = dict(os.environ); import lidarpan, lidarpan.cli; "
        f"print([m for m in {heavy} if m in sys.modules], dict(os.environ) == before)"
    )
    assert run(code) == "[] True"


def test_the_top_of_the_package_is_what_people_use():
    assert set(dir(lidarpan)) == {*lidarpan.__all__, "__version__"}
    for name in lidarpan.__all__:
        assert getattr(lidarpan, name).__name__ == name
    code = (
        "import os; before = dict(os.environ); from lidarpan import *; "
        "print(dict(os.environ) == before, PanopticPipeline.__name__)"
    )
    assert run(code) == "True PanopticPipeline"


def test_the_library_does_not_print():
    """print and consoles are the command line's; the library logs and returns."""
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for module, path in FILES.items()
        if room_of(module + ".") not in ("cli",)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "Console")
    ]
    assert not wrong, wrong
