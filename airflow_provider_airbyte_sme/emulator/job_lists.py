"""What the public API's list of jobs leaves out or ignores, unlike a current server's."""

from __future__ import annotations

#: Query parameters of ``GET /jobs`` that can be ignored.
PARAMETERS = frozenset(
    {
        "status",
        "jobType",
        "createdAtStart",
        "createdAtEnd",
        "updatedAtStart",
        "updatedAtEnd",
        "orderBy",
    }
)


class JobLists:
    """
    How ``GET /jobs`` differs from what ``docs/airbyte-api.md §3.5`` says; by default not at all.

    The methods can be called at any time. ``GET /jobs/{jobId}`` is not affected.
    """

    def __init__(self) -> None:
        #: Whether each job has ``bytesSynced`` and ``rowsSynced``. They are missing if the server's
        #: flag ``platform.hydrate-aggregated-stats`` is off (§3.5.10).
        self.has_counters = True
        self._ignored: frozenset[str] = frozenset()
        self._hidden: set[int] = set()

    @property
    def ignored(self) -> frozenset[str]:
        """The query parameters that are ignored."""
        return self._ignored

    def ignore(self, *parameters: str) -> None:
        """
        Ignore query parameters, as an older server or a gateway that removes them would.

        :param parameters: Names such as ``updatedAtStart`` and ``orderBy``, in place of those of an
            earlier call; none: ignore nothing.
        :raises ValueError: A name is unknown.
        """
        if unknown := set(parameters) - PARAMETERS:
            raise ValueError(
                f"GET /jobs has no parameter {', '.join(sorted(unknown))} that can be ignored, "
                f"only {', '.join(sorted(PARAMETERS))}"
            )
        self._ignored = frozenset(parameters)

    def hide(self, job_id: int) -> None:
        """
        Leave a job out of all lists, as a server does that does not list its type.

        It can still be read by its id.
        """
        self._hidden.add(job_id)

    def show(self, job_id: int) -> None:
        """Undo :meth:`hide`."""
        self._hidden.discard(job_id)

    def shows(self, job_id: int) -> bool:
        """Whether lists contain the job."""
        return job_id not in self._hidden
