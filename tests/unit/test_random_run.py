"""The plan and the books of the random run: see tests/system/cluster/test_random_run.py."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.system.cluster.books import Account, Books, JobEntry, problems_of
from tests.system.cluster.plan import SHARES, TIMES, WINDOW, Kind, Wanted, make_plan

ROWS = 77


def wanted(kind: Kind = Kind.BLOCKING) -> Wanted:
    return Wanted(3, kind, 0.0, 5.0, 0, ROWS, 0.0)


def result(job_id: int = 5, **changed: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "status": "succeeded",
        "rows_synced": ROWS,
        "adopted": False,
        **changed,
    }


def job(job_id: int, status: str = "succeeded", **fields: Any) -> JobEntry:
    rows = ROWS if status == "succeeded" else 0
    return JobEntry(**{"job_id": job_id, "status": status, "rows": rows, **fields})


def account(
    *jobs: JobEntry,
    state: str | None = "success",
    kind: Kind = Kind.BLOCKING,
    result: dict[str, Any] | None = None,
    said: str = "",
) -> Account:
    return Account(wanted(kind), jobs, state, result=result, said=said)


class TestBooks:
    @pytest.mark.parametrize(
        "balanced",
        [
            account(job(5), result=result()),
            account(job(4, "failed"), job(5), result=result()),
            account(job(3, "cancelled"), job(4, "failed"), job(5), result=result()),
            account(job(5, is_foreign=True), kind=Kind.SYNC_SENSOR, result=result(adopted=True)),
            account(
                job(4, "failed", is_foreign=True),
                job(5, is_foreign=True),
                kind=Kind.SYNC_GATE,
                result=result(adopted=True),
            ),
            account(
                job(4, "failed"),
                job(5, "failed"),
                state="failed",
                kind=Kind.DOOMED_DEFERRED,
                said="Job 5 of connection 'crm' failed after 3 s.",
            ),
            account(state="failed", kind=Kind.DOOMED_BLOCKING),
        ],
    )
    def test_what_balances_is_no_problem(self, balanced):
        assert problems_of(balanced) == []

    @pytest.mark.parametrize(
        ("what", "entry"),
        [
            ("lost", account(result=result())),
            ("lost", account(job(5))),
            ("lost", account(job(5, "running"), result=result(status="running", rows_synced=0))),
            ("lost", account(job(5, "failed"), result=result(status="failed", rows_synced=0))),
            ("lost", account(job(5), state="failed", kind=Kind.DOOMED_BLOCKING, said="job 5")),
            (
                "lost",
                account(job(5, "running"), state="failed", kind=Kind.DOOMED_BLOCKING, said="job 5"),
            ),
            ("doubled", account(job(4), job(5), result=result())),
            ("doubled", account(job(4), job(5), result=result(4))),
            ("doubled", account(job(4, "running"), job(5), result=result())),
            ("doubled", account(job(4), job(5, "cancelled"), result=result(4))),
            ("doubled", account(job(3, "failed"), job(4), job(5), result=result())),
            ("doubled", account(job(5), kind=Kind.SYNC_GATE, result=result())),
            (
                "doubled",
                account(
                    job(4, is_foreign=True),
                    job(5),
                    kind=Kind.JOB_SENSOR,
                    result=result(4, adopted=True),
                ),
            ),
            ("reported wrong", account(job(5), result=result(6))),
            ("reported wrong", account(job(5), result=result(status="failed"))),
            ("reported wrong", account(job(5), result=result(rows_synced=ROWS - 1))),
            ("reported wrong", account(job(5), result=result(rows_synced=None))),
            ("reported wrong", account(job(5), result=result(adopted=True))),
            ("reported wrong", account(job(5, rows=8), result=result(rows_synced=8))),
            ("reported wrong", account(job(5), kind=Kind.DOOMED_BLOCKING, result=result())),
            (
                "not said",
                account(
                    job(5, "failed"),
                    state="failed",
                    kind=Kind.DOOMED_BLOCKING,
                    said="job 50 failed",
                ),
            ),
            ("failed", account(job(5, "failed"), state="failed", said="Job 5 failed")),
            (
                "cancelled",
                account(
                    job(4, "cancelled", is_foreign=True),
                    job(5, is_foreign=True),
                    kind=Kind.SYNC_SENSOR,
                    result=result(adopted=True),
                ),
            ),
            ("unfinished", account(job(5, "running"), state="deferred")),
            ("unfinished", account(state=None)),
        ],
    )
    def test_a_planted_entry_is_found(self, what, entry):
        assert [problem.what for problem in problems_of(entry)] == [what]

    def test_one_entry_among_many_is_found_and_shown(self):
        good = [account(job(number), result=result(number)) for number in range(1, 200)]

        books = Books.of(
            [*good[:100], account(job(300), job(301), result=result(301)), *good[100:]]
        )

        assert [problem.what for problem in books.problems] == ["doubled"]
        assert "started    201 syncs, +1 than wanted" in str(books)
        assert "problems   1 doubled" in str(books)
        assert "Job 301 was started although job 300 had not failed." in str(books)

    def test_balanced_books_show_the_totals(self):
        books = Books.of(
            [
                account(job(4, "cancelled"), job(5), result=result()),
                account(
                    job(6, is_foreign=True), kind=Kind.JOB_SENSOR, result=result(6, adopted=True)
                ),
            ]
        )

        assert str(books).splitlines() == [
            "wanted     1 syncs by operators, 1 syncs of somebody else by sensors",
            "started    2 syncs, +1 than wanted: 1 failed or were cancelled",
            "finished   1 cancelled, 1 succeeded",
            "reported   2 results; tasks: 2 success; tries: 2",
            "cancelled  1",
            "problems   none",
        ]


class TestPlan:
    def test_a_seed_repeats_its_plan(self):
        assert make_plan(7, tasks=200) == make_plan(7, tasks=200) != make_plan(8, tasks=200)

    @pytest.mark.parametrize("seed", range(20))
    def test_a_plan_has_every_kind_of_task_and_of_event(self, seed):
        plan = make_plan(seed, tasks=200)

        assert len(plan.tasks) == 200
        assert {task.kind for task in plan.tasks} == set(Kind) == SHARES.keys()
        assert Counter(strike.event for strike in plan.strikes) == TIMES
        assert sorted(plan.tasks, key=lambda task: task.begins_at) == list(plan.tasks)
        assert sorted(plan.strikes, key=lambda strike: strike.at) == list(plan.strikes)
        assert all(0 <= task.begins_at <= 0.75 * WINDOW for task in plan.tasks)
        assert all(0 < strike.at <= WINDOW for strike in plan.strikes)
        assert len({task.rows for task in plan.tasks}) == 200

    def test_a_strike_can_hit_each_of_those_that_are_there(self):
        hit = {strike.choose(2) for seed in range(5) for strike in make_plan(seed, tasks=1).strikes}

        assert hit == {0, 1}
