"""The emulator's clocks: real, manual and instant."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal, Protocol

TimeMode = Literal["real", "manual", "instant"]


def to_microsecond(epoch: float) -> float:
    """
    Return the nearest whole microsecond: what the server stores (``docs/airbyte-api.md §3.1``).

    Two instants compare as their texts do, although they are floats that were computed.

    :param epoch: Seconds since the epoch.
    """
    return round(epoch, 6)


class Clock(Protocol):
    """The emulator's source of time."""

    def time(self) -> float:
        """Return the current time, in seconds since the epoch and in whole microseconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        ...

    def advance(self, seconds: float) -> None:
        """
        Move the clock forward.

        :raises RuntimeError: The clock follows real time and cannot be moved.
        :raises ValueError: *seconds* is negative.
        """
        ...

    def phase_duration(self, seconds: float) -> float:
        """Return how long a job phase planned for *seconds* really takes, in seconds."""
        ...


class RealClock:
    """Real time: the system clock."""

    def time(self) -> float:
        """Return the current time, in seconds since the epoch and in whole microseconds."""
        return to_microsecond(time.time())

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for *seconds*."""
        time.sleep(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Raise an error: real time cannot be moved."""
        raise RuntimeError(
            f"cannot advance the clock by {seconds} s: only a manual clock can be advanced "
            '(Emulator(time="manual"))'
        )

    def phase_duration(self, seconds: float) -> float:
        """Return *seconds*: a phase takes as long as planned."""
        return seconds


class ManualClock:
    """
    A clock that stands still until it is moved.

    :param start: Initial time, in seconds since the epoch.
    """

    def __init__(self, start: float) -> None:
        self._now = to_microsecond(start)

    def time(self) -> float:
        """Return the time that the clock was moved to, as :meth:`Clock.time`."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move the clock forward by *seconds* and return at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """
        Move the clock forward.

        :raises ValueError: *seconds* is negative.
        """
        if seconds < 0:
            raise ValueError(f"cannot advance the clock by {seconds} s: time goes forward only")
        self._now = to_microsecond(self._now + seconds)

    def phase_duration(self, seconds: float) -> float:
        """Return *seconds*: a phase takes as long as planned."""
        return seconds


class InstantClock(RealClock):
    """Real time, but jobs take none: a job has finished when it is first read."""

    def sleep(self, seconds: float) -> None:
        """Yield to other threads, such as one that runs ``on_sync``, instead of waiting."""
        time.sleep(0.001 if seconds > 0 else 0.0)

    def phase_duration(self, seconds: float) -> float:
        """Return 0: no phase of a job takes any time."""
        del seconds
        return 0.0


def make_clock(mode: TimeMode, start: datetime | None = None) -> Clock:
    """
    Create the clock for *mode*.

    :param start: Initial time of a manual clock; the default is now, in whole seconds.
    :raises ValueError: *mode* is unknown, or *start* is given for a clock that is not manual.
    """
    if mode == "manual":
        begin = start or datetime.now(UTC).replace(microsecond=0)
        return ManualClock(begin.timestamp())
    if start is not None:
        raise ValueError(f"start must be None with time={mode!r}: only a manual clock can be set")
    if mode == "real":
        return RealClock()
    if mode == "instant":
        return InstantClock()
    raise ValueError(f"time must be 'real', 'manual' or 'instant', not {mode!r}")
