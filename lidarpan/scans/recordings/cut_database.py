"""A rosbag2 database that was cut off -> its messages in the order in which they were written.

Schema: rosbag2_storage_sqlite3 (tables `topics` and `messages`). SQLite does not open a file that
is shorter than its header says, so the missing pages are shown to it as zeros; and it goes by the
table, not by the index on time, whose pages are the first to be missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.numpy_files import wanted
from lidarpan.scans.recordings.messages import Definition, Message, Topic, ending

_MAGIC = b"SQLite format 3\x00"
_SYSTEM = "lidarpan-cut"


def stated_size(path: Path) -> int:
    """Bytes that a database has by its header (sqlite.org/fileformat2.html 1.3), 0 without one."""
    with path.open("rb") as file:
        head = file.read(32)
    if len(head) < 32 or not head.startswith(_MAGIC):
        return 0
    page = int.from_bytes(head[16:18], "big")
    return (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")


def is_cut_off(path: Path) -> bool:
    """Whether a database file is shorter than its header says."""
    return stated_size(path) > path.stat().st_size


class CutDatabase:
    """A cut-off `.db3` file, read as far as it is whole.

    Args:
        path: what to call it.
        file: the database.

    Raises:
        InputError: not even its topics can be read.
    """

    def __init__(self, path: Path, file: Path) -> None:
        self.path, self._file = path, file
        with wanted(f"{path}: wanted a rosbag2 database"):
            database = _connect(file)
            rows = list(database.execute("SELECT name, type FROM topics"))
            database.close()
        self.topics = {name: Topic(name, Definition(kind, "cdr")) for name, kind in rows}

    def messages(self, topics: Collection[str]) -> Iterator[Message]:
        """Messages of some topics as they were written; raises InputError where they break off."""
        seen = 0
        database = _connect(self._file)
        try:
            names = dict(database.execute("SELECT id, name FROM topics"))
            query = "SELECT topic_id, timestamp, data FROM messages NOT INDEXED"
            for number, stamp_ns, data in database.execute(query):
                if names.get(number) in topics:
                    seen += 1
                    yield Message(self.topics[names[number]], stamp_ns, data)
        except Exception as error:  # the library raises all kinds
            raise ending(self.path, seen, error) from None
        finally:
            database.close()
        raise ending(self.path, seen, "the file is shorter than its header says")


def _connect(file: Path) -> Any:
    """Open a database whose missing pages read as zeros."""
    apsw = need("apsw", RECORDINGS)
    size = stated_size(file)

    class Zeros(apsw.VFSFile):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self._stream = file.open("rb")

        def xFileSize(self) -> int:  # noqa: N802
            return size

        def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
            self._stream.seek(offset)
            data = self._stream.read(amount)
            return data + bytes(amount - len(data))

        def xClose(self) -> None:  # noqa: N802
            self._stream.close()

        def xFileControl(self, _op: int, _pointer: int) -> bool:  # noqa: N802
            return False

        def xDeviceCharacteristics(self) -> int:  # noqa: N802
            return 0

        def xSectorSize(self) -> int:  # noqa: N802
            return 0

    class System(apsw.VFS):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(_SYSTEM, "")

        def xOpen(self, _name: object, _flags: object) -> Zeros:  # noqa: N802
            return Zeros()

        def xFullPathname(self, name: str) -> str:  # noqa: N802
            return name

    system = System()
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    database = apsw.Connection("file:cut?immutable=1", flags=flags, vfs=_SYSTEM)
    system.unregister()
    return database
