"""Imports of the official provider, and of the client that it depends on."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from airflow_provider_airbyte_sme.migration.kinds import dotted
from airflow_provider_airbyte_sme.migration.official import (
    KNOWN,
    OUR_PACKAGE,
    RENAMED,
    SDK,
    imported_from,
    is_official,
    new_path,
)
from airflow_provider_airbyte_sme.migration.reasons import Reason


def name_node(path: str) -> cst.Name | cst.Attribute:
    """Return the expression of a dotted path."""
    head, _, last = path.rpartition(".")
    return cst.Attribute(name_node(head), cst.Name(last)) if head else cst.Name(last)


def rewrite_import(node: cst.Import) -> tuple[cst.Import, list[Reason]]:
    """Return ``import a.b as c`` with the package of this provider."""
    names, reasons = [], []
    for alias in node.names:
        path = dotted(alias.name)
        if is_official(path):
            reasons += [] if path in KNOWN else [Reason.NO_SUCH_NAME]
            alias = alias.with_changes(name=name_node(new_path(path) or path))
        elif path.partition(".")[0] == SDK:
            reasons.append(Reason.SDK)
        names.append(alias)
    return node.with_changes(names=names), reasons


def rewrite_import_from(
    node: cst.ImportFrom,
) -> tuple[Sequence[cst.Import | cst.ImportFrom], list[Reason]]:
    """Return the statements in place of ``from a import b``, and what is left to a person."""
    module = dotted(node.module)
    if is_official(module):
        return _from_provider(node, module)
    if module == "airflow.providers":
        return _from_providers(node), []
    if module.partition(".")[0] == SDK:
        return _from_sdk(node, module)
    return [node], []


def _from_provider(
    node: cst.ImportFrom, module: str
) -> tuple[Sequence[cst.ImportFrom], list[Reason]]:
    new = name_node(new_path(module) or module)
    if isinstance(node.names, cst.ImportStar):
        return [node.with_changes(module=new)], []
    moved = [e for e in node.names if imported_from(f"{module}.{dotted(e.name)}")]
    others = [_moved(alias, f"{module}.{dotted(alias.name)}") for alias in moved]
    if len(moved) == len(node.names) == 1:
        # As it is, with its comments.
        alias = moved[0].with_changes(name=others[0].names[0].name)  # type: ignore[index]
        return [node.with_changes(module=others[0].module, names=[alias])], []
    reasons: list[Reason] = []
    found = []
    for rest in _without(node, moved) if moved else [node]:
        aliases = [] if isinstance(rest.names, cst.ImportStar) else rest.names
        paths = [f"{module}.{dotted(alias.name)}" for alias in aliases]
        reasons += [Reason.NO_SUCH_NAME for path in paths if path not in KNOWN]
        names = [
            alias.with_changes(name=cst.Name((new_path(path) or path).rpartition(".")[2]))
            for alias, path in zip(aliases, paths, strict=True)
        ]
        found.append(rest.with_changes(module=new, names=names))
    return [*found, *others], reasons


def import_of(path: str, asname: cst.AsName | None = None) -> cst.ImportFrom:
    """Return the import of what is an official dotted path before."""
    module, _, name = (new_path(path) or path).rpartition(".")
    return cst.ImportFrom(name_node(module), [cst.ImportAlias(cst.Name(name), asname)])


def _moved(alias: cst.ImportAlias, path: str) -> cst.ImportFrom:
    """Return the import of what the official module only imports, from where it is here."""
    return import_of(imported_from(path) or path, alias.asname)


def _from_providers(node: cst.ImportFrom) -> Sequence[cst.Import | cst.ImportFrom]:
    if isinstance(node.names, cst.ImportStar):
        return [node]
    ours = [alias for alias in node.names if dotted(alias.name) == "airbyte"]
    if not ours:
        return [node]
    new = [
        cst.Import(
            [
                cst.ImportAlias(
                    cst.Name(OUR_PACKAGE), alias.asname or cst.AsName(cst.Name("airbyte"))
                )
            ]
        )
        for alias in ours
    ]
    return [*_without(node, ours), *new]


def _from_sdk(node: cst.ImportFrom, module: str) -> tuple[Sequence[cst.ImportFrom], list[Reason]]:
    if isinstance(node.names, cst.ImportStar):
        return [node], [Reason.SDK]
    ours = [each for each in node.names if f"{module}.{dotted(each.name)}" in RENAMED]
    if not ours:
        return [node], [Reason.SDK]
    paths = [RENAMED[f"{module}.{dotted(alias.name)}"].rpartition(".") for alias in ours]
    names = [
        alias.with_changes(name=cst.Name(path[2]), comma=cst.MaybeSentinel.DEFAULT)
        for alias, path in zip(ours, paths, strict=True)
    ]
    new = cst.ImportFrom(name_node(paths[0][0]), names)
    rest = _without(node, ours)
    return [*rest, new], [Reason.SDK] if rest else []


def _without(node: cst.ImportFrom, names: Sequence[cst.ImportAlias]) -> list[cst.ImportFrom]:
    """Return the import without *names*; nothing if no other is left."""
    if isinstance(node.names, cst.ImportStar):
        return [node]
    rest = [alias for alias in node.names if alias not in names]
    if not rest:
        return []
    if not node.rpar:
        rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return [node.with_changes(names=rest)]
