"""
The books of a random run: what was wanted, started, finished, reported and cancelled.

One side is what Airbyte's emulator has recorded, the other what Airflow shows of the tasks. They
are balanced task by task, because each one has an Airbyte connection of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from tests.system.cluster.plan import Wanted

Wrong = Literal[
    "lost", "doubled", "reported wrong", "not said", "failed", "cancelled", "unfinished"
]

# Statuses of a job after which a task may start another one.
FAILED = ("failed", "cancelled")
FINISHED = ("succeeded", *FAILED)
FINAL_STATES = ("success", "failed")


class JobEntry(NamedTuple):
    """
    A job as Airbyte has recorded it.

    :param is_foreign: Whether somebody else than the task has started it.
    """

    job_id: int
    status: str
    rows: int
    is_foreign: bool = False


class Account(NamedTuple):
    """
    One task and its Airbyte connection at the end of the run.

    :param jobs: All jobs of the connection, in the order of their ids.
    :param state: State of the task in Airflow.
    :param tries: How often Airflow has tried it.
    :param result: What it has returned, from XCom.
    :param said: What its tries have logged, errors included.
    """

    wanted: Wanted
    jobs: tuple[JobEntry, ...]
    state: str | None
    tries: int = 1
    result: Mapping[str, Any] | None = None
    said: str = ""


class Problem(NamedTuple):
    """Something that does not balance."""

    what: Wrong
    account: Account
    detail: str

    def __str__(self) -> str:
        jobs = ", ".join(
            f"{job.job_id} {job.status}{' of somebody else' if job.is_foreign else ''}"
            for job in self.account.jobs
        )
        return (
            f"{self.what}: {self.account.wanted.name}, {self.account.state} after "
            f"{self.account.tries} tries: {self.detail} Jobs: {jobs or 'none'}. "
            f"Result: {self.account.result}"
        )


class Books(NamedTuple):
    """All accounts, and what does not balance."""

    accounts: tuple[Account, ...]
    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, accounts: Iterable[Account]) -> Books:
        """Balance *accounts*."""
        every = tuple(accounts)
        return cls(every, tuple(problem for each in every for problem in problems_of(each)))

    def __str__(self) -> str:
        operators = [each for each in self.accounts if not each.wanted.kind.is_sensor]
        own = [job for each in self.accounts for job in each.jobs if not job.is_foreign]
        statuses = Counter(job.status for job in own)
        states = Counter(each.state for each in self.accounts)
        wrong = Counter(problem.what for problem in self.problems)
        lines = [
            f"wanted     {len(operators)} syncs by operators, "
            f"{len(self.accounts) - len(operators)} syncs of somebody else by sensors",
            f"started    {len(own)} syncs, {len(own) - len(operators):+d} than wanted: "
            f"{sum(job.status in FAILED for job in own)} failed or were cancelled",
            f"finished   {_counted(statuses)}",
            f"reported   {sum(each.result is not None for each in self.accounts)} results; "
            f"tasks: {_counted(states)}; tries: {sum(each.tries for each in self.accounts)}",
            f"cancelled  {statuses['cancelled']}",
            f"problems   {_counted(wrong) or 'none'}",
        ]
        return "\n".join([*lines, *map(str, self.problems)])


def problems_of(account: Account) -> list[Problem]:
    """Return what does not balance between a task and its connection."""
    if account.state not in FINAL_STATES:
        return [Problem("unfinished", account, "It has not ended.")]
    problems = [*_doubled(account), *_cancelled(account)]
    if account.state == "success":
        return problems + _success(account)
    return problems + _failure(account)


def _doubled(account: Account) -> list[Problem]:
    """Find a job of the task that it started although the one before had not failed."""
    return [
        Problem(
            "doubled",
            account,
            f"Job {job.job_id} was started although job {before.job_id} had not failed.",
        )
        for before, job in zip(account.jobs, account.jobs[1:], strict=False)
        if before.status not in FAILED and not job.is_foreign
    ] + [
        Problem("doubled", account, f"The sensor has started job {job.job_id}.")
        for job in account.jobs[:1]
        if account.wanted.kind.is_sensor and not job.is_foreign
    ]


def _cancelled(account: Account) -> list[Problem]:
    return [
        Problem("cancelled", account, f"Job {job.job_id} is of somebody else, and was cancelled.")
        for job in account.jobs
        if job.is_foreign and job.status == "cancelled"
    ]


def _success(account: Account) -> list[Problem]:
    jobs, result = account.jobs, account.result
    if account.wanted.kind.is_doomed:
        return [Problem("reported wrong", account, "It succeeded, but all its syncs fail.")]
    if result is None:
        return [Problem("lost", account, "It reports no job.")]
    if not jobs:
        return [Problem("lost", account, "There is no job.")]
    reported = next((job for job in jobs if job.job_id == result.get("job_id")), None)
    if reported is None:
        return [
            Problem("reported wrong", account, "The job that it reports is not of its connection.")
        ]
    problems = []
    if reported.status != "succeeded":
        detail = f"Job {reported.job_id}, which it reports, is {reported.status}."
        problems.append(Problem("lost", account, detail))
    for key, is_value in (
        ("status", reported.status),
        ("rows_synced", reported.rows),
        ("adopted", reported.is_foreign),
    ):
        if result.get(key) != is_value:
            detail = f"{key} of job {reported.job_id} is {is_value!r}, not {result.get(key)!r}."
            problems.append(Problem("reported wrong", account, detail))
    if reported.rows != account.wanted.rows and reported.status == "succeeded":
        detail = f"Job {reported.job_id} has {reported.rows} rows, not {account.wanted.rows}."
        problems.append(Problem("reported wrong", account, detail))
    return problems


def _failure(account: Account) -> list[Problem]:
    jobs, problems = account.jobs, []
    if not account.wanted.kind.is_doomed:
        problems.append(Problem("failed", account, "Nothing was to fail it."))
    if jobs and jobs[-1].status not in FAILED:
        detail = f"Job {jobs[-1].job_id} is {jobs[-1].status}, but no task reports it."
        problems.append(Problem("lost", account, detail))
    if jobs and not re.search(rf"\bjob {jobs[-1].job_id}\b", account.said, re.IGNORECASE):
        detail = f"Its log does not say that there is job {jobs[-1].job_id}."
        problems.append(Problem("not said", account, detail))
    return problems


def _counted(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=str))
