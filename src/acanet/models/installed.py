"""Models and parts that other installed packages bring, through entry points.

An entry names a module that registers models (group `acanet.models`) or parts (group `acanet.parts`) when it is
imported. These modules are imported when a name or a kind is asked for that is not known yet; so what acanet brings
never waits for them, or fails with them.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from acanet.errors import AcanetError

_TABLES: list[dict[str, Any]] = []


def table() -> dict[str, Any]:
    """A new table of names that modules add to, of which a module that fails leaves nothing behind."""
    _TABLES.append({})
    return _TABLES[-1]


@cache
def import_installed(what: Literal["models", "parts"]) -> None:
    """Import the modules that installed packages name, once for each process.

    Raises:
        AcanetError: when one of them cannot be imported; it names the package.
    """
    group = f"acanet.{what}"
    for point in entry_points(group=group):
        before = known()
        try:
            point.load()
        except Exception as error:
            restore(before)  # so that trying again meets the same error, not names that are taken
            raise AcanetError(_broken(point, what, group, error)) from error


def known() -> list[dict[str, Any]]:
    """A copy of all tables, for `restore`."""
    return [dict(names) for names in _TABLES]


def restore(before: list[dict[str, Any]]) -> None:
    """Bring all tables back to what `known` gave."""
    for names, old in zip(_TABLES, before, strict=True):
        names.clear()
        names.update(old)


def _broken(point: EntryPoint, what: str, group: str, error: Exception) -> str:
    package = f"package {point.dist.name}" if point.dist else "a package"
    return (
        f"{package} brings {what} (entry point {group}: {point.name} = {point.value}) that cannot be imported: "
        f"{type(error).__name__}: {error}; repair or uninstall it"
    )
