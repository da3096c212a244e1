"""The three kinds of time that an emulated Airbyte can live in."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal, Protocol

TimeMode = Literal["real", "manual", "instant"]


class Clock(Protocol):
    """Where the emulator gets its time from."""

    def time(self) -> float:
        """Return the current instant, in seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass for the caller."""
        ...

    def advance(self, seconds: float) -> None:
        """
        Move the clock forward.

        :raises RuntimeError: It moves by itself.
        :raises ValueError: *seconds* is below 0.
        """
        ...

    def lasting(self, seconds: float) -> float:
        """Return how long a phase of a job that is meant to last *seconds* does last."""
        ...


class RealClock:
    """The computer's own time."""

    def time(self) -> float:
        """Return the current instant, in seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for *seconds*."""
        time.sleep(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Refuse: this clock moves by itself."""
        raise RuntimeError(f'only an Emulator(time="manual") can be advanced by {seconds} s')

    def lasting(self, seconds: float) -> float:
        """Return *seconds*: a phase lasts as long as it says."""
        return seconds


class ManualClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self, start: float) -> None:
        self._now = start

    def time(self) -> float:
        """Return the instant that the clock was moved to."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move the clock by *seconds* at once: whoever waits is who moves the time."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """
        Move the clock forward.

        :raises ValueError: *seconds* is below 0.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot be moved by {seconds} s: time goes forward only")
        self._now += seconds

    def lasting(self, seconds: float) -> float:
        """Return *seconds*: a phase lasts as long as it says."""
        return seconds


class InstantClock(RealClock):
    """The computer's own time, but no job takes any: it is over when first read."""

    def sleep(self, seconds: float) -> None:
        """Only yield to other threads, such as one that moves a job's data."""
        time.sleep(0.001 if seconds > 0 else 0.0)

    def lasting(self, seconds: float) -> float:
        """Return 0: no phase of a job takes time."""
        del seconds
        return 0.0


def make_clock(mode: TimeMode, start: datetime | None = None) -> Clock:
    """
    Make the clock for *mode*.

    :param start: Where a manual clock begins; the default is now, in whole seconds.
    :raises ValueError: *mode* is unknown, or *start* is given for a clock that cannot be set.
    """
    if mode == "manual":
        begin = start or datetime.now(UTC).replace(microsecond=0)
        return ManualClock(begin.timestamp())
    if start is not None:
        raise ValueError(f"only a manual clock can be set, not a {mode} one")
    if mode == "real":
        return RealClock()
    if mode == "instant":
        return InstantClock()
    raise ValueError(f"time must be 'real', 'manual' or 'instant', not {mode!r}")
