"""The dict literals and calls of ``dict`` that are behind a mapping, and its keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from airflow_provider_airbyte_sme.migration.arguments import CONN_ID, OFFICIAL_ONLY
from airflow_provider_airbyte_sme.migration.kinds import Element, Module, Value
from airflow_provider_airbyte_sme.migration.nodes import is_method, names_in, text_of

DEFAULT_ARGS = "default_args"

# Keys that other values have here, or on which the rewrite of a call depends; also unknown ones.
_OF_INTEREST = {*OFFICIAL_ONLY, CONN_ID, DEFAULT_ARGS, "deferrable", "timeout", None}
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
        self, node: Value, seen: frozenset[Value] = frozenset()
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
            case cst.Subscript() | Element():
                items = self._items(node)
                return ([], False) if items is None else self._of_all(items, seen)
        return [], False

    def _of_all(
        self, nodes: Sequence[Value], seen: frozenset[Value]
    ) -> tuple[list[cst.Dict | cst.Call], bool]:
        parts = [self.literals(each, seen) for each in nodes]
        return [each for found, _ in parts for each in found], all(done for _, done in parts)

    def _of_name(
        self, name: cst.Name, seen: frozenset[Value]
    ) -> tuple[list[cst.Dict | cst.Call], bool]:
        values = self._module.values(name)
        found, complete = self._of_all(values, seen)
        return found, complete and bool(values) and not self._is_changed(name)

    def _items(self, node: cst.Subscript | Element) -> list[Value] | None:
        """Return what an item of a collection may be; ``None`` if it is not used only here."""
        collection: Value = node.of if isinstance(node, Element) else node.value
        if isinstance(collection, cst.Call) and is_method(collection, "values"):
            collection = cst.ensure_type(collection.func, cst.Attribute).value
        if isinstance(collection, cst.Name):
            values = self._module.values(collection)
            if not len(values) == len(self._module.references(collection)) == 1:
                return None
            collection = values[0]
        if not isinstance(collection, cst.List | cst.Tuple | cst.Dict):
            return None
        key = _key_of(node) if isinstance(node, cst.Subscript) else None
        return [
            each.value
            for each in collection.elements
            if key is None or not isinstance(each, cst.DictElement) or text_of(each.key) == key
        ]

    def _is_changed(self, name: cst.Name) -> bool:
        """Whether entries of interest are added to the mapping later."""
        for reference in self._module.references(name):
            above = self._module.parent(reference)
            if isinstance(above, cst.Subscript):
                if (
                    isinstance(self._module.parent(above), cst.AssignTarget)
                    and _key_of(above) in _OF_INTEREST
                ):
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
                    if _key_of(above) in (*OFFICIAL_ONLY, None):
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

    def variants(self, node: Value, seen: frozenset[Value] = frozenset()) -> list[Value]:
        """Return the mappings of which *node* may be any."""
        found: list[Value] | None = None
        match node:
            case cst.IfExp():
                found = [node.body, node.orelse]
            case cst.Name():
                found = self._module.values(node)
            case cst.Subscript() | Element():
                found = self._items(node)
        if not found or node in seen:
            return [node]
        return [each for value in found for each in self.variants(value, seen | {node})]

    def names(self, node: Value) -> frozenset[str] | None:
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


def _key_of(node: cst.Subscript) -> str | None:
    """Return the key in ``mapping["key"]``; ``None`` if it is another expression."""
    index = node.slice[0].slice
    return text_of(index.value) if isinstance(index, cst.Index) else None


def _is_starred(element: cst.BaseDictElement) -> bool:
    """Whether an element of a dict literal is ``**something``."""
    return isinstance(element, cst.StarredDictElement)


def names_of(literal: cst.Dict | cst.Call) -> frozenset[str] | None:
    """Return the own keys of a literal; ``None`` if one of them is an expression."""
    if isinstance(literal, cst.Call):
        return frozenset(names_in(literal))
    keys = [text_of(each.key) for each in literal.elements if isinstance(each, cst.DictElement)]
    return ANY if None in keys else frozenset(key for key in keys if key is not None)
