"""The cases in SQLite and in a real PostgreSQL: one suite for both."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ServeError
from serving.handoff.case import Case, new_case
from serving.handoff.database import StoreUnavailable
from serving.handoff.desk import Talk
from serving.handoff.ledger import Act, Refused, Said
from serving.handoff.postgres import PostgresQueue
from serving.handoff.settings import HandoffSettings
from serving.handoff.sqlite import CaseQueue
from serving.handoff.store import CaseStore

TABLES = "handoffs, handoff_events, handoff_failures, handoff_exports"


def program(name: str) -> str:
    """A program of PostgreSQL; Debian keeps them out of the path."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.fail("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return found


@dataclass
class Cluster:
    """A PostgreSQL of our own, on a socket in a folder of its own."""

    folder: Path
    user: str | None

    def run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=120, user=self.user, cwd=self.folder)

    def make(self) -> None:
        self.run(program("initdb"), "-D", str(self.folder / "data"), "-U", "tester", "-A", "trust", "-N", "-E", "UTF8")
        self.start()

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=60"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self.run(program("pg_ctl"), "-D", data, "-l", log, "-w", "-t", "60", "-o", options, "start")

    def stop(self) -> None:
        self.run(program("pg_ctl"), "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    @property
    def conninfo(self) -> str:
        return f"host={self.folder} dbname=postgres user=tester"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    program("initdb")
    # Root may not run it, and the folders of pytest are root's alone.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="tj-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    made = Cluster(folder, user)
    try:
        made.make()
        yield made
        made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Place:
    """Where cases lie: opens stores of several gateways, and can be taken away."""

    kind: str
    connect: Callable[[], CaseStore]
    take_away: Callable[[], None]
    bring_back: Callable[[], None]
    argument: str


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        path, aside = tmp_path / "state" / "handoffs.sqlite", tmp_path / "aside"

        def hide() -> None:
            path.parent.rename(aside)
            path.parent.write_text("no folder")

        def show() -> None:
            path.parent.unlink()
            aside.rename(path.parent)

        return Place("sqlite", lambda: CaseQueue(path), hide, show, str(path))
    found: Cluster = request.getfixturevalue("cluster")
    import psycopg

    with psycopg.connect(found.conninfo, autocommit=True) as connection:
        for table in TABLES.split(", "):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
    return Place("postgres", lambda: PostgresQueue(found.conninfo), found.stop, found.start, found.conninfo)


def talk(request: str = "r1", text: str = "我要投诉", **more: Any) -> Talk:
    return Talk("acme", request, text, (("user", text),), **more)


def case(request: str = "r1", reasons: tuple[str, ...] = ("complaint",), **more: Any) -> Case:
    return new_case(talk(request, **more), reasons, "words", HandoffSettings())


def act(of: Case, agent: str = "A1", **more: Any) -> Act:
    return Act(of.id, agent, "acme", **more)


def trial(place: Place, work: Callable[[CaseStore], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        store = place.connect()
        try:
            await store.open()
            await work(store)
        finally:
            await store.close_store()

    asyncio.run(run())


def test_a_case_comes_back_as_it_was_stored(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        texts = (("system", "规则"), ("user", "你好"), ("assistant", "您好"), ("user", "我叫〔姓名1〕，我要投诉"))
        wanted = new_case(
            Talk("acme", "r1", "x", texts, "s1", "c1"), ("self_harm", "complaint"), "words", HandoffSettings()
        )
        assert await store.open_case(wanted) == wanted
        found, events = await store.news(wanted.id, "acme")
        assert found == wanted and found.urgency == 0
        assert found.transcript == (
            ("customer", "你好"),
            ("assistant", "您好"),
            ("customer", "我叫〔姓名1〕，我要投诉"),
        )
        assert [(event.number, event.kind) for event in events] == [(1, "opened")]

    trial(place, work)


def test_one_request_opens_one_case(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        first = await store.open_case(case("r1"))
        assert await store.open_case(case("r1")) == first
        assert await store.open_case(replace(case("r1"), tenant="other")) != first
        assert len(await store.page("acme", ["open"], 10)) == 1

    trial(place, work)


def test_gateways_open_one_case_for_a_session(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        others = [place.connect() for _ in range(3)]
        opened = await asyncio.gather(
            *(one.open_case(case(f"r{i}", session="s1")) for i, one in enumerate([store, *others] * 5))
        )
        assert len({one.id for one in opened}) == 1
        assert len(await store.page(None, ["open"], 100)) == 1
        assert await others[0].with_person("acme", "s1") == opened[0].id
        assert await store.with_person("other", "s1") is None
        for other in others:
            await other.close_store()

    trial(place, work)


def test_of_many_agents_one_wins(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        other = place.connect()
        opened = await store.open_case(case())
        tries = [one.claim(act(opened, f"A{i}")) for i, one in enumerate([store, other] * 6)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        winners = [one.claimed_by for one in done if isinstance(one, Case)]
        assert len(winners) == 1
        assert sum(isinstance(one, Refused) for one in done) == 11
        found, events = await store.news(opened.id, "acme")
        assert found.claimed_by == winners[0] and [event.kind for event in events] == ["opened", "claimed"]
        await other.close_store()

    trial(place, work)


def test_a_case_is_claimed_answered_and_closed_by_its_agent_only(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case())
        with pytest.raises(Refused, match="claim it first"):
            await store.answer(act(opened), "您好", "k1")
        assert (await store.claim(act(opened))).status == "claimed"
        assert (await store.claim(act(opened))).version == 2, "asking again changes nothing"
        for attempt in (
            store.answer(act(opened, "A2"), "您好", "k1"),
            store.close(act(opened, "A2"), "无", "resolved"),
            store.release(act(opened, "A2")),
        ):
            with pytest.raises(Refused, match="claimed by A1"):
                await attempt
        assert (await store.answer(act(opened), "您好", "k1")).status == "answered"
        closed = await store.close(act(opened), "已解释", "resolved")
        assert (closed.status, closed.resolution, closed.outcome) == ("closed", "已解释", "resolved")
        assert await store.close(act(opened), "已解释", "resolved") == closed
        for attempt in (store.answer(act(opened), "再说", "k2"), store.claim(act(opened, "A2"))):
            with pytest.raises(Refused, match="closed"):
                await attempt

    trial(place, work)


def test_a_released_case_is_claimed_by_another(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case())
        await store.claim(act(opened))
        assert (await store.release(act(opened))).status == "open"
        assert (await store.claim(act(opened, "A2"))).claimed_by == "A2"
        assert (await store.release(act(opened, "boss"), force=True)).claimed_by == ""

    trial(place, work)


def test_an_act_on_an_older_version_is_refused(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case(session="s1"))
        seen = await store.claim(act(opened))
        await store.hear(opened.id, Said("r2", "还有一件事"))
        with pytest.raises(Refused, match="has changed"):
            await store.close(act(opened, version=seen.version), "无", "resolved")
        found, _ = await store.news(opened.id, "acme")
        assert (await store.close(act(opened, version=found.version), "无", "resolved")).status == "closed"

    trial(place, work)


def test_words_reach_the_customer_once_and_in_order(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case(session="s1"))
        heard = await store.hear(opened.id, Said("r2", "在吗"))
        assert heard is not None and heard.words == ()
        await store.claim(act(opened))
        await store.answer(act(opened), "您好，我是小李", "k1")
        await store.answer(act(opened), "请说", "k2")
        heard = await store.hear(opened.id, Said("r3", "我想问"))
        assert heard is not None and heard.words == ("您好，我是小李", "请说")
        assert heard.case.status == "claimed", "it is the agent's turn again"
        heard = await store.hear(opened.id, Said("r4", "喂"))
        assert heard is not None and heard.words == ()
        _, events = await store.news(opened.id, "acme")
        said = [(event.sender, event.text) for event in events if event.kind == "message"]
        customer, agent = "customer", "agent"
        assert said == [
            (customer, "在吗"),
            (agent, "您好，我是小李"),
            (agent, "请说"),
            (customer, "我想问"),
            (customer, "喂"),
        ]

    trial(place, work)


def test_what_is_sent_twice_is_stored_once(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case(session="s1"))
        await store.claim(act(opened))
        await store.answer(act(opened), "您好", "k1")
        await store.answer(act(opened), "您好", "k1")
        first = await store.hear(opened.id, Said("r2", "在"))
        again = await store.hear(opened.id, Said("r2", "在"))
        assert first is not None and again is not None and first.words == again.words == ("您好",)
        _, events = await store.news(opened.id, "acme")
        assert [event.text for event in events if event.kind == "message"] == ["您好", "在"]

    trial(place, work)


def test_a_session_is_free_again_after_the_last_words(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case(session="s1"))
        await store.claim(act(opened))
        await store.answer(act(opened), "已为您登记，再见", "k1")
        await store.close(act(opened), "登记", "resolved")
        assert await store.with_person("acme", "s1") == opened.id
        heard = await store.hear(opened.id, Said("r2", "好的"))
        assert heard is not None and heard.words == ("已为您登记，再见",) and heard.case.status == "closed"
        assert await store.with_person("acme", "s1") is None
        assert await store.hear(opened.id, Said("r3", "还有")) is None
        assert (await store.open_case(case("r4", session="s1"))).id != opened.id

    trial(place, work)


def test_words_that_the_application_has_shown_are_not_given_again(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case(session="s1"))
        await store.claim(act(opened))
        shown = await store.answer(act(opened), "第一句", "k1")
        await store.answer(act(opened), "第二句", "k2")
        await store.given(opened.id, shown.version)
        heard = await store.hear(opened.id, Said("r2", "在"))
        assert heard is not None and heard.words == ("第二句",)

    trial(place, work)


def test_a_graver_message_moves_the_case_forward(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case(session="s1"))
        await store.open_case(case("r2", ("fraud",)))
        await store.hear(opened.id, Said("r3", "我不想活了", ("self_harm",)))
        first, second = await store.page("acme", ["open"], 10)
        assert first.id == opened.id and first.reasons == ("self_harm", "complaint") and first.urgency == 0
        assert second.reasons == ("fraud",)

    trial(place, work)


def test_pages_hold_every_case_once_in_the_order_of_work(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        kinds = ["human_wanted", "self_harm", "complaint", "fraud", "hardship"]
        for i in range(15):
            await store.open_case(case(f"r{i}", (kinds[i % 5],)))
        await store.open_case(replace(case("x"), tenant="other"))
        seen: list[Case] = []
        while found := await store.page("acme", ["open"], 4, seen[-1].id if seen else None):
            seen += found
        assert len(seen) == len({one.id for one in seen}) == 15
        assert [one.urgency for one in seen] == sorted(one.urgency for one in seen)
        assert len(await store.page(None, ["open"], 100)) == 16
        with pytest.raises(KeyError):
            await store.page("other", ["open"], 4, seen[0].id)

    trial(place, work)


def test_another_tenants_case_is_not_there(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        opened = await store.open_case(case())
        stranger = Act(opened.id, "B1", "other")
        for attempt in (
            store.news(opened.id, "other"),
            store.claim(stranger),
            store.release(stranger, force=True),
            store.answer(stranger, "您好", "k"),
            store.close(stranger, "无", "resolved"),
        ):
            with pytest.raises(KeyError):
                await attempt
        found, _ = await store.news(opened.id, None)
        assert found == opened

    trial(place, work)


def test_failures_count_by_session_and_are_forgotten(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        long_ago = "2020-01-01T00:00:00.000+00:00"
        counts = [await store.failed("acme", "s1", request, long_ago) for request in ("r1", "r2", "r2")]
        assert counts == [1, 2, 2]
        assert await store.failed("acme", "s2", "r9", long_ago) == 1
        await store.forget_failures("acme", "s1")
        assert await store.failed("acme", "s1", "r3", long_ago) == 1
        assert await store.failed("acme", "s1", "r4", "2999-01-01T00:00:00.000+00:00") == 1, "the older are forgotten"

    trial(place, work)


def test_a_store_that_comes_back_has_every_case(place: Place) -> None:
    async def work(store: CaseStore) -> None:
        before = await store.open_case(case("r1", session="s1"))
        await store.with_person("acme", "s1")
        await asyncio.to_thread(place.take_away)
        try:
            lost = case("r2", session="s2")
            for attempt in (
                lambda: store.open_case(lost),
                lambda: store.with_person("acme", "s1"),
                lambda: store.page(None, ["open"], 10),
            ):
                with pytest.raises(StoreUnavailable):
                    await attempt()
        finally:
            await asyncio.to_thread(place.bring_back)

        async def until_it_answers() -> str | None:
            while True:
                try:
                    return await store.with_person("acme", "s1")
                except StoreUnavailable:
                    await asyncio.sleep(0.1)

        assert await asyncio.wait_for(until_it_answers(), 60) == before.id
        assert (await store.open_case(lost)).id == lost.id
        assert {one.id for one in await store.page(None, ["open"], 10)} == {before.id, lost.id}

    trial(place, work)


_OPENS_CASES = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.serving.test_handoff_store import case
from serving.handoff.postgres import PostgresQueue
from serving.handoff.sqlite import CaseQueue

async def main():
    store = (CaseQueue if sys.argv[1] == "sqlite" else PostgresQueue)(sys.argv[2])
    await store.open()
    for i in range(100_000):
        print((await store.open_case(case(f"r{{i}}", session=f"s{{i}}"))).id, flush=True)

asyncio.run(main())
"""


def test_a_gateway_killed_while_it_opens_cases_loses_none_that_it_promised(place: Place) -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _OPENS_CASES.format(root=root), place.kind, place.argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        promised = [process.stdout.readline().strip() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        promised += process.stdout.read().split("\n")[:-1]

    async def work(store: CaseStore) -> None:
        stored = [one.id for one in await store.page(None, ["open"], 100_000)]
        assert set(promised) <= set(stored) and len(stored) == len(set(stored)) <= len(promised) + 1

    trial(place, work)


def test_connections_that_the_server_dropped_are_made_anew(cluster: Cluster) -> None:
    import psycopg

    async def run() -> None:
        store = PostgresQueue(cluster.conninfo, connections=2)
        opened = await store.open_case(case("dropped"))
        with psycopg.connect(cluster.conninfo, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tianjing-handoff'"
            )
        assert (await store.open_case(case("dropped"))).id == opened.id
        await store.close_store()

    asyncio.run(run())


def test_a_file_that_was_removed_is_not_written_on_in_secret(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "handoffs.sqlite"
        store = CaseQueue(path)
        await store.open_case(case("r1"))
        for file in tmp_path.iterdir():
            file.unlink()
        opened = await store.open_case(case("r2"))
        assert [one.id for one in CaseQueue(path).cases()] == [opened.id]
        await store.close_store()

    asyncio.run(run())


def test_a_queue_is_for_its_owner_alone(tmp_path: Path) -> None:
    queue = CaseQueue(tmp_path / "handoffs.sqlite")
    asyncio.run(queue.open())
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_a_file_that_is_no_queue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello, this is no database at all")
    with pytest.raises(ServeError, match="not a queue"):
        CaseQueue(tmp_path / "text")
    with pytest.raises(ServeError, match=r"handoff\.postgres"):
        PostgresQueue("this is = no = conninfo")
