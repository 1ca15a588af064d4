"""Windows open and close at the hours of the wall in their zone, whatever its clocks do."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stratctl.core.windows import DAYS, Opening, Window, Windows, window_of

NEW_YORK = "Mon-Fri 09:00-17:00 America/New_York"
MOMENTS = st.integers(0, 2 * 365 * 86_400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Kolkata", "UTC")


@st.composite
def weekly(draw: st.DrawFn) -> str:
    """A weekly window as somebody might write it."""
    first, last = draw(st.sampled_from(DAYS)), draw(st.sampled_from(DAYS))
    days = draw(st.sampled_from((first, f"{first}-{last}", f"{first},{last}")))
    start, end = draw(st.lists(st.integers(0, 24), min_size=2, max_size=2, unique=True))
    return f"{days} {start:02}:00-{end:02}:00 {draw(st.sampled_from(ZONES))}"


@st.composite
def dates(draw: st.DrawFn) -> str:
    """A span of up to ten days."""
    first = draw(st.dates(date(2026, 1, 5), date(2027, 12, 1)))
    last = first + timedelta(days=draw(st.integers(0, 9)))
    return f"{first} to {last} {draw(st.sampled_from(ZONES))}"


def windows(allow: Any = (), blackout: Any = ()) -> Windows:
    """Windows from their texts."""
    return Windows(tuple(map(window_of, allow)), tuple(map(window_of, blackout)))


SOME = given(st.lists(weekly(), max_size=2), st.lists(weekly() | dates(), max_size=2), MOMENTS)
"""Windows and blackouts, and a moment to ask about."""


def slowly_open(texts: list[str], blackout: list[str], moment: datetime) -> bool:
    """The same question, asked of the wall clock of each zone."""
    held = [_held(window_of(text), moment) for text in texts]
    return (any(held) or not texts) and not any(_held(window_of(t), moment) for t in blackout)


def _held(window: Window, moment: datetime) -> bool:
    wall = moment.astimezone(window.zone).replace(tzinfo=None)
    if window.first and window.last:
        return window.first <= moment < window.last
    for back in (0, 1):
        midnight = datetime.combine(wall.date() - timedelta(days=back), datetime.min.time())
        if midnight.weekday() in window.days and window.start <= wall - midnight < window.end:
            return True
    return False


@SOME
@settings(max_examples=100)
def test_a_moment_is_open_by_the_clock_on_the_wall(
    allow: list[str], blackout: list[str], moment: datetime
) -> None:
    """Held by an allowed window and by no blackout."""
    goes_by_the_wall(allow, blackout, moment)


def goes_by_the_wall(allow: list[str], blackout: list[str], moment: datetime) -> None:
    """Both ways say the same at noon, which is never put forward or back."""
    noon = moment.replace(hour=12, minute=30)
    assert windows(allow, blackout).at(noon).open is slowly_open(allow, blackout, noon)


@SOME
@settings(max_examples=60)
def test_the_next_change_is_the_first(
    allow: list[str], blackout: list[str], moment: datetime
) -> None:
    """Until then everything is as it is now, and at that second it is not."""
    both = windows(allow, blackout)
    now = both.at(moment)
    assert both.open_at(moment) is now.open
    if now.changes_at:
        change = datetime.fromisoformat(now.changes_at)
        assert both.open_at(change) is not now.open
        for part in range(1, 20):
            between = moment + (change - moment) * part / 20
            assert both.open_at(between) is now.open
        assert both.open_at(change - timedelta(seconds=1)) is now.open or change == moment


@pytest.mark.parametrize(
    ("allow", "blackout", "moment", "expected"),
    [
        ([], [], "2026-11-21T12:00:00Z", (True, "", "")),
        ([NEW_YORK], [], "2026-11-20T13:59:59Z", (False, "2026-11-20T14:00:00Z", "")),
        ([NEW_YORK], [], "2026-11-20T14:00:00Z", (True, "2026-11-20T22:00:00Z", "")),
        ([NEW_YORK], [], "2026-11-20T22:00:00Z", (False, "2026-11-23T14:00:00Z", "")),
        # In July New York is four hours behind, not five.
        ([NEW_YORK], [], "2026-07-01T13:00:00Z", (True, "2026-07-01T21:00:00Z", "")),
        # The clocks of New York skip 02:00 to 03:00 on 8 March 2026, and show 01:30 twice on
        # 1 November.
        (
            ["Sun 02:30-04:00 America/New_York"],
            [],
            "2026-03-08T07:29:59Z",
            (False, "2026-03-08T07:30:00Z", ""),
        ),
        (
            ["Sun 00:00-01:30 America/New_York"],
            [],
            "2026-11-01T05:29:59Z",
            (True, "2026-11-01T05:30:00Z", ""),
        ),
        (["Fri 22:00-02:00 UTC"], [], "2026-11-21T01:59:59Z", (True, "2026-11-21T02:00:00Z", "")),
        (
            [],
            ["2026-12-24 to 2026-12-26 UTC"],
            "2026-12-26T23:59:59Z",
            (False, "2026-12-27T00:00:00Z", "2026-12-24 to 2026-12-26 UTC"),
        ),
        (
            [],
            ["2026-12-24 18:00 to 2026-12-27 09:00 Europe/Berlin"],
            "2026-12-24T17:00:00Z",
            (
                False,
                "2026-12-27T08:00:00Z",
                "2026-12-24 18:00 to 2026-12-27 09:00 Europe/Berlin",
            ),
        ),
        # It opens inside an allowed window when the blackout ends, not before.
        (
            [NEW_YORK],
            ["Fri 08:00-10:00 America/New_York"],
            "2026-11-20T12:00:00Z",
            (False, "2026-11-20T15:00:00Z", ""),
        ),
        (["2026-01-01 UTC"], [], "2026-11-21T12:00:00Z", (False, "", "")),
        (["Mon-Sun 00:00-24:00 UTC"], [], "2026-11-21T12:00:00Z", (True, "", "")),
    ],
)
def test_an_opening_says_when_it_changes(
    allow: list[str], blackout: list[str], moment: str, expected: tuple[bool, str, str]
) -> None:
    """Starts are in, ends are out, and what is far away is not in sight."""
    assert windows(allow, blackout).at(datetime.fromisoformat(moment)) == Opening(*expected)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("_closed", lambda self, moment: None if not self.allow else ""),
        ("spans", lambda self, moment: iter([(moment, moment + timedelta(hours=1))])),
    ],
)
def test_the_law_notices_a_planted_bug(
    right: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blackouts that are forgotten, and windows that hold every moment, are found."""
    monkeypatch.setattr(Windows if right == "_closed" else Window, right, wrong)
    # That it is found is what is asked, not the smallest moment that shows it.
    search = settings(max_examples=100, phases=[Phase.generate])(SOME(goes_by_the_wall))
    with pytest.raises(AssertionError):
        search()


def test_a_text_that_is_no_window_is_refused() -> None:
    """A zone is needed, and one that is a folder of the database is none."""
    for text in ("Mon 09:00-17:00", "Mon 09:00-17:00 America", "Mon 09:00-17:00 ../UTC", ""):
        with pytest.raises(ValueError, match=r"no zone|it is"):
            window_of(text)
