"""When apply may send: weekly windows and spans of dates, each in the zone that it names.

A moment is open when some ``allow`` window holds it, or there is none at all, and no ``blackout``
does. Every window is a set of spans between two moments, its start in and its end out, so that a
clock that is put forward or back moves no boundary: the hours are those of the wall, and what is
compared is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SPANS_MAX = 400
"""So many boundaries are looked at for the next change; beyond, there is none in sight."""

_ZONE = r"(?P<zone>[A-Za-z][A-Za-z0-9_+/-]*)"
_DAY = f"({'|'.join(DAYS)})"
_WEEKLY = re.compile(
    rf"(?P<days>{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*)"
    rf" (?P<start>[0-9]{{2}}:[0-9]{{2}})-(?P<end>[0-9]{{2}}:[0-9]{{2}}) {_ZONE}",
    re.ASCII,
)
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2})?"
_DATES = re.compile(rf"(?P<first>{_MOMENT})( to (?P<last>{_MOMENT}))? {_ZONE}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """One window as it was written, understood."""

    text: str
    zone: ZoneInfo
    days: frozenset[int] = frozenset()
    """Of the week, Monday is 0; of a span of dates there are none."""
    start: timedelta = timedelta()
    end: timedelta = timedelta()
    """Of each day, from its midnight; beyond 24 hours where the window ends on the next day."""
    first: datetime | None = None
    last: datetime | None = None
    """Of a span of dates."""

    def spans(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Every span that may hold the moment, and those of the week that follows."""
        if self.first and self.last:
            yield self.first, self.last
            return
        today = moment.astimezone(self.zone).date()
        for offset in range(-2, 9):
            day = today + timedelta(days=offset)
            if day.weekday() in self.days:
                midnight = datetime.combine(day, time(), tzinfo=self.zone)
                yield _in_utc(midnight + self.start, midnight + self.end)


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether apply may send at a moment, and when that changes."""

    open: bool
    changes_at: str
    """RFC 3339; empty: no change in sight."""
    because: str
    """The blackout that closes, as it was written; empty: no allowed window holds the moment."""


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a policy."""

    allow: tuple[Window, ...] = ()
    """None: always."""
    blackout: tuple[Window, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.allow or self.blackout)

    def open_at(self, moment: datetime) -> bool:
        """Whether apply may send at a moment."""
        return self._closed(moment.astimezone(UTC)) is None

    def at(self, moment: datetime) -> Opening:
        """The state at a moment, in any zone."""
        moment = moment.astimezone(UTC)
        closed = self._closed(moment)
        change = self._next_change(moment, closed is None)
        text = change.strftime("%Y-%m-%dT%H:%M:%SZ") if change else ""
        return Opening(closed is None, text, closed or "")

    def _closed(self, moment: datetime) -> str | None:
        """What closes this moment; None: it is open."""
        for window in self.blackout:
            if any(start <= moment < end for start, end in window.spans(moment)):
                return window.text
        held = any(
            start <= moment < end for window in self.allow for start, end in window.spans(moment)
        )
        return None if held or not self.allow else ""

    def _next_change(self, moment: datetime, is_open: bool) -> datetime | None:
        """The first boundary of any window after which it is the other way round."""
        for _ in range(SPANS_MAX):
            boundaries = (
                boundary
                for window in (*self.allow, *self.blackout)
                for span in window.spans(moment)
                for boundary in span
                if boundary > moment
            )
            after = min(boundaries, default=None)
            if after is None or (self._closed(after) is None) is not is_open:
                return after
            moment = after
        return None


def _in_utc(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Times of the wall as moments. One that the clocks skip is that of the clock before."""
    return start.astimezone(UTC), end.astimezone(UTC)


ALWAYS = Windows()
"""No window at all: apply may send at any time."""


def window_of(text: str) -> Window:
    """A window from its text. Raises ValueError with the reason when it is none."""
    if weekly := _WEEKLY.fullmatch(text):
        start, end = _of_day(weekly["start"]), _of_day(weekly["end"])
        if start == end:
            raise ValueError("it starts when it ends; a whole day is 00:00-24:00")
        later = end + timedelta(days=1) if end < start else end
        days = frozenset(day for part in weekly["days"].split(",") for day in _days(part))
        return Window(text, _zone(weekly["zone"]), days, start, later)
    if dates := _DATES.fullmatch(text):
        zone = _zone(dates["zone"])
        first = _moment(dates["first"], zone, ends=False)
        last = _moment(dates["last"] or dates["first"], zone, ends=True)
        if last <= first:
            raise ValueError("it ends before it starts")
        return Window(text, zone, first=first, last=last)
    raise ValueError(f"it is {text!r}")


def _days(part: str) -> Iterator[int]:
    """``Fri-Mon`` goes over the weekend."""
    first, _, last = part.partition("-")
    day, end = DAYS.index(first), DAYS.index(last or first)
    yield day
    while day != end:
        day = (day + 1) % len(DAYS)
        yield day


def _of_day(text: str) -> timedelta:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise ValueError(f"{text} is no time of a day")
    return timedelta(hours=hours, minutes=minutes)


def _moment(text: str, zone: ZoneInfo, *, ends: bool) -> datetime:
    """Without a time of day a first date begins at its midnight, and a last one is in whole."""
    day, _, clock = text.partition(" ")
    after = _of_day(clock) if clock else timedelta(days=1 if ends else 0)
    try:
        midnight = datetime.combine(date.fromisoformat(day), time(), tzinfo=zone)
        return (midnight + after).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{day} is no day of the calendar") from None


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name} is no zone that this machine knows") from None
