"""Texts that Airflow renders: what stays as it is, and references to secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from airflow_provider_airbyte_sme.provisioning.results import MASK

# Jinja's own marks, a line break that it would remove, and one that it would change.
_CHANGED_BY_JINJA = re.compile(r"\{[{%#]|\r|\n\Z")
# The name of a variable may have 250 characters in Airflow's database.
_MAX_SLUG_LENGTH = 200


class SecretReference(str):
    """A template that stands for a secret."""

    __slots__ = ()


def literal(value: Any) -> Any:
    """
    Return *value* so that rendering it gives it back: all texts in it, except references.

    :param value: Plain JSON, or a declaration.
    """
    match value:
        case SecretReference():
            return str(value)
        case str():
            return _literal_text(value)
        case Mapping():
            return {key: literal(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(literal(item) for item in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            fields_of = {each.name: getattr(value, each.name) for each in fields(value)}
            return replace(value, **literal(fields_of))
        case _:
            return value


def _literal_text(text: str) -> str:
    if not _CHANGED_BY_JINJA.search(text):
        return text
    if "\r" in text or "endraw" in text:
        return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}"
    return f"{{% raw %}}{text}{{% endraw %}}"


class SecretReferences:
    """Names an Airflow variable for each secret, each name once."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def new(self, *parts: str) -> SecretReference:
        """
        Return the template of a secret.

        While its variable does not exist, it renders to the mask, which keeps the stored secret.

        :param parts: Of what, and where in it.
        """
        slug = re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")[:_MAX_SLUG_LENGTH]
        name, number = f"airbyte_{slug}", 1
        while name in self._names:
            number += 1
            name = f"airbyte_{slug}_{number}"
        self._names.add(name)
        return SecretReference(f"{{{{ var.value.get('{name}', '{MASK}') }}}}")
