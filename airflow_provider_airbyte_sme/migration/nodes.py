"""What a node says by itself: its dotted name, its text, its keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import libcst as cst


def dotted(node: object) -> str:
    """Return the text of a dotted name; empty if *node* is none."""
    match node:
        case cst.Name():
            return str(node.value)
        case cst.Attribute():
            head = dotted(node.value)
            return f"{head}.{node.attr.value}" if head else ""
    return ""


def last_name(node: object) -> str:
    """Return the last part of a dotted name, such as ``DAG`` of ``models.DAG``."""
    return dotted(node).rpartition(".")[2]


def text_of(node: cst.CSTNode | None) -> str | None:
    """Return the value of a literal string; ``None`` if *node* is something else."""
    if isinstance(node, cst.SimpleString | cst.ConcatenatedString):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def flag_of(node: cst.CSTNode | None, default: bool | None) -> bool | None:
    """Return the value of a literal ``True`` or ``False``; ``None`` if it is another expression."""
    match node:
        case None:
            return default
        case cst.Name(value="True"):
            return True
        case cst.Name(value="False" | "None"):
            return False
    return None


def with_text(node: cst.SimpleString, replace: Callable[[str], str]) -> cst.SimpleString:
    """Return a literal with its source text replaced between the quotes."""
    start, quote = f"{node.prefix}{node.quote}", node.quote
    if len(node.value) < len(start) + len(quote):
        return node
    inner = node.value[len(start) : -len(quote)]
    new = replace(inner)
    return node if new == inner else node.with_changes(value=f"{start}{new}{quote}")


def string(text: str, around: Iterable[cst.CSTNode]) -> cst.SimpleString:
    """
    Return a literal. Before Python 3.12, an f-string must not contain its own quotes.

    :param around: The nodes that are to contain it.
    """
    outer = [each for each in around if isinstance(each, cst.FormattedString)]
    quote = "'" if any('"' in each.quote for each in outer) else '"'
    return cst.SimpleString(f"{quote}{text}{quote}")


def keyword(call: cst.Call, name: str) -> cst.BaseExpression | None:
    """Return the keyword argument *name* of *call*."""
    return next(
        (each.value for each in call.args if each.keyword and each.keyword.value == name), None
    )


def names_in(call: cst.Call) -> set[str]:
    """Return the names of the keyword arguments of *call*."""
    return {each.keyword.value for each in call.args if each.keyword}


def is_method(call: cst.Call, *names: str) -> bool:
    """Whether *call* is that of a method with one of these names."""
    return isinstance(call.func, cst.Attribute) and call.func.attr.value in names


def is_super_init(call: cst.Call) -> bool:
    """Whether *call* is ``super().__init__(…)`` or ``Base.__init__(self, …)``."""
    if not is_method(call, "__init__"):
        return False
    owner = cst.ensure_type(call.func, cst.Attribute).value
    if isinstance(owner, cst.Call):
        return dotted(owner.func) == "super"
    return bool(call.args) and dotted(call.args[0].value) == "self"


def is_class_creation(call: cst.Call) -> bool:
    """Whether *call* is ``type("Name", (Base,), {…})``."""
    return dotted(call.func) == "type" and len(call.args) > 2


def is_call_of(node: cst.CSTNode, name: str) -> bool:
    """Whether *node* is a call of a function of this name, which has arguments."""
    return isinstance(node, cst.Call) and last_name(node.func) == name and bool(node.args)


def returns(function: cst.FunctionDef | cst.Lambda) -> list[cst.CSTNode]:
    """Return what a function returns, without that of the functions inside it."""
    if isinstance(function, cst.Lambda):
        return [function.body]
    found: list[cst.CSTNode] = []

    class Returns(cst.CSTVisitor):
        def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:  # noqa: N802
            return node is function

        def visit_Return(self, node: cst.Return) -> None:  # noqa: N802
            if node.value is not None:
                found.append(node.value)

    function.visit(Returns())
    return found
