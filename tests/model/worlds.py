"""What is looked at: small worlds for every test run, large ones for ``make model``."""

from __future__ import annotations

from tests.model.world import Bounds

_P, _Q, _R = ("P", 100), ("Q", 100), ("R", 50)

RISES = ((_P,), (("P", 150),))
GROWS = ((_P,), (_P, _Q))
COMES_FIRST = ((_Q,), (_P, _Q))
"""Whoever is new stands before whoever was there."""
THREE = ((_Q,), (_P, _Q), (("P", 150), _Q))
"""Somebody comes, and then gets more."""
THREE_PEOPLE = ((_P,), (_P, _Q, _R), (("P", 200), _Q, _R))

SMALL = (
    Bounds(RISES),
    Bounds(GROWS),
    Bounds(COMES_FIRST, participants=1),
)
"""Enough for every scheme that fails to fail."""

WHOLE = Bounds(THREE)
"""Two machines, three requests: what the scheme in use is held to in every test run."""

LARGE = (
    ("2 machines, 4 requests", Bounds(THREE, sends=4)),
    ("2 machines, 4 requests, one participant in each", Bounds(THREE, sends=4, participants=1)),
    ("2 machines, 5 requests, one participant in each", Bounds(THREE, sends=5, participants=1)),
    ("3 machines, 3 requests", Bounds(THREE, machines=3)),
    ("3 machines, 4 requests, lists that lack two", Bounds(THREE, machines=3, sends=4, stale=2)),
    (
        "3 machines, 5 requests, one participant in each, lists that lack two",
        Bounds(THREE, machines=3, sends=5, stale=2, participants=1),
    ),
    ("3 participants, lists that lack two", Bounds(THREE_PEOPLE, participants=3, stale=2)),
)
