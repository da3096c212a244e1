"""The dict literals and calls of ``dict`` that are behind a mapping, and its keys."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import OFFICIAL_ONLY
from airflow_provider_airbyte_sme.migration.kinds import Element, Module, Value
from airflow_provider_airbyte_sme.migration.nodes import names_in, text_of

DEFAULT_ARGS = "default_args"

# What an unknown mapping may contain: everything.
ANY = None


class Mappings:
    """
    Finds the literals behind the mappings of a module.

    :param module: The module.
    """

    def __init__(self, module: Module) -> None:
        self._module = module

    def literals(
        self, node: cst.CSTNode, seen: frozenset[cst.CSTNode] = frozenset()
    ) -> tuple[list[cst.Dict | cst.Call], bool]:
        """Return the dict literals and calls of ``dict`` of a mapping, and whether that is all."""
        if node in seen:
            return [], True
        seen |= {node}
        match node:
            case cst.Dict():
                parts = [each.value for each in node.elements if _is_starred(each)]
                found, complete = self._of_all(parts, seen)
                return [node, *found], complete
            case cst.Call(func=cst.Name(value="dict")):
                parts = [each.value for each in node.args if each.keyword is None]
                found, complete = self._of_all(parts, seen)
                return [node, *found], complete
            case cst.Call(func=cst.Attribute(value=original, attr=cst.Name(value="copy"))):
                return self.literals(original, seen)
            case cst.BinaryOperation(operator=cst.BitOr()):
                return self._of_all([node.left, node.right], seen)
            case cst.IfExp():
                return self._of_all([node.body, node.orelse], seen)
            case cst.Name():
                return self._of_name(node, seen)
        return [], False

    def _of_all(
        self, nodes: list[cst.BaseExpression], seen: frozenset[cst.CSTNode]
    ) -> tuple[list[cst.Dict | cst.Call], bool]:
        parts = [self.literals(each, seen) for each in nodes]
        return [each for found, _ in parts for each in found], all(done for _, done in parts)

    def _of_name(
        self, name: cst.Name, seen: frozenset[cst.CSTNode]
    ) -> tuple[list[cst.Dict | cst.Call], bool]:
        values = self._module.values(name)
        known = [each for each in values if not isinstance(each, Element)]
        found, complete = self._of_all(known, seen)  # type: ignore[arg-type]
        is_all = complete and bool(values) and len(known) == len(values)
        return found, is_all and not self._is_changed(name)

    def _is_changed(self, name: cst.Name) -> bool:
        """Whether entries are added to the mapping later."""
        for reference in self._module.references(name):
            above = self._module.parent(reference)
            if isinstance(above, cst.Subscript):
                if isinstance(self._module.parent(above), cst.AssignTarget):
                    return True
            elif isinstance(above, cst.Attribute) and above.attr.value in ("update", "setdefault"):
                return True
        return False

    def other_uses(self, name: cst.Name) -> Iterator[cst.CSTNode]:
        """Yield where a mapping of a variable is read, or is passed to a call, by itself."""
        for reference in self._module.references(name):
            above = self._module.parent(reference)
            match above:
                case cst.Subscript() if above.value is reference:
                    index = above.slice[0].slice
                    key = text_of(index.value) if isinstance(index, cst.Index) else None
                    if key is None or key in OFFICIAL_ONLY:
                        yield reference
                case cst.Attribute(attr=cst.Name(value="get" | "pop")):
                    call = self._module.parent(above)
                    args = call.args if isinstance(call, cst.Call) else ()
                    if not args or (text_of(args[0].value) or "") in (*OFFICIAL_ONLY, ""):
                        yield reference
                case cst.Arg() if not (above.keyword and above.keyword.value == DEFAULT_ARGS):
                    yield above

    def mapped(self, value: cst.BaseExpression) -> list[cst.BaseExpression] | None:
        """Return the mappings in the list of ``expand_kwargs``; ``None`` if it is not known."""
        found: Value = value
        if isinstance(value, cst.Name):
            values = self._module.values(value)
            found = values[0] if len(values) == 1 else value
        match found:
            case cst.List() | cst.Tuple():
                return [each.value for each in found.elements]
            case cst.ListComp():
                return [found.elt]
        return None

    def names(self, node: cst.CSTNode) -> frozenset[str] | None:
        """Return the keys of a mapping; ``None`` if they are not all known."""
        literals, complete = self.literals(node)
        if not complete:
            return ANY
        found: set[str] = set()
        for literal in literals:
            names = names_of(literal)
            if names is ANY:
                return ANY
            found |= names
        return frozenset(found)


def _is_starred(element: cst.BaseDictElement) -> bool:
    """Whether an element of a dict literal is ``**something``."""
    return isinstance(element, cst.StarredDictElement)


def names_of(literal: cst.Dict | cst.Call) -> frozenset[str] | None:
    """Return the own keys of a literal; ``None`` if one of them is an expression."""
    if isinstance(literal, cst.Call):
        return frozenset(names_in(literal))
    keys = [text_of(each.key) for each in literal.elements if isinstance(each, cst.DictElement)]
    return ANY if None in keys else frozenset(key for key in keys if key is not None)
