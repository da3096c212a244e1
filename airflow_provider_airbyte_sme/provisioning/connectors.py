"""What people call a connector: the name of its image, or of its definition."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_airbyte_sme.api.models import ActorKind, Definition


class ConnectorNames:
    """
    The connectors of a workspace by their names.

    :param kind: Whether they are sources or destinations.
    """

    def __init__(self, kind: ActorKind, definitions: Sequence[Definition]) -> None:
        self._names: dict[str, str] = {}
        self._ids: dict[str, set[str]] = {}
        self._airbytes_own: dict[str, set[str]] = {}
        for each in definitions:
            owner, _, image = each.docker_repository.rpartition("/")
            name = image.removeprefix(f"{kind}-")
            self._names[each.definition_id] = name
            for known_as in (name, each.name.lower()):
                self._ids.setdefault(known_as, set()).add(each.definition_id)
            if owner == "airbyte":
                self._airbytes_own.setdefault(name, set()).add(each.definition_id)

    def find(self, name: str) -> set[str]:
        """
        Return the ids of the definitions that a name may mean.

        :param name: Such as ``postgres`` for the image ``airbyte/source-postgres``, or the name of
            a definition in any case.
        """
        found = self._ids.get(name, set()) | self._ids.get(name.lower(), set())
        # A custom one with a name of Airbyte's must not hide Airbyte's own.
        own = self._airbytes_own.get(name, set())
        return own if len(own) == 1 else found

    def unambiguous(self) -> dict[str, str]:
        """Return, by the id of a definition, the name by which only that one is found."""
        return {key: name for key, name in self._names.items() if name and self.find(name) == {key}}

    def all(self) -> list[str]:
        """Return the names of all images."""
        return sorted(filter(None, self._names.values()))
