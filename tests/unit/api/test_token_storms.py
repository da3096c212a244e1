"""Many callers without a token: one exchange in flight, and its outcome for all of them."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Barrier

import pytest

from airflow_provider_airbyte_sme.api import (
    AirbyteAuthenticationError,
    AirbyteClient,
    AirbyteCredentialsError,
    AirbyteError,
    AirbyteRateLimitError,
    AirbyteRequestTimeoutError,
    AirbyteSession,
    AirbyteTransportError,
    Problem,
    run_blocking,
)
from airflow_provider_airbyte_sme.api.auth import Token
from airflow_provider_airbyte_sme.api.requests_transport import RequestsTransport
from airflow_provider_airbyte_sme.api.tokens import TokenSource
from airflow_provider_airbyte_sme.emulator import Emulator
from tests.unit.api.doubles import requests_to, settings_for

PUBLIC = "POST /applications/token"
JOBS = "GET /jobs"
URL = "https://ab/token"


@dataclass
class SignIn:
    """
    An identity provider and its clock, in memory.

    :ivar outcomes: What each exchange comes to, in order; a new token when it is empty.
    :ivar exchanges: When each exchange began.
    :ivar deadlines: The limit of each exchange.
    """

    now: float = 100.0
    outcomes: list[Exception] = field(default_factory=list)
    exchanges: list[float] = field(default_factory=list)
    deadlines: list[float | None] = field(default_factory=list)
    before_outcome: Callable[[], Awaitable[object]] | None = None

    async def exchange(self, deadline: float | None) -> Token:
        self.exchanges.append(self.now)
        self.deadlines.append(deadline)
        if self.before_outcome:
            await self.before_outcome()
        if self.outcomes:
            raise self.outcomes.pop(0)
        return Token(f"token{len(self.exchanges)}", renew_at=self.now + 1000)

    def source(self) -> TokenSource:
        """Return a source for the coroutines of the running loop."""
        return TokenSource(self.exchange, lock=asyncio.Lock(), clock=lambda: self.now)

    def exchanges_within(self, seconds: float, get: Callable[[], object]) -> list[float]:
        """Call *get* ten times a second, and return when the exchanges began, from the first."""
        end = self.now + seconds
        while self.now < end:
            with suppress(AirbyteError):
                get()
            self.now = round(self.now + 0.1, 6)
        return [round(at - self.exchanges[0], 6) for at in self.exchanges]


@pytest.fixture
def sign_in() -> SignIn:
    return SignIn()


def refused() -> AirbyteAuthenticationError:
    return AirbyteAuthenticationError(method="GET", url=URL, status=401, problem=Problem())


def unavailable() -> AirbyteTransportError:
    return AirbyteTransportError("Connection refused", request_sent=False)


class TestFailures:
    def test_all_who_wait_for_an_exchange_share_its_failure(self, sign_in):
        sign_in.outcomes = [unavailable()]
        sign_in.before_outcome = lambda: asyncio.sleep(0)

        async def ask() -> list[object]:
            source = sign_in.source()
            return await asyncio.gather(*(source.get() for _ in range(100)), return_exceptions=True)

        outcomes = asyncio.run(ask())

        assert {str(outcome) for outcome in outcomes} == {"Connection refused"}
        assert len(sign_in.exchanges) == 1

    def test_the_next_exchange_is_put_off_for_all_together(self, sign_in):
        sign_in.outcomes = [unavailable() for _ in range(1000)]
        source = sign_in.source()

        began = sign_in.exchanges_within(62, lambda: run_blocking(source.get()))

        assert began == pytest.approx([0, 1, 3, 7, 15, 30, 45, 60])

    def test_hours_of_failures_keep_the_longest_pause(self, sign_in):
        sign_in.outcomes = [unavailable() for _ in range(2000)]
        source = sign_in.source()

        for _ in range(2000):
            with pytest.raises(AirbyteTransportError):
                run_blocking(source.get())
            sign_in.now += 15

        assert len(sign_in.exchanges) == 2000

    def test_rejected_credentials_are_not_exchanged_again_for_a_minute(self, sign_in):
        rejected = AirbyteCredentialsError(method="POST", url=URL, status=401, problem=Problem())
        sign_in.outcomes = [rejected] * 10
        source = sign_in.source()

        began = sign_in.exchanges_within(61, lambda: run_blocking(source.get()))

        assert began == pytest.approx([0, 60])

    @pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 1), (20.0, 20), (3600.0, 60)])
    def test_retry_after_puts_the_next_exchange_off(self, sign_in, retry_after, pause):
        busy = AirbyteRateLimitError(
            method="POST", url=URL, status=429, problem=Problem(), retry_after=retry_after
        )
        sign_in.outcomes = [busy]
        source = sign_in.source()

        began = sign_in.exchanges_within(61, lambda: run_blocking(source.get()))

        assert began == pytest.approx([0, pause])

    def test_a_shared_failure_does_not_collect_the_frames_of_all_who_raise_it(self, sign_in):
        sign_in.outcomes = [unavailable()]
        source = sign_in.source()
        failures = []
        for _ in range(100):
            with pytest.raises(AirbyteTransportError) as failure:
                run_blocking(source.get())
            failures.append(failure.value)

        assert max(len(traceback.extract_tb(error.__traceback__)) for error in failures) < 10
        assert {error.__context__ for error in failures} == {None}
        assert {error.request_sent for error in failures} == {False}


class TestCancelledExchanges:
    def test_a_cancelled_exchange_is_no_failure_of_those_who_waited(self, sign_in):
        """Not even if an exchange had failed before."""
        sign_in.outcomes = [unavailable()]

        async def ask() -> Token:
            source = sign_in.source()
            with pytest.raises(AirbyteTransportError):
                await source.get()
            sign_in.now += 2  # the pause is over
            hangs = asyncio.Event()
            sign_in.before_outcome = hangs.wait
            first = asyncio.create_task(source.get())
            await asyncio.sleep(0)
            waiting = asyncio.create_task(source.get())
            await asyncio.sleep(0)
            sign_in.before_outcome = None
            first.cancel()
            await asyncio.wait([first])
            return await waiting

        assert asyncio.run(ask()).value == "token3"

    def test_a_cancelled_exchange_puts_nothing_off(self, sign_in):
        async def ask() -> Token:
            source = sign_in.source()
            sign_in.before_outcome = asyncio.Event().wait
            first = asyncio.create_task(source.get())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            sign_in.before_outcome = None
            return await source.get()

        assert asyncio.run(ask()).value == "token2"


class TestDeadlines:
    """The deadline of the caller that exchanges bounds the request, and spoils it for nobody."""

    @pytest.fixture
    def timed_out(self, sign_in) -> AirbyteRequestTimeoutError:
        """The next exchange times out at the deadline of its caller."""

        async def until_the_deadline() -> None:
            await asyncio.sleep(0)
            if deadline := sign_in.deadlines[-1]:
                sign_in.now = max(deadline, sign_in.now + 1)

        sign_in.before_outcome = until_the_deadline
        error = AirbyteRequestTimeoutError("timed out", request_sent=True)
        sign_in.outcomes = [error]
        return error

    def test_an_exchange_that_was_cut_short_is_repeated_at_once_for_the_others(
        self, sign_in, timed_out
    ):
        async def ask() -> tuple[object, ...]:
            source = sign_in.source()
            short, long = source.get(sign_in.now + 0.5), source.get(sign_in.now + 600)
            return tuple(await asyncio.gather(short, long, return_exceptions=True))

        short, long = asyncio.run(ask())

        assert short is timed_out
        assert isinstance(long, Token)
        assert sign_in.exchanges == [100, 101]

    def test_who_waited_until_his_time_was_over_exchanges_nothing(self, sign_in, timed_out):
        async def ask() -> list[object]:
            source, deadline = sign_in.source(), sign_in.now + 0.5
            return await asyncio.gather(
                *(source.get(deadline) for _ in range(100)), return_exceptions=True
            )

        first, *others = asyncio.run(ask())

        assert first is timed_out
        assert {type(other) for other in others} == {AirbyteRequestTimeoutError}
        assert all(str(other).startswith("No token in time: ") for other in others)
        assert len(sign_in.exchanges) == 1

    def test_whose_time_is_over_still_exchanges_if_nobody_else_does(self, sign_in):
        source = sign_in.source()

        assert run_blocking(source.get(sign_in.now - 1)).value == "token1"

    def test_a_timeout_before_the_deadline_is_a_failure_of_all(self, sign_in):
        sign_in.outcomes = [AirbyteRequestTimeoutError("timed out", request_sent=True)]
        source = sign_in.source()

        for _ in range(2):
            with pytest.raises(AirbyteRequestTimeoutError):
                run_blocking(source.get(sign_in.now + 600))

        assert len(sign_in.exchanges) == 1


class TestRefusedTokens:
    @pytest.fixture
    def source(self, sign_in) -> TokenSource:
        return sign_in.source()

    def test_the_first_refused_token_is_replaced_at_once(self, sign_in, source):
        source.refuse(run_blocking(source.get()), refused())

        assert run_blocking(source.get()).value == "token2"

    def test_many_refusals_of_one_token_count_once(self, sign_in, source):
        token = run_blocking(source.get())
        for _ in range(100):
            source.refuse(token, refused())

        assert run_blocking(source.get()).value == "token2"

    def test_while_new_tokens_are_refused_the_exchanges_back_off(self, sign_in, source):
        def use_token() -> None:
            source.refuse(run_blocking(source.get()), refused())

        began = sign_in.exchanges_within(62, use_token)

        assert began == pytest.approx([0, 0.1, 1.1, 3.1, 7.1, 15.1, 30.1, 45.1, 60.1])

    def test_meanwhile_all_get_the_refusal(self, sign_in, source):
        for _ in range(2):
            source.refuse(run_blocking(source.get()), refused())

        with pytest.raises(AirbyteAuthenticationError):
            run_blocking(source.get())

    def test_an_accepted_token_ends_the_outage(self, sign_in, source):
        for _ in range(2):
            source.refuse(run_blocking(source.get()), refused())
        sign_in.now += 1
        source.accept(token := run_blocking(source.get()))

        source.refuse(token, refused())

        assert run_blocking(source.get()).value == "token4"

    def test_a_late_response_to_an_old_token_changes_nothing(self, sign_in, source):
        old = run_blocking(source.get())
        source.refuse(old, refused())
        new = run_blocking(source.get())

        source.refuse(old, refused())
        source.accept(old)

        assert run_blocking(source.get()) is new


THREADS = 20
Call = Callable[[AirbyteClient], object]


def in_threads(emulator: Emulator, call: Call, prepare: Call = lambda client: None) -> Counter[str]:
    """Make *call* in many threads that share a client, and return the outcomes."""
    with emulator.serve() as server:
        settings = settings_for(emulator, server.url)
        client = AirbyteClient(AirbyteSession(settings, RequestsTransport(settings)))
        prepare(client)
        return _outcomes(client, call)


def _outcomes(client: AirbyteClient, call: Call) -> Counter[str]:
    start = Barrier(THREADS)

    def outcome(_: int) -> str:
        start.wait()
        try:
            call(client)
        except AirbyteError as error:
            return type(error).__name__
        return "success"

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = Counter(pool.map(outcome, range(THREADS)))
    run_blocking(client.close())
    return outcomes


def list_jobs(client: AirbyteClient) -> object:
    return run_blocking(client.jobs.list())


def authenticate(client: AirbyteClient) -> object:
    return run_blocking(client.authenticate())


class TestThreadsThatShareAClient:
    def test_a_refused_token_costs_one_exchange(self):
        emulator = Emulator()

        def revoke(client: AirbyteClient) -> None:
            list_jobs(client)
            emulator.revoke_tokens()

        assert in_threads(emulator, list_jobs, revoke) == {"success": THREADS}
        assert requests_to(emulator, PUBLIC) == [200, 200]

    def test_rejected_credentials_cost_one_exchange(self):
        emulator = Emulator()

        def rotate(_: AirbyteClient) -> None:
            emulator.rotate_secret()

        outcomes = in_threads(emulator, authenticate, rotate)

        assert outcomes == {"AirbyteCredentialsError": THREADS}
        assert requests_to(emulator, PUBLIC) == [401]

    def test_an_outage_of_the_token_endpoint_is_outlasted_with_few_exchanges(self):
        emulator = Emulator()
        emulator.fail_next(PUBLIC, 503)

        assert in_threads(emulator, list_jobs) == {"success": THREADS}
        assert requests_to(emulator, PUBLIC) == [503, 200]


def test_a_start_outlasts_the_same_outage_of_the_token_endpoint_as_of_airbyte(
    emulator, wire, client, run
):
    emulator.fail_next(PUBLIC, 503, times=None)
    wire.after_seconds(100, emulator.clear_faults)

    run(client.jobs.list())

    assert requests_to(emulator, JOBS) == [200]
