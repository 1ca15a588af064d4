"""Each attempt is sent once, and an answer proves no more than it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from stratctl.core.errors import BadResponse, NotFound, ProviderError
from stratctl.core.event import Answer, AnswerClass, Intent
from stratctl.core.slots import call_id, create_id, patch_id
from stratctl.core.state import Verb
from stratctl.live.answers import classify
from stratctl.live.transport import RawAnswer
from stratctl.live.writer import SIGNATURE_SECONDS_MAX, Writer
from stratctl.sandbox.faults import KINDS
from tests.live.worlds import (
    BLUE_CHIP,
    HandClock,
    World,
    answering,
    call,
    intent,
    json_answer,
    read_client,
    write_client,
)

STRATEGY = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
OTHER = "aaaaaaaa-f5a6-4789-bcde-f01234567890"
ENROLL = call(Verb.ENROLL, STRATEGY, 1, {"CUST01": "10.00"})
ECHO = {
    "id": OTHER,
    "strategy_id": STRATEGY,
    "request_id": ENROLL.request_id,
    "type": "enrollment",
    "status": "validating",
    "allocations": [
        {"underlying_currency": "SOL", "weight": "0.200"},
        {"underlying_currency": "BTC", "weight": "0.5"},
        {"underlying_currency": "ETH", "weight": "0.30"},
    ],
}


def answered(status: int, document: object, **headers: str) -> RawAnswer:
    """An answer before it is classified."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return RawAnswer(status, named, body)


COMMITTED = AnswerClass.COMMITTED
SLOT_TAKEN = AnswerClass.SLOT_TAKEN
UNKNOWN = AnswerClass.UNKNOWN

CLASSES = [
    (answered(202, {"message": ECHO}, x_request_id=ENROLL.request_id), COMMITTED),
    (answered(200, ECHO), COMMITTED),
    (answered(201, {"message": {**ECHO, "status": "settled"}}), COMMITTED),
    (answered(202, {"message": {**ECHO, "request_id": ENROLL.request_id.upper()}}), COMMITTED),
    (answered(202, ECHO, x_request_id=ENROLL.request_id.upper()), COMMITTED),
    (answered(202, {**ECHO, "request_id": None}, x_request_id=ENROLL.request_id), COMMITTED),
    (answered(202, {**ECHO, "allocations": None, "type": None}), COMMITTED),
    (answered(202, {**ECHO, "request_id": None}), UNKNOWN),
    (answered(202, {**ECHO, "request_id": OTHER}), UNKNOWN),
    (answered(202, ECHO, x_request_id=OTHER), UNKNOWN),
    (answered(202, {**ECHO, "id": None}), UNKNOWN),
    (answered(202, {**ECHO, "strategy_id": None}), UNKNOWN),
    (answered(202, {**ECHO, "strategy_id": OTHER}), SLOT_TAKEN),
    (answered(202, {**ECHO, "type": "top_up"}), SLOT_TAKEN),
    (answered(202, {**ECHO, "type": "something_new"}), SLOT_TAKEN),
    (answered(202, {**ECHO, "allocations": []}), SLOT_TAKEN),
    (answered(202, {**ECHO, "allocations": ECHO["allocations"][:2]}), SLOT_TAKEN),
    (answered(202, b""), UNKNOWN),
    (answered(202, b"<html>"), UNKNOWN),
    (answered(202, b'{"message":{"id"'), UNKNOWN),
    (answered(202, []), UNKNOWN),
    (answered(204, b""), UNKNOWN),
    (answered(206, ECHO), UNKNOWN),
    (answered(400, {"errors": ["body/amount must be >= 0"]}), AnswerClass.REFUSED),
    (answered(400, {"errors": []}), UNKNOWN),
    (answered(400, {"error": "Bad Request"}), UNKNOWN),
    (answered(400, b"<html>"), UNKNOWN),
    (answered(401, {"error": True, "message": "x"}), AnswerClass.ACCESS_REFUSED),
    (answered(403, b"<html>Error 1020"), AnswerClass.ACCESS_REFUSED),
    (answered(404, b""), AnswerClass.NOT_FOUND),
    (answered(429, b"Too Many Requests"), AnswerClass.RATE_LIMITED),
    (answered(503, {}, zh_allow_retry="true"), AnswerClass.RETRY_FRIENDLY),
    (answered(503, {}), UNKNOWN),
    *[
        (answered(status, b""), UNKNOWN)
        for status in (301, 302, 307, 402, 405, 408, 409, 413, 418, 422, 500, 502, 504, 599, 999)
    ],
]


@pytest.mark.parametrize(("raw", "expected"), CLASSES)
def test_what_an_answer_proves(raw: RawAnswer, expected: AnswerClass) -> None:
    """The table of answers: only an echo that fits commits, and a doubt is unknown."""
    answer = classify(ENROLL, 3, raw)
    assert answer.answer is expected
    assert (answer.request_id, answer.number, answer.status) == (ENROLL.request_id, 3, raw.status)
    assert bool(answer.resource_id) is (expected in (COMMITTED, SLOT_TAKEN))
    assert bool(answer.errors) is (expected is AnswerClass.REFUSED)


def test_allocations_are_compared_as_decimals() -> None:
    """0.2 and 0.200 are one weight; 0.20 and 0.21 are two."""
    allocations = [
        {"underlying_currency": asset, "weight": weight.replace("0.2", "0.21")}
        for asset, weight in BLUE_CHIP
    ]
    answer = classify(ENROLL, 1, answered(202, {**ECHO, "allocations": allocations}))
    assert answer.answer is SLOT_TAKEN
    assert "BTC 0.5, ETH 0.3, SOL 0.21" in answer.detail


def test_a_liquidation_has_no_allocations_to_compare() -> None:
    """Neither its body nor its Operation carries any."""
    sell = call(Verb.LIQUIDATE, STRATEGY, 1, {"CUST01": None})
    shown = {**ECHO, "type": "liquidation", "allocations": []}
    assert classify(sell, 1, answered(202, shown)).answer is COMMITTED


# --- against the sandbox -----------------------------------------------------------------------


def world_with_strategy() -> tuple[World, str]:
    """A world with one Strategy."""
    world = World()
    return world, world.create()


def operations(world: World) -> int:
    """How many Operations the provider has."""
    page = world.read_client.get("/strategies/operations", decode=lambda document: document)
    return len(page["message"]["operations"])


def test_every_verb_commits_and_is_found_again() -> None:
    """Each call's echo fits its intent, and a look-up by id finds what was answered."""
    world, strategy_id = world_with_strategy()
    amounts = {"P00001": "100.00", "P00002": "100.00"}
    nothing: dict[str, str | None] = {"P00001": None}
    calls = [
        call(Verb.ENROLL, strategy_id, 1, amounts),
        call(Verb.TOP_UP, strategy_id, 2, {"P00001": "10.00"}),
        call(Verb.PARTIAL_SELL, strategy_id, 3, {"P00001": "10.00"}),
        call(Verb.REBALANCE, strategy_id, 4, nothing, allocations=[("BTC", "1"), ("ETH", "0")]),
        call(Verb.LIQUIDATE, strategy_id, 5, nothing),
    ]
    for each in calls:
        assert world.writer.look_up(each) is None
        answer = world.send(each)
        assert answer.answer is COMMITTED, answer
        found = world.writer.look_up(each)
        assert found is not None
        assert (found.answer, found.number) == (COMMITTED, 0)
        assert found.resource_id == answer.resource_id
        world.settle()
        operation = world.writer.operation(answer.resource_id, slot=each.slot)
        assert (operation.status, operation.slot) == ("settled", each.slot)
        executions = world.writer.executions(strategy_id, answer.resource_id)
        assert len(executions) == len(json.loads(each.body)["participants"])


def test_a_strategy_is_created_patched_and_found() -> None:
    """CREATE by its request id in the list, METADATA and FLAGS by what the resource shows."""
    world = World()
    body = {"quoted_currency": "USD", "metadata": {"a": 1}}
    create = intent(Verb.CREATE, "/strategies", body, create_id("sandbox", "x"))
    assert world.writer.look_up(create) is None
    strategy_id = world.send(create).resource_id
    found = world.writer.look_up(create)
    assert found is not None
    assert (found.answer, found.resource_id) == (COMMITTED, strategy_id)
    shown = world.writer.strategy(strategy_id, name="x")
    assert (shown.id, shown.name, shown.metadata_json) == (strategy_id, "x", '{"a":1}')

    value = {"metadata": {"b": [True, "é"], "a": 2}}
    metadata = intent(
        Verb.METADATA,
        f"/strategies/{strategy_id}",
        value,
        patch_id("sandbox", strategy_id, shown.updated_at, "x"),
        strategy_id=strategy_id,
    )
    assert world.writer.look_up(metadata) is None
    assert world.send(metadata).answer is COMMITTED
    after = world.writer.look_up(metadata)
    assert after is not None
    assert after.resource_id == strategy_id

    world.commit(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"}))
    (row,) = world.read_client.get(
        "/strategies/traders", decode=lambda document: document["message"]["traders"]
    )
    trader_id = row["id"]
    flag = intent(
        Verb.FLAGS,
        f"/strategies/traders/{trader_id}",
        {"auto_rebalance": False},
        patch_id("sandbox", trader_id, row["updated_at"], "false"),
        strategy_id=strategy_id,
    )
    assert world.writer.trader(trader_id).auto_rebalance is True
    assert world.writer.look_up(flag) is None
    answer = world.send(flag)
    assert (answer.answer, answer.resource_id) == (COMMITTED, trader_id)
    assert world.writer.trader(trader_id).auto_rebalance is False
    assert world.writer.look_up(flag) is not None


def test_what_does_not_exist_is_not_found() -> None:
    """A Strategy of nobody: the call's answer, and the read's error."""
    world, _ = world_with_strategy()
    assert world.send(call(Verb.ENROLL, OTHER, 1, {"P00001": "1.00"})).answer is (
        AnswerClass.NOT_FOUND
    )
    with pytest.raises(NotFound):
        world.writer.operation(OTHER)


def test_a_refused_body_says_why() -> None:
    """The provider's own texts come along."""
    world, strategy_id = world_with_strategy()
    answer = world.send(call(Verb.ENROLL, strategy_id, 1, {"P00001": "-1.00"}))
    assert answer.answer is AnswerClass.REFUSED
    assert answer.errors


def test_a_key_that_may_not_write_is_refused() -> None:
    """The read key in the writer's place."""
    world, strategy_id = world_with_strategy()
    keys = world.sandbox.credentials
    client = write_client(world.sandbox.transport(), world.clock)
    client._credentials = replace(
        client._credentials,
        key=type(client._credentials.key)(keys.read.key),
        secret=type(client._credentials.key)(keys.read.secret),
        passphrase=type(client._credentials.key)(keys.read.passphrase),
    )
    writer = Writer(client, world.read_client, world.clockwork)
    signed = writer.sign(call(Verb.ENROLL, strategy_id, 1, {"P00001": "1.00"}))
    assert writer.send(signed, 1).answer is AnswerClass.ACCESS_REFUSED


@pytest.mark.parametrize("position", ["replay", "400", "409", "422"])
def test_a_slot_with_another_body_is_never_taken_for_ours(position: str) -> None:
    """Whatever the provider does with a used id: the look-up tells by the body's allocations."""
    world = World(switches={"same_id_other_body": position})
    strategy_id = world.create()
    world.commit(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"}, allocations=[("BTC", "1")]))
    ours = call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"})
    answer = world.send(ours)
    assert answer.answer is not COMMITTED
    found = world.writer.look_up(ours)
    assert found is not None
    assert found.answer is SLOT_TAKEN
    assert operations(world) == 1


@pytest.mark.parametrize("status", ["200", "original"])
@pytest.mark.parametrize("envelope", ["wrapped", "bare", "bare_create"])
def test_a_replay_is_the_same_commit(status: str, envelope: str) -> None:
    """In both envelopes and with either status: one Operation, one id."""
    world = World(switches={"replay_status": status, "envelope": envelope})
    strategy_id = world.create()
    assert world.create() == strategy_id
    first = world.send(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"}))
    world.settle()
    again = world.send(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"}))
    assert (first.answer, again.answer) == (COMMITTED, COMMITTED)
    assert first.resource_id == again.resource_id
    found = world.writer.look_up(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"}))
    assert found is not None
    assert found.resource_id == first.resource_id


EXPECTED = {
    "401": AnswerClass.ACCESS_REFUSED,
    "403": AnswerClass.ACCESS_REFUSED,
    "1020": AnswerClass.ACCESS_REFUSED,
    "429": AnswerClass.RATE_LIMITED,
    "503": AnswerClass.RETRY_FRIENDLY,
    "short_page": COMMITTED,
    "drop_item": COMMITTED,
    "repeat_token": COMMITTED,
}
COMMITS = {
    "timeout_after",
    "reset_after",
    "500_after",
    "502_after",
    "504_after",
    "malformed",
    "html",
    "truncated",
    "short_page",
    "drop_item",
    "repeat_token",
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("replace", "late")])
def test_every_fault_on_a_write_is_classed_and_looked_up(kind: str) -> None:
    """Never a retry of its own; the look-up finds exactly what was carried out."""
    world, strategy_id = world_with_strategy()
    sent = call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"})
    world.fault(kind, method="POST")
    answer = world.send(sent)
    assert answer.answer is EXPECTED.get(kind, UNKNOWN), answer
    found = world.writer.look_up(sent)
    assert (found is not None) is (kind in COMMITS)
    assert operations(world) == (1 if kind in COMMITS else 0)
    again = world.send(sent)
    assert again.answer is COMMITTED
    assert operations(world) == 1
    if found is not None:
        assert found.resource_id == again.resource_id


def test_a_request_that_arrives_late_is_a_duplicate() -> None:
    """The retry of the same bytes commits; its twin from before changes nothing."""
    world, strategy_id = world_with_strategy()
    sent = call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"})
    world.fault("late", method="POST", seconds=20)
    assert world.send(sent).answer is UNKNOWN
    assert world.writer.look_up(sent) is None
    assert world.send(sent).answer is COMMITTED
    world.sandbox.advance(60)
    assert operations(world) == 1


@pytest.mark.parametrize(
    ("find", "other", "expected"),
    [
        ('"type":"enrollment"', '"type":"top_up"', SLOT_TAKEN),
        ('"weight":"0.5"', '"weight":"0.6"', SLOT_TAKEN),
        ('"request_id":"', '"request_id":"0', UNKNOWN),
        ('"request_id":"', '"no_id":"', COMMITTED),
        ('"id":"', '"id":"x', UNKNOWN),
    ],
)
def test_an_echo_that_differs_is_noticed(find: str, other: str, expected: AnswerClass) -> None:
    """Another type or weight is another body; another id proves nothing."""
    world, strategy_id = world_with_strategy()
    world.fault("replace", method="POST", find=find, **{"with": other})
    assert world.send(call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"})).answer is expected


def test_a_connection_that_never_was_is_not_sent() -> None:
    """The only failure after which nothing can have happened."""
    writer = lonely_writer(httpx.ConnectError("refused"))
    answer = writer.send(writer.sign(ENROLL), 7)
    assert (answer.answer, answer.number) == (AnswerClass.NOT_SENT, 7)
    writer = lonely_writer(httpx.ReadError("cut"))
    assert writer.send(writer.sign(ENROLL), 1).answer is UNKNOWN


def test_an_answer_that_is_not_read_is_unknown() -> None:
    """Compressed or endless: the request may have been carried out."""
    writer = lonely_writer(httpx.Response(202, headers={"content-encoding": "br"}, content=b""))
    answer = writer.send(writer.sign(ENROLL), 1)
    assert (answer.answer, answer.status) == (UNKNOWN, 202)


def lonely_writer(answer: httpx.Response | Exception, clock: HandClock | None = None) -> Writer:
    """A writer whose provider always answers alike."""
    transport, _ = answering(answer)
    clock = clock or HandClock()
    return Writer(write_client(transport, clock), read_client(transport, clock), clock.clockwork())


@pytest.mark.parametrize("jump", [SIGNATURE_SECONDS_MAX + 1.0, 86_400.0, -30.0])
def test_a_signature_that_grew_old_is_not_sent(jump: float) -> None:
    """The provider would refuse it; nothing leaves, and the answer says so."""
    transport, seen = answering(json_answer({}))
    clock = HandClock()
    writer = Writer(write_client(transport, clock), read_client(transport), clock.clockwork())
    signed = writer.sign(ENROLL)
    clock.wall_offset = jump
    answer = writer.send(signed, 1)
    assert answer.answer is AnswerClass.NOT_SENT
    assert seen == []


def test_signing_waits_for_the_rate_limit_first() -> None:
    """A pause after "too many" passes before the signature is made, so that none grows old."""
    world, strategy_id = world_with_strategy()
    world.limiter.pause(250.0)
    signed = world.writer.sign(call(Verb.ENROLL, strategy_id, 1, {"P00001": "1.00"}))
    assert world.clock.sleeps == [250.0]
    assert world.writer.send(signed, 1).answer is COMMITTED


def test_a_signed_attempt_is_sent_once() -> None:
    """A second sending is a bug, not a retry."""
    world, strategy_id = world_with_strategy()
    signed = world.writer.sign(call(Verb.ENROLL, strategy_id, 1, {"P00001": "1.00"}))
    assert signed.request_id == call_id("sandbox", strategy_id, 1)
    assert world.writer.send(signed, 1).answer is COMMITTED
    with pytest.raises(AssertionError, match="sent once"):
        world.writer.send(signed, 2)


def test_the_writer_tells_and_takes_time() -> None:
    """By the clock that was handed in, which also signs."""
    clock = HandClock()
    writer = lonely_writer(json_answer({}), clock)
    writer.wait(3.5)
    assert clock.sleeps == [3.5]
    assert abs(writer.now() - writer.sign(ENROLL).signed_at) <= 1


def test_a_signed_attempt_shows_no_header() -> None:
    """Its text has the body and the id, and neither key nor signature."""
    writer = lonely_writer(json_answer({}))
    shown = repr(writer.sign(ENROLL))
    assert ENROLL.request_id in shown
    assert "X-SCX" not in shown
    assert "a-passphrase" not in shown


def test_a_look_up_ignores_what_its_filter_should_have_left_out() -> None:
    """A server that does not filter does not make another's Operation ours."""
    transport, _ = answering(json_answer({"operations": [{**ECHO, "request_id": OTHER}]}))
    writer = Writer(write_client(transport), read_client(transport), HandClock().clockwork())
    assert writer.look_up(ENROLL) is None


def test_a_look_up_that_finds_two_takes_the_one_that_fits() -> None:
    """An id is one Strategy's; the same id elsewhere is not this call's slot."""
    elsewhere = {**ECHO, "id": STRATEGY, "strategy_id": OTHER}
    for listed in ([ECHO, elsewhere], [elsewhere, ECHO]):
        transport, _ = answering(json_answer({"operations": listed}))
        writer = Writer(write_client(transport), read_client(transport), HandClock().clockwork())
        found = writer.look_up(ENROLL)
        assert found is not None
        assert (found.answer, found.resource_id) == (COMMITTED, OTHER)


def test_a_look_up_that_cannot_be_made_says_so() -> None:
    """It is not the same as having found nothing."""
    writer = lonely_writer(httpx.Response(500))
    with pytest.raises(ProviderError):
        writer.look_up(ENROLL)
    with pytest.raises(BadResponse):
        lonely_writer(httpx.Response(200, content=b"<html>")).look_up(ENROLL)


def patched(verb: Verb, path: str, body: dict[str, object]) -> Intent:
    """A PATCH intent."""
    return intent(verb, path, body, call_id("sandbox", STRATEGY, 9))


CREATE = intent(
    Verb.CREATE, "/strategies", {"quoted_currency": "USD"}, create_id("sandbox", "blue-chip")
)
PATCHES: list[tuple[Intent, dict[str, object], AnswerClass]] = [
    (
        patched(Verb.FLAGS, f"/strategies/traders/{OTHER}", {"auto_rebalance": True}),
        {"id": OTHER, "strategy_id": STRATEGY, "participant_code": "A", "auto_rebalance": False},
        SLOT_TAKEN,
    ),
    (
        patched(Verb.FLAGS, f"/strategies/traders/{OTHER}", {"auto_rebalance": True}),
        {"id": STRATEGY, "strategy_id": STRATEGY, "participant_code": "A"},
        UNKNOWN,
    ),
    (
        patched(Verb.METADATA, f"/strategies/{OTHER}", {"metadata": {"a": 1}}),
        {"id": OTHER, "metadata": {"a": 2}},
        SLOT_TAKEN,
    ),
    (
        patched(Verb.METADATA, f"/strategies/{OTHER}", {"metadata": {}}),
        {"id": STRATEGY, "metadata": {}},
        UNKNOWN,
    ),
    (CREATE, {"id": OTHER, "request_id": OTHER, "quoted_currency": "USD"}, UNKNOWN),
    (CREATE, {"id": OTHER, "request_id": CREATE.request_id, "quoted_currency": "EUR"}, SLOT_TAKEN),
    (CREATE, {"id": OTHER, "request_id": CREATE.request_id}, COMMITTED),
]


@pytest.mark.parametrize(("sent", "shown", "expected"), PATCHES)
def test_creates_and_patches_are_echo_checked_too(
    sent: Intent, shown: dict[str, object], expected: AnswerClass
) -> None:
    """Another value is another body; another resource proves nothing."""
    assert classify(sent, 1, answered(200, shown)).answer is expected


def test_a_strategy_in_another_currency_has_taken_the_id() -> None:
    """The look-up by request id compares what it finds with the body."""
    shown = {"id": OTHER, "request_id": CREATE.request_id, "quoted_currency": "EUR"}
    transport, _ = answering(json_answer({"strategies": [shown]}))
    writer = Writer(write_client(transport), read_client(transport), HandClock().clockwork())
    found = writer.look_up(CREATE)
    assert found is not None
    assert found.answer is SLOT_TAKEN


def retrying(send: Callable[[], Answer]) -> Answer:
    """What nobody may write below the journal: a loop that sends again."""
    answer = send()
    return answer if answer.answer is COMMITTED else send()


def test_canary_a_hidden_retry_is_seen() -> None:
    """The sandbox's log, which the tests above rely on, shows a second request under one id."""
    world, strategy_id = world_with_strategy()
    sent = call(Verb.ENROLL, strategy_id, 1, {"P00001": "10.00"})
    world.fault("502_before", method="POST")
    before = world.limiter.taken
    retrying(lambda: world.send(sent))
    assert world.limiter.taken - before == 2
