"""What imports give the names of a module."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import libcst as cst
from libcst import metadata as meta

from airflow_provider_airbyte_sme.migration.nodes import dotted
from airflow_provider_airbyte_sme.migration.official import (
    CLASS_NAMES,
    IMPORTED_NAMES,
    MODULES,
    OTHER_IMPORTED_NAMES,
    imported_from,
    is_official,
)


class Names:
    """
    Knows the dotted paths of imported names.

    :param wrapper: The module with its metadata.
    """

    def __init__(self, wrapper: meta.MetadataWrapper) -> None:
        self._qualified_names = wrapper.resolve(meta.QualifiedNameProvider)
        self._scopes: Mapping[cst.CSTNode, meta.Scope | None] = wrapper.resolve(meta.ScopeProvider)
        self._parents = wrapper.resolve(meta.ParentNodeProvider)
        self._stars = set(self._star_imports())

    def path(self, node: object) -> str:
        """Return the dotted path of an imported name; empty if *node* is something else."""
        paths = self.paths(node)
        return next((each for each in paths if is_official(each)), paths[0] if paths else "")

    def paths(self, node: object) -> list[str]:
        """Return what imports may give a name, sorted."""
        if not isinstance(node, cst.CSTNode) or not dotted(node):
            # LibCST gives a call the name of its function.
            return []
        found = self._qualified(node)
        imported = [each for each in found if each.source is meta.QualifiedNameSource.IMPORT]
        if isinstance(node, cst.Name) and not found:
            return [*self._paths_of_stars(node.value)]
        return sorted(imported_from(path) or path for path in (str(e.name) for e in imported))

    def is_indirect(self, node: cst.Attribute) -> bool:
        """Whether *node* is what an official module imports, as a member of that module."""
        return any(imported_from(str(each.name)) for each in self._qualified(node))

    def _qualified(self, node: cst.CSTNode) -> Collection[meta.QualifiedName]:
        found = self._qualified_names.get(node, ())
        return found() if callable(found) else found

    def _paths_of_stars(self, name: str) -> Iterator[str]:
        """Yield what a name is that comes from a star import of an official module."""
        path = CLASS_NAMES.get(name, "")
        if path.rpartition(".")[0] in self._stars:
            yield path
        elif name in IMPORTED_NAMES and self._stars & MODULES:
            yield IMPORTED_NAMES[name]

    def _star_imports(self) -> Iterator[str]:
        for node in self._parents:
            if isinstance(node, cst.ImportFrom) and isinstance(node.names, cst.ImportStar):
                yield dotted(node.module)

    def of_stars(self) -> Iterator[cst.Name]:
        """Yield names that a star import must have brought, other than its classes."""
        for node in self._parents:
            if isinstance(node, cst.Name) and (
                node.value in IMPORTED_NAMES or node.value in OTHER_IMPORTED_NAMES
            ):
                path = CLASS_NAMES.get(node.value, "").rpartition(".")[0]
                if path not in self._stars and self._is_unassigned(node):
                    yield node

    def _is_unassigned(self, name: cst.Name) -> bool:
        """Whether a name is read, and nothing in the module gives it a value."""
        above = self._parents.get(name)
        is_read = not isinstance(above, cst.Attribute) or above.value is name
        is_read = is_read and not (isinstance(above, cst.Arg) and above.keyword is name)
        return is_read and name in self._scopes and not self._qualified(name)
