"""Imports of the official provider and of the client that it depends on, and their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import libcst as cst
from libcst.matchers import Comment as CommentMatcher
from libcst.matchers import findall

from airflow_provider_airbyte_sme.migration.comments import Comments
from airflow_provider_airbyte_sme.migration.kinds import Module
from airflow_provider_airbyte_sme.migration.nodes import dotted
from airflow_provider_airbyte_sme.migration.official import (
    IMPORTED_NAMES,
    KNOWN,
    MODULES,
    OUR_PACKAGE,
    PACKAGE,
    RENAMED,
    SDK,
    imported_from,
    is_official,
    new_path,
)
from airflow_provider_airbyte_sme.migration.reasons import Reason


class Imports:
    """
    Rewrites imports, and the names that they bring.

    :param module: The module.
    :param comments: Its comments.
    """

    def __init__(self, module: Module, comments: Comments) -> None:
        self._module, self._comments = module, comments

    def rewrite_line(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Return a line with its imports rewritten, which may take several lines."""
        lines = [updated]
        for index, small in enumerate(updated.body):
            new: list[cst.BaseSmallStatement] = []
            match small:
                case cst.Import():
                    changed, reasons = _import(small)
                    new = [changed, *self._imports_of_airflow(original, small)]
                    self._comments.note(original, *reasons)
                case cst.ImportFrom():
                    found, reasons = _import_from(small)
                    new = [*found, *self._imports_of_star(original, small)]
                    self._comments.note(original, *reasons)
                case _:
                    continue
            body = [*lines[0].body]
            body[index] = new[0]
            lines[0] = lines[0].with_changes(body=body)
            lines += _lines(new[1:], _comments_lost(small, new))
        return lines[0] if len(lines) == 1 else cst.FlattenSentinel(lines)

    def _imports_of_airflow(
        self, line: cst.SimpleStatementLine, node: cst.Import
    ) -> Iterator[cst.Import]:
        """``import airflow.providers.airbyte`` also imports ``airflow``, which may be used."""
        if not any(
            dotted(alias.name).startswith(PACKAGE) and not alias.asname for alias in node.names
        ):
            return
        for each in self._module.nodes:
            if isinstance(each, cst.Import) and each not in line.body:
                names = [dotted(alias.name) for alias in each.names if not alias.asname]
                if any(n.partition(".")[0] == "airflow" and PACKAGE not in n for n in names):
                    return
        uses = (
            each
            for each in self._module.nodes
            if isinstance(each, cst.Attribute)
            and isinstance(each.value, cst.Name)
            and each.value.value == "airflow"
            and not self._module.is_in_import(each)
        )
        if any(use.attr.value != "providers" for use in uses):
            yield cst.Import([cst.ImportAlias(cst.Name("airflow"))])

    def _imports_of_star(
        self, line: cst.SimpleStatementLine, node: cst.ImportFrom
    ) -> Iterator[cst.ImportFrom]:
        """Yield imports of what ``from … import *`` has brought, and does not bring here."""
        is_star = isinstance(node.names, cst.ImportStar) and dotted(node.module) in MODULES
        names = self._names_of_stars if is_star else set()
        if names - IMPORTED_NAMES.keys():
            self._comments.note(line, Reason.NO_SUCH_NAME)
        for name in sorted(names & IMPORTED_NAMES.keys()):
            yield _import_of(IMPORTED_NAMES[name])
        self._names_of_stars -= names

    @cached_property
    def _names_of_stars(self) -> set[str]:
        """The names that are still to be imported."""
        return {name.value for name in self._module.names.of_stars()}

    def rewrite_name(self, original: cst.Name, updated: cst.Name) -> cst.Name:
        """Return a name as it is here, if an import brings it."""
        above = self._module.parent(original)
        is_attribute = isinstance(above, cst.Attribute) and above.attr is original
        is_keyword = isinstance(above, cst.Arg | cst.Param) and original is getattr(
            above, "keyword", getattr(above, "name", None)
        )
        if is_attribute or is_keyword or self._module.is_in_import(original):
            return updated
        path = self._module.names.path(original)
        if path in RENAMED and path.rpartition(".")[2] == original.value:
            return updated.with_changes(value=RENAMED[path].rpartition(".")[2])
        return updated

    def rewrite_attribute(
        self, original: cst.Attribute, updated: cst.Attribute
    ) -> cst.BaseExpression | None:
        """Return the dotted name of a package or class; ``None`` if it does not change here."""
        path, text = self._module.names.path(original), dotted(original)
        if self._module.names.is_indirect(original):
            self._comments.note(original, Reason.NO_SUCH_NAME)
        if text == path == PACKAGE:
            return cst.Name(OUR_PACKAGE)
        if path in RENAMED:
            new = cst.Name(RENAMED[path].rpartition(".")[2])
            return updated.with_changes(attr=new) if path.startswith(PACKAGE) else updated
        return None


def uses_official_provider(module: Module) -> bool:
    """Whether an import or a string names the official provider."""
    for node in module.nodes:
        match node:
            case cst.ImportFrom() if is_official(dotted(node.module)):
                return True
            case cst.ImportFrom() if dotted(node.module) == "airflow.providers":
                names = node.names if not isinstance(node.names, cst.ImportStar) else ()
                if any(dotted(each.name) == "airbyte" for each in names):
                    return True
            case cst.ImportAlias() if is_official(dotted(node.name)):
                return True
            case cst.SimpleString() | cst.FormattedStringText() if (
                f"{PACKAGE}." in node.value and not _is_docstring(module, node)
            ):
                return True
    return False


def _is_docstring(module: Module, node: cst.CSTNode) -> bool:
    return isinstance(module.parent(node), cst.Expr)


def _comments_lost(
    before: cst.BaseSmallStatement, after: Sequence[cst.BaseSmallStatement]
) -> list[cst.Comment]:
    """Return the comments in an import that are not in those in place of it."""
    kept = [each.value for node in after for each in _comments_in(node)]
    return [each for each in _comments_in(before) if each.value not in kept]


def _comments_in(node: cst.CSTNode) -> Sequence[cst.Comment]:
    return [cst.ensure_type(each, cst.Comment) for each in findall(node, CommentMatcher())]


def _lines(
    statements: Sequence[cst.BaseSmallStatement], comments: Sequence[cst.Comment]
) -> list[cst.SimpleStatementLine]:
    """Return each statement in a line of its own, with the comments of what it imports."""
    lines = [cst.SimpleStatementLine([each]) for each in statements]
    if len(lines) == len(comments) == 1:
        end = cst.TrailingWhitespace(cst.SimpleWhitespace("  "), comments[0])
        return [lines[0].with_changes(trailing_whitespace=end)]
    if lines:
        above = [cst.EmptyLine(comment=each) for each in comments]
        lines[0] = lines[0].with_changes(leading_lines=above)
    return lines


def _name_node(path: str) -> cst.Name | cst.Attribute:
    """Return the expression of a dotted path."""
    head, _, last = path.rpartition(".")
    return cst.Attribute(_name_node(head), cst.Name(last)) if head else cst.Name(last)


def _import(node: cst.Import) -> tuple[cst.Import, list[Reason]]:
    """Return ``import a.b as c`` with the package of this provider."""
    names, reasons = [], []
    for alias in node.names:
        path = dotted(alias.name)
        if is_official(path):
            reasons += [] if path in KNOWN else [Reason.NO_SUCH_NAME]
            alias = alias.with_changes(name=_name_node(new_path(path) or path))
        elif path.partition(".")[0] == SDK:
            reasons.append(Reason.SDK)
        names.append(alias)
    return node.with_changes(names=names), reasons


def _import_from(
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
    new = _name_node(new_path(module) or module)
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


def _import_of(path: str, asname: cst.AsName | None = None) -> cst.ImportFrom:
    """Return the import of what is an official dotted path before."""
    module, _, name = (new_path(path) or path).rpartition(".")
    return cst.ImportFrom(_name_node(module), [cst.ImportAlias(cst.Name(name), asname)])


def _moved(alias: cst.ImportAlias, path: str) -> cst.ImportFrom:
    """Return the import of what the official module only imports, from where it is here."""
    return _import_of(imported_from(path) or path, alias.asname)


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
    new = cst.ImportFrom(_name_node(paths[0][0]), names)
    rest = _without(node, ours)
    return [*rest, new], [Reason.SDK] if rest else []


def _without(node: cst.ImportFrom, names: Sequence[cst.ImportAlias]) -> list[cst.ImportFrom]:
    """Return the import without *names*; nothing if no other is left."""
    if isinstance(node.names, cst.ImportStar):
        return [node]
    rest = [alias for alias in node.names if alias not in names]
    if not rest:
        return []
    if node.rpar is None:
        rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    elif rest[-1] is not node.names[-1]:
        node, rest[-1] = _closed(node, node.rpar, rest[-1], node.names[-1])
    return [node.with_changes(names=rest)]


def _closed(
    node: cst.ImportFrom, rpar: cst.RightParen, last: cst.ImportAlias, removed: cst.ImportAlias
) -> tuple[cst.ImportFrom, cst.ImportAlias]:
    """Make *last* the last name in parentheses, as *removed* was. Its own comment stays."""
    comma = cst.ensure_type(last.comma, cst.Comma)
    has_comma = isinstance(removed.comma, cst.Comma)
    end = removed.comma.whitespace_after if has_comma else rpar.whitespace_before  # type: ignore[union-attr]
    if isinstance(space := comma.whitespace_after, cst.ParenthesizedWhitespace):
        first = space.first_line
        end = (
            end.with_changes(first_line=first)
            if isinstance(end, cst.ParenthesizedWhitespace)
            else space
        )
    if has_comma:
        return node, last.with_changes(comma=comma.with_changes(whitespace_after=end))
    node = node.with_changes(rpar=rpar.with_changes(whitespace_before=end))
    return node, last.with_changes(comma=cst.MaybeSentinel.DEFAULT)
