"""Whether it can be told what an expression is, though it may not be of interest."""

from __future__ import annotations

import builtins

import libcst as cst

from airflow_provider_airbyte_sme.migration.kinds import Element, Module, Value
from airflow_provider_airbyte_sme.migration.nodes import returns


def is_known(module: Module, node: Value, seen: frozenset[Value] = frozenset()) -> bool:
    """Whether it can be told what *node* is, though it may not be of interest."""
    if node in seen:
        return True
    seen |= {node}
    if module.kinds(node):
        return True
    match node:
        case cst.Name():
            values = module.values(node)
            return bool(values) and all(is_known(module, each, seen) for each in values)
        case cst.Call():
            return _is_known_function(module, node.func, seen)
        case cst.Attribute():
            # What an imported module or class has.
            return bool(module.names.path(node))
        case cst.Subscript():
            return is_known(module, node.value, seen)
        case cst.Param() | Element() | cst.Annotation():
            return False
    return True


def _is_known_function(module: Module, func: cst.CSTNode, seen: frozenset[Value]) -> bool:
    if path := module.names.path(func):
        return _is_known_path(path)
    match func:
        case cst.Name() if values := module.values(func):
            return all(_returns_known(module, each, seen) for each in values)
        case cst.Name():
            # A star import may have brought it.
            return hasattr(builtins, func.value) or _is_known_path(func.value)
        case cst.Attribute():
            # A DAG has every task.
            return func.attr.value != "get_task" and is_known(module, func.value, seen)
        case cst.Call():
            return _is_known_function(module, func.func, seen)
    return False


def _returns_known(module: Module, function: Value, seen: frozenset[Value]) -> bool:
    """Whether it can be told what a call of *function*, which a name stands for, gives."""
    if function in seen:
        return True
    match function:
        case cst.FunctionDef() | cst.Lambda():
            return all(is_known(module, each, seen) for each in returns(function))
        case cst.ClassDef():
            return True
        case cst.Name() | cst.Attribute() | cst.Call():
            return _is_known_function(module, function, seen | {function})
    return False


def _is_known_path(path: str) -> bool:
    """Whether an imported callable makes no Airbyte task: a class, or a function of Airflow's."""
    return path.startswith("airflow.") or path.rpartition(".")[2][:1].isupper()
