"""What an expression may stand for: the expressions behind variables and collections."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from airflow_provider_airbyte_sme.migration.kinds import Element, Module, Value
from airflow_provider_airbyte_sme.migration.nodes import returns


def alternatives(module: Module, node: Value, seen: frozenset[Value] = frozenset()) -> list[Value]:
    """
    Return what *node* may stand for: the expressions behind variables and collections.

    A parameter, or another unknown value, is one of them.
    """
    if node in seen:
        return []
    seen |= {node}
    match node:
        case cst.Name() if values := module.values(node):
            return [each for value in values for each in alternatives(module, value, seen)]
        case cst.IfExp():
            branches = (node.body, node.orelse)
            return [each for branch in branches for each in alternatives(module, branch, seen)]
        case cst.Subscript(value=collection) | Element(of=collection):
            return _items(module, collection, seen)
        case cst.Call(func=cst.Attribute(value=collection, attr=cst.Name(value="get" | "pop"))):
            return _items(module, collection, seen)
        case cst.Call(func=cst.Name() as func):
            functions = [
                e for e in module.values(func) if isinstance(e, cst.FunctionDef | cst.Lambda)
            ]
            returned = [value for function in functions for value in returns(function)]
            found = [each for value in returned for each in alternatives(module, value, seen)]
            return found or [node]
    return [node]


def _items(module: Module, collection: cst.CSTNode, seen: frozenset[Value]) -> list[Value]:
    """Return what may be in *collection*, also what is put into it later."""
    found: list[Value] = []
    for each in alternatives(module, collection, seen):
        match each:
            case cst.List() | cst.Tuple() | cst.Set() | cst.Dict():
                found += [element.value for element in each.elements]
            case cst.ListComp() | cst.GeneratorExp() | cst.SetComp():
                found.append(each.elt)
            case cst.DictComp():
                found.append(each.value)
            case cst.Call(func=cst.Attribute(value=inner, attr=cst.Name(value="values"))):
                found += _items(module, inner, seen)
            case _:
                found.append(each)
    if isinstance(collection, cst.Name):
        found += _put_in(module, collection)
    return [each for value in found for each in alternatives(module, value, seen)]


def _put_in(module: Module, name: cst.Name) -> Iterator[cst.CSTNode]:
    """Yield what ``name[key] = value`` and ``name.append(value)`` put into a collection."""
    for reference in module.references(name):
        above = module.parent(reference)
        target = above and module.parent(above)
        statement = target and module.parent(target)
        match above, target, statement:
            case cst.Subscript(), cst.AssignTarget(), cst.Assign():
                yield statement.value
            case cst.Attribute(attr=cst.Name(value="append" | "add")), cst.Call(), _:
                yield from (arg.value for arg in target.args)
