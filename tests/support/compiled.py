"""SQL is compiled once a run, not once a test: SQLAlchemy keeps what it compiled with the engine, and every test
has an engine of its own."""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

MOST = 2_000


class _Compiled(LRUCache[Any, Any]):
    """What was compiled for a dialect serves every engine of its kind; in a key it stands first, as an object."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_a_kind(key), default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_of_a_kind(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_of_a_kind(key), value)


def _of_a_kind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    version = getattr(dialect, "server_version_info", None)
    return type(dialect), version, *statement


_compiled = _Compiled(MOST)


def compile_once(engine: Engine) -> None:
    """Let an engine use what was compiled for others of its kind."""
    engine._compiled_cache = _compiled
