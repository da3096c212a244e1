"""
YAML in which only what JSON also has is more than text: null, true, false and numbers.

Other YAML surprises: ``no`` is false, ``2026-01-31`` a date, ``22:30`` and ``0755`` numbers. Here
they are the text that they look like. Imported late, because PyYAML is slow to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"

# Tag, pattern, and the characters that a value can begin with.
_SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|", ["~", "n", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)",
        list("-0123456789"),
    ),
    (_MERGE, r"<<", ["<"]),
)
# Breaks other than \n, which YAML changes except between double quotes.
_NEEDS_ESCAPES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")

# What is written in one line.
_MAX_NAMES_IN_LINE = 5
_MAX_NAME_LENGTH = 15
_MAX_SWITCH_LENGTH = 70

Resolvers = dict[str, list[tuple[str, re.Pattern[str]]]]


def _resolvers() -> Resolvers:
    resolvers: Resolvers = {}
    for tag, pattern, first_characters in _SCALARS:
        for character in first_characters:
            compiled = re.compile(rf"(?:{pattern})\Z")
            resolvers.setdefault(character, []).append((tag, compiled))
    return resolvers


class YamlError(ValueError):
    """
    A text is no YAML, or none that has a meaning here.

    :param line: Number of the line, from 1; 0 if it is unknown.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        self.line = line
        super().__init__(message)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers()

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping whose keys are text, each of them once."""
        seen: set[str] = set()
        for key, line in _keys(node):
            if key in seen:
                raise YamlError(f"the key {key!r} is there twice", line)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _keys(node: Node) -> Iterator[tuple[str, int]]:
    """Yield each key of a mapping itself, with its line."""
    if not isinstance(node, MappingNode):
        return  # the caller says so
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if isinstance(key, MappingNode):
            raise YamlError("a key is a mapping", line)
        if key.tag == _MERGE:
            continue
        if not isinstance(key, ScalarNode) or key.tag != _TEXT:
            raise YamlError(f"the key {getattr(key, 'value', '')!r} is not text: quote it", line)
        yield key.value, line


def _all_resolvers() -> Resolvers:
    """Return other YAML's resolvers too: what is no text there is written in quotes."""
    ours, others = _resolvers(), yaml.SafeDumper.yaml_implicit_resolvers
    return {first: ours.get(first, []) + others.get(first, []) for first in {*ours, *others}}


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _all_resolvers()

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values again, instead of a reference to the first."""
        return True

    def represent_sequence(
        self, tag: str, sequence: Iterable[Any], flow_style: bool | None = None
    ) -> SequenceNode:
        """Write names in one line, such as the fields of a key."""
        items = list(sequence)
        names = len(items) <= _MAX_NAMES_IN_LINE and all(map(_is_name, items))
        return super().represent_sequence(tag, items, flow_style=names)

    def represent_mapping(
        self, tag: str, mapping: Any, flow_style: bool | None = None
    ) -> MappingNode:
        """Write switches in one line, such as those of a notification."""
        fields = dict(mapping)
        is_short = _is_switch(fields) and len(repr(fields)) <= _MAX_SWITCH_LENGTH
        return super().represent_mapping(tag, fields, flow_style=is_short)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent the items of a list."""
        super().increase_indent(flow, False)


def _is_name(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_name, value))
    return isinstance(value, str) and len(value) <= _MAX_NAME_LENGTH and "\n" not in value


def _is_switch(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_switch, value.values()))
    return isinstance(value, bool)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> ScalarNode:
    style = None
    if _NEEDS_ESCAPES.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"  # such as a private key
    elif "{{" in text or "{%" in text:
        style = '"' if "'" in text and '"' not in text else "'"
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _represent_text)


def _without_values(error: yaml.MarkedYAMLError) -> str:
    """Return the problem without the text that was read, which may be a secret."""
    problem = error.problem or "invalid YAML"
    special = re.match(r".* (?:alias|anchor|tag|tag handle)(?= ['\"])", problem)
    return f"{special[0]}: quote a text that begins with *, & or !" if special else problem


def load(text: str) -> Any:
    """
    Parse the one document in *text*.

    :raises YamlError: It is invalid.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(_without_values(error), mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise YamlError(str(error)) from None
    finally:
        loader.dispose()


def dump(document: Mapping[str, Any]) -> str:
    """Return *document* as text, in the order of its keys."""
    return yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=float("inf"),
    )
