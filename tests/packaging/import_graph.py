"""The import graph of a package, read from its source code without running it."""

from __future__ import annotations

import ast
import importlib.util
from collections import deque
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

ImportGraph = Mapping[str, Set[str]]
"""Module to the modules of the same package that it imports."""


def module_name(file: Path, package: Path) -> str:
    """Return the dotted name of a source file; a package's ``__init__`` has the package's name."""
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(file: Path, package: Path) -> Iterator[str]:
    """
    Yield the absolute name of everything that a source file imports.

    Imports inside functions and under ``if TYPE_CHECKING`` are included. ``from a import b``
    yields ``a.b``, whether ``b`` is a module or a name that ``a`` defines.
    """
    parent = ".".join(file.relative_to(package.parent).parent.parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(source, parent)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def read_import_graph(package: Path) -> dict[str, set[str]]:
    """
    Return which modules of *package* import which others.

    ``from package.sub import name`` is an import of ``package.sub.name`` if that is a module, and
    otherwise of ``package.sub``. Python also runs the ``__init__`` of every parent package, which
    does not count: only importing a name from it does.
    """
    files = {module_name(file, package): file for file in package.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, file in sorted(files.items()):
        candidates = ((name, name.rpartition(".")[0]) for name in imported_names(file, package))
        imported = (
            name if name in files else source
            for name, source in candidates
            if name in files or source in files
        )
        graph[module] = set(imported) - {module}
    return graph


def find_cycles(graph: ImportGraph) -> list[list[str]]:
    """
    Return one import cycle for each group of modules that import each other.

    :return: The shortest cycle of each group, such as ``["a", "b", "a"]``; empty if there is
        none. Groups are the strongly connected components of the graph with more than one module.
    """
    reachable = {module: _reachable(graph, module) for module in graph}
    groups = {
        frozenset(other for other in reachable[module] if module in reachable[other])
        for module in graph
    }
    return sorted(
        min((_shortest_cycle(graph, module) for module in sorted(group)), key=len)
        for group in groups
        if len(group) > 1
    )


def _reachable(graph: ImportGraph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        imported = graph[waiting.pop()] - seen
        seen |= imported
        waiting.extend(imported)
    return seen


def _shortest_cycle(graph: ImportGraph, start: str) -> list[str]:
    """Return the shortest path from *start* back to itself; there must be one."""
    paths = deque([[start]])
    seen: set[str] = set()
    while True:
        path = paths.popleft()
        for imported in sorted(graph[path[-1]] - seen):
            if imported == start:
                return [*path, start]
            seen.add(imported)
            paths.append([*path, imported])
