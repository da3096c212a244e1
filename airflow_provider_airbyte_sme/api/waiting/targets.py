"""What is watched, who watches it, and what is still unknown about it."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping

from airflow_provider_airbyte_sme.api.waiting.messages import SingleRead, single_read
from airflow_provider_airbyte_sme.api.waiting.watches import JobKey, Key, SyncKey, Watch

# Seconds. A wait that begins needs no look of its own if there will be one so soon after the last:
# thousands that begin one after another share a few.
FIRST_LOOK = 2.0


def soon(interval: float, *, since: float, now: float) -> float:
    """
    Return when to look for a wait that begins: at once, unless the last look was just before.

    What it waits for may have ended already, and its next look may be an hour away.

    :param interval: Its poll interval.
    :param since: When the last look began.
    """
    return max(now, since + min(interval, FIRST_LOOK))


class Target:
    """
    Something to watch, and who watches it.

    :ivar checked: When it was last read in turn, or joined.
    :ivar due: When to read it by itself; infinite if the list suffices. It may become due again
        while it is read: the response may be older than what made it due.
    :ivar was_read: Whether it was read by itself or shown by a list since it is watched.
    :ivar is_listed: Whether a list has shown the job.
    :ivar is_reading: Whether a request for it alone is in flight.
    :ivar looked: When its last read by itself began.
    :ivar must_read: Whether lists have shown that it changed, but not enough of it.
    :ivar failing_since: When the first of its failed reads in a row began.
    :ivar warned: Whose logs say that they fail.
    :ivar was_sought: Whether a list was asked for this one job.
    """

    __slots__ = (
        "checked",
        "due",
        "failing_since",
        "is_listed",
        "is_reading",
        "key",
        "looked",
        "must_read",
        "warned",
        "was_read",
        "was_sought",
        "watches",
    )

    def __init__(self, key: Key, now: float) -> None:
        self.key = key
        self.checked = now
        self.watches: dict[Watch, None] = {}
        self.due = math.inf
        self.looked = -math.inf
        self.was_read = self.is_listed = self.is_reading = self.must_read = False
        self.was_sought = False
        self.failing_since: float | None = None
        self.warned: frozenset[Watch] = frozenset()

    @property
    def interval(self) -> float:
        """The shortest poll interval of its watches, in seconds."""
        return min(watch.wait.poll_interval for watch in self.watches)

    @property
    def request(self) -> SingleRead:
        """The request for it alone."""
        return single_read(self.key)

    @property
    def is_idle(self) -> bool:
        """Whether it is neither read by itself nor due to be."""
        return not self.is_reading and math.isinf(self.due)


class Targets:
    """
    All targets, in turn: the one that was read in turn last is the last one.

    :ivar watch_count: How many waits there are.
    :ivar unlisted: How many jobs no list has shown.
    """

    def __init__(self) -> None:
        self.watch_count = 0
        self.unlisted = 0
        self._by_key: OrderedDict[Key, Target] = OrderedDict()
        self._syncs: dict[str, dict[SyncKey, Target]] = {}
        self._unread: dict[Key, Target] = {}
        self._intervals: Counter[float] = Counter()

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._by_key.values())

    @property
    def watches(self) -> Iterator[Watch]:
        """All waits."""
        return (watch for target in self for watch in target.watches)

    @property
    def rhythm(self) -> float:
        """The shortest poll interval of all waits, in seconds; infinite if there are none."""
        return min(self._intervals, default=math.inf)

    @property
    def unread(self) -> Mapping[Key, Target]:
        """What has neither been read by itself nor been shown by a list."""
        return self._unread

    def __getitem__(self, key: Key) -> Target:
        return self._by_key[key]

    def get(self, key: Key) -> Target | None:
        """Return the target of *key*; ``None`` if nobody watches it."""
        return self._by_key.get(key)

    def syncs_of(self, connection_id: str) -> list[tuple[SyncKey, Target]]:
        """Return what is watched of the syncs of a connection."""
        return [*self._syncs.get(connection_id, {}).items()]

    def next_in_turn(self) -> Target:
        """Return the target whose turn comes next; there must be one."""
        return next(iter(self))

    def take_turn(self, now: float) -> Target:
        """Return the target whose turn it is, and note that it has had it."""
        target = self.next_in_turn()
        self._by_key.move_to_end(target.key)
        target.checked = now
        return target

    def add(self, watch: Watch, now: float) -> Target:
        """Note a wait; return its target."""
        target = self._by_key.get(watch.key) or self._add_target(watch.key, now)
        target.watches[watch] = None
        self.watch_count += 1
        self._intervals[watch.wait.poll_interval] += 1
        return target

    def remove(self, watch: Watch) -> bool:
        """Forget a wait; return whether it was there. A target ends with its last wait."""
        target = self._by_key.get(watch.key)
        if target is None or watch not in target.watches:
            return False
        del target.watches[watch]
        self.watch_count -= 1
        self._intervals[watch.wait.poll_interval] -= 1
        if not self._intervals[watch.wait.poll_interval]:
            del self._intervals[watch.wait.poll_interval]
        if not target.watches:
            self._remove_target(target)
        return True

    def note_read(self, target: Target) -> None:
        """Note that it was read by itself, or shown by a list."""
        target.was_read, target.failing_since, target.warned = True, None, frozenset()
        self._unread.pop(target.key, None)

    def note_unread(self, target: Target) -> None:
        """Note that something may have happened to it that nothing will show but its own read."""
        target.was_read = False
        self._unread[target.key] = target

    def note_listed(self, target: Target) -> None:
        """Note that a list has shown the job."""
        target.is_listed = True
        self.unlisted -= 1

    def forget_listed(self) -> None:
        """Note that no list has shown any job."""
        for target in self:
            self.unlisted += target.is_listed
            target.is_listed = target.was_sought = False

    def _add_target(self, key: Key, now: float) -> Target:
        target = self._by_key[key] = self._unread[key] = Target(key, now)
        if isinstance(key, SyncKey):
            self._syncs.setdefault(key.connection_id, {})[key] = target
        else:
            self.unlisted += 1
        return target

    def _remove_target(self, target: Target) -> None:
        key = target.key
        del self._by_key[key]
        self._unread.pop(key, None)
        if isinstance(key, JobKey):
            self.unlisted -= not target.is_listed
            return
        of_connection = self._syncs[key.connection_id]
        del of_connection[key]
        if not of_connection:
            del self._syncs[key.connection_id]
