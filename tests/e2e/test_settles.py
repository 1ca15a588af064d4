"""Apply, then plan is empty: for every verb, and for all of them at once."""

from decimal import Decimal

import pytest

from stratctl.journal import booked
from tests.e2e.world import LEG, Project, Sandbox, verbs


@pytest.fixture
def enrolled(project: Project, sandbox: Sandbox) -> tuple[Project, list[str]]:
    """Four participants with 100.00 each in one Strategy."""
    codes = sandbox.participants(5)
    project.strategy("core")
    project.cohort("members", "core", dict.fromkeys(codes[:4], "100.00"))
    project.save()
    project.settle()
    return project, codes


def test_create_and_enroll(enrolled: tuple[Project, list[str]]) -> None:
    """A new Strategy is created once and everybody is enrolled with exactly what was declared."""
    project, codes = enrolled
    found = project.witness("core")
    assert found.strategies == 1
    assert found.types() == ["enrollment"]
    assert {code: moved.bought for code, moved in found.moved.items()} == dict.fromkeys(
        codes[:4], Decimal("100.00")
    )
    project.assert_nothing_left()


def test_top_up(enrolled: tuple[Project, list[str]]) -> None:
    """A rise of contributed is bought, and only the rise."""
    project, (one, *_) = enrolled
    project.line("members", one)["contributed"] = "133.37"
    project.save()
    project.settle()
    assert project.witness("core").moved[one].bought == Decimal("133.37")
    project.assert_nothing_left()


def test_partial_sell(enrolled: tuple[Project, list[str]]) -> None:
    """A rise of withdrawn is sold, and only the rise."""
    project, (one, *_) = enrolled
    project.line("members", one)["withdrawn"] = "40.00"
    project.save()
    project.settle()
    moved = project.witness("core").moved[one]
    assert abs(moved.sold - Decimal("40.00")) <= 3 * LEG
    assert moved.settled == {"enrollment": 1, "partial_sell": 1}
    project.assert_nothing_left()


def test_changed_target(enrolled: tuple[Project, list[str]]) -> None:
    """New weights rebalance everybody once; a named exit is gone afterwards."""
    project, codes = enrolled
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.save()
    project.settle()
    found = project.witness("core")
    assert found.types() == ["enrollment", "rebalance"]
    assert all(found.moved[code].settled["rebalance"] == 1 for code in codes[:4])
    project.assert_nothing_left()


def test_raised_epoch(enrolled: tuple[Project, list[str]], sandbox: Sandbox) -> None:
    """A raised epoch asks for one more rebalance, and for no second one."""
    project, _ = enrolled
    with sandbox.priced(BTC="90000.00"):
        project.assert_nothing_left()
        project.documents["core"]["rebalance"] = {"on": "change", "epoch": 1}
        project.save()
        project.settle()
        assert project.witness("core").types() == ["enrollment", "rebalance"]
        project.assert_nothing_left()


def test_drift(enrolled: tuple[Project, list[str]], sandbox: Sandbox) -> None:
    """With on: drift a breached band is repaired, and then nothing is left."""
    project, _ = enrolled
    project.documents["core"]["rebalance"] = {"on": "drift"}
    project.save()
    project.assert_nothing_left()
    with sandbox.priced(BTC="90000.00"):
        assert [verb for _, verb, _ in verbs(project.plan())] == ["rebalance"]
        project.settle()
        project.assert_nothing_left()


def test_exit(enrolled: tuple[Project, list[str]]) -> None:
    """status: exited sells everything, turns the flag off, and forgets what never moved."""
    project, (one, *_) = enrolled
    line = project.line("members", one)
    line["status"] = "exited"
    line["contributed"] = "120.00"
    project.save()
    project.settle()
    found = project.witness("core")
    assert found.types() == ["enrollment", "liquidation"]
    assert found.moved[one].bought == Decimal("100.00")
    assert found.traders[one]["auto_rebalance"] is False
    project.assert_nothing_left()


def test_coming_back(enrolled: tuple[Project, list[str]]) -> None:
    """Who exited comes back with a rise of contributed, and with exactly that rise."""
    project, (one, *_) = enrolled
    line = project.line("members", one)
    line["status"] = "exited"
    project.save()
    project.settle()
    del line["status"]
    line["contributed"] = "180.00"
    project.save()
    project.settle()
    found = project.witness("core")
    assert found.moved[one].bought == Decimal("180.00")
    assert found.traders[one]["auto_rebalance"] is True
    project.assert_nothing_left()


def test_flags(enrolled: tuple[Project, list[str]]) -> None:
    """A changed auto_rebalance is set and read back."""
    project, (one, two, *_) = enrolled
    project.line("members", two)["auto_rebalance"] = False
    project.save()
    project.settle()
    traders = project.witness("core").traders
    assert (traders[one]["auto_rebalance"], traders[two]["auto_rebalance"]) == (True, False)
    project.assert_nothing_left()


def test_metadata(enrolled: tuple[Project, list[str]]) -> None:
    """Declared metadata is set, and keys that others put there stay."""
    project, _ = enrolled
    strategy_id = project.strategy_id("core")
    theirs = project.sandbox.get(f"/strategies/{strategy_id}")["metadata"]
    project.documents["core"]["metadata"]["tier"] = "gold"
    project.save()
    project.settle()
    ours = project.sandbox.get(f"/strategies/{strategy_id}")["metadata"]
    assert ours == {**theirs, "tier": "gold"}
    project.assert_nothing_left()


def everything(project: Project, codes: list[str]) -> None:
    """Declare a change that needs every verb at once."""
    one, two, three, four, new = codes
    project.line("members", one)["contributed"] = "150.00"
    project.line("members", two)["withdrawn"] = "40.00"
    project.line("members", three)["status"] = "exited"
    project.line("members", four)["auto_rebalance"] = False
    project.documents["members"]["participants"].append(
        {"participant_code": new, "contributed": "70.00"}
    )
    project.strategy("core", {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
    project.documents["core"]["metadata"]["tier"] = "gold"
    project.save()


def test_every_verb_at_once(enrolled: tuple[Project, list[str]]) -> None:
    """One plan with every verb settles in one apply, in the documented order."""
    project, codes = enrolled
    everything(project, codes)
    assert [verb for _, verb, _ in verbs(project.plan())] == [
        "metadata",
        "liquidate",
        "partial_sell",
        "top_up",
        "enroll",
        "rebalance",
        "flags",
    ]
    project.settle()
    one, two, three, four, new = codes
    found = project.witness("core")
    bought = {code: moved.bought for code, moved in found.moved.items()}
    assert bought == {
        one: Decimal("150.00"),
        two: Decimal("100.00"),
        three: Decimal("100.00"),
        four: Decimal("100.00"),
        new: Decimal("70.00"),
    }
    assert abs(found.moved[two].sold - Decimal("40.00")) <= 2 * LEG
    assert found.moved[three].settled == {"enrollment": 1, "liquidation": 1}
    # Who turns the flag off in the same plan is not rebalanced.
    assert found.moved[four].settled == {"enrollment": 1}
    project.assert_nothing_left()


def test_with_a_spread(project: Project, sandbox: Sandbox) -> None:
    """Customer prices with a spread leave nothing to do while the bands are wider than it."""
    codes = sandbox.participants(5)
    with sandbox.switched(spread_bps="40"):
        project.strategy("core", rebalance={"on": "drift"})
        project.cohort("members", "core", dict.fromkeys(codes[:4], "1000.00"))
        project.save()
        project.settle()
        project.assert_nothing_left()
        everything(project, codes)
        project.documents["core"]["rebalance"] = {"on": "drift"}
        project.documents["core"]["exits"] = ["SOL"]
        project.line("members", codes[0])["contributed"] = "1150.00"
        project.save()
        project.settle()
        project.assert_nothing_left()


def test_two_strategies_side_by_side(project: Project, sandbox: Sandbox) -> None:
    """A participant of two Strategies has an account in each, and they do not mix."""
    codes = sandbox.participants(3)
    project.strategy("core")
    project.strategy("theme", {"SOL": "1"})
    project.cohort("members", "core", dict.fromkeys(codes, "100.00"))
    project.cohort("fans", "theme", dict.fromkeys(codes[:2], "55.50"))
    project.save()
    project.settle()
    core, theme = project.witness("core"), project.witness("theme")
    assert [core.moved[code].bought for code in codes] == [Decimal("100.00")] * 3
    assert [theme.moved[code].bought for code in codes[:2]] == [Decimal("55.50")] * 2
    assert codes[2] not in theme.moved
    project.assert_nothing_left()


def test_many_strategies_at_once(project: Project, sandbox: Sandbox) -> None:
    """Strategies that are carried out side by side, each with its own barrier, do not mix."""
    codes = sandbox.participants(10)
    shorts = [f"s{number}" for number in range(5)]
    for number, short in enumerate(shorts):
        project.strategy(short)
        project.cohort(f"c{number}", short, dict.fromkeys(codes, f"{100 + number}.00"))
    project.save()
    project.settle()
    for number, short in enumerate(shorts):
        project.strategy(short, {"BTC": "0.6", "ETH": "0.4"}, exits=["SOL"])
        project.line(f"c{number}", codes[number])["contributed"] = "200.00"
        project.line(f"c{number}", codes[number + 5])["withdrawn"] = "40.00"
    project.save()
    project.settle()
    for number, short in enumerate(shorts):
        found = project.witness(short)
        assert found.types() == ["enrollment", "partial_sell", "top_up", "rebalance"]
        assert all(found.moved[code].settled["rebalance"] == 1 for code in codes)
        assert found.moved[codes[number]].bought == Decimal("200.00")
        assert found.moved[codes[9 - number]].bought == Decimal(f"{100 + number}.00")
    project.assert_nothing_left()


def test_targets_a_b_a(enrolled: tuple[Project, list[str]]) -> None:
    """Targets A, B and A again are three Operations with three request ids."""
    project, codes = enrolled
    for weights in (
        {"BTC": "0.2", "ETH": "0.3", "SOL": "0.5"},
        {"BTC": "0.5", "ETH": "0.3", "SOL": "0.2"},
    ) * 2:
        project.strategy("core", weights)
        project.save()
        project.settle()
    found = project.witness("core")
    assert found.types() == ["enrollment", *["rebalance"] * 4]
    assert len({operation["request_id"] for operation in found.operations}) == 5
    assert all(found.moved[code].settled["rebalance"] == 4 for code in codes[:4])
    project.assert_nothing_left()


def test_named_funding(enrolled: tuple[Project, list[str]]) -> None:
    """A named contribution is paid once; its key is not paid again under other names."""
    project, (one, two, *_) = enrolled
    project.documents["members"]["funding"] = [
        {
            "key": project.name("payroll"),
            "participants": [
                {"participant_code": one, "amount": "25.00"},
                {"participant_code": two, "amount": "30.00"},
            ],
        }
    ]
    project.save()
    project.settle()
    found = project.witness("core")
    assert (found.moved[one].bought, found.moved[two].bought) == (
        Decimal("125.00"),
        Decimal("130.00"),
    )
    project.assert_nothing_left()


# --- canaries -------------------------------------------------------------------------------------


def test_canary_a_forgetful_booking_is_caught(
    enrolled: tuple[Project, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where sells are not booked, the plan after an apply is not empty: the law can fail."""
    project, (one, *_) = enrolled
    project.line("members", one)["withdrawn"] = "40.00"
    project.save()
    monkeypatch.setattr(booked, "MONEY_OUT", ())
    project.settle()
    with pytest.raises(AssertionError, match="partial_sell"):
        project.assert_nothing_left()
