"""Tables as pandas pickles them, written without pandas: the same names, arguments and states."""

import gzip
import pickle
import sys
import types

import numpy as np

_MODULES = {
    "pandas.core.frame": ("DataFrame",),
    "pandas.core.internals.managers": ("BlockManager",),
    "pandas.core.indexes.base": ("Index",),
    "pandas.core.indexes.range": ("RangeIndex",),
    "pandas.core.indexes.numeric": ("Int64Index",),
}


class _Made:
    """Pickles as a call of `call` with `arguments`, followed by `state` where there is one."""

    def __init__(self, call, arguments, state=None):
        self.call, self.arguments, self.state = call, arguments, state

    def __reduce__(self):
        parts = (self.call, self.arguments)
        return parts if self.state is None else (*parts, self.state)


def _new(name, state):
    """An instance of one of the classes, made empty and given its state."""

    def __getstate__(self):
        return state

    made = object.__new__(sys.modules[name[0]].__dict__[name[1]])
    type(made).__getstate__ = __getstate__
    return made


def _pandas():
    """Modules that only have the names."""
    made = {}
    for path, names in _MODULES.items():
        parts = path.split(".")
        for end in range(1, len(parts) + 1):
            module = ".".join(parts[:end])
            made.setdefault(module, types.ModuleType(module))
        for name in names:
            made[path].__dict__[name] = type(name, (), {"__module__": path})
    for path, name in (
        ("pandas.core.indexes.base", "_new_Index"),
        ("pandas._libs.internals", "_unpickle_block"),
    ):
        made.setdefault("pandas._libs", types.ModuleType("pandas._libs"))
        made.setdefault(path, types.ModuleType(path))

        def function(*_):
            raise AssertionError("never called")

        function.__module__, function.__qualname__, function.__name__ = path, name, name
        made[path].__dict__[name] = function
    return made


def pandas_pickle(columns, *, is_new=False, protocol=3, numbered=False):
    """The bytes of a pickled DataFrame.

    Args:
        columns: name -> (R,) numbers or words.
        is_new: as pandas writes it since 1.3.
        protocol: of the pickle.
        numbered: the rows have numbers of their own, not a range.
    """
    fake = _pandas()
    saved = {name: sys.modules.get(name) for name in fake}
    sys.modules.update(fake)
    try:
        base = sys.modules["pandas.core.indexes.base"]
        names, rows = list(columns), len(next(iter(columns.values())))

        def index(kind, content):
            module, name = kind
            return _Made(base._new_Index, (sys.modules[module].__dict__[name], content))

        words = np.array(names, object)
        axes = [index(("pandas.core.indexes.base", "Index"), {"data": words, "name": None})]
        if numbered:
            kind = ("pandas.core.indexes.numeric", "Int64Index")
            axes.append(index(kind, {"data": np.arange(rows), "name": "index"}))
        else:
            kind = ("pandas.core.indexes.range", "RangeIndex")
            axes.append(index(kind, {"name": None, "start": 0, "stop": rows, "step": 1}))
        kinds = list(dict.fromkeys(np.asarray(c).dtype for c in columns.values()))
        blocks = []
        for dtype in kinds:
            at = [k for k, name in enumerate(names) if np.asarray(columns[name]).dtype == dtype]
            values = np.stack([np.asarray(columns[names[k]]) for k in at])
            run = at == list(range(at[0], at[0] + len(at)))
            blocks.append((values, slice(at[0], at[-1] + 1, 1) if run else np.array(at)))
        if is_new:
            unpickle = sys.modules["pandas._libs.internals"]._unpickle_block
            made = tuple(_Made(unpickle, (values, at, 2)) for values, at in blocks)
            managers = sys.modules["pandas.core.internals.managers"]
            manager = _Made(managers.BlockManager, (made, axes))
            key = "_mgr"
        else:
            content = {
                "axes": axes,
                "blocks": [{"values": values, "mgr_locs": at} for values, at in blocks],
            }
            state = (axes, [v for v, _ in blocks], [axes[0]] * len(blocks), {"0.14.1": content})
            manager = _new(("pandas.core.internals.managers", "BlockManager"), state)
            key = "_data"
        frame_state = {key: manager, "_typ": "dataframe", "_metadata": []}
        frame = _new(("pandas.core.frame", "DataFrame"), frame_state)
        return pickle.dumps(frame, protocol)
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def write_pandas_pickle(path, columns, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(pandas_pickle(columns, **how), 1))
