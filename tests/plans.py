"""Plans made by hand, for tests of what shows, stores and carries them out."""

from dataclasses import dataclass, replace

from stratctl.core.diagnostic import Diagnostic, Severity, Span
from stratctl.core.plan import (
    BLOCKED_ROWS,
    FORFEIT_ROWS,
    PLAN_ROWS,
    SATISFIED_ROWS,
    Acknowledgement,
    Call,
    CallTotal,
    Certificate,
    CohortDrift,
    Fence,
    FloatNeed,
    GuardFinding,
    Impact,
    Plan,
)
from stratctl.core.state import Vector, Verb, WeightProvenance, WeightSource
from stratctl.core.tables import Schema, Table, Workspace
from stratctl.core.windows import Opening

BLUE_CHIP = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
HALF = Vector(
    (("BTC", 500_000_000_000_000_000), ("ETH", 300_000_000_000_000_000), ("SOL", 2 * 10**17))
)
EXIT = Vector((("BTC", 6 * 10**17), ("ETH", 4 * 10**17), ("SOL", 0)))
_MAJORS = Vector((("BTC", 8 * 10**17), ("ETH", 2 * 10**17)))
_OTHERS = Vector((("ETH", 25 * 10**16), ("SOL", 75 * 10**16)))
CAPPED_BLEND = WeightProvenance(
    rule="blend",
    span=Span("strategies/blue-chip.yaml", 6, 1),
    sources=(
        WeightSource("majors", 8 * 10**17, _MAJORS, Span("strategies/blue-chip.yaml", 7, 3)),
        WeightSource("others", 2 * 10**17, _OTHERS, Span("strategies/blue-chip.yaml", 8, 3)),
    ),
    uncapped=Vector((("BTC", 64 * 10**16), ("ETH", 21 * 10**16), ("SOL", 15 * 10**16))),
    cap_e18=5 * 10**17,
    cap_span=Span("strategies/blue-chip.yaml", 9, 1),
    vector=Vector(
        (("BTC", 5 * 10**17), ("ETH", 291_666_670 * 10**9), ("SOL", 208_333_330 * 10**9))
    ),
)
EQUAL = WeightProvenance(
    rule="equal_weight",
    span=Span("strategies/defi.yaml", 6, 1),
    sources=(),
    uncapped=Vector((("AAVE.ETH", 5 * 10**17), ("UNI.ETH", 5 * 10**17))),
    cap_e18=None,
    cap_span=None,
    vector=Vector((("AAVE.ETH", 5 * 10**17), ("UNI.ETH", 5 * 10**17))),
)


@dataclass(frozen=True)
class Row:
    """One participant of a call, with the columns that views show."""

    call: int
    participant_code: str
    amount_minor: int | None = None
    auto_rebalance: bool | None = None
    reason: str = ""
    cohort: str = "founders"
    file: str | None = "strategies/founders.yaml"
    line: int | None = 9
    moved_e8: int | None = None

    @property
    def columns(self) -> tuple[object, ...]:
        """The values in the order of PLAN_ROWS."""
        trader = (None, None) if self.auto_rebalance is None else ("trader-1", "2026-01-01")
        flags = (self.call, self.participant_code, self.amount_minor, self.auto_rebalance)
        return (
            *flags,
            *trader,
            self.reason,
            self.cohort,
            self.file,
            self.line,
            self.moved_e8,
        )


def table(workspace: Workspace, name: str, schema: Schema, rows: list[tuple[object, ...]]) -> Table:
    """A Table of few rows given one by one."""
    return workspace.table(name, schema, [list(c) for c in zip(*rows, strict=True)])


def call(number: int, verb: Verb, rows: list[Row], *, strategy: str = "blue-chip") -> Call:
    """A call that carries the rows of its number."""
    own = [row for row in rows if row.call == number]
    vectors = {Verb.ENROLL: HALF, Verb.TOP_UP: HALF, Verb.PARTIAL_SELL: HALF, Verb.REBALANCE: EXIT}
    vector = vectors.get(verb)
    trading = verb not in (Verb.CREATE, Verb.METADATA, Verb.FLAGS)
    return Call(
        number=number,
        strategy=strategy,
        strategy_id=BLUE_CHIP,
        currency="USD",
        verb=verb,
        vector=vector,
        target_text="BTC 0.6, ETH 0.4" if verb is Verb.REBALANCE else "",
        target_epoch=0,
        rows=len(own),
        amount_minor=sum(row.amount_minor or 0 for row in own),
        slot=number if trading else None,
        body_json='{"metadata":{"platform_label":"Blue Chip"}}' if verb is Verb.METADATA else "",
    )


def plan_of(workspace: Workspace, calls: list[Call], rows: list[Row]) -> Plan:
    """A plan of these calls and rows, with nothing blocked, found or estimated."""
    return Plan(
        realm="sandbox",
        environment="local",
        configuration="c" * 64,
        commit="0123456789abcdef0123456789abcdef01234567",
        generation=None,
        fences=tuple(
            Fence(name, BLUE_CHIP, 0, ()) for name in sorted({one.strategy for one in calls})
        ),
        calls=tuple(calls),
        rows=table(workspace, "rows", PLAN_ROWS, [row.columns for row in rows]),
        acknowledgements=(),
        as_of="2026-11-21T09:00:00Z",
        expires_at="2026-11-21T10:00:00Z",
        blocked=table(workspace, "blocked", BLOCKED_ROWS, []),
        findings=(),
        impacts=(),
        certificates=(),
        floats=(),
        prices=(),
        satisfied=table(workspace, "satisfied", SATISFIED_ROWS, []),
        forfeits=table(workspace, "forfeits", FORFEIT_ROWS, []),
        unmanaged=0,
    )


def empty_plan(workspace: Workspace) -> Plan:
    """A plan in which nothing is to be done."""
    return plan_of(workspace, [], [])


def small_plan(workspace: Workspace) -> Plan:
    """One call of two enrolments, nothing else."""
    rows = [
        Row(1, "CUST01", 1_500_000, True, "new", line=9, moved_e8=15 * 10**11),
        Row(1, "CUST02", 500_000, True, "new", line=10, moved_e8=5 * 10**11),
    ]
    plan = plan_of(workspace, [call(1, Verb.ENROLL, rows)], rows)
    return replace(plan, impacts=(impact("blue-chip", cash_in_minor=2_000_000, participants=2),))


def impact(strategy: str, **figures: int) -> Impact:
    """An impact in USD, zero where nothing is given."""
    zero = Impact(
        strategy=strategy,
        currency="USD",
        cash_in_minor=0,
        cash_out_minor=0,
        turnover_minor=0,
        value_minor=0,
        participants=0,
        largest_minor=0,
        turnover_by_asset=(),
    )
    return replace(zero, **figures)  # type: ignore[arg-type]  # all of them are integers


def rich_plan(workspace: Workspace) -> Plan:
    """A plan with every verb, something blocked, satisfied, forfeited, found and estimated."""
    rows = [
        Row(3, "CUST99", None, None, "exited", line=40, moved_e8=310_000_000_000),
        Row(4, "CUST50", 25_000, None, "withdrawn", line=12, moved_e8=25_000_000_000),
        *(
            Row(5, f"TOPU{n:02d}", cents, None, "contributed", line=n, moved_e8=cents * 10**6)
            for n, cents in enumerate((10_001, 10_002, 10_003), start=1)
        ),
        *(
            Row(
                6, f"NEWC{n:02d}", 512_500, n % 2 == 0, "new", line=20 + n, moved_e8=512_500 * 10**6
            )
            for n in range(1, 13)
        ),
        *(Row(7, f"REBA{n:02d}", None, None, "target changed", line=50 + n) for n in range(1, 41)),
        Row(8, "FLAG01", None, False, "auto_rebalance", line=8),
        Row(8, "FLAG02", None, True, "auto_rebalance", line=8),
    ]
    verbs = {
        1: Verb.CREATE,
        2: Verb.METADATA,
        3: Verb.LIQUIDATE,
        4: Verb.PARTIAL_SELL,
        5: Verb.TOP_UP,
        6: Verb.ENROLL,
        7: Verb.REBALANCE,
        8: Verb.FLAGS,
    }
    calls = [
        call(number, verb, rows, strategy="defi" if verb is Verb.CREATE else "blue-chip")
        for number, verb in verbs.items()
    ]
    calls[0] = replace(calls[0], strategy_id=None, body_json='{"quoted_currency":"USD"}')
    plan = plan_of(workspace, calls, rows)
    return replace(
        plan,
        fences=(Fence("blue-chip", BLUE_CHIP, 2, ("op-foreign",)), Fence("defi", None, 0, ())),
        acknowledgements=(
            Acknowledgement(
                "quarterly-exit",
                (("asset_exits", "1"), ("turnover", "0.30")),
                "SOL leaves the basket",
                "2026-12-01",
                Span("strategies/acknowledgements.yaml", 1, 1),
            ),
        ),
        findings=(
            GuardFinding(
                rule="asset_exits",
                measured="1",
                limit="0",
                subject="assets to sell in full in blue-chip",
                setting=Span("policy.yaml", 9, 30),
                acknowledged_by="quarterly-exit",
                hint="",
            ),
            GuardFinding(
                rule="liquidations",
                measured="1",
                limit="0",
                subject="participants to liquidate in blue-chip",
                setting=None,
                acknowledged_by="",
                hint="",
            ),
        ),
        blocked=table(
            workspace,
            "blocked",
            BLOCKED_ROWS,
            [
                ("blue-chip", f"BLOK{n:02d}", "undeclared_asset", "holds DOGE", "c.yaml", n, None)
                for n in range(1, 6)
            ]
            + [
                (
                    *("blue-chip", "PEND01", "pending", "an Operation is in flight", None, None),
                    "2026-11-19T09:00:00Z",
                )
            ],
        ),
        satisfied=table(
            workspace, "satisfied", SATISFIED_ROWS, [("blue-chip", "GOOD01", "BTC 1", 0)]
        ),
        forfeits=table(
            workspace, "forfeits", FORFEIT_ROWS, [("blue-chip", "CUST99", 10_000, 2_500)]
        ),
        impacts=(
            replace(
                impact(
                    "blue-chip",
                    cash_in_minor=6_180_006,
                    cash_out_minor=25_000,
                    turnover_minor=1_824_000,
                    value_minor=50_000_000,
                    participants=59,
                    largest_minor=512_500,
                ),
                turnover_by_asset=(("BTC", 3_000_000, 0), ("SOL", 0, 1_400_000)),
                unpriced=("DOGE",),
            ),
        ),
        certificates=(
            Certificate("blue-chip", Verb.ENROLL, 1, 1, "one vector"),
            Certificate("blue-chip", Verb.REBALANCE, 2, 1, "two opposite drifts"),
        ),
        floats=(FloatNeed("USD", 6_180_006, 5_000_000, "float of ACME01"),),
        prices=(("BTC", "USD", "65000.12"), ("ETH", "USD", "3500")),
        unmanaged=7,
        weights=(("blue-chip", CAPPED_BLEND), ("defi", EQUAL)),
        complete=False,
        warnings=(
            Diagnostic(
                "W_EXAMPLE",
                "A table is newer than its signature",
                "cohorts/founders.csv changed after it was signed",
                "sign it again",
                Span("strategies/founders.yaml", 5, 9),
                Severity.WARNING,
            ),
        ),
        notes=("prices are an hour old",),
        totals=(CallTotal("blue-chip", "USD", 2, 1, 12_000, 3, 0),),
        cohorts=(CohortDrift("blue-chip", "USD", "founders", 44, 62_345, 1_200, 98_700, 2),),
        window=Opening(
            open=False, changes_at="2026-12-27T00:00:00Z", because="2026-12-24 to 2026-12-26 UTC"
        ),
    )
