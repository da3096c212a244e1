"""
The promises of docs/reliability.md, each with the tests that prove it.

Table and document have the same rows in the same order, so that neither says more than the other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from airflow_provider_airbyte_sme.api.waiting.changes import OVERLAP
from airflow_provider_airbyte_sme.api.waiting.watchlist import (
    DEADLINE_MARGIN,
    MAX_STALENESS,
)
from airflow_provider_airbyte_sme.triggers.resumption import SAFE_AFTER

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs/reliability.md").read_text(encoding="utf-8")

# The headings of the document.
OURS = "Which sync is ours"
TRIES = "One sync for all tries"
ENDS = "Kill and timeout"
OUTAGES = "Outages and who answered"
SECRETS = "Tokens and secrets"
ANSWERS = "What Airbyte or a proxy may answer"
EVIDENCE = "What counts as data"
INPUT = "What you may hand in"
RESOURCES = "Declared resources, clears and refreshes"
SENSOR = "The sync sensor"
ASSETS = "Assets and lineage"
WATCHED = "Watched assets"
WEBHOOK = "The webhook"
PROGRESS = "What the log says during a wait"
ALARMS = "Alarms and metrics"
SCALE = "Waiting at scale"
AIRFLOW = "Airflow's own traps"
MATRIX = "The fault matrix"
LIMITS = "What it does not promise"

HEADER = "| When | Then |"
# The numbers of the cases; those with a letter are parts of one.
ITEMS = (
    *map(str, range(1, 29)),
    *(f"A{number}" for number in range(1, 7)),
    *(f"D{number}" for number in range(1, 10)),
    *(f"E{number}" for number in range(1, 5)),
    *(f"F{number}" for number in range(1, 7)),
    *(f"J{number}" for number in range(1, 8)),
    *(f"K{number}" for number in range(1, 7)),
    *(f"L{number}" for number in range(1, 9)),
    *(f"P{number}" for number in range(1, 8)),
    *(f"R{number}" for number in range(1, 11)),
    *(f"S{number}" for number in range(1, 13)),
    *(f"V{number}" for number in range(1, 10)),
    *(f"H{number}" for number in range(1, 9)),
    *(f"W{number}" for number in range(1, 23)),
)


class Case(NamedTuple):
    """
    One promise.

    :param item: Number of the case. One case may have several promises.
    :param when: What happens.
    :param then: What the provider does.
    :param tests: The tests that prove it, by file.
    """

    heading: str
    item: str
    when: str
    then: str
    tests: Mapping[str, tuple[str, ...]]

    def node_ids(self) -> Iterator[str]:
        """Yield the tests as pytest names them."""
        for file, names in self.tests.items():
            for name in names:
                yield f"{file}::{name}"


CASES = (
    Case(
        OURS,
        "1",
        "The provider asks for a sync, and Airbyte returns one that is newer than every job before "
        "the request.",
        "The sync is ours. Job ids decide, never clocks: a wrong or missing `Date` header changes "
        "nothing.",
        {
            "tests/unit/api/test_jobs_create.py": (
                "test_a_job_is_created_and_is_ours",
                "TestDatesDoNotMatter::test_our_job_is_ours",
                "TestDatesDoNotMatter::test_a_finished_job_is_not_taken_for_ours",
            ),
            "tests/unit/api/test_job_ownership.py": (
                "test_a_job_is_ours_only_if_it_can_be_nobody_elses",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "TestOwnership::test_our_job_is_ours",
            ),
        },
    ),
    Case(
        OURS,
        "1",
        "The response to the request is lost, and the connection has exactly one newer sync.",
        "It is ours, as far as anyone can know: the task waits for it and may cancel it. No second "
        "sync is started.",
        {
            "tests/unit/api/test_jobs_create.py": (
                "test_a_job_created_without_a_usable_response_is_found",
                "test_a_job_that_appears_late_is_found",
                "TestDatesDoNotMatter::test_a_job_whose_response_was_lost_is_found",
                "test_the_late_job_of_a_lost_post_is_found_although_it_has_ended_before_the_next_"
                "post",
            ),
            "tests/integration/test_trigger_sync_operator.py": (
                "test_a_lost_response_starts_no_second_sync",
            ),
        },
    ),
    Case(
        OURS,
        "1",
        "The response is lost, and the connection has several newer syncs.",
        "The task waits for the newest, whose data is new enough, and never cancels it. The log "
        "says why.",
        {
            "tests/unit/api/test_jobs_create.py": (
                "test_several_jobs_after_a_lost_response_are_foreign_and_the_newest_is_new_enough",
            ),
        },
    ),
    Case(
        OURS,
        "1",
        "The response is lost, and the connection has no newer sync.",
        "It is looked for three times within 10 s. Then the request is sent again, three times in "
        "all.",
        {
            "tests/unit/api/test_jobs_create.py": (
                "test_several_searches_precede_a_second_creation",
                "test_a_creation_that_was_not_executed_is_repeated",
                "test_a_creation_is_given_up_after_three_ambiguous_attempts",
                "test_a_job_that_appears_after_a_creation_was_given_up_is_not_found_by_the_next_"
                "one",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "TestOwnership::test_an_old_job_is_never_taken_for_the_one_whose_response_was_lost",
            ),
        },
    ),
    Case(
        OURS,
        "1",
        "The start is given up, and nobody knows whether it created a sync.",
        "The log says so, and what to do. A retry of the task takes over a sync that runs.",
        {
            "tests/integration/test_operator_timeouts.py": (
                "TestGivenUpInDoubt::test_the_log_says_that_a_job_may_run",
                "TestGivenUpInDoubt::test_the_log_says_nothing_when_no_post_was_executed",
            ),
            "tests/integration/test_trigger_sync_operator.py": (
                "TestSecondTry::test_a_sync_of_the_first_try_is_taken_over",
            ),
        },
    ),
    Case(
        OURS,
        "1",
        "Airbyte returns a job that was already there, such as a pending one of its own schedule.",
        "It is not ours and is never cancelled. `on_running` applies to it, also `skip` and "
        "`fail`.",
        {
            "tests/unit/api/test_jobs_create.py": (
                "test_a_job_that_was_scheduled_a_moment_before_is_foreign",
                "test_a_job_that_is_scheduled_during_a_rate_limit_is_foreign",
                "test_a_job_that_is_scheduled_while_a_token_is_renewed_is_foreign",
                "test_a_job_of_another_type_that_is_returned_is_in_the_way",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "TestOwnership::test_a_job_that_a_schedule_started_a_moment_before_is_foreign",
            ),
            "tests/integration/test_trigger_sync_operator.py": (
                "TestOnRunning::test_a_pending_job_is_in_the_way",
                "TestOnRunning::test_a_pending_job_is_waited_for_before_our_own",
                "TestOnRunning::test_attach_returns_the_result_of_a_pending_job",
                "TestOnRunning::test_a_pending_job_of_somebody_else_is_left_running_at_the_timeout",
            ),
        },
    ),
    Case(
        OURS,
        "1",
        "Two tasks got the same job, and one of them was killed and has cancelled it.",
        "The other task fails. Its message says that another task may have cancelled the job, and "
        "how to prevent that.",
        {
            "tests/unit/api/test_jobs_outcome.py": (
                "test_the_error_for_a_cancelled_job_is_one_line",
            ),
            "tests/integration/test_trigger_sync_operator.py": (
                "test_a_cancelled_job_fails_the_task",
            ),
        },
    ),
    Case(
        OURS,
        "2",
        "A connection drops after the request was sent, perhaps by a proxy in between.",
        "The request may have been executed, so it is not repeated blindly.",
        {
            "tests/unit/api/test_request_sent.py": (
                "test_a_request_that_a_proxy_forwarded_before_it_drops_the_connection_may_be_sent",
                "test_a_request_may_be_sent_when_its_body_is_not_read",
                "test_a_request_on_a_reused_connection_may_be_sent",
            ),
            "tests/unit/api/test_transports.py": (
                "test_a_lost_response_means_that_the_request_was_sent_exactly_once",
                "test_the_library_does_not_resend_a_request_on_a_reused_connection",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "test_a_proxy_that_drops_after_it_forwarded_the_request_does_not_cause_a_second_"
                "sync",
            ),
        },
    ),
    Case(
        OURS,
        "2",
        "The name look-up, the connection, the tunnel through a proxy or the TLS handshake fails.",
        "The request was certainly not sent, so it is repeated, also one that starts a sync.",
        {
            "tests/unit/api/test_request_sent.py": (
                "test_a_request_is_not_sent_without_a_tunnel",
                "test_a_request_is_not_sent_when_the_tunnel_is_not_ready_in_time",
                "test_a_request_is_not_sent_when_the_tls_handshake_fails",
                "test_a_request_is_not_sent_when_the_tls_handshake_takes_too_long",
                "test_a_request_is_not_sent_through_a_proxy_with_an_untrusted_certificate",
            ),
            "tests/unit/api/test_transports.py": (
                "test_an_unknown_host_means_that_nothing_was_sent",
                "test_a_refused_connection_means_that_nothing_was_sent",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "test_a_proxy_that_rejects_the_tunnel_leads_to_one_sync_once_it_allows_it",
            ),
            "tests/unit/api/test_jobs_create.py": (
                "test_a_creation_that_was_not_executed_is_repeated",
            ),
        },
    ),
    Case(
        TRIES,
        "D1",
        "A try dies while its sync runs: out of memory, a lost node, SIGKILL. Airflow is 3.3 or "
        "later.",
        "The next try takes the sync over, whatever `on_running` says. It waits for it, or "
        "finishes with it if it has succeeded meanwhile. No second sync is started. This also "
        "holds for mapped tasks.",
        {
            "tests/integration/test_durability.py": (
                "TestRecord::test_the_baseline_is_kept_before_the_request_and_the_job_after_it",
                "TestNextTry::test_it_waits_for_the_running_job_of_the_dead_one",
                "TestNextTry::test_it_finishes_with_a_job_that_succeeded_meanwhile",
                "TestNextTry::test_on_running_is_not_about_the_own_job",
                "test_a_clear_or_refresh_is_durable_too",
            ),
            "tests/integration/test_durable_dags.py": ("test_mapped_tasks_are_durable",),
            "tests/system/cluster/test_killed_processes.py": (
                "test_the_retry_of_a_killed_task_ends_with_the_sync_of_the_first_try",
                "test_a_sync_that_ends_between_two_tries_is_the_result_of_the_second",
                "test_a_worker_is_killed_and_each_of_its_tasks_ends_with_one_sync",
            ),
        },
    ),
    Case(
        TRIES,
        "D2",
        "A try dies after its request for a sync may have gone out, and before it knew the sync.",
        "The next try looks for a sync that is newer than all before the request. One is taken "
        "over. Of several, the newest is waited for and never cancelled. If there is none, a sync "
        "is started.",
        {
            "tests/integration/test_durability.py": (
                "TestLostStart::test_the_job_above_the_baseline_is_taken_over",
                "TestLostStart::test_of_several_jobs_the_newest_is_waited_for_and_never_cancelled",
                "TestLostStart::test_a_job_is_started_if_there_is_none",
                "TestLostStart::test_a_job_from_long_after_the_request_is_never_cancelled",
            ),
            "tests/system/cluster/test_killed_processes.py": (
                "test_a_task_killed_before_it_learns_of_its_sync_has_one_all_the_same",
            ),
        },
    ),
    Case(
        TRIES,
        "D3",
        "The sync of an earlier try failed or was cancelled, or Airbyte no longer has it.",
        "The next try starts one.",
        {
            "tests/integration/test_durability.py": (
                "TestNextTry::test_it_replaces_a_job_that_failed_or_was_cancelled",
                "TestNextTry::test_a_job_that_airbyte_has_lost_is_replaced",
                "TestLostStart::test_a_failed_job_above_the_baseline_is_replaced",
            ),
        },
    ),
    Case(
        TRIES,
        "D4",
        "The sync is cancelled while the next try waits for it, as by the trigger of a deferred "
        "task that was cleared.",
        "That try starts its own sync, and needs no further one.",
        {
            "tests/integration/test_durability.py": (
                "TestNextTry::test_a_reattached_job_that_is_cancelled_leads_to_one_of_its_own",
                "TestNextTry::test_a_job_that_runs_is_cancelled_after_a_clear",
            ),
            "tests/system/cluster/test_user_actions.py": (
                "test_after_a_clear_the_new_try_ends_with_a_sync_of_its_own",
            ),
        },
    ),
    Case(
        TRIES,
        "D5",
        "A task is cleared after the sync of its last try has ended, or after that was reported.",
        "A new sync is started: that is what a clear asks for.",
        {
            "tests/integration/test_durability.py": (
                "TestNextTry::test_a_job_that_ended_before_a_clear_is_replaced",
                "TestRecord::test_a_clear_after_a_success_starts_a_new_job",
                "TestNextTry::test_a_clear_is_known_to_each_later_try",
                "TestLostStart::test_a_job_from_after_a_clear_is_somebody_elses",
                "TestRecord::test_nothing_is_kept_of_a_job_that_failed",
                "TestRecord::test_nothing_is_kept_of_a_job_with_too_few_rows",
            ),
        },
    ),
    Case(
        TRIES,
        "D6",
        "The try that has taken a sync over is killed, or its time is over.",
        "The sync is cancelled: it is the task's own.",
        {
            "tests/integration/test_durability.py": (
                "TestOwnership::test_a_kill_cancels_it",
                "TestOwnership::test_a_kill_before_it_is_taken_over_cancels_it",
                "TestOwnership::test_the_timeout_cancels_it",
                "TestOwnership::test_a_clear_of_the_deferred_task_cancels_it",
            ),
        },
    ),
    Case(
        TRIES,
        "D6",
        "A try fails before it could look for the sync that an earlier one has left.",
        "The log names the sync by its job id. A retry takes it over.",
        {
            "tests/integration/test_durability.py": (
                "TestOwnership::test_a_try_that_fails_before_it_takes_it_over_names_it",
            ),
        },
    ),
    Case(
        TRIES,
        "D7",
        "Airflow's task state store fails, or contains what this version cannot read.",
        "That is a warning. The task goes on, and a retry decides as before Airflow 3.3.",
        {
            "tests/integration/test_durability.py": (
                "TestStoreErrors::test_a_store_that_cannot_be_written_is_a_warning",
                "TestStoreErrors::test_where_it_cannot_be_read_airbyte_is_asked",
                "TestStoreErrors::test_a_record_of_unknown_format_is_ignored",
            ),
        },
    ),
    Case(
        TRIES,
        "D8",
        "A process dies after it has returned the result of its sync, and before Airflow has noted "
        "it.",
        "The next try returns that result again. No second sync is started.",
        {
            "tests/integration/test_durability.py": (
                "TestRecord::test_a_success_that_airflow_has_not_noted_is_reported_again",
            ),
        },
    ),
    Case(
        TRIES,
        "6",
        "Airflow is older than 3.3. A retry finds that the newest sync was created after the DAG "
        "run began.",
        "If it runs or has succeeded, with enough rows, it is taken over, and never cancelled. If "
        "it failed or was cancelled, or has succeeded and the task was ever cleared, the retry "
        "starts its own.",
        {
            "tests/integration/test_trigger_sync_operator.py": (
                "TestSecondTry::test_a_sync_of_the_first_try_is_taken_over",
                "TestSecondTry::test_a_sync_of_the_first_try_that_its_trigger_cancels_is_replaced",
            ),
            "tests/integration/test_durability.py": (
                "TestBeforeAirflow33::test_a_success_since_the_dag_run_began_is_taken_over",
                "TestBeforeAirflow33::test_a_failed_or_cancelled_job_is_replaced",
                "TestBeforeAirflow33::test_a_success_from_before_a_clear_is_replaced",
                "TestBeforeAirflow33::test_a_success_with_too_few_rows_is_replaced",
            ),
        },
    ),
    Case(
        TRIES,
        "6",
        "Airflow is older than 3.3. A retry finds a job that is older than the DAG run, or one "
        "that clears data.",
        "It belongs to somebody else: `on_running` applies.",
        {
            "tests/integration/test_trigger_sync_operator.py": (
                "TestSecondTry::test_a_sync_from_before_the_dag_run_is_not_taken_over",
                "TestSecondTry::test_a_clear_of_somebody_else_is_not_taken_over",
            ),
            "tests/integration/test_durability.py": (
                "TestBeforeAirflow33::test_a_success_from_before_the_dag_run_is_replaced",
            ),
        },
    ),
    Case(
        ENDS,
        "3",
        "A task is killed before it has asked for a sync: during sign-in, or in a pause.",
        "It starts no job, and cancels none.",
        {
            "tests/unit/api/test_jobs_create.py": (
                "TestStop::test_a_creation_stopped_before_its_post_sends_none",
                "TestStop::test_a_creation_stopped_during_a_rate_limit_sends_no_second_post",
            ),
            "tests/unit/api/test_job_ownership.py": (
                "test_a_killed_task_looks_for_a_job_only_if_it_may_have_created_one",
            ),
            "tests/integration/test_kill.py": (
                "TestBeforeAPost::test_no_job_is_started",
                "TestBeforeAPost::test_a_job_that_starts_during_a_rate_limit_is_left_running",
                "TestBeforeAPost::test_a_kill_before_the_task_begins_sends_nothing",
                "TestBetweenAForeignJobAndOurs::test_no_job_is_started",
                "TestBetweenAForeignJobAndOurs::test_no_job_is_started_on_resume",
                "TestCancelOnKillIsOff::test_no_post_follows_a_rate_limit",
            ),
        },
    ),
    Case(
        ENDS,
        "3",
        "A task is killed while its request for a sync has no response yet.",
        "Its sync is found by job ids and cancelled.",
        {
            "tests/integration/test_kill.py": (
                "TestDuringAPost::test_the_job_of_a_post_that_is_held_open_is_cancelled",
                "TestDuringAPost::test_a_job_that_is_created_after_the_kill_is_cancelled",
                "TestDuringAPost::test_a_kill_during_the_search_for_a_lost_job_cancels_it",
                "TestDuringAPost::test_of_two_candidates_none_is_cancelled",
            ),
            "tests/unit/api/test_creation.py": (
                "TestInDoubt::test_a_post_that_is_out_is_in_doubt",
            ),
        },
    ),
    Case(
        ENDS,
        "3",
        "A task is killed while it waits.",
        "Its own sync is cancelled; one that it only waits for runs on.",
        {
            "tests/integration/test_kill.py": (
                "TestDuringTheWait::test_our_job_is_cancelled",
                "TestDuringTheWait::test_a_foreign_job_is_left_running",
                "TestWhileDeferring::test_our_job_is_cancelled_when_the_task_has_just_deferred",
                "TestKilledTwice::test_the_job_is_cancelled_once",
            ),
            "tests/integration/test_job_trigger.py": (
                "TestOnKill::test_our_own_job_is_cancelled",
                "TestOnKill::test_no_other_job_is_cancelled",
                "TestOnKill::test_a_newer_sync_of_the_connection_is_left_running",
            ),
        },
    ),
    Case(
        ENDS,
        "3",
        "The sync of a killed task succeeds meanwhile, or the task is about to skip or to defer.",
        "The task ends as killed all the same.",
        {
            "tests/integration/test_kill.py": (
                "TestDuringTheWait::"
                "test_a_job_that_succeeds_meanwhile_does_not_make_the_task_succeed",
                "TestDuringTheWait::test_a_kill_does_not_make_the_task_skipped",
                "TestBetweenAForeignJobAndOurs::test_a_task_that_was_killed_does_not_defer",
                "TestWhileDeferring::test_our_job_is_cancelled_and_the_task_does_not_defer",
            ),
        },
    ),
    Case(
        ENDS,
        "3",
        "Airflow ends the killed process before the cancellation is finished.",
        "The log says from the beginning which job to cancel by hand if nothing follows, and what "
        "is needed is sent first.",
        {
            "tests/integration/test_kill.py": (
                "TestLog::test_it_says_first_what_to_do_by_hand",
                "TestDuringAPost::test_what_is_needed_is_sent_first",
                "TestDuringTheWait::test_the_job_is_read_and_cancelled_at_once",
                "TestOnKillNeverFails::test_a_job_that_cannot_be_cancelled",
            ),
        },
    ),
    Case(
        ENDS,
        "4",
        "`execution_timeout` ends a task whose request for a sync has no response yet.",
        "As for a kill: its sync is found by job ids and cancelled.",
        {
            "tests/integration/test_kill.py": (
                "TestDuringAPost::test_the_job_of_a_post_that_is_held_open_is_cancelled",
                "TestDuringAPost::test_a_job_that_is_created_after_the_kill_is_cancelled",
            ),
            "tests/unit/api/test_jobs_create.py": (
                "TestStop::test_a_creation_interrupted_during_its_post_leaves_its_baseline",
            ),
        },
    ),
    Case(
        ENDS,
        "4",
        "A deferred task has an `execution_timeout`.",
        "Its wait ends a little earlier, so that its sync can be cancelled.",
        {
            "tests/integration/test_trigger_sync_operator.py": (
                "TestTimeout::test_a_deferred_wait_ends_before_the_execution_timeout",
            ),
            "tests/integration/test_operator_timeouts.py": (
                "TestWhatBecameOfTheJob::test_the_limit_of_the_message_is_the_one_that_applied",
            ),
        },
    ),
    Case(
        ENDS,
        "5",
        "A cancellation has to be repeated, after a refused token or in an outage.",
        "The job is read again before each attempt, so that another job that runs by then is left "
        "alone.",
        {
            "tests/unit/api/test_jobs_cancel.py": (
                "test_a_job_is_read_again_after_a_refused_token",
                "test_a_refused_token_does_not_cancel_a_newer_job",
                "test_a_job_is_read_before_each_attempt_to_cancel_it",
                "test_a_second_attempt_does_not_cancel_a_newer_job",
                "test_an_unreadable_job_is_not_cancelled",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "test_a_refused_token_does_not_cancel_a_job_that_started_meanwhile",
            ),
        },
    ),
    Case(
        ENDS,
        "5",
        "The job ends before it can be cancelled, or runs on although that was requested.",
        "The message says what really became of the job. If it succeeded or failed, that is the "
        "result of the task.",
        {
            "tests/unit/api/test_jobs_cancel.py": (
                "test_a_job_that_ends_before_the_delete_is_returned_as_it_ended",
                "test_a_job_that_runs_on_after_a_conflict_is_returned_as_running",
                "test_a_cancelled_job_whose_status_lags_is_read_until_it_has_ended",
                "test_a_job_that_cannot_be_read_after_its_cancel_is_returned_as_last_read",
            ),
            "tests/unit/test_outcome.py": ("TestCancelText::test_it_names_the_status",),
            "tests/integration/test_operator_timeouts.py": (
                "TestWhatBecameOfTheJob::test_it_was_cancelled",
                "TestWhatBecameOfTheJob::test_it_runs_on_after_a_conflict",
                "TestWhatBecameOfTheJob::"
                "test_a_job_that_failed_meanwhile_is_reported_with_its_reason",
                "TestWhatBecameOfTheJob::test_a_job_that_succeeded_meanwhile_is_a_success",
                "TestWhatBecameOfTheJob::test_a_job_that_may_not_be_cancelled",
                "TestWhatBecameOfTheJob::test_settings_that_cannot_be_read",
            ),
        },
    ),
    Case(
        ENDS,
        "11",
        "`timeout` is over in the middle of an outage, or while a request hangs.",
        "The wait ends all the same, and the task's own sync is cancelled. The attempts to cancel "
        "end after a minute.",
        {
            "tests/unit/api/test_jobs_wait.py": (
                "test_a_timeout_ends_the_wait_during_an_outage",
                "test_a_read_that_hangs_ends_with_the_wait",
            ),
            "tests/integration/test_job_trigger.py": (
                "TestTimeLimit::test_a_fault_ends_with_the_deadline",
                "TestTimeLimit::test_another_wait_that_hangs_in_the_token_exchange",
                "TestTimeLimit::test_all_requests_that_one_triggerer_sends_at_once_hang",
            ),
            "tests/unit/api/test_jobs_cancel.py": (
                "test_a_cancel_is_given_up_within_a_minute",
                "test_a_cancel_during_an_outage_is_given_up_within_a_minute",
            ),
            "tests/integration/test_operator_timeouts.py": (
                "TestOutageDuringTheWait::test_the_job_is_cancelled_once_airbyte_is_back",
                "TestOutageDuringTheWait::test_the_job_is_cancelled_although_it_was_never_read",
                "TestOutageDuringTheWait::test_a_read_that_hangs",
                "TestOutageDuringTheWait::test_a_response_that_drips",
                "TestOutageDuringTheWait::test_a_foreign_job_is_left_running",
            ),
        },
    ),
    Case(
        ENDS,
        "11",
        "`timeout` is over before the task could ask for a sync.",
        "It fails and starts none; Airflow may retry it. A request that is already on its way is "
        "not cut short, so that its sync can be cancelled.",
        {
            "tests/integration/test_operator_timeouts.py": (
                "TestOutageDuringTheStart::test_no_job_is_started",
                "TestOutageDuringTheStart::test_a_rate_limit",
                "TestOutageDuringTheStart::test_a_look_up_of_the_job_in_the_way",
                "TestOutageDuringTheStart::test_a_post_that_is_held_open_is_not_cut_short",
                "TestOutageDuringTheStart::test_the_job_of_a_lost_post_is_found_after_the_deadline",
            ),
            "tests/unit/api/test_creation.py": (
                "TestTimeout::test_an_outage_is_survived_up_to_it",
            ),
        },
    ),
    Case(
        ENDS,
        "11",
        "`timeout` of a sensor is over in the middle of an outage.",
        "The sensor ends at its timeout, in every mode, and `soft_fail` skips it.",
        {
            "tests/integration/test_job_sensor.py": (
                "test_an_outage_is_outlasted_no_longer_than_the_timeout",
                "test_a_response_that_does_not_end_is_waited_for_no_longer_than_the_timeout",
                "TestReschedule::test_an_outage_ends_with_the_timeout_since_the_first_poke",
                "TestSoftFail::test_soft_fail_skips_at_the_timeout",
            ),
        },
    ),
    Case(
        ENDS,
        "11",
        "A response arrives byte by byte and never ends.",
        "The whole call has a limit, and then counts as one without a response.",
        {
            "tests/unit/api/test_request_sent.py": (
                "test_a_response_that_drips_ends_with_the_total_timeout",
                "test_without_a_total_timeout_a_call_may_take_a_minute_longer_than_its_timeout",
            ),
        },
    ),
    Case(
        ENDS,
        "11",
        "`timeout` is over when a deferred task resumes, after it waited for another job.",
        "The task fails, and starts no sync.",
        {
            "tests/integration/test_operator_timeouts.py": (
                "TestDeadlineIsOver::test_when_the_task_resumes_after_a_foreign_job",
                "TestDeadlineIsOver::test_when_the_foreign_job_was_cancelled",
                "TestDeadlineIsOver::test_when_the_task_resumes_after_a_pause",
                "TestDeadlineIsOver::test_while_a_foreign_job_ends",
            ),
        },
    ),
    Case(
        ENDS,
        "D9",
        "A triggerer is so late that another one takes its waits over, and then it goes on.",
        "It cancels nothing: it asks Airflow first whether the task still waits.",
        {
            "tests/integration/test_job_trigger.py": (
                "TestStoppedByATriggerer::"
                "test_the_job_of_a_task_that_waits_elsewhere_is_left_running",
                "TestStoppedByATriggerer::test_the_job_of_a_task_that_waits_no_more_is_cancelled",
                "TestStoppedByATriggerer::"
                "test_a_job_is_left_running_if_airflow_does_not_say_whether_its_task_waits",
            ),
            "tests/system/cluster/test_triggerers.py": (
                "test_a_triggerer_that_comes_back_after_its_waits_were_taken_over_cancels_none",
            ),
        },
    ),
    Case(
        ENDS,
        "K1",
        "A user clears or marks a task that waits, marks its DAG run failed, or deletes the run "
        "once it has ended. A deferred task needs Airflow 3.3.",
        "Its own sync is cancelled, within 10 s if Airbyte responds. After a clear, the new try "
        "ends with a sync of its own, and needs no retry for that.",
        {
            "tests/system/cluster/test_user_actions.py": (
                "test_the_job_is_cancelled_within_seconds_when",
                "test_after_a_clear_the_new_try_ends_with_a_sync_of_its_own",
            ),
        },
    ),
    Case(
        ENDS,
        "K2",
        "`execution_timeout` ends a wait, on a worker or in a triggerer.",
        "The task's own sync is cancelled, and the log says so.",
        {
            "tests/system/cluster/test_user_actions.py": (
                "test_execution_timeout_cancels_the_job_and_the_log_says_so",
            ),
        },
    ),
    Case(
        ENDS,
        "K3",
        "Airbyte is away when the sync of a killed task should be cancelled.",
        "The log has the id of the sync, and says to cancel it by hand.",
        {
            "tests/system/cluster/test_outages.py": (
                "test_waits_outlast_an_outage_and_what_is_not_cancelled_in_it_is_in_the_log",
            ),
        },
    ),
    Case(
        ENDS,
        "K4",
        "A triggerer is stopped, or dies with many waits.",
        "They go on in another one, or in the same once it is back. No sync is cancelled, and "
        "none is started again.",
        {
            "tests/system/cluster/test_triggerers.py": (
                "test_a_triggerer_restart_neither_cancels_nor_restarts_a_job",
                "test_a_triggerer_is_killed_and_the_other_takes_over_a_hundred_waits",
            ),
        },
    ),
    Case(
        ENDS,
        "K5",
        "The scheduler dies during waits.",
        "They go on, and each task ends with its sync once the scheduler is back.",
        {
            "tests/system/cluster/test_killed_processes.py": (
                "test_the_scheduler_is_killed_and_no_wait_is_lost_or_doubled",
            ),
        },
    ),
    Case(
        OUTAGES,
        "23",
        "Airbyte is away when a task starts.",
        "Requests are repeated for up to 2 minutes, however many attempts that takes. "
        "`Retry-After` is honoured, up to 60 s.",
        {
            "tests/unit/api/test_requests.py": (
                "test_a_start_survives_that_airbyte_is_away_for_30_seconds",
                "test_a_read_gives_up_after_two_minutes",
                "test_retry_after_is_honoured",
                "test_retry_after_is_limited_to_a_minute",
            ),
            "tests/unit/api/test_retry.py": (
                "test_a_request_is_retried_for_two_minutes_whatever_the_jitter",
            ),
        },
    ),
    Case(
        OUTAGES,
        "8",
        "An ingress, a proxy or a gateway responds instead of Airbyte when a task starts, with any "
        "status, often with HTML.",
        "The request is repeated. If that goes on, the task fails and Airflow may retry it: only "
        "Airbyte itself can fail a task for good.",
        {
            "tests/integration/test_trigger_sync_operator.py": (
                "test_a_start_survives_the_pages_of_an_ingress",
            ),
            "tests/unit/api/test_retry.py": (
                "test_only_airbyte_itself_says_what_is_permanent",
                "test_the_decisions_about_each_error",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "TestAnIngressInsteadOfAirbyte::test_it_is_outlasted_at_the_start_of_a_task",
                "TestAnIngressInsteadOfAirbyte::test_it_is_not_permanent_when_it_stays",
                "TestAnIngressInsteadOfAirbyte::test_it_hides_no_job_that_was_created",
            ),
        },
    ),
    Case(
        OUTAGES,
        "8",
        "Airbyte cannot be reached during a wait, or something else responds.",
        "The wait goes on for up to 10 minutes without one good response, but never longer than "
        "`timeout`. `Retry-After` is honoured, up to 60 s. When the time is over, the task fails "
        "and Airflow may retry it.",
        {
            "tests/unit/api/test_jobs_wait.py": (
                "test_an_outage_of_nine_minutes_is_survived",
                "test_an_outage_of_eleven_minutes_ends_the_wait",
                "test_a_good_response_resets_the_failure_budget",
            ),
            "tests/unit/api/test_retry.py": ("test_what_a_wait_survives_is_never_permanent",),
            "tests/unit/api/test_waiting.py": (
                "test_the_pause_that_a_response_demands_is_kept_within_limits",
            ),
            "tests/integration/test_trigger_sync_operator.py": (
                "test_the_wait_survives_an_outage",
            ),
        },
    ),
    Case(
        OUTAGES,
        "11",
        "A job has ended, and what only adds to the message cannot be read: the name of the "
        "connection, or why the job failed.",
        "The message goes without it after some seconds.",
        {
            "tests/unit/api/test_jobs_outcome.py": (
                "test_details_that_cannot_be_read_hold_up_a_task_for_seconds",
                "test_the_error_refers_to_the_log_if_the_config_api_fails",
                "test_an_unreadable_connection_is_named_by_its_id",
            ),
        },
    ),
    Case(
        OUTAGES,
        "8",
        "The connection test gets an HTML page.",
        "It says at once that the URL is wrong: a person is waiting.",
        {
            "tests/integration/test_test_connection.py": (
                "test_an_html_page_is_reported",
                "test_an_unhealthy_airbyte_is_reported_without_a_retry",
            ),
        },
    ),
    Case(
        OUTAGES,
        "22",
        "A CDN, an API gateway or a mesh responds in JSON.",
        "The body shows who wrote it; a `title` or a `message` alone does not make it Airbyte's. "
        "The error says that a gateway or proxy responded.",
        {
            "tests/unit/api/test_errors.py": (
                "test_a_response_of_airbyte_is_recognised",
                "test_a_response_of_a_proxy_gateway_or_cdn_is_not_one_of_airbyte",
                "test_a_message_says_that_a_gateway_responded",
                "test_every_kind_of_rejection_of_the_emulator_is_recognised",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "test_the_json_of_a_gateway_is_not_airbytes",
            ),
        },
    ),
    Case(
        OUTAGES,
        "22",
        "A CDN responds with 520 to 530.",
        "That is an outage for every request, also for a token, a status or a cancellation.",
        {
            "tests/unit/api/test_retry.py": ("test_the_decisions_about_each_error",),
            "tests/unit/api/test_auth.py": (
                "test_a_gateway_that_rejects_the_exchange_is_named_and_outlasted",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "TestCdnInsteadOfAirbyte::test_a_read_outlasts_it",
                "TestCdnInsteadOfAirbyte::test_a_cancel_outlasts_it",
                "TestCdnInsteadOfAirbyte::test_a_job_that_was_created_behind_it_is_found",
                "TestCdnInsteadOfAirbyte::test_its_retry_after_is_honoured",
            ),
        },
    ),
    Case(
        OUTAGES,
        "22",
        "A request for one job gets 404, which Airbyte never sends there.",
        "Something else responded, so this is an outage.",
        {
            "tests/unit/api/test_errors.py": (
                "test_airbyte_itself_never_says_404_about_one_job",
                "test_the_404_of_the_published_contract_would_be_airbytes",
            ),
        },
    ),
    Case(
        OUTAGES,
        "10",
        "Airbyte says that a sync is running, but lists none: the connection's workflow is gone.",
        "The start is repeated for 5 minutes. Then the task fails, and its message says what to do "
        "in Airbyte.",
        {
            "tests/integration/test_operator_timeouts.py": (
                "TestDeletedWorkflow::test_it_fails_after_minutes",
                "TestDeletedWorkflow::test_it_fails_at_the_timeout",
                "TestDeletedWorkflow::test_it_recovers_when_the_workflow_is_repaired",
            ),
        },
    ),
    Case(
        OUTAGES,
        "13",
        "Airbyte holds many calls open at once, such as cancellations.",
        "They have connections of their own, so all other waits go on. A request that gets no free "
        "connection in time was not sent, and is repeated.",
        {
            "tests/unit/api/test_connection_pools.py": (
                "test_requests_that_are_held_open_do_not_delay_others",
                "test_a_request_that_gets_no_free_connection_is_not_sent",
            ),
            "tests/integration/test_job_trigger.py": (
                "TestTimeLimit::test_a_delete_that_is_held_open_holds_up_no_wait",
            ),
        },
    ),
    Case(
        SECRETS,
        "12",
        "Many waits or threads need a token at the same time.",
        "One of them requests it, and all share the result, a failure too.",
        {
            "tests/unit/api/test_tokens.py": (
                "test_many_threads_share_one_exchange",
                "test_many_coroutines_share_one_exchange_and_one_renewal",
            ),
            "tests/unit/api/test_token_storms.py": (
                "TestFailures::test_all_who_wait_for_an_exchange_share_its_failure",
                "TestThreadsThatShareAClient::test_a_refused_token_costs_one_exchange",
                "TestThreadsThatShareAClient::test_rejected_credentials_cost_one_exchange",
                "TestCancelledExchanges::"
                "test_a_cancelled_exchange_is_no_failure_of_those_who_waited",
            ),
            "tests/integration/test_job_trigger.py": (
                "TestManyWaits::test_all_waits_share_one_token",
            ),
        },
    ),
    Case(
        SECRETS,
        "12",
        "Airbyte refuses a token with 401.",
        "A new token is requested once. If that one is refused too, that is an outage of the "
        "identity provider: the next request for a token is put off, for all waits together.",
        {
            "tests/unit/api/test_tokens.py": (
                "test_a_request_with_a_rejected_token_is_replayed_with_a_new_one",
                "test_a_rejected_new_token_raises_authentication_error",
            ),
            "tests/unit/api/test_token_storms.py": (
                "TestRefusedTokens::test_the_first_refused_token_is_replaced_at_once",
                "TestRefusedTokens::test_many_refusals_of_one_token_count_once",
                "TestRefusedTokens::test_while_new_tokens_are_refused_the_exchanges_back_off",
                "TestRefusedTokens::test_an_accepted_token_ends_the_outage",
            ),
        },
    ),
    Case(
        SECRETS,
        "12",
        "The token endpoint fails, or rejects client id and secret.",
        "The next request for a token is put off, for all waits together. `Retry-After` is "
        "honoured, up to 60 s.",
        {
            "tests/unit/api/test_token_storms.py": (
                "TestFailures::test_the_next_exchange_is_put_off_for_all_together",
                "TestFailures::test_rejected_credentials_are_not_exchanged_again_for_a_minute",
                "TestFailures::test_retry_after_puts_the_next_exchange_off",
                "TestThreadsThatShareAClient::"
                "test_an_outage_of_the_token_endpoint_is_outlasted_with_few_exchanges",
                "test_a_start_outlasts_the_same_outage_of_the_token_endpoint_as_of_airbyte",
            ),
        },
    ),
    Case(
        SECRETS,
        "26",
        "A client secret, the token of a gateway in `headers` or the password of a proxy is "
        "rotated while a task is deferred.",
        "After a 401, a 403, a login page or a rejected tunnel, the wait reads the Airflow "
        "connection again before it gives up.",
        {
            "tests/integration/test_job_trigger.py": (
                "TestSecretRotatedDuringTheWait::test_the_airflow_connection_is_read_again",
                "TestSecretRotatedDuringTheWait::test_an_unchanged_secret_is_a_permanent_error",
            ),
            "tests/unit/api/test_outdated_settings.py": (
                "test_a_wait_reads_its_settings_again_before_it_retries",
                "test_a_proxy_that_rejects_a_tunnel_may_want_a_new_password",
            ),
            "tests/integration/test_rotation.py": (
                "TestRotatedKeyOfAGateway::test_the_wait_goes_on_with_the_new_key_at_once",
                "TestRotatedKeyOfAGateway::test_also_if_the_gateway_is_before_the_token_endpoint",
                "TestRotatedKeyOfAGateway::"
                "test_with_an_unchanged_key_it_is_an_outage_with_one_read_a_minute",
                "TestRotatedKeyOfAGateway::"
                "test_a_killed_task_reads_the_new_key_and_cancels_its_job",
                "TestRotatedClientSecret::"
                "test_a_secrets_backend_that_fails_at_that_moment_is_outlasted",
                "TestRotatedClientSecret::"
                "test_all_waits_share_the_refused_exchange_the_read_and_the_new_token",
                "TestRotatedClientSecret::"
                "test_an_unchanged_secret_fails_all_waits_with_few_exchanges",
            ),
        },
    ),
    Case(
        SECRETS,
        "18",
        "A gateway validates requests against Airbyte's published contract.",
        "The token request has every field that the contract requires, `grant_type` too.",
        {
            "tests/unit/api/test_auth.py": (
                "test_a_token_is_requested_with_the_grant_type_of_the_public_api",
                "test_the_token_request_fulfils_the_published_contract",
            ),
        },
    ),
    Case(
        SECRETS,
        "20",
        "A response, or an exception of a library, repeats a secret, a token, a configuration or "
        "the password of a proxy.",
        "It is masked in every message, log line and stored event.",
        {
            "tests/unit/api/test_scrubbing.py": (
                "test_what_looks_like_a_secret_is_masked",
                "test_a_given_secret_is_masked_in_every_encoding",
                "test_an_error_does_not_repeat_the_secrets_of_its_request",
                "test_a_decode_error_does_not_repeat_the_secrets_of_its_request",
            ),
            "tests/unit/api/test_secrets.py": (
                "test_no_log_repr_or_exception_contains_a_secret",
                "test_a_rejected_configuration_is_not_quoted",
                "test_what_a_proxy_repeats_of_its_login_is_not_shown",
            ),
            "tests/unit/api/test_proxies.py": (
                "test_what_a_proxy_repeats_of_its_password_is_not_shown",
                "test_no_part_of_a_password_is_shown_where_a_long_reason_ends",
            ),
            "tests/unit/test_traces.py": ("test_a_test_that_shows_a_secret_fails",),
            "tests/system/test_secrets.py": (
                "test_a_failed_task_says_why_without_the_secrets_that_airbyte_repeats",
                "test_a_connection_test_with_a_wrong_secret_leaves_nothing_behind",
            ),
        },
    ),
    Case(
        SECRETS,
        "20",
        "A certificate has expired, or is for another host or of an unknown authority, or a "
        "client certificate is missing or rejected.",
        "The call fails, and the message says which of them it is and what to change. "
        "`verify_tls=false` is warned about.",
        {
            "tests/unit/api/test_tls.py": (
                "test_a_certificate_of_an_unknown_authority_is_rejected",
                "test_a_certificate_for_another_host_is_rejected",
                "test_an_expired_certificate_is_rejected_and_no_authority_would_help",
                "test_a_self_signed_certificate_is_rejected_until_it_is_the_ca_bundle",
                "test_a_missing_client_certificate_fails_the_request",
                "test_a_client_certificate_that_the_server_rejects_is_named",
                "test_the_advice_follows_the_alert_of_the_server",
                "test_any_certificate_is_accepted_without_verification_and_a_warning_says_so",
            ),
            "tests/integration/test_encrypted_connections.py": (
                "test_a_task_works_with_a_custom_authority_and_a_client_certificate",
                "test_the_connection_test_uses_the_same_certificates",
                "test_a_connection_test_without_verification_warns",
            ),
        },
    ),
    Case(
        SECRETS,
        "20",
        "A response redirects to another host, port or scheme, whatever its status, or a list "
        "links there.",
        "That is not followed, so neither token nor secret gets there.",
        {
            "tests/unit/api/test_redirects.py": (
                "test_a_redirect_is_a_response_and_is_not_followed",
                "test_a_redirect_from_https_is_not_followed_to_http",
                "test_a_redirect_of_the_token_request_does_not_take_the_secret_along",
                "test_a_redirect_of_a_call_does_not_take_the_token_along",
                "test_the_links_of_a_list_are_not_followed_to_another_host",
            ),
        },
    ),
    Case(
        SECRETS,
        "20",
        "An id, a name, a header, a credential or a URL contains a line break, a path, a query or "
        "another host.",
        "It stays one value of the request, or is refused before anything is sent.",
        {
            "tests/unit/api/test_injection.py": (
                "TestIds::test_an_id_is_one_segment_of_the_path",
                "TestIds::test_an_id_that_would_be_another_path_is_not_sent",
                "TestIds::test_a_value_of_a_query_stays_one_value",
                "TestIds::test_a_name_is_a_value_of_the_body",
                "TestSettings::test_credentials_are_values_of_the_body",
                "TestSettings::test_a_header_is_sent_as_it_is_or_refused",
                "TestSettings::test_a_header_that_would_change_the_framing_is_refused",
                "TestSettings::test_a_url_leads_to_its_host_and_no_further_than_its_path",
                "TestSettings::test_a_host_is_a_host_or_refused",
            ),
        },
    ),
    Case(
        ANSWERS,
        "14",
        "A job has a negative duration or another value that cannot be read.",
        "What is only information counts as missing. A job needs nothing but id, status and "
        "connection.",
        {
            "tests/unit/api/test_models.py": (
                "test_a_duration_that_cannot_be_read_counts_as_missing",
                "test_a_timestamp_that_cannot_be_read_counts_as_missing",
                "test_an_optional_field_of_the_wrong_type_counts_as_missing",
                "test_a_job_needs_nothing_but_id_status_and_connection",
            ),
            "tests/unit/api/test_reliability_over_sockets.py": (
                "TestClocksThatDiffer::test_a_job_with_a_negative_duration_has_ended",
                "TestClocksThatDiffer::test_it_blinds_no_search_for_a_running_job",
                "TestClocksThatDiffer::test_it_blinds_no_search_for_a_job_whose_response_was_lost",
            ),
        },
    ),
    Case(
        ANSWERS,
        "14",
        "A list contains jobs or other items that cannot be read.",
        "They are left out, with a warning. If none can be read, that is an error, and no sync is "
        "started.",
        {
            "tests/unit/api/test_response.py": (
                "test_a_list_leaves_out_what_cannot_be_read_with_one_warning",
                "test_a_list_of_which_nothing_can_be_read_is_an_error",
                "test_an_item_that_is_left_out_does_not_end_the_pages",
            ),
            "tests/unit/api/test_jobs_create.py": ("test_unreadable_jobs_forbid_a_start",),
        },
    ),
    Case(
        ANSWERS,
        "15",
        "A response is malformed: a header, a date, its encoding, or JSON that is nested too "
        "deeply.",
        "The task fails with a clear message or the call is repeated, in the same way on workers "
        "and triggerers.",
        {
            "tests/unit/api/test_response.py": (
                "test_whatever_a_server_sends_ends_in_the_error_tree",
            ),
            "tests/unit/api/test_transports.py": (
                "test_a_malformed_response_is_a_response_or_an_error_of_this_client",
                "test_a_location_that_cannot_be_parsed_is_only_a_header",
                "test_headers_are_read_as_utf_8_and_what_is_invalid_is_replaced",
            ),
            "tests/unit/api/test_http.py": (
                "test_json_that_is_nested_too_deeply_raises_a_value_error",
            ),
            "tests/unit/api/test_retry.py": (
                "test_any_text_is_accepted_as_retry_after_and_as_date",
            ),
            "tests/unit/api/test_errors.py": ("test_any_response_gives_a_one_line_message",),
        },
    ),
    Case(
        ANSWERS,
        "27",
        "An identity-aware proxy sends very long response headers.",
        "Each may be up to 64 KB long, on workers and triggerers.",
        {
            "tests/unit/api/test_transports.py": (
                "test_long_response_headers_are_read",
                "test_headers_that_are_too_long_are_a_lost_response",
            ),
        },
    ),
    Case(
        ANSWERS,
        "19",
        "A job id is unknown, and Airbyte says that the job is not running.",
        "The message says that this Airbyte has no such job.",
        {
            "tests/unit/api/test_errors.py": (
                "test_a_409_to_a_read_of_a_job_says_that_its_id_is_unknown",
                "test_another_409_says_nothing_about_the_id",
                "test_the_emulators_answer_about_an_unknown_job_is_permanent",
            ),
            "tests/unit/api/test_jobs_wait.py": (
                "test_an_unknown_job_ends_the_wait_of_an_administrator_at_once",
            ),
        },
    ),
    Case(
        ANSWERS,
        "J1",
        "A job has failed.",
        "The log has each failure of each attempt, with origin, type, stream and message, and "
        "the last lines of the log of the last failed attempt: at most 30, and 8 kB. The error "
        "has the first of these reasons.",
        {
            "tests/integration/test_job_reasons.py": (
                "test_the_log_of_the_task_says_why_the_job_failed",
            ),
            "tests/unit/api/test_job_reports.py": (
                "test_the_log_has_each_failure_of_each_attempt",
                "test_the_error_has_the_first_failure_of_the_newest_attempt",
                "test_the_log_ends_with_the_lines_of_the_last_failed_attempt",
                "test_only_the_end_of_a_long_log_is_quoted",
                "test_long_lines_are_cut_and_few",
                "test_many_attempts_and_failures_are_counted_instead",
            ),
        },
    ),
    Case(
        ANSWERS,
        "J2",
        "A job was cancelled.",
        "The log has the failures of its attempts, such as `manual_cancellation`.",
        {
            "tests/integration/test_job_reasons.py": (
                "test_a_cancelled_job_has_its_reason_in_the_log",
            ),
            "tests/unit/api/test_job_reports.py": (
                "test_a_cancelled_job_has_its_failures_in_the_log_but_not_its_lines",
            ),
        },
    ),
    Case(
        ANSWERS,
        "J3",
        "The config API is switched off, or an ingress lets only the public API pass.",
        "The log says so once, with what to do. The error is that of the job, without its reason.",
        {
            "tests/integration/test_job_reasons.py": (
                "test_a_blocked_config_api_is_reported_once",
            ),
            "tests/unit/api/test_jobs_outcome.py": (
                "test_a_closed_config_api_is_asked_once_for_each_job_and_reported_once",
                "test_the_log_says_what_to_do_about_a_gateway_that_blocks_the_config_api",
                "test_a_disabled_config_api_is_not_asked",
            ),
        },
    ),
    Case(
        ANSWERS,
        "J4",
        "Airbyte sends the attempts or the log of a failed job in an unknown form, or not at all.",
        "The error is that of the job all the same. A log that cannot be read is asked for once.",
        {
            "tests/unit/api/test_jobs_outcome.py": (
                "test_the_error_refers_to_the_log_if_the_config_api_fails",
            ),
            "tests/unit/api/test_job_reports.py": (
                "test_a_log_that_cannot_be_read_is_asked_for_once",
                "test_any_log_is_read_without_an_error",
                "test_any_details_are_read_or_rejected",
            ),
        },
    ),
    Case(
        ANSWERS,
        "J5",
        "The log of an attempt is larger than 16 MiB.",
        "It is not read any further, and the log of the task does without it.",
        {
            "tests/unit/api/test_job_reports.py": (
                "test_a_log_that_is_too_large_is_not_read_to_its_end",
            ),
            "tests/unit/api/test_transports.py": (
                "test_a_body_is_read_up_to_its_limit",
                "test_the_rest_of_a_body_is_not_waited_for",
                "test_a_connection_with_the_rest_of_a_body_is_not_used_again",
            ),
        },
    ),
    Case(
        ANSWERS,
        "J6",
        "A connector writes a secret, control characters or colours into a message or a log.",
        "They are removed before anything is logged or raised.",
        {
            "tests/integration/test_job_reasons.py": (
                "test_a_secret_in_a_log_reaches_neither_error_nor_log",
            ),
            "tests/unit/api/test_job_reports.py": (
                "test_no_secret_is_quoted",
                "test_control_characters_and_colours_are_removed",
            ),
        },
    ),
    Case(
        ANSWERS,
        "J7",
        "A task has a `retry_policy` of Airflow 3.3.",
        "It can decide by the origin and the type of the failure, which the error has as "
        "attributes.",
        {
            "tests/integration/test_example_dags.py": (
                "test_the_retry_policy_decides_as_its_docstring_says",
                "test_airflow_asks_the_retry_policy_about_a_failed_sync",
            ),
        },
    ),
    Case(
        EVIDENCE,
        "E1",
        "A sync ends successfully, and the public API says 0 rows, or none.",
        "With `min_rows`, the statistics of the config API decide. The message says whether "
        "Airbyte has statistics, and they say 0 rows, or whether it has none of this job. Both "
        "are too few.",
        {
            "tests/integration/test_evidence.py": (
                "TestStatistics::test_statistics_that_say_0_rows_are_named_as_such",
                "TestStatistics::test_missing_statistics_are_no_evidence_and_are_named_as_such",
                "TestStatistics::test_too_few_rows_can_skip_the_task",
                "TestStatistics::test_too_few_rows_can_cause_a_warning",
            ),
            "tests/unit/test_evidence.py": ("test_rows_that_nobody_has_counted_are_too_few",),
        },
    ),
    Case(
        EVIDENCE,
        "E1",
        "Airbyte has lost the statistics of a job, or stored them too early, and an attempt has "
        "reported its rows at its end.",
        "They count, and are `rows_synced` of the result.",
        {
            "tests/integration/test_evidence.py": (
                "TestStatistics::test_what_the_attempts_counted_decides_if_the_job_seems_empty",
            ),
            "tests/unit/test_evidence.py": ("test_the_best_number_counts",),
            "tests/unit/api/test_job_details.py": (
                "test_the_rows_of_a_job_are_those_that_surely_arrived",
            ),
        },
    ),
    Case(
        EVIDENCE,
        "E2",
        "The config API is closed, and the public API says 0 rows.",
        "That is too few. The message says that it is not known whether there are statistics, and"
        " how to know it next time.",
        {
            "tests/integration/test_evidence.py": (
                "TestStatistics::test_a_closed_config_api_leaves_open_which_of_the_two_it_is",
                "TestStatistics::test_a_config_api_that_is_switched_off_is_not_asked",
                "TestStatistics::"
                "test_a_closed_config_api_leaves_no_question_about_a_number_that_is_not_0",
            ),
            "tests/unit/test_evidence.py": ("test_a_closed_config_api_is_named_with_what_to_do",),
        },
    ),
    Case(
        EVIDENCE,
        "E3",
        "A stream of `min_rows_of` has too few rows, or no counters.",
        "The message names it, and the rows of the others.",
        {
            "tests/integration/test_evidence.py": (
                "TestRowsOfStreams::test_each_stream_with_too_few_rows_is_named",
                "TestRowsOfStreams::test_a_stream_without_counters_is_named",
                "TestRowsOfStreams::test_a_name_may_have_its_namespace",
            ),
        },
    ),
    Case(
        EVIDENCE,
        "E3",
        "The config API is closed, and there is `min_rows_of`.",
        "The streams cannot be checked, which counts as too few rows: `on_too_few_rows` applies, "
        'and the message says so. With `"fail"`, the task is not retried, because each retry would '
        "sync for nothing.",
        {
            "tests/integration/test_evidence.py": (
                "TestRowsOfStreams::test_a_closed_config_api_leaves_open_whether_a_stream_has_rows",
                "TestRowsOfStreams::test_a_closed_config_api_can_cause_a_warning",
            ),
        },
    ),
    Case(
        EVIDENCE,
        "E2",
        "The config API is unavailable for minutes when the rows are checked.",
        "It is asked again for up to 10 minutes, so that no retry syncs again because of it. One "
        "that is closed is asked once.",
        {
            "tests/unit/api/test_job_details.py": (
                "test_they_are_read_after_an_outage_of_minutes",
                "test_an_outage_that_lasts_longer_is_given_up",
                "test_a_closed_config_api_is_asked_once",
                "test_a_gateway_that_hides_it_is_asked_once",
            ),
            "tests/integration/test_evidence.py": (
                "TestStatistics::test_an_outage_of_the_config_api_is_survived",
            ),
        },
    ),
    Case(
        EVIDENCE,
        "E2",
        "The number of the public API suffices, and there is no `min_rows_of`.",
        "The config API is not asked.",
        {
            "tests/integration/test_evidence.py": (
                "TestStatistics::test_the_config_api_is_not_asked_if_the_public_number_suffices",
                "TestStatistics::test_nothing_is_asked_or_said_about_a_job_without_a_condition",
            ),
            "tests/unit/test_evidence.py": ("test_enough_rows_by_the_public_api_need_no_other",),
        },
    ),
    Case(
        EVIDENCE,
        "E4",
        "A job fails or is cancelled after it has committed data.",
        "The error says that part of its data has arrived, and how many rows of which stream, if "
        "the config API says so.",
        {
            "tests/unit/api/test_jobs_outcome.py": (
                "test_the_error_names_the_streams_of_which_data_has_arrived",
                "test_the_error_counts_the_rows_of_attempts_that_had_a_partial_success",
                "test_a_cancelled_job_says_that_part_of_its_data_has_arrived",
                "test_nothing_has_arrived_of_a_job_that_committed_nothing",
            ),
            "tests/integration/test_evidence.py": (
                "TestPartialSuccess::test_a_job_that_failed_names_what_has_arrived",
            ),
        },
    ),
    Case(
        EVIDENCE,
        "L8",
        'With `min_rows="history"`, Airbyte is away when the last jobs are read.',
        "They are asked for again for up to 10 minutes. If they stay unreadable, "
        "`on_too_few_rows` applies: no job passes unchecked.",
        {
            "tests/integration/test_usual_rows.py": (
                "TestOutage::test_an_outage_of_the_list_is_survived",
                "TestOutage::test_a_history_that_stays_unreadable_is_no_silent_pass",
                "TestOutage::test_a_history_that_stays_unreadable_warns",
            ),
        },
    ),
    Case(
        EVIDENCE,
        "L8",
        'With `min_rows="history"`, there are fewer than five good jobs whose rows are known, or '
        "their median is 0 rows.",
        "Every number of rows is accepted, and the log says so.",
        {
            "tests/integration/test_usual_rows.py": (
                "TestUnusualHistories::test_with_fewer_than_five_good_jobs_each_number_is_"
                "accepted_and_a_line_says_so",
                "TestUnusualHistories::test_a_median_of_0_accepts_each_number_and_a_line_says_so",
                "TestUnusualHistories::test_a_connection_without_statistics_accepts_each_number",
            ),
        },
    ),
    Case(
        INPUT,
        "21",
        "A job id is passed to a sensor as a number, as a task's result, in a list, or as the text "
        "of any of these.",
        "The sensor finds the job. A DAG of the official provider runs with another prefix.",
        {
            "tests/integration/test_handing_over.py": (
                "test_every_usual_way_of_handing_over_a_job_id_finds_the_job",
                "test_a_dag_of_the_official_provider_runs_with_another_prefix",
            ),
            "tests/unit/test_parameters.py": (
                "test_a_job_id_is_found_in_every_form_in_which_it_is_passed_on",
                "test_no_job_id_is_said_to_come_from_a_task_that_pushed_none",
                "test_several_jobs_are_said_to_need_several_tasks",
            ),
        },
    ),
    Case(
        INPUT,
        "24",
        "A duration is a `timedelta`, a number, the text of a number or a template; `min_rows` "
        "likewise.",
        "It is converted. An invalid one is refused when the DAG is parsed, and an invalid value "
        "of a template before the first request.",
        {
            "tests/integration/test_operator_parameters.py": (
                "test_an_argument_is_converted_when_the_dag_is_parsed",
                "test_an_invalid_duration_is_refused_when_the_dag_is_parsed",
                "test_another_invalid_argument_is_refused_when_the_dag_is_parsed",
                "test_templates_are_checked_after_they_are_rendered",
                "test_an_invalid_value_of_a_template_fails_before_any_request",
                "test_a_value_that_a_resume_renders_differently_is_checked_again",
            ),
            "tests/integration/test_job_sensor.py": (
                "TestArguments::test_they_are_converted_when_the_dag_is_parsed",
                "TestArguments::test_an_invalid_duration_is_refused_when_the_dag_is_parsed",
                "TestArguments::test_templates_are_checked_again_on_resume",
                "TestArguments::test_an_invalid_value_of_a_template_fails_before_any_request",
            ),
        },
    ),
    Case(
        INPUT,
        "17",
        "`connection_id` is in upper case, or has blanks around it.",
        "It works, at the start and after each resume.",
        {
            "tests/integration/test_operator_parameters.py": (
                "test_a_connection_id_works_in_every_form_and_after_each_resume",
            ),
            "tests/unit/test_parameters.py": (
                "test_a_uuid_is_returned_in_the_form_that_airbyte_uses",
            ),
        },
    ),
    Case(
        INPUT,
        "F3",
        "The Airbyte URL is a page of the UI.",
        "Pages for login and setup, and those below `/workspaces` and `/organization/…`, lead to "
        "Airbyte.",
        {
            "tests/unit/api/test_settings.py": (
                "test_the_root_is_found_whatever_is_pasted_after_it",
            ),
        },
    ),
    Case(
        INPUT,
        "25",
        "The Airbyte URL is an endpoint, such as `/api/public/v1/jobs`, or ends in `/v1`.",
        "It leads to Airbyte too. What is not a URL is refused, with what it should look like.",
        {
            "tests/unit/api/test_settings.py": (
                "test_the_root_is_found_whatever_is_pasted_after_it",
                "test_the_path_of_airbyte_cloud_is_understood_on_another_host",
                "test_an_invalid_url_is_rejected_with_the_name_of_its_field",
            ),
            "tests/integration/test_connection_settings.py": (
                "test_all_forms_of_the_airbyte_url_give_the_same_roots",
            ),
        },
    ),
    Case(
        INPUT,
        "25",
        "An Airflow connection was made for the official provider, and has a token endpoint in "
        "Schema.",
        "Schema is ignored, also after the type is changed to Airbyte SME.",
        {
            "tests/integration/test_connection_settings.py": (
                "test_a_connection_of_the_official_provider_works",
                "test_a_connection_may_keep_its_schema_when_its_type_is_changed_to_ours",
                "test_a_token_endpoint_in_schema_is_not_glued_to_a_sub_path",
            ),
        },
    ),
    Case(
        INPUT,
        "16",
        "The host has non-ASCII characters, or the URL has blanks in it.",
        "The host is encoded as browsers do, on workers and triggerers; a URL with blanks is "
        "refused.",
        {
            "tests/unit/api/test_transports.py": (
                "test_a_url_that_is_not_ascii_is_encoded_as_browsers_do",
                "test_what_cannot_be_a_url_is_a_mistake_in_the_connection",
            ),
            "tests/unit/api/test_settings.py": ("test_a_carelessly_written_url_is_normalised",),
        },
    ),
    Case(
        INPUT,
        "16",
        "The environment has `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, and names, addresses or "
        "networks in `NO_PROXY`.",
        "Workers and triggerers choose the same proxy, as most tools do.",
        {
            "tests/unit/api/test_proxies.py": (
                "test_the_proxy_of_the_environment_is_chosen_as_by_most_tools",
                "test_the_proxy_of_the_environment_is_used",
                "test_a_host_in_no_proxy_is_reached_directly",
                "test_the_proxy_of_the_connection_overrides_the_environment",
            ),
        },
    ),
    Case(
        INPUT,
        "27",
        "A proxy is a SOCKS proxy.",
        "It is refused, with the name of the field or variable and with what to do. It does not "
        "matter for a host in `NO_PROXY`.",
        {
            "tests/unit/api/test_proxies.py": (
                "test_a_socks_proxy_is_rejected_with_what_to_do",
                "test_a_socks_proxy_does_not_matter_for_a_host_in_no_proxy",
            ),
        },
    ),
    Case(
        INPUT,
        "27",
        "The CA bundle of the connection, `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE` is a file or a "
        "directory.",
        "It works on workers and triggerers. If it cannot be read, the message names the field or "
        "the variable. For `http://` it is not read.",
        {
            "tests/unit/api/test_tls.py": (
                "test_a_variable_may_name_a_file_or_a_directory",
                "test_the_ca_bundle_of_the_connection_may_be_a_directory",
                "test_a_certificate_is_rejected_if_its_authority_is_not_in_the_directory",
                "test_requests_ca_bundle_comes_before_curl_ca_bundle",
                "test_an_unreadable_file_of_the_environment_is_named_with_its_variable",
                "test_no_file_of_the_environment_is_read_for_plain_http",
                "test_no_file_of_the_connection_is_read_for_plain_http",
            ),
        },
    ),
    Case(
        INPUT,
        "F4",
        "People open Airbyte under another URL than Airflow does, as in the compose cluster.",
        "Links to jobs lead to `web_url`.",
        {
            "tests/compose/test_compose_file.py": (
                "test_links_to_jobs_lead_to_a_port_that_the_cluster_publishes",
            ),
            "tests/integration/test_connection_settings.py": (
                "test_the_command_line_gives_the_same_settings_in_every_form",
            ),
        },
    ),
    Case(
        INPUT,
        "F6",
        "A DAG lists jobs with the hook.",
        "It gets all that match, or at most `limit`, however many pages that takes.",
        {
            "tests/unit/api/test_jobs_list.py": (
                "test_all_jobs_are_listed_by_default",
                "test_a_limit_is_read_in_as_many_pages_as_it_needs",
                "test_a_job_that_moves_to_the_next_page_is_listed_once",
            ),
            "tests/integration/test_hook.py": (
                "test_lists_longer_than_a_page_are_read_to_their_end",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R1",
        "The response to a creation is lost.",
        "The resource is looked for by its name, for half a minute, before the request is sent "
        "again. There is one.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "test_a_creation_whose_response_is_lost_is_found_and_not_repeated",
                "test_a_creation_that_ends_with_503_is_repeated_only_if_it_had_no_effect",
                "test_an_outage_while_a_lost_creation_is_looked_for_is_survived",
            ),
            "tests/unit/provisioning/test_properties.py": (
                "test_property_no_fault_makes_two_of_one_or_loses_a_change",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R1",
        "A task dies after a creation and before it returns.",
        "The next run finds the resource by its name and completes it.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "test_a_run_that_died_after_a_creation_is_completed_by_the_next",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R2",
        "Two tasks create a resource of one name at the same moment.",
        "Both look again afterwards. The oldest stays; the task that made the newer one deletes "
        "it, and says so.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "TestSeveralOfOneName::test_the_newer_one_that_this_task_created_is_deleted",
                "TestSeveralOfOneName::test_whoever_created_the_newer_one_deletes_it",
                "TestSeveralOfOneName::test_of_the_same_second_that_nobody_deletes_ours_is_deleted",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R2",
        "Several resources have the name, and none of them was surely created by this task.",
        "The task fails and names their ids. None is deleted.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "TestSeveralOfOneName::test_is_an_error_that_names_all_ids",
                "TestSeveralOfOneName::test_that_somebody_leaves_there_is_an_error",
                "TestSeveralOfOneName::"
                "test_of_which_none_is_surely_ours_is_an_error_and_none_is_deleted",
            ),
            "tests/unit/provisioning/test_deletion.py": (
                "test_an_ambiguous_name_is_an_error_with_the_ids",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R3",
        "A task with the same declaration runs again.",
        "It writes nothing, and its result is `unchanged`.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "test_a_pipeline_is_created_once_and_then_unchanged_without_a_write",
            ),
            "tests/unit/provisioning/test_properties.py": (
                "test_property_one_run_reaches_the_declared_state_and_the_second_writes_nothing",
            ),
            "tests/integration/test_resource_operators.py": ("test_a_second_run_writes_nothing",),
            "tests/integration/test_example_dags.py": (
                "test_provision_pipeline_creates_one_of_each_and_then_writes_nothing",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R3",
        "Somebody changes a resource in Airbyte.",
        "The next run shows each field, `declared → actual`, and writes only what differs.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "test_drift_is_reported_field_by_field",
                "test_only_what_differs_is_sent",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R3",
        "Airbyte has fields, streams or tags that are not declared.",
        "They are listed once and stay, unless the declaration is `exact`. A write sends them "
        "along where Airbyte would reset them.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "test_what_is_not_declared_is_listed_once_and_left_alone",
                "TestConnections::test_missing_tags_are_created_and_those_of_people_stay",
                "test_a_resource_allocation_survives_a_change_of_something_else",
            ),
            "tests/unit/provisioning/test_streams.py": (
                "test_all_streams_are_sent_whole_when_one_differs",
                "test_streams_that_are_not_declared_go_only_if_exact",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R4",
        "The response to a change is lost, or the change fails on the way.",
        "The resource is read again, and the change repeated only if it is not there.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "test_a_change_is_written_until_it_is_there",
            ),
            "tests/unit/provisioning/test_properties.py": (
                "test_property_no_fault_makes_two_of_one_or_loses_a_change",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R4",
        "Airbyte itself answers a write with 500.",
        "That can be the fault of the declaration: the message has Airbyte's reason, and nothing "
        "is repeated.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "test_a_500_that_may_be_the_callers_fault_is_shown_and_not_repeated",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R4",
        "Airbyte accepts a value and does not store it.",
        "What was written is read back, so this is an error with both values.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "test_a_value_that_airbyte_accepts_but_does_not_store_is_an_error",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R5",
        "A secret is declared as the mask, as Airbyte and exports show it.",
        "The stored one stays: a mask is never sent, because Airbyte would store it. If there is "
        "none, that is an error.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "TestSecrets::test_the_mask_keeps_the_stored_one",
                "TestSecrets::test_the_mask_creates_nothing",
            ),
            "tests/unit/provisioning/test_actors.py": (
                "test_the_mask_of_a_secret_that_is_not_stored_is_an_error",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R5",
        "A secret has not changed.",
        "It is not written again, also if something else is.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "TestSecrets::test_an_unchanged_one_is_not_sent_again_with_another_change",
            ),
            "tests/unit/provisioning/test_fingerprints.py": (
                "test_a_secret_is_written_for_a_reason",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R5",
        "The declared secret changes, or somebody else writes another one in Airbyte.",
        "It is written once. A fingerprint shows a change in the declaration, and the version "
        "that Airbyte gives each secret shows a change in Airbyte.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "TestSecrets::test_a_changed_one_is_written_once",
                "TestSecrets::test_one_that_somebody_else_changed_is_written_again",
            ),
            "tests/integration/test_resource_operators.py": (
                "TestSecrets::test_a_changed_secret_is_written_once",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R5",
        "The Airflow variable with the fingerprints is missing or broken, or cannot be read or "
        "written.",
        "The task goes on, with a warning unless it is only missing, and writes the secrets once "
        "more.",
        {
            "tests/integration/test_resource_operators.py": (
                "TestSecrets::test_a_broken_record_has_the_secrets_written_again",
                "TestSecrets::test_a_store_that_fails_does_not_fail_the_task",
            ),
            "tests/unit/provisioning/test_drift.py": (
                "TestSecrets::test_one_of_a_source_that_somebody_else_created_is_written_once",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R5",
        "A configuration has secrets.",
        "None is in a log, an XCom, a rendered field or an error, even if Airbyte repeats it.",
        {
            "tests/integration/test_resource_dags.py": (
                "test_secrets_arrive_in_airbyte_and_appear_nowhere_in_airflow",
            ),
            "tests/unit/provisioning/test_drift.py": (
                "TestSecrets::test_none_is_in_a_result_or_the_log",
                "TestSecrets::test_none_is_in_an_error_that_quotes_the_configuration",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R6",
        "A declared sync mode would make Airbyte delete the state of a stream.",
        "It is refused, with the streams, unless `allow_state_loss` is set or there is no state.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "TestConnections::test_a_sync_mode_that_would_lose_state_is_refused_until_allowed",
                "TestConnections::test_a_sync_mode_may_change_where_there_is_no_state",
            ),
            "tests/unit/provisioning/test_connections.py": (
                "test_a_change_that_deletes_state_must_be_allowed",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R6",
        "Another source, destination or connector is declared than the existing one has.",
        "That is an error with both. Nothing is deleted and created again.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "TestConnections::test_another_source_is_an_error",
                "test_another_connector_is_an_error_and_nothing_is_recreated",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R6",
        "Airbyte has disabled a connection, or somebody has deleted it.",
        "A disabled one stays so, unless `status` is declared. A deleted one is never revived: a "
        "new one is created.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "TestConnections::"
                "test_a_connection_that_airbyte_disabled_stays_disabled_unless_declared",
                "TestConnections::test_a_deleted_connection_is_never_revived",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R7",
        "A source does not offer a declared stream, sync mode, field or cursor.",
        "Every problem is said at once, with what is offered, before the connection is written.",
        {
            "tests/unit/provisioning/test_connections.py": (
                "test_what_is_not_offered_is_refused_before_anything_is_written",
            ),
            "tests/unit/provisioning/test_streams.py": (
                "test_all_that_is_not_offered_is_said_at_once",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R7",
        "A declaration is invalid, in itself or for its connector.",
        "Every problem is said at once, before the first write.",
        {
            "tests/unit/provisioning/test_drift.py": (
                "test_every_problem_of_a_pipeline_is_said_before_the_first_write",
            ),
            "tests/integration/test_resource_operators.py": (
                "TestArguments::test_invalid_ones_are_rejected_when_the_dag_is_parsed",
                "TestArguments::test_templates_are_checked_when_the_task_runs",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R7",
        "`dry_run` is set.",
        "The result is the changes that a run would make. Nothing is written, and no connector "
        "runs.",
        {
            "tests/unit/provisioning/test_convergence.py": (
                "test_a_dry_run_writes_nothing_and_discovers_nothing",
            ),
            "tests/integration/test_resource_operators.py": (
                "test_a_dry_run_returns_the_same_changes_and_writes_nothing",
            ),
            "tests/unit/provisioning/test_properties.py": (
                "test_property_one_run_reaches_the_declared_state_and_the_second_writes_nothing",
            ),
            "tests/integration/test_example_dags.py": (
                "test_apply_pipeline_file_plans_then_creates_then_writes_nothing",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R7",
        "An existing workspace is exported and the file applied.",
        "That changes nothing.",
        {
            "tests/integration/test_resource_operators.py": (
                "TestApply::test_applying_what_was_exported_changes_nothing",
            ),
            "tests/unit/provisioning/test_export.py": (
                "TestApplied::test_an_exported_source_is_unchanged",
                "TestApplied::test_an_exported_connection_is_unchanged",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R8",
        "What should be deleted is gone already, or the response to its deletion is lost.",
        "The task succeeds and says so.",
        {
            "tests/unit/provisioning/test_deletion.py": (
                "test_what_is_gone_is_absent",
                "test_an_unknown_name_is_absent",
                "test_a_deletion_survives_a_failed_response",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R8",
        "Other resources depend on what should be deleted.",
        "The task fails and names them, unless `cascade` is set.",
        {
            "tests/unit/provisioning/test_deletion.py": (
                "test_connections_that_would_go_with_it_are_named",
                "test_they_go_with_it_if_that_is_allowed",
                "test_a_workspace_is_not_deleted_while_something_is_in_it",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R8",
        "A workspace has more than 20 sources or destinations, of which Airbyte would forget the "
        "rest.",
        "All are deleted before it.",
        {
            "tests/unit/provisioning/test_deletion.py": (
                "test_every_actor_of_a_workspace_is_deleted_before_it",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R8",
        "The work between setup and teardown fails.",
        "The teardown deletes the sandbox all the same.",
        {
            "tests/integration/test_example_dags.py": (
                "test_sandbox_with_teardown_deletes_everything_whether_the_sync_succeeds_or_not",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R9",
        "A clear or a refresh is asked for while a job of the connection runs. Airbyte would "
        "cancel it without a warning.",
        "The job is looked for first, and `on_running` applies to it.",
        {
            "tests/integration/test_clear_operator.py": (
                "TestOnRunning::test_it_is_waited_for_and_not_cancelled",
                "TestOnRunning::test_skip_and_fail_leave_it_alone",
            ),
            "tests/integration/test_refresh_operator.py": (
                "TestOnRunning::test_a_sync_is_waited_for_and_stays_a_sync",
            ),
            "tests/unit/api/test_clear_and_refresh.py": (
                "TestStart::test_a_job_that_starts_during_a_pause_is_not_cancelled",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R9",
        "The response to a clear or a refresh is lost.",
        "Its job is found by job ids, as for a sync. There is no second one.",
        {
            "tests/integration/test_clear_operator.py": ("test_a_lost_response_clears_once",),
            "tests/integration/test_refresh_operator.py": (
                "test_a_lost_response_starts_no_second_refresh",
            ),
            "tests/unit/api/test_clear_and_refresh.py": (
                "TestLostResponse::test_the_job_is_found_and_is_ours",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R9",
        "The job that should be cancelled has ended, and another one runs on its connection.",
        "The other one is left alone: the job is read before each request.",
        {
            "tests/integration/test_cancel_operator.py": (
                "TestJob::test_another_job_of_its_connection_is_not_cancelled",
                "TestJob::test_one_that_another_replaces_meanwhile_is_not_read_as_running",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R10",
        "A connection is given by its name, and several or none have it.",
        "The task fails before it starts anything, with their ids or the closest names.",
        {
            "tests/integration/test_connection_names.py": (
                "TestNotFound::test_the_closest_names_are_said",
                "test_a_name_of_several_is_an_error_with_their_ids",
            ),
        },
    ),
    Case(
        RESOURCES,
        "R10",
        "A connection is renamed while its task is deferred.",
        "The name is looked up once, so the task goes on with the same connection.",
        {
            "tests/integration/test_connection_names.py": (
                "TestOneLookUp::test_a_resumed_task_uses_the_connection_of_the_job",
                "TestOneLookUp::test_a_task_that_pauses_uses_the_connection_that_it_found",
            ),
        },
    ),
    Case(
        SENSOR,
        "S1",
        "A sync is started by Airbyte's schedule, a person or another DAG.",
        "The sync sensor opens when it has succeeded since the instant, also if it started before.",
        {
            "tests/integration/test_sync_sensor.py": (
                "TestSyncOfSomebodyElse::test_one_that_has_completed_opens_the_gate_at_once",
                "TestSyncOfSomebodyElse::test_one_that_completes_during_the_wait_opens_it",
                "TestSyncOfSomebodyElse::"
                "test_one_that_was_started_before_counts_if_it_completes_after",
                "TestSyncOfSomebodyElse::test_one_that_completed_before_does_not",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestSyncWaits::test_a_sync_that_ended_before_the_trigger_starts_ends_it",
                "TestSyncWaits::"
                "test_waits_for_one_connection_and_for_its_job_end_with_the_same_job",
            ),
            "tests/system/test_sync_gates.py": ("test_a_gate_opens_when_a_sync_has_completed",),
        },
    ),
    Case(
        SENSOR,
        "S2",
        "A sync fails or is cancelled.",
        "The sensor waits for the next one. With `fail_on_failed_sync` it fails, unless another "
        "one succeeded since the instant.",
        {
            "tests/integration/test_sync_sensor.py": (
                "TestFailedSyncs::test_one_does_not_open_the_gate",
                "TestFailedSyncs::test_one_ends_the_wait_if_that_is_wanted",
                "TestFailedSyncs::test_a_success_wins_over_it",
                "TestFailedSyncs::test_one_that_failed_before_the_instant_does_not_count",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestSyncWaits::test_an_unsuccessful_sync_does_not_end_it",
                "TestSyncWaits::test_an_unsuccessful_sync_ends_it_if_that_is_wanted",
            ),
        },
    ),
    Case(
        SENSOR,
        "S3",
        "A clear or reset ends, or a refresh.",
        "Only the refresh opens the gate.",
        {
            "tests/integration/test_sync_sensor.py": (
                "TestSyncOfSomebodyElse::test_a_refresh_opens_it_and_a_reset_does_not",
            ),
            "tests/unit/api/test_ended_syncs.py": (
                "TestSearch::test_a_refresh_counts_and_a_reset_does_not",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestSyncWaits::test_a_refresh_ends_the_wait_and_a_reset_does_not",
            ),
        },
    ),
    Case(
        SENSOR,
        "S4",
        "The connection has hundreds of jobs, or its server ignores filter and order.",
        "The sync is found, and an earlier one does not count.",
        {
            "tests/unit/api/test_ended_syncs.py": (
                "TestSearch::test_many_older_and_newer_jobs_do_not_hide_it",
                "TestSearch::test_an_earlier_success_does_not_count",
                "TestSearch::test_a_later_success_counts_whoever_started_it_and_whenever",
                "TestDecision::test_the_newest_counts_in_whatever_order_they_come",
            ),
        },
    ),
    Case(
        SENSOR,
        "S5",
        "A sync ends in the same second as the instant. Airbyte's responses show whole seconds.",
        "Airbyte's own filter decides, which knows fractions.",
        {
            "tests/unit/api/test_ended_syncs.py": (
                "TestFractionsOfASecond::test_the_servers_filter_decides_within_the_same_second",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestLists::test_an_end_in_the_same_second_as_the_instant_is_read_exactly",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestInstants::test_each_wait_ends_with_the_first_sync_after_its_own_instant",
            ),
        },
    ),
    Case(
        SENSOR,
        "S6",
        "A sensor's connection is unknown, and Airbyte lists no jobs of it.",
        "The sensor fails at once.",
        {
            "tests/integration/test_sync_sensor.py": (
                "TestConnection::test_an_unknown_one_fails_at_once",
                "TestConnection::test_an_unknown_one_fails_at_once_for_an_instance_administrator",
            ),
            "tests/integration/test_start_from_trigger.py": (
                "TestConnection::test_an_unknown_one_fails_for_good",
                "TestConnection::test_an_unknown_one_fails_for_good_for_an_instance_administrator",
            ),
        },
    ),
    Case(
        SENSOR,
        "S7",
        "The connection is inactive.",
        "The log warns that Airbyte starts no sync of it.",
        {
            "tests/integration/test_sync_sensor.py": (
                "TestConnection::test_an_inactive_one_is_warned_of",
            ),
            "tests/integration/test_start_from_trigger.py": (
                "TestConnection::test_an_inactive_one_is_warned_of",
            ),
        },
    ),
    Case(
        SENSOR,
        "S8",
        "Airbyte is away while the connection or its syncs are read.",
        "The sensor goes on, no longer than its timeout.",
        {
            "tests/integration/test_sync_sensor.py": (
                "TestConnection::test_an_outage_while_it_is_read_is_outlasted",
                "TestTimeout::test_an_outage_is_outlasted_no_longer",
                "TestTimeout::test_a_response_that_does_not_end_is_waited_for_no_longer",
            ),
            "tests/unit/api/test_ended_syncs.py": (
                "TestPolling::test_an_outage_is_outlasted",
                "TestPolling::test_the_failure_budget_limits_it",
            ),
        },
    ),
    Case(
        SENSOR,
        "S9",
        "`start_from_trigger` meets what a triggerer cannot render.",
        "It is refused when the DAG is parsed, with what to write instead.",
        {
            "tests/integration/test_start_from_trigger.py": (
                "TestRefusedWhenTheDagIsParsed::test_the_output_of_a_task",
                "TestRefusedWhenTheDagIsParsed::test_an_xcom_pull_without_map_indexes",
                "TestRefusedWhenTheDagIsParsed::test_what_a_triggerer_cannot_answer",
                "TestRefusedWhenTheDagIsParsed::test_a_template_as_timeout",
                "TestRefusedWhenTheDagIsParsed::test_a_connection_name",
            ),
        },
    ),
    Case(
        SENSOR,
        "S9",
        "A template that a triggerer renders has an invalid value.",
        "The sensor fails before the first request, and Airflow does not retry it.",
        {
            "tests/integration/test_start_from_trigger.py": (
                "TestInTheTriggerer::test_an_invalid_value_of_a_template_fails_for_good",
            ),
        },
    ),
    Case(
        SENSOR,
        "S10",
        "A triggerer restarts during a wait that began there.",
        "The deadline stays the same.",
        {
            "tests/integration/test_start_from_trigger.py": (
                "TestInTheTriggerer::test_a_restarted_triggerer_goes_on_with_the_same_deadline",
            ),
        },
    ),
    Case(
        SENSOR,
        "S11",
        "Airflow cannot start the task in a triggerer.",
        "A worker starts the wait, and the log says so once.",
        {
            "tests/integration/test_start_from_trigger.py": (
                "TestOnAWorker::test_the_wait_is_deferred_and_the_log_says_so_once",
                "TestOnAWorker::test_an_older_airflow_is_not_told_to_start_it_in_a_triggerer",
                "TestOnAWorker::test_a_mapped_task_has_no_trigger_to_start",
            ),
        },
    ),
    Case(
        SENSOR,
        "S12",
        "A trigger crashes, and the sensor has `soft_fail`.",
        "The sensor fails.",
        {
            "tests/integration/test_start_from_trigger.py": (
                "TestTriggerThatEndsWithoutAnEvent::test_one_that_has_crashed_fails_the_sensor",
            ),
        },
    ),
    Case(
        ASSETS,
        "A1",
        "Airbyte is away when a task with `emit_assets` reads which tables its job has written.",
        "They are asked for again for up to 10 minutes. After that, or if Airbyte refuses, the "
        "task succeeds without events, and one warning says so.",
        {
            "tests/integration/test_assets.py": (
                "TestTrouble::test_a_short_outage_costs_no_events",
                "TestTrouble::test_an_outage_of_minutes_costs_no_events",
                "TestTrouble::test_an_outage_that_lasts_costs_the_events_and_not_the_task",
                "TestTrouble::test_a_refusal_is_one_warning",
                "TestTrouble::test_an_error_that_nobody_expects_fails_no_task",
            ),
        },
    ),
    Case(
        ASSETS,
        "A2",
        "`execution_timeout` is over meanwhile.",
        "The same: the task succeeds, because its data has arrived.",
        {
            "tests/integration/test_assets.py": (
                "TestTrouble::test_execution_timeout_ends_the_wait_for_airbyte_and_not_the_task",
            ),
        },
    ),
    Case(
        ASSETS,
        "A3",
        "A task is deferred, raises an alarm, takes over the job of an earlier try, or attaches "
        "to one of somebody else.",
        "There is one event for each table that has got rows, from the process in which the task "
        "succeeds.",
        {
            "tests/integration/test_assets.py": (
                "TestExactlyOnce::test_the_process_that_defers_emits_nothing",
                "TestExactlyOnce::test_the_process_that_raises_an_alarm_emits_nothing",
                "TestExactlyOnce::test_a_retry_that_takes_over_a_job_emits_once",
                "TestExactlyOnce::test_a_job_of_somebody_else_counts_if_the_task_attaches_to_it",
                "TestExactlyOnce::test_a_task_that_waits_for_another_job_first_emits_its_own_only",
                "TestExactlyOnce::test_streams_that_share_a_table_have_one_event_with_the_rows_of"
                "_all",
            ),
        },
    ),
    Case(
        ASSETS,
        "A4",
        "Airbyte has stored the counters of some streams too early, or those of a failed attempt "
        "hide them.",
        "A stream whose rows are not known to be none has its event.",
        {
            "tests/integration/test_assets.py": (
                "TestWithoutData::test_a_stream_may_have_moved_rows_that_are_not_counted_yet",
                "TestWithoutData::test_rows_of_a_failed_attempt_do_not_hide_those_of_the_last",
                "TestWithoutData::test_a_stream_without_rows_has_no_event",
            ),
        },
    ),
    Case(
        ASSETS,
        "A5",
        "A job succeeds without rows, or nobody knows how many it had.",
        "A task makes no event either way, and its log says so. Watched assets and the webhook "
        "make one if nobody knows.",
        {
            "tests/integration/test_assets.py": (
                "TestWithoutData::test_a_job_without_rows_has_none",
            ),
            "tests/integration/test_event_trigger.py": (
                "TestEvents::test_a_sync_of_which_airbyte_has_no_statistics_makes_an_event",
            ),
            "tests/integration/test_webhook.py": (
                "TestRowsThatAreUnknown::test_rows_that_nobody_knows_emit_an_event",
            ),
        },
    ),
    Case(
        ASSETS,
        "A6",
        "Airbyte is away when OpenLineage asks for what a job reads and writes.",
        "That holds up the task for 15 s at most, and never fails it. What was not read is left "
        "out.",
        {
            "tests/data_aware/test_lineage.py": (
                "test_lineage_holds_up_a_task_for_15_seconds_at_most",
                "test_an_unreadable_destination_costs_only_the_tables",
            ),
        },
    ),
    Case(
        WATCHED,
        "V1",
        "A triggerer dies, and syncs end before one runs again. Airflow is 3.3 or later.",
        "`catch_up` decides: an event for the `latest` one, for `all` of them in their "
        "order, or for `none`. A sync that ended before the asset was watched for the "
        "first time makes none.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestRestart::test_latest_reports_the_last_one",
                "TestRestart::test_all_reports_each_in_order",
                "TestRestart::test_none_reports_none",
                "TestRestart::test_more_jobs_than_a_page_has_are_all_reported",
                "TestEvents::test_what_ended_before_the_first_watch_makes_no_event",
            ),
        },
    ),
    Case(
        WATCHED,
        "V2",
        "It dies after an event, and before it has noted that the sync was reported.",
        "The event is made once more, with the same `job_id`: at least once.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestRestart::test_killed_between_event_and_save_the_event_is_repeated",
                "TestRestart::test_what_was_reported_is_not_reported_again",
            ),
        },
    ),
    Case(
        WATCHED,
        "V3",
        "Airflow is older than 3.3.",
        "What ends while no triggerer runs makes no event. The log says so.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestAlone::test_each_sync_that_succeeds_from_now_on_makes_an_event",
                "TestAlone::test_the_log_says_once_what_is_lost",
            ),
        },
    ),
    Case(
        WATCHED,
        "V4",
        "Airbyte is down or refuses the list of jobs, a secret is wrong, or the Airflow "
        "connection is missing.",
        "The watch goes on by itself once that is cured, with the fields that the Airflow"
        " connection has then. Syncs that have ended meanwhile make their events. The log"
        " has one line for each change.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestTrouble::test_an_outage_is_survived_and_told_once",
                "TestTrouble::test_a_rotated_secret_is_found",
                "TestTrouble::test_an_airflow_connection_that_is_missing_is_found_once_it_exists",
                "TestTrouble::test_an_airbyte_that_refuses_the_list_is_told_once",
                "TestTrouble::test_another_situation_is_another_line",
            ),
        },
    ),
    Case(
        WATCHED,
        "V5",
        "A watched connection does not exist, or is inactive.",
        "The log says so once. All others are watched.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestTrouble::test_an_unknown_connection_is_told_once_and_others_are_watched",
                "TestTrouble::test_unknown_ones_among_many_are_told",
                "TestTrouble::test_an_inactive_connection_is_told",
            ),
        },
    ),
    Case(
        WATCHED,
        "V6",
        "Airflow's state store fails, or contains what this version cannot read.",
        "That is a warning, and events go on. A sync that ends while no triggerer runs "
        "may make no event, or one may make two.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestTrouble::test_without_a_state_store_events_go_on",
                "TestTrouble::test_a_stored_value_of_something_else_is_replaced",
            ),
        },
    ),
    Case(
        WATCHED,
        "V7",
        "Jobs end in the same second, out of the order of their ids, or by a clock that "
        "is behind by up to 60 s.",
        "Each makes one event.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestEvents::test_jobs_that_end_in_the_same_second_make_an_event_each",
                "TestEvents::test_a_job_that_ends_after_one_with_a_higher_id_makes_an_event",
                "TestEvents::test_a_clock_that_is_behind_hides_no_job",
            ),
        },
    ),
    Case(
        WATCHED,
        "V8",
        "Many connections are watched. Airflow is 3.3 or later.",
        "They cost as many requests as one does, and a restart costs few.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestRequests::test_many_connections_cost_no_more_requests_than_one",
                "TestRequests::test_a_restart_costs_few_requests_for_many_connections",
            ),
        },
    ),
    Case(
        WATCHED,
        "V9",
        "A sync succeeds without rows, or nobody knows how many it had.",
        "Without rows it makes no event. If nobody knows, it makes one.",
        {
            "tests/integration/test_event_trigger.py": (
                "TestEvents::test_a_sync_without_rows_makes_no_event",
                "TestEvents::test_a_sync_of_which_airbyte_has_no_statistics_makes_an_event",
                "TestEvents::test_rows_are_unknown_if_the_config_api_that_knows_them_is_closed",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H1",
        "A notification is repeated, also at the same time, and to several API servers.",
        "There is one event per job.",
        {
            "tests/integration/test_webhook.py": (
                "TestOneEventPerJob::test_ten_replays_in_parallel_emit_one_event",
                "TestOneEventPerJob::test_a_replay_is_told_in_the_log_and_does_not_ask_airbyte",
            ),
            "tests/system/test_webhook.py": (
                "test_ten_replays_to_two_api_servers_start_one_dag_run",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H2",
        "Somebody else knows the secret, and calls.",
        "Only a job that Airbyte itself says has succeeded on that connection within the last "
        "hour makes an event, and only one.",
        {
            "tests/integration/test_webhook.py": (
                "TestForgedNotifications::test_a_job_of_another_connection_is_refused",
                "TestForgedNotifications::test_a_job_that_has_not_succeeded_is_refused",
                "TestForgedNotifications::test_a_running_job_is_refused",
                "TestForgedNotifications::test_a_job_that_this_airbyte_does_not_have_is_refused",
                "TestForgedNotifications::test_only_a_job_of_the_last_hour_emits_an_event",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H3",
        "Somebody calls who does not know the secret.",
        "The response is the same whether the Airflow connection exists, has a secret, or has "
        "another one. The body is not read.",
        {
            "tests/integration/test_webhook.py": (
                "TestRefusedCallers::test_a_wrong_secret_and_a_wrong_connection_are_refused_alike",
                "TestRefusedCallers::test_the_body_of_a_refused_call_is_not_read",
            ),
            "tests/unit/test_webhook_plugin.py": (
                "test_each_call_compares_two_digests_of_the_same_length",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H4",
        "What is sent is not a notification, too long, or does not arrive.",
        "It makes no event. The log has one line that says what to do.",
        {
            "tests/integration/test_webhook.py": (
                "TestBadInput::test_what_is_no_json_is_refused",
                "TestBadInput::test_json_of_another_shape_is_refused",
                "TestBadInput::test_a_long_body_is_refused",
                "TestBadInput::test_a_long_body_in_chunks_without_a_length_is_refused",
                "TestBadInput::test_a_body_that_does_not_arrive_is_given_up",
                "TestBadInput::test_a_caller_that_goes_away_is_told_of_in_one_line",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H5",
        "A job succeeds without rows, or nobody knows how many it had.",
        "Without rows it makes no event. If nobody knows, it makes one.",
        {
            "tests/integration/test_webhook.py": (
                "TestWithoutAnEvent::test_a_sync_without_rows_emits_nothing",
                "TestRowsThatAreUnknown::test_rows_that_only_the_attempts_have_count",
                "TestRowsThatAreUnknown::test_rows_that_nobody_knows_emit_an_event",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H6",
        "Airbyte, or Airflow's database, is away for a moment when the webhook is called.",
        "The read is repeated for 15 s, the transaction a few times. After that the response is "
        "a 503 and the event is lost: the log says so.",
        {
            "tests/integration/test_webhook.py": (
                "TestOutages::test_a_short_outage_of_airbyte_is_survived",
                "TestOutages::test_a_long_outage_of_airbyte_is_a_503",
                "TestOutages::test_wrong_credentials_of_airbyte_are_a_503",
                "TestOutages::test_a_database_that_fails_is_a_503",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H7",
        "Very many calls come at once.",
        "Two requests to Airbyte are in flight at most, 64 calls wait at most, and more are "
        "refused at once. The API server goes on with everything else.",
        {
            "tests/integration/test_webhook.py": (
                "TestLoad::test_two_requests_at_most_are_in_flight_to_airbyte",
                "TestLoad::test_a_burst_of_calls_requests_a_token_per_thread_at_most",
                "TestLoad::test_what_is_too_much_is_refused_at_once",
            ),
        },
    ),
    Case(
        WEBHOOK,
        "H8",
        "Airbyte calls without TLS, and the web server drops the body.",
        "The jobs that have succeeded within the last 5 minutes make an event each.",
        {
            "tests/integration/test_webhook.py": (
                "TestWithoutTls::test_the_jobs_that_have_just_ended_emit_an_event_each",
                "TestWithoutTls::test_a_body_that_arrives_after_the_headers_is_no_harm",
                "TestWithoutTls::test_a_job_that_ended_earlier_emits_none",
                "TestWithoutTls::test_an_outage_of_airbyte_is_a_503",
            ),
        },
    ),
    Case(
        PROGRESS,
        "P1",
        "A job is waited for, on a worker or in a triggerer.",
        "The log has a line when its status or attempt changes, and one after 1 minute, 5 minutes "
        "and then every 10 minutes, however often the job is read: status, attempt, rows and "
        "bytes so far, the time elapsed, and how long such a job usually takes.",
        {
            "tests/unit/api/waiting/test_progress.py": (
                "TestRhythm::test_the_first_lines_come_soon_and_the_others_every_ten_minutes",
                "TestRhythm::test_a_wait_of_ten_minutes_has_two_and_one_of_a_day_no_more_than_150",
                "TestText::test_it_says_what_the_config_api_knows",
                "TestChanges::test_another_attempt_between_two_reads_is_said",
            ),
            "tests/unit/api/test_jobs_wait.py": (
                "TestProgress::test_there_is_a_line_for_each_change_and_others_at_a_gentle_rhythm",
                "TestProgress::test_a_day_has_fewer_than_150_lines",
                "TestProgress::test_an_attempt_that_ended_between_two_reads_is_noticed",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestProgress::test_the_lines_of_a_few_waits_have_what_the_config_api_knows",
                "TestProgress::test_another_attempt_is_told_with_its_number",
            ),
            "tests/integration/test_progress.py": (
                "TestOperator::test_it_says_how_long_such_a_job_takes",
            ),
        },
    ),
    Case(
        PROGRESS,
        "P2",
        "A sensor waits.",
        "Its log has the same rhythm; that of a sync sensor says what it waits for and for how "
        'long. With `mode="reschedule"` each poke is a process of its own, and has a line.',
        {
            "tests/integration/test_progress.py": (
                "TestJobSensor::test_a_poke_has_no_line_of_its_own",
                "TestJobSensor::test_each_process_with_reschedule_says_how_far_the_job_is",
                "TestJobSensor::test_it_asks_once_how_long_such_a_job_takes",
                "TestSyncSensor::test_a_poke_has_no_line_of_its_own",
            ),
            "tests/unit/api/waiting/test_progress.py": (
                "TestChanges::test_a_wait_for_a_sync_says_what_it_waits_for_and_since_when",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestProgress::test_a_wait_for_a_sync_has_lines_too",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestProgress::test_a_wait_for_a_sync_says_since_when",
            ),
        },
    ),
    Case(
        PROGRESS,
        "P3",
        "The config API is closed, fails or hangs.",
        "The lines go without the attempt, and the wait goes on and ends in time. If it is "
        "closed, or has failed twice in a row, it is not asked again, and the log says so once.",
        {
            "tests/unit/api/test_jobs_wait.py": (
                "TestProgress::test_a_closed_config_api_is_said_once_and_not_asked_again",
                "TestProgress::test_a_config_api_that_is_switched_off_is_never_asked",
                "TestProgress::test_a_config_api_that_fails_now_and_then_is_asked_again",
                "TestProgress::test_a_config_api_that_hangs_holds_up_no_deadline",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestProgress::test_a_closed_config_api_is_said_once_and_not_asked_again",
                "TestProgress::test_what_happens_while_the_config_api_hangs_is_told_in_its_order",
                ""
                "TestProgress::test_a_wait_that_is_cancelled_while_the_config_api_hangs_leaves_no"
                "thing",
                "TestProgress::"
                "test_a_wait_that_is_cancelled_while_its_line_is_made_holds_up_no_other",
            ),
        },
    ),
    Case(
        PROGRESS,
        "P4",
        "More than five tasks wait in a triggerer, perhaps thousands.",
        "Their lines cost no request. They say what lists and other reads have shown, and how "
        "long ago, without the attempt. They are spread: 20 at once, 10,000 within 50 s.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestProgress::test_ten_thousand_lines_are_spread_and_cost_no_request",
                "TestProgress::test_only_for_a_few_waits_more_is_to_be_read",
                "TestProgress::test_many_waits_for_one_job_are_many",
                "TestProgress::test_many_waits_have_lines_with_what_lists_have_shown",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestProgress::test_many_waits_have_lines_without_a_request",
            ),
        },
    ),
    Case(
        PROGRESS,
        "P5",
        "Airbyte is away during a wait, or a job cannot be read.",
        "No line says how far the job is until it can be read again.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestProgress::test_there_are_no_lines_in_an_outage_and_one_after_it",
                "TestProgress::test_there_are_no_lines_about_a_job_that_cannot_be_read",
            ),
        },
    ),
    Case(
        PROGRESS,
        "P6",
        "A job takes three times as long as usual, and ten minutes longer.",
        "The log warns of that once, with what to look at. Usual is the median of the last "
        "successful jobs of its type, of at least three. If that is unknown, nothing is said.",
        {
            "tests/unit/api/waiting/test_progress.py": (
                "TestSlowness::test_slow_is_three_times_as_long_and_ten_minutes_longer",
                "TestSlowness::test_it_is_said_once_as_a_warning_with_what_to_look_at",
            ),
            "tests/unit/api/test_history.py": (
                "TestUsualDuration::test_a_caller_may_be_content_with_fewer",
                "TestUsualDuration::test_a_duration_that_is_missing_or_that_a_wrong_clock_made_does"
                "_not_count",
                "TestJobs::test_no_other_job_counts",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestProgress::test_a_job_that_takes_much_longer_than_usual_is_warned_of_once",
            ),
            "tests/unit/api/test_jobs_wait.py": (
                "TestProgress::test_a_job_that_takes_much_longer_than_usual_is_warned_of_once",
                "TestUsualDuration::test_it_is_the_median_of_the_last_twenty_successful_jobs",
                "TestUsualDuration::test_it_is_unknown_if_the_list_cannot_be_read",
            ),
            "tests/integration/test_progress.py": (
                "TestOperator::test_it_says_nothing_about_what_is_unknown",
            ),
        },
    ),
    Case(
        PROGRESS,
        "P7",
        "A triggerer restarts, or Airbyte's clock differs from Airflow's.",
        "The time of a job that the task has started itself counts from its deferral, on "
        "Airflow's clock. That of another job counts from when Airbyte says that it was created.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestProgress::test_a_trigger_says_since_when_its_job_runs_and_how_long_it_takes",
                "TestProgress::test_a_trigger_of_an_earlier_release_counts_from_its_deferral",
            ),
            "tests/integration/test_progress.py": (
                "TestOperator::test_it_says_how_long_such_a_job_takes",
                "TestOperator::test_the_age_of_a_job_that_it_attaches_to_counts",
            ),
        },
    ),
    Case(
        ALARMS,
        "L1",
        "A job is still running when the time of `slow_after` is over.",
        "Its alarm is raised once, and the wait goes on with the same deadline: on a worker, "
        "deferred, and in each mode of a sensor.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestOperator::test_a_slow_job_raises_one_alarm_and_the_wait_goes_on",
                "TestOperator::test_a_deferred_task_waits_again_with_the_same_deadline",
                "TestJobSensor::test_a_slow_job_raises_one_alarm_and_the_wait_goes_on",
            ),
        },
    ),
    Case(
        ALARMS,
        "L1",
        "A job is slow already when the wait for it begins.",
        "Its alarm is raised at once. Its time counts from when Airbyte says that it was created.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestAge::test_a_job_that_is_slow_when_the_wait_begins_raises_it_at_once",
                "TestAge::test_a_job_that_is_not_slow_yet_has_the_rest_of_its_time",
            ),
        },
    ),
    Case(
        ALARMS,
        "L2",
        "The triggerer restarts before the alarm of a deferred task.",
        "The alarm comes at the same moment.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestTries::test_a_triggerer_that_restarts_goes_on_to_the_same_moment",
            ),
        },
    ),
    Case(
        ALARMS,
        "L2",
        "A retry on Airflow 3.3 waits for a job whose alarm was raised.",
        "It is not raised again. If the task state store fails, it may be.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestTries::test_a_retry_that_takes_the_job_over_does_not_raise_it_again",
                "TestTries::test_a_store_that_fails_costs_no_alarm",
            ),
        },
    ),
    Case(
        ALARMS,
        "L3",
        "A notifier of `on_slow` fails.",
        "The log says so. The others run, and the task goes on.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestOperator::test_a_notifier_that_fails_stops_neither_the_task_nor_the_others",
            ),
        },
    ),
    Case(
        ALARMS,
        "L4",
        "The task is killed during its alarm, or its time is over later.",
        "Its own job is cancelled, as at any other moment.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestOperator::test_a_task_that_is_killed_during_the_alarm_cancels_its_job",
                "TestOperator::test_a_timeout_after_the_alarm_cancels_the_job",
            ),
        },
    ),
    Case(
        ALARMS,
        "L5",
        "Airbyte is away when an alarm is due, or the job cannot be read before it.",
        "The alarm is raised, and the wait goes on.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestOperator::test_an_outage_at_that_moment_ends_nothing",
                "TestOperator::test_the_job_is_waited_for_again_if_it_cannot_be_read_before_the_"
                "alarm",
            ),
        },
    ),
    Case(
        ALARMS,
        "L5",
        "The job has ended when a worker raises the alarm of a deferred task.",
        "The task does not defer again.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestOperator::test_a_job_that_ends_before_its_alarm_is_not_waited_for_again",
            ),
        },
    ),
    Case(
        ALARMS,
        "L6",
        'With `slow_after="history"`, the connection has fewer than five good jobs, or they are '
        "unreadable.",
        "There is no alarm, and the log says so.",
        {
            "tests/integration/test_slow_alarm.py": (
                "TestHistory::test_with_fewer_than_five_good_jobs_there_is_no_alarm_and_one_line_"
                "says_so",
                "TestHistory::test_an_unreadable_history_is_a_warning_and_no_alarm",
            ),
        },
    ),
    Case(
        ALARMS,
        "L7",
        "A server that collects metrics is away, or Airflow's client for it fails.",
        "The task goes on without its metrics.",
        {
            "tests/integration/test_metrics.py": (
                "TestOff::test_a_metrics_server_that_is_away_changes_nothing",
                "TestOff::test_a_metrics_client_that_fails_does_not_fail_the_task",
            ),
        },
    ),
    Case(
        ALARMS,
        "L7",
        "A task is retried on Airflow 3.3, and its job was measured.",
        "It is not measured again.",
        {
            "tests/integration/test_metrics.py": (
                "TestEnd::test_a_retry_does_not_measure_the_same_job_again",
            ),
        },
    ),
    Case(
        SCALE,
        "W1",
        "Thousands of tasks wait on one Airbyte.",
        "Requests grow with what changes: while nothing does, each round costs one page of the "
        "list of jobs and one job by its id, or as many as it takes to read each within "
        f"{MAX_STALENESS / 3600:g} hours.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestRequests::"
                "test_a_thousand_idle_jobs_cost_one_page_and_one_read_by_id_in_each_round",
                "TestRequests::test_hundreds_of_sensors_cost_one_page_and_one_read_in_each_round",
                "TestRequests::test_a_few_jobs_are_read_by_id_as_often_as_each_wait_wants",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestRequests::test_an_idle_round_costs_one_list_and_at_most_one_read_by_id",
                "TestRequests::test_a_few_jobs_are_read_by_id_and_no_list_is_read",
                "TestSyncWaits::test_hundreds_cost_requests_per_change_and_not_per_connection",
            ),
        },
    ),
    Case(
        SCALE,
        "W1",
        "A thousand jobs end in the same second.",
        "They cost one page per hundred, and are delivered within two rounds.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestRequests::test_a_thousand_jobs_that_end_in_one_second_cost_a_page_per_hundred",
            ),
        },
    ),
    Case(
        SCALE,
        "W2",
        "A triggerer restarts with thousands of waits.",
        "They take turns to start, so no other trigger is held up. Their jobs are found in the "
        "list, a hundred per page.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestStart::test_the_event_loop_runs_other_tasks_between_them",
                "TestStart::test_a_trigger_that_is_cancelled_before_its_turn_holds_up_no_other",
                "TestStart::test_all_of_them_end_with_two_requests_at_once_at_most",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestRequests::test_a_restarted_triggerer_finds_a_thousand_jobs_in_the_list",
                "TestRequests::test_a_look_for_jobs_that_are_in_no_list_does_not_read_all_of_it",
            ),
        },
    ),
    Case(
        SCALE,
        "W22",
        "A wait begins for a job that has been running for a long time, as after a retry.",
        "It is read by its id at first. The list is asked once for jobs that changed at the same "
        "time as this one. Once it shows the job, the job costs nothing while nothing changes.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                ""
                "TestRequests::test_a_wait_that_joins_a_long_running_job_costs_no_read_in_each_ro"
                "und",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestLongRunningJobs::test_a_wait_that_joins_costs_nothing_in_idle_rounds",
            ),
        },
    ),
    Case(
        SCALE,
        "W3",
        "No list shows a job, because of its type, a permission or an old server.",
        "It is read by its id at its `poll_interval`, beside the lists.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestListsThatCannotShowAJob::test_all_waits_end_with_the_right_rows",
            ),
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_a_list_that_lies_or_fails_costs_time_only",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestLists::test_checks_by_id_go_on_beside_many_jobs_that_no_list_shows",
                "TestLists::test_a_sweep_that_fails_ends_and_all_is_read_by_id",
            ),
        },
    ),
    Case(
        SCALE,
        "W4",
        "Airbyte refuses the list of jobs, or the list is out of order or has no times.",
        "Everything is read by its id. The log says so once, and the list is tried again after 10 "
        "minutes.",
        {
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_a_list_that_lies_or_fails_costs_time_only",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestLists::test_the_log_says_once_that_lists_cannot_be_used",
                "TestFewAndMany::test_lists_in_another_order_are_not_used",
                "TestFewAndMany::test_a_sweep_in_another_order_ends_the_use_of_lists",
            ),
            "tests/unit/api/waiting/test_changes.py": (
                "test_the_order_is_checked_in_the_middle_of_a_page_too",
                "test_a_list_without_times_cannot_be_used",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestListsThatCannotShowAJob::test_all_waits_end_with_the_right_rows",
                "TestListsThatCannotShowAJob::test_a_list_that_fails_from_one_round_to_the_next",
                "TestTaskLogs::test_what_concerns_all_waits_is_in_the_log_of_no_task",
            ),
        },
    ),
    Case(
        SCALE,
        "W4",
        "The list fails or times out, and Airbyte responds to everything else.",
        "After three failures in a row everything is read by its id, and the list is tried again "
        "after a minute. The log says so once; no wait takes it for an outage.",
        {
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_a_list_that_lies_or_fails_costs_time_only",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestLists::test_the_log_says_once_that_lists_cannot_be_used",
                "TestLists::test_lists_that_work_again_are_read_again",
                "TestLists::test_lists_that_fail_alone_are_no_outage",
                "TestOutages::test_a_list_is_repeated_by_the_watchlist_only",
                "TestOutages::test_an_outage_that_began_with_a_list_is_probed_without_lists",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestRequests::test_a_list_that_fails_is_not_repeated_within_a_round",
                "TestListsThatCannotShowAJob::test_all_waits_end_with_the_right_rows",
                "TestListsThatCannotShowAJob::test_a_list_that_fails_from_one_round_to_the_next",
            ),
        },
    ),
    Case(
        SCALE,
        "W18",
        "Airbyte demands with `Retry-After` that a list, or anything, is not asked for again "
        "before.",
        "It is not, for up to a minute, also if waits join meanwhile.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestLists::test_lists_are_not_read_before_the_time_that_airbyte_demands",
                "TestOutages::"
                "test_nothing_is_sent_before_the_time_that_airbyte_demands_also_if_waits_join",
            ),
        },
    ),
    Case(
        SCALE,
        "W19",
        "A server sends fewer jobs in a page than were asked for, or times that cannot be true.",
        "No end is lost: the next page is read too, and one job from the far future hides no "
        "other.",
        {
            "tests/unit/api/waiting/test_changes.py": (
                "test_an_update_from_the_far_future_hides_no_other",
                "test_a_server_that_sends_fewer_rows_than_were_asked_for_is_read_to_the_end",
                "test_the_first_year_of_the_calendar_is_no_time",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestLists::test_a_server_that_sends_short_pages_hides_no_sync_from_a_sweep",
            ),
        },
    ),
    Case(
        SCALE,
        "W5",
        "The list shows that a job has ended, but not its rows.",
        "The job is read by its id, so `min_rows` has its number.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestLists::"
                "test_a_job_that_a_list_shows_without_rows_is_read_again_after_an_older_response",
                "TestLists::test_a_job_that_a_list_shows_without_rows_is_read_until_that_succeeds",
                "TestLists::test_a_failed_sync_without_rows_in_lists_is_read_once",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestListsThatCannotShowAJob::test_all_waits_end_with_the_right_rows",
            ),
        },
    ),
    Case(
        SCALE,
        "W6",
        "The `Date` of a list is missing, cached or wrong, or the clocks of Airbyte's pods differ.",
        "No end is lost: what lists do not show then, a read by id does.",
        {
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_late_rows_and_other_clocks_lose_nothing",
                "test_property_a_list_that_lies_or_fails_costs_time_only",
            ),
            "tests/unit/api/waiting/test_changes.py": (
                "test_an_update_from_the_future_does_not_move_the_watermark_there",
                "test_a_cached_date_moves_the_watermark_neither_far_back_nor_backwards",
                "test_rows_of_now_are_read_below_a_full_page_from_the_future",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestServerClocks::"
                "test_a_date_that_is_missing_stale_or_from_the_future_loses_nothing",
                "TestServerClocks::test_a_list_that_is_cached_for_a_while_loses_nothing",
            ),
        },
    ),
    Case(
        SCALE,
        "W7",
        f"A change becomes visible late, up to {OVERLAP.seconds} s after the instant that it "
        "carries.",
        "The list shows it once it is visible. If it comes later than that, the read by id finds "
        "it.",
        {
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_late_rows_and_other_clocks_lose_nothing",
            ),
            "tests/unit/api/waiting/test_changes.py": (
                "test_what_becomes_visible_late_behind_known_rows_is_found_within_the_overlap",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestServerClocks::test_a_change_that_is_stamped_with_another_time_is_seen",
                "TestListsThatCannotShowAJob::"
                "test_a_job_that_disappears_from_the_list_ends_within_the_documented_time",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestRequests::test_each_job_is_read_by_id_within_the_documented_time",
                "TestLists::test_checks_by_id_go_on_beside_many_jobs_that_no_list_shows",
            ),
        },
    ),
    Case(
        SCALE,
        "W20",
        "A response never ends: a byte arrives now and then.",
        "It counts as failed a minute after its timeout.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestDelivery::test_responses_that_never_end_are_given_up",
            ),
        },
    ),
    Case(
        SCALE,
        "W21",
        "A wait begins, and what it waits for has ended already.",
        "It is told within seconds, however long its `poll_interval` is.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestFirstLooks::"
                "test_a_wait_is_told_soon_of_what_has_ended_however_long_its_interval_is",
                "TestFirstLooks::test_a_sensor_is_told_soon_of_a_sync_however_long_its_interval_is",
            ),
        },
    ),
    Case(
        SCALE,
        "W8",
        "Airbyte is slower than the poll interval.",
        "Polls become less frequent and do not pile up: at most two requests are in flight. The "
        "log says so once.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestRequests::"
                "test_what_one_thing_costs_is_independent_of_how_slowly_airbyte_responds",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestRequests::"
                "test_never_more_than_two_requests_are_in_flight_and_slowness_is_told_once",
            ),
        },
    ),
    Case(
        SCALE,
        "W9",
        "One job is refused or cannot be read.",
        "Only its own waits end or are told of it, once. All others go on.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestOutages::test_each_wait_is_told_once_that_its_job_cannot_be_read",
                "TestOutages::test_what_airbyte_refuses_for_one_job_ends_its_wait_only",
            ),
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_a_list_that_lies_or_fails_costs_time_only",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestErrorsOfOneJob::test_a_job_that_airbyte_refuses",
                "TestErrorsOfOneJob::test_a_job_that_cannot_be_read",
            ),
        },
    ),
    Case(
        SCALE,
        "W10",
        "Airbyte is away while many wait.",
        "One request at a time is sent. The log of each task says once that there is no good "
        "response, and once that Airbyte responds again. Each wait has its own 10 minutes.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestOutages::test_one_request_at_a_time_is_sent_in_an_outage",
                "TestOutages::test_each_wait_is_told_once_of_an_outage_and_once_of_its_end",
                "TestOutages::test_a_wait_that_joins_in_an_outage_has_a_failure_budget_of_its_own",
                "TestOutages::test_a_wait_that_joins_when_an_outage_has_ended_all_others_is_served",
                "TestOutages::test_failures_hours_ago_do_not_count_against_the_budget",
            ),
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_an_outage_ends_waits_only_after_their_failure_budget",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestOutages::test_each_log_has_its_beginning_and_its_end_once_and_all_waits_go_on",
                "TestOutages::test_one_that_outlasts_the_failure_budget_ends_every_wait_once",
            ),
        },
    ),
    Case(
        SCALE,
        "W11",
        "A client secret is rotated while many wait.",
        "They share the refused request for a token, the read of the Airflow connection and the "
        "new token. If the secret is unchanged, each wait ends once, with an error of its own.",
        {
            "tests/integration/test_rotation.py": (
                "TestRotatedClientSecret::"
                "test_all_waits_share_the_refused_exchange_the_read_and_the_new_token",
                "TestRotatedClientSecret::"
                "test_an_unchanged_secret_fails_all_waits_with_few_exchanges",
                "TestRotatedClientSecret::"
                "test_a_secrets_backend_that_fails_at_that_moment_is_outlasted",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestAirflowConnections::"
                "test_a_secret_rotated_among_a_hundred_waits_costs_one_refused_exchange",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestOutages::"
                "test_a_permanent_error_ends_each_wait_once_while_other_requests_are_in_flight",
            ),
        },
    ),
    Case(
        SCALE,
        "W12",
        "A task is cleared or killed, or its time is over, while others wait, also for the same "
        "job.",
        "The others go on.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestNeighbours::test_a_wait_that_is_cancelled",
                "TestNeighbours::test_a_wait_that_is_cancelled_while_its_request_is_in_flight",
                "TestNeighbours::test_a_wait_that_times_out",
                "TestNeighbours::test_a_task_that_is_killed_and_cancels_its_job",
            ),
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestRemovedWaits::"
                "test_a_job_that_is_waited_for_again_shares_the_request_in_flight",
                "TestRemovedWaits::test_a_response_to_nobody_any_more_is_ignored",
            ),
            "tests/unit/api/waiting/test_watchlist_properties.py": (
                "test_property_every_wait_ends_once_and_in_time",
            ),
        },
    ),
    Case(
        SCALE,
        "W13",
        "Waits end at their timeouts, perhaps a thousand at once.",
        "Each job is read once more at that moment. A wait whose last read has no response "
        f"within {DEADLINE_MARGIN:g} s ends without it.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestDeadlines::test_the_last_read_begins_at_the_deadline",
                "TestDeadlines::test_a_read_in_flight_at_the_deadline_is_not_the_last_one",
                "TestDeadlines::test_a_deadline_in_the_past_still_has_a_last_read",
                "TestDeadlines::test_a_thousand_deadlines_at_once_end_with_the_margin",
                "TestDeadlines::test_a_timeout_in_an_outage_says_why",
            ),
        },
    ),
    Case(
        SCALE,
        "W14",
        "Waits have different poll intervals.",
        "They share one rhythm, the shortest, so each is polled at least as often as it asks for; "
        "one that joins does not wait for a longer one.",
        {
            "tests/unit/api/waiting/test_watchlist.py": (
                "TestRequests::test_waits_for_one_job_share_its_reads_at_the_shortest_interval",
                "TestRequests::"
                "test_a_wait_that_joins_with_a_shorter_interval_does_not_wait_for_the_longer_one",
                "TestRequests::"
                "test_a_wait_that_joins_with_a_shorter_interval_brings_the_next_round_forward",
            ),
            "tests/integration/test_job_watcher.py": (
                "TestRequests::test_waits_for_one_job_share_its_reads",
                "TestRequests::test_all_waits_share_the_shortest_interval_of_those_for_the_same",
            ),
        },
    ),
    Case(
        SCALE,
        "W15",
        "Two Airflow connections differ only in `web_url` or `request_timeout`.",
        "Their waits share requests and token, with the longer timeout. With other credentials "
        "they share nothing.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestAirflowConnections::"
                "test_two_that_reach_airbyte_in_the_same_way_share_token_and_requests",
                "TestAirflowConnections::test_the_longer_request_timeout_applies_to_all",
                "TestAirflowConnections::test_two_with_different_credentials_share_nothing",
            ),
        },
    ),
    Case(
        SCALE,
        "W16",
        "Something happens to the job of one of many tasks.",
        "It is in the log of that task, and of no other. What concerns all is in the log of the "
        "triggerer.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestTaskLogs::test_a_change_of_status_is_in_the_log_of_its_own_task",
                "TestTaskLogs::test_waits_of_several_tasks_for_one_job_each_have_its_changes",
                "TestTaskLogs::test_what_concerns_all_waits_is_in_the_log_of_no_task",
                "TestSyncWaits::"
                "test_the_log_tells_of_a_failed_sync_only_the_waits_for_its_connection",
            ),
        },
    ),
    Case(
        SCALE,
        "W17",
        "The last wait ends, or is cancelled in the middle of a request.",
        "Its session is closed, and nothing is left pending. A wait that begins at that moment is "
        "served.",
        {
            "tests/integration/test_job_watcher.py": (
                "TestClosing::test_nothing_is_left_when_the_last_wait_has_ended",
                "TestClosing::test_nothing_is_left_when_all_waits_are_cancelled",
                "TestClosing::"
                "test_nothing_is_left_when_the_last_wait_is_cancelled_during_a_request",
                "TestClosing::"
                "test_nothing_is_left_when_waits_are_cancelled_at_every_step_of_their_start",
                "TestClosing::test_a_wait_that_begins_when_the_last_one_ends_is_served",
                "TestClosing::test_every_wait_gets_the_error_if_there_can_be_no_client",
            ),
        },
    ),
    Case(
        AIRFLOW,
        "K6",
        "Airflow 3.3.2 stops a trigger again and again, about once per second, while it still "
        "cancels the sync of its task.",
        "The cancellation goes on. The log has said first which sync to cancel by hand if nothing "
        "follows.",
        {
            "tests/integration/test_job_trigger.py": (
                "TestStoppedByATriggerer::test_a_repeated_cancellation_does_not_end_on_kill",
            ),
        },
    ),
    Case(
        AIRFLOW,
        "7",
        "A sync ends within seconds of the deferral. Airflow 3.3.2 can then fail the task: it "
        "mistakes the late report of the first process for one of the resumed task.",
        f"In a triggerer, a wait ends no earlier than {SAFE_AFTER:g} s after the deferral. "
        "`dag.test()` is not slower.",
        {
            "tests/integration/test_job_trigger.py": (
                "TestResumption::"
                "test_in_a_triggerer_no_event_is_yielded_too_soon_after_the_deferral",
                "TestResumption::test_the_restart_of_a_triggerer_does_not_start_the_time_again",
                "TestResumption::test_a_trigger_that_runs_in_the_task_itself_fires_at_once",
                "TestResumption::test_the_time_is_counted_from_the_deferral",
            ),
            "tests/system/test_short_syncs.py": ("test_short_syncs_succeed_with_default_settings",),
        },
    ),
    Case(
        AIRFLOW,
        "9",
        "Airflow says that it does not find an Airflow connection. It says the same when its "
        "secrets backend or API server fails.",
        "The message names both possibilities, and Airflow may retry the task. A deferred wait "
        "reads the connection again for up to 10 minutes, and all waits share the reads.",
        {
            "tests/integration/test_rotation.py": (
                "TestUnreadableConnection::test_a_wait_outlasts_a_secrets_backend_that_fails",
                "TestUnreadableConnection::test_after_the_failure_budget_the_task_may_be_retried",
                "TestUnreadableConnection::"
                "test_a_secrets_backend_that_hangs_ends_like_one_that_fails",
                "TestUnreadableConnection::test_waits_that_begin_together_share_reads",
                "TestUnreadableConnection::test_waits_that_begin_together_share_failures_too",
                "TestUnreadableConnection::test_on_a_worker_the_task_may_be_retried",
                "TestKilledTask::test_a_secrets_backend_that_fails_is_outlasted",
            ),
            "tests/integration/test_trigger_sync_operator.py": (
                "TestPermanentErrors::test_an_unknown_airflow_connection",
            ),
            "tests/integration/test_connection_settings.py": (
                "test_an_unknown_airflow_connection_is_named",
                "test_an_unreadable_environment_variable_is_named",
            ),
        },
    ),
    Case(
        AIRFLOW,
        "28",
        "A sensor has `soft_fail`, and its Airflow connection is missing or its configuration is "
        "invalid.",
        "The sensor fails. It skips only at its timeout, and for too few rows if you ask for that.",
        {
            "tests/integration/test_job_sensor.py": (
                "TestSoftFail::test_soft_fail_does_not_hide_a_missing_airflow_connection",
                "TestSoftFail::test_soft_fail_does_not_hide_an_invalid_airflow_connection",
                "TestSoftFail::test_soft_fail_does_not_hide_an_invalid_argument",
                "TestSoftFail::test_soft_fail_does_not_hide_a_failed_sync",
                "TestSoftFail::"
                "test_soft_fail_does_not_hide_an_airflow_connection_that_is_missing_on_resume",
                "TestSoftFail::test_soft_fail_keeps_the_reason_of_a_skip_for_too_few_rows",
            ),
        },
    ),
    Case(
        AIRFLOW,
        "F2",
        "A deferrable sensor has a parameter that concerns only pokes: `exponential_backoff`, "
        "`max_wait` or `silent_fail`.",
        "It is refused when the DAG is parsed.",
        {
            "tests/integration/test_job_sensor.py": (
                "TestParametersOfPokes::test_they_are_refused_with_deferrable",
                "TestParametersOfPokes::test_they_are_refused_with_deferrable_by_default",
                "TestParametersOfPokes::test_they_are_passed_on_without_deferrable",
            ),
        },
    ),
    Case(
        AIRFLOW,
        "F5",
        "A deferrable task has to pause before it asks again for a sync.",
        "It defers the pause too, and holds no worker.",
        {
            "tests/integration/test_operator_timeouts.py": (
                "TestDeletedWorkflow::test_the_minutes_are_counted_across_resumptions",
            ),
        },
    ),
    Case(
        AIRFLOW,
        "F1",
        "A deferred task fails, and Airflow 3.0 resumes its retry with the old result.",
        "The retry starts from the beginning, also after a failure of the trigger itself.",
        {
            "tests/integration/test_retries_of_deferred_tasks.py": (
                "test_the_retry_starts_a_sync_of_its_own_and_reads_its_own_event",
                "test_the_retry_waits_again_after_its_trigger_has_failed",
            ),
        },
    ),
    Case(
        AIRFLOW,
        "F1",
        "The connection form is opened on Airflow 3.0 with WTForms and without the FAB provider.",
        "The form keeps our labels.",
        {
            "tests/integration/test_connection_settings.py": (
                "test_without_flask_appbuilder_older_forms_keep_their_labels",
            ),
        },
    ),
)


def ids_of(case: Case) -> str:
    return f"{case.item} {case.when[:40]}"


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the tests of a file, those of a class as ``Class::test``."""
    module = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    return frozenset(_names(module.body))


def _names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield f"{prefix}{node.name}"


def missing_tests(case: Case) -> list[str]:
    """Return the named tests that do not exist."""
    return [
        node_id
        for node_id in case.node_ids()
        if node_id.partition("::")[2] not in names_in(node_id.partition("::")[0])
    ]


def tables(document: str) -> Iterator[tuple[str, str, str]]:
    """Yield heading and cells of each row of the tables of *document*."""
    heading, in_table = "", False
    for line in document.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        in_table = line.startswith("|") and (in_table or line == HEADER)
        if in_table and line != HEADER and not re.fullmatch(r"[|-]+", line):
            when, then = line.strip("|").split("|")
            yield heading, when.strip(), then.strip()


@pytest.mark.parametrize("case", CASES, ids=ids_of)
def test_every_promise_has_tests_that_exist(case):
    assert list(case.node_ids())
    assert missing_tests(case) == []


def test_a_missing_test_is_found():
    case = Case(OURS, "1", "", "", {"tests/unit/test_reliability.py": ("TestNone::test_it",)})

    assert missing_tests(case) == ["tests/unit/test_reliability.py::TestNone::test_it"]


def test_every_case_has_a_promise():
    assert {case.item for case in CASES} == set(ITEMS)


def test_the_document_has_the_same_rows():
    assert list(tables(DOCUMENT)) == [(case.heading, case.when, case.then) for case in CASES]


def test_the_document_has_its_headings_in_their_order():
    headings = re.findall(r"(?m)^## (.+)$", DOCUMENT)

    assert headings == [
        OURS,
        TRIES,
        ENDS,
        OUTAGES,
        SECRETS,
        ANSWERS,
        EVIDENCE,
        INPUT,
        RESOURCES,
        SENSOR,
        ASSETS,
        WATCHED,
        WEBHOOK,
        PROGRESS,
        ALARMS,
        SCALE,
        AIRFLOW,
        MATRIX,
        LIMITS,
    ]


def test_a_row_that_differs_is_found():
    document = f"## {OURS}\n\n{HEADER}\n|---|---|\n| A. | B. |\n\n| not | a row |\n"

    assert list(tables(document)) == [(OURS, "A.", "B.")]
