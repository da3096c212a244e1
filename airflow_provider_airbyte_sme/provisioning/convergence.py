"""
One loop for every kind of resource: find, compare, write, and read back until nothing differs.

Airbyte has no idempotency key, and its names are not unique, so this loop owns both:

- A creation whose response was lost is looked for by name before it is sent again.
- After a creation the name is looked for again, because another task may have created it too.
- What was written is read back: Airbyte drops unknown tags and misspelt fields without an error.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_airbyte_sme.api.errors import (
    AirbyteAmbiguousNameError,
    AirbyteConflictError,
    AirbyteError,
    AirbyteWriteFailedError,
)
from airflow_provider_airbyte_sme.api.resources.base import N
from airflow_provider_airbyte_sme.api.retry import is_ambiguous, is_transient
from airflow_provider_airbyte_sme.provisioning.declarations import IfExists
from airflow_provider_airbyte_sme.provisioning.errors import (
    AirbyteExistsError,
    AirbyteNotStoredError,
)
from airflow_provider_airbyte_sme.provisioning.results import (
    Action,
    FieldChange,
    Plan,
    ResourceResult,
)
from airflow_provider_airbyte_sme.provisioning.targets.base import Target

log = logging.getLogger(__name__)

_MAX_WRITES = 3
# Seconds before each search for a resource whose creation got no usable response: a server that
# lost its client may still be about to write it. A connection's discovery has been done before.
_SEARCH_PAUSES = (0.0, 3.0, 7.0, 20.0)
# Seconds before each search for resources of the same name that other tasks created meanwhile.
_SETTLE_PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
# Seconds before a write is repeated whose result is unknown.
_WRITE_PAUSE = 3.0


class Convergence:
    """
    Brings declared resources about.

    :param sleep: Waits for a number of seconds.
    :param dry_run: Whether to plan only, and write nothing.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[None]], *, dry_run: bool = False) -> None:
        self._sleep = sleep
        self._dry_run = dry_run

    async def run(self, target: Target[N], if_exists: IfExists = "update") -> ResourceResult:
        """
        Bring one resource about.

        :raises AirbyteAmbiguousNameError: Several resources have the name.
        :raises AirbyteExistsError: It exists, and *if_exists* is ``fail``.
        :raises AirbyteDeclarationError: The declaration is invalid.
        :raises AirbyteNotStoredError: Airbyte accepted a value, but did not store it.
        :raises AirbyteError: Airbyte is unreachable or rejects a request.
        """
        actual = await self._find(target)
        if actual is None:
            return await self._create(target)
        if if_exists == "fail":
            raise AirbyteExistsError(
                f"The {target.kind} {target.name!r} exists already ({actual.id}), and "
                f"if_exists is 'fail'."
            )
        if if_exists == "reuse":
            return _result(target, Action.UNCHANGED, actual, Plan())
        return await self._update(target, actual)

    async def may_write(self, target: Target[N], if_exists: IfExists) -> bool:
        """
        Return whether :meth:`run` may write. Raise what it would raise before its first write.

        :raises AirbyteError: As :meth:`run` does.
        """
        actual = await self._find(target)
        if actual is None:
            await target.plan_creation()
        elif if_exists == "update":
            await target.plan(actual)
        return actual is None or if_exists == "update"

    async def _find(self, target: Target[N]) -> N | None:
        found = await target.find_all(fresh=False)
        if not found:
            # Once more before a creation: another task may just have created it.
            found = [] if self._dry_run else await target.find_all(fresh=True)
        if len(found) > 1:
            raise _ambiguous(target, found)
        return found[0] if found else None

    async def _create(self, target: Target[N]) -> ResourceResult:
        plan = await target.plan_creation()
        if self._dry_run:
            return _result(target, Action.WOULD_CREATE, None, plan)
        log.info("Creating the %s %r.", target.kind, target.name)
        try:
            created, is_confirmed = await self._create_once(target, plan)
        except AirbyteConflictError:
            # The name of a tag is unique in its workspace, and another task was faster.
            if (found := await self._find(target)) is None:
                raise
            return await self._update(target, found)
        kept, notes = await self._settle(target, created, is_ours=is_confirmed)
        if kept.id != created.id:
            result = await self._update(target, kept)
            return result._replace(notes=(*notes, *result.notes))
        # Otherwise another task may have created it, with other secrets: they are written again.
        if is_confirmed:
            await target.note_written(kept, plan)
        # Not everything can be set, or is stored, at a creation.
        kept, rest = await self._write_until_equal(target, await _read(target, kept))
        return _result(target, Action.CREATED, kept, rest._replace(changes=plan.changes))

    async def _create_once(self, target: Target[N], plan: Plan) -> tuple[N, bool]:
        """Return the resource, and whether Airbyte confirmed that this task created it."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await target.create(plan), True
            except AirbyteError as error:
                if not is_ambiguous(error):
                    raise
                log.warning(
                    "Looking whether the %s %r was created after all: %s",
                    target.kind,
                    target.name,
                    error,
                )
                if (found := await self._search(target)) is not None:
                    log.info("It was created: %s.", found.id)
                    return found, False
                if attempt == _MAX_WRITES or not _may_repeat(error):
                    raise

    async def _search(self, target: Target[N]) -> N | None:
        """Return what a creation without a usable response created; ``None`` if nothing."""
        for pause in _SEARCH_PAUSES:
            await self._sleep(pause)
            found = await target.find_all(fresh=True)
            if found:
                return _oldest(target, found)
        return None

    async def _settle(
        self, target: Target[N], created: N, *, is_ours: bool
    ) -> tuple[N, tuple[str, ...]]:
        """
        Return what stays of resources that several tasks created at once, and what was done.

        Everybody looks again after a creation. The oldest stays: whoever created a newer one
        deletes it. If two are of the same second, their ids decide, and if whoever has to delete
        did not look any more, ours is deleted.

        :param is_ours: Whether this task surely created it. What may be another's is not deleted.
        :raises AirbyteAmbiguousNameError: Several stay, and none is ours to delete.
        """
        found: list[N] = []
        for pause in _SETTLE_PAUSES:
            await self._sleep(pause)
            found = [each for each in await target.find_all(fresh=True) if each.id != created.id]
            if not found:
                return created, ()
            oldest = _oldest(target, [created, *found])
            if is_ours and oldest.id != created.id:
                return await self._give_way(target, created, oldest)
        oldest = _oldest(target, found)
        if is_ours and target.created_at(oldest) == target.created_at(created):
            return await self._give_way(target, created, oldest)
        raise _ambiguous(target, [created, *found])

    async def _give_way(
        self, target: Target[N], created: N, oldest: N
    ) -> tuple[N, tuple[str, ...]]:
        await target.delete(created)
        note = (
            f"Another task created the {target.kind} {target.name!r} at the same time: "
            f"{oldest.id} stays, and {created.id}, which this task created, "
            f"was deleted."
        )
        log.warning(note)
        return oldest, (note,)

    async def _update(self, target: Target[N], actual: N) -> ResourceResult:
        if self._dry_run:
            plan, action = await target.plan(actual), Action.WOULD_UPDATE
        else:
            actual, plan = await self._write_until_equal(target, actual)
            action = Action.UPDATED
        return _result(target, action if plan.changes else Action.UNCHANGED, actual, plan)

    async def _write_until_equal(self, target: Target[N], actual: N) -> tuple[N, Plan]:
        """Return the resource as it is in the end, and the first plan."""
        first = plan = await target.plan(actual)
        for attempt in range(1, _MAX_WRITES + 1):
            if not plan.changes:
                return actual, first
            log.info("Changing the %s %r: %s", target.kind, target.name, _fields(plan.changes))
            is_confirmed = await self._write(target, actual, plan, is_last=attempt == _MAX_WRITES)
            actual = await _read(target, actual)
            written, plan = plan, await target.plan(actual)
            if is_confirmed:
                _check_stored(target, written, plan)
        if plan.changes:
            raise _not_stored(target, plan.changes)
        return actual, first

    async def _write(self, target: Target[N], actual: N, plan: Plan, *, is_last: bool) -> bool:
        """Return whether Airbyte confirmed the write."""
        try:
            written = await target.update(actual, plan)
        except AirbyteError as error:
            if not is_ambiguous(error) or is_last or not _may_repeat(error):
                raise
            log.warning(
                "Looking whether the %s %r was changed after all: %s",
                target.kind,
                target.name,
                error,
            )
            await self._sleep(_WRITE_PAUSE)
            return False
        await target.note_written(written, plan)
        return True


async def _read(target: Target[N], actual: N) -> N:
    """
    Read a resource again after a write.

    :raises AirbyteNotStoredError: It was deleted. Another write might revive it half.
    """
    found = await target.read(actual)
    if getattr(found, "is_deleted", False):
        raise AirbyteNotStoredError(
            f"The {target.kind} {target.name!r} ({actual.id}) was deleted by somebody else while "
            f"this task changed it: run the task again to create a new one."
        )
    return found


def _may_repeat(error: AirbyteError) -> bool:
    """
    Whether a write may be repeated once it is known not to have taken effect.

    A 500 of Airbyte itself can be the caller's fault (docs/airbyte-api.md §4.1).
    """
    return is_transient(error) and not isinstance(error, AirbyteWriteFailedError)


def _check_stored(target: Target[Any], written: Plan, plan: Plan) -> None:
    """Raise if a confirmed write left a field as it was."""
    before = {(change.field, repr(change.before)) for change in written.changes}
    same = [change for change in plan.changes if (change.field, repr(change.before)) in before]
    if same:
        raise _not_stored(target, tuple(same))


def _not_stored(target: Target[Any], changes: tuple[FieldChange, ...]) -> AirbyteNotStoredError:
    return AirbyteNotStoredError(
        f"Airbyte accepted the {target.kind} {target.name!r}, but stores other values: "
        f"{'; '.join(map(str, changes))}. Check whether this version of Airbyte and of the "
        f"connector has these fields."
    )


def _ambiguous(target: Target[N], found: list[N]) -> AirbyteAmbiguousNameError:
    return AirbyteAmbiguousNameError(target.kind, target.name, [e.id for e in found])


def _oldest(target: Target[N], found: list[N]) -> N:
    return min(found, key=lambda each: (target.created_at(each), each.id))


def _fields(changes: tuple[FieldChange, ...]) -> str:
    return "; ".join(map(str, changes))


def _result(target: Target[N], action: Action, actual: N | None, plan: Plan) -> ResourceResult:
    """
    Return the result for a resource.

    :param actual: ``None`` if it does not exist.
    """
    return ResourceResult(
        target.kind,
        action,
        actual.id if actual is not None else "",
        target.name,
        plan.changes,
        plan.not_compared,
        plan.notes,
    )
