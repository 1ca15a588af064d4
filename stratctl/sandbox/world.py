"""The parts of one sandbox, put together, and what each request gets to see of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stratctl.sandbox.books import Books
from stratctl.sandbox.engine import Engine
from stratctl.sandbox.funding import Funding
from stratctl.sandbox.market import Market
from stratctl.sandbox.messages import Request
from stratctl.sandbox.paging import Pages
from stratctl.sandbox.participants import Participants
from stratctl.sandbox.settlement import Settlement
from stratctl.sandbox.store import Store
from stratctl.sandbox.switches import Switches

FLOAT_DEFAULT = "1000000000.00"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a sandbox starts with. A state file that exists keeps its own."""

    seed: int = 0
    platform: str = "PLAT01"
    participants: int = 0
    prices: Mapping[str, str] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    float_balance: str = FLOAT_DEFAULT


@dataclass(frozen=True, slots=True)
class World:
    """All parts of one sandbox."""

    store: Store
    switches: Switches
    market: Market
    books: Books
    participants: Participants
    funding: Funding
    settlement: Settlement
    engine: Engine
    pages: Pages
    seed: int
    platform: str


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request: its path's ids, its query, and the times it came at."""

    request: Request
    world: World
    ids: tuple[str, ...]
    query: Mapping[str, str]
    now_ms: int
    wall_ms: int
