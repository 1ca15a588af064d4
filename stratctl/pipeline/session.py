"""One run's edges, opened when they are first needed: files, clock, provider, journal."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratctl.core.errors import JournalUnavailable, UsageError
from stratctl.core.tables import Workspace
from stratctl.journal.branch import GitBranch
from stratctl.journal.directory import Directory
from stratctl.journal.store import open_at, read_at
from stratctl.live.auth import credentials_from
from stratctl.live.client import ReadClient, WriteClient
from stratctl.live.clockwork import real_clockwork
from stratctl.live.connections import ReadingTransport
from stratctl.live.limiter import Limiter
from stratctl.live.reader import Reader
from stratctl.live.snapshot import read_snapshot
from stratctl.live.transport import Endpoint, real_transport
from stratctl.live.writer import Writer
from stratctl.pipeline.configuring import chosen_environment, configure
from stratctl.pipeline.provenance import provenance_of

if TYPE_CHECKING:
    import httpx

    from stratctl.core.plan import Acknowledgement
    from stratctl.core.report import Progress
    from stratctl.core.settings import Configuration
    from stratctl.core.state import Booked, Live
    from stratctl.journal.store import Closed, Journal, Place, Reading
    from stratctl.pipeline.provenance import Provenance

RUNNING_SANDBOX = Path(".stratctl", "sandbox.json")
"""Where a running sandbox says its address, below the project root."""


HEAD_KEY = "STRATCTL_HEAD_KEY"
"""What signs the head of a journal; where it is set, each run keeps one."""


class Session:
    """What the verbs share. A plan's session never makes a client that can write."""

    def __init__(
        self,
        root: Path,
        environment: str | None,
        environ: Mapping[str, str],
        acknowledgements: Sequence[Acknowledgement] = (),
        *,
        applies: bool = False,
    ) -> None:
        self._applies = applies
        self.root = root
        self.environ = environ
        self.workspace = Workspace()
        self.clockwork = real_clockwork()
        self.run = str(uuid.uuid4())
        self.environment = chosen_environment(root, environment, self.workspace)
        self._acknowledgements = tuple(acknowledgements)
        self._limiter = Limiter(self.clockwork)
        self._close: list[Callable[[], None]] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for close in reversed(self._close):
            close()

    @cached_property
    def configuration(self) -> Configuration:
        """What the files declare. Halting and auditing never ask: they work while it is broken."""
        name = self.environment.name
        return configure(
            self.root, name, self.workspace, self._acknowledgements, environ=self.environ
        )

    @cached_property
    def provenance(self) -> Provenance:
        """Where the files come from."""
        return provenance_of(self.root, self.environment)

    # --- the clock --------------------------------------------------------------------------

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.fromtimestamp(self.clockwork.wall(), UTC)

    # --- the provider -----------------------------------------------------------------------

    @cached_property
    def reads(self) -> ReadClient:
        """A client that cannot write: its transport has no word but GET."""
        connect = partial(ReadingTransport, monotonic=self.clockwork.monotonic)
        client = ReadClient(**self._connection(self._read_credentials(), connect))
        client.check_clock()
        return client

    @cached_property
    def writer(self) -> Writer:
        """The one way to write, for apply only."""
        connect = partial(real_transport, monotonic=self.clockwork.monotonic)
        client = WriteClient(**self._connection("STRATCTL_WRITE", connect))
        return Writer(client, self.reads, self.clockwork)

    def read_live(self, configuration: Configuration, booked: Booked, progress: Progress) -> Live:
        """Read the provider for what this configuration declares and the journal has bound."""
        environment, desired = configuration.environment, configuration.desired
        return Reader(self.reads, self.clockwork).read(
            realm=environment.realm,
            declared=desired.strategies,
            float_account=environment.float_account,
            booked=booked,
            workspace=self.workspace,
            as_of=timestamp(self.now()),
            price_assets=sorted(
                {
                    (asset, strategy.quoted_currency)
                    for strategy in desired.strategies
                    for asset in strategy.assets
                }
            ),
            progress=lambda subject, rows: progress(subject, rows, None),
        )

    def read_snapshot(self, path: Path) -> Live:
        """Live as it was when a snapshot was written."""
        return read_snapshot(path, self.workspace)

    # --- the journal ------------------------------------------------------------------------

    @property
    def journal_place(self) -> Place:
        """Where the project file keeps the journal of this environment."""
        environment = self.environment
        if environment.journal_git is None:
            return Directory(self.root / environment.journal_directory / environment.name)
        remote, branch = environment.journal_git
        return GitBranch(
            self.root,
            remote,
            branch,
            environment.name,
            clock=self.now,
            monotonic=self.clockwork.monotonic,
            pause=self.clockwork.sleep,
        )

    def read_journal(self) -> Reading:
        """The journal as it is now, without a lock."""
        environment = self.environment
        return read_at(self.journal_place, environment.name, environment.realm)

    def open_journal(self) -> Journal:
        """Lock the journal. Raises JournalUnavailable in CI unless it is declared persistent.

        A CI runner's disk usually dies with the job, and a journal that dies is none. Where a key
        is in the environment, the head that the run leaves is signed with it and kept.
        """
        environment = self.environment
        keep = self._keep_head()
        forgets = environment.journal_git is None and not environment.journal_persistent
        if self.environ.get("CI") and forgets:
            raise JournalUnavailable(
                "the journal is a local directory and CI is set",
                hint="keep it on a Git branch (journal: {git: {}} in stratctl.yaml), or on a disk"
                " that outlives the job, and say persistent: true",
            )
        return open_at(
            self.journal_place,
            environment.name,
            environment.realm,
            clock=self.now,
            run=self.run,
            closed=keep,
        )

    def _keep_head(self) -> Closed:
        """How the head is kept when the journal is closed. Raises UsageError for a key that is
        none: before anything is sent."""
        if not self.environ.get(HEAD_KEY):
            return lambda entries: None
        from stratctl.pipeline.keeping import head_keeper

        return head_keeper(self)

    # --- inside -----------------------------------------------------------------------------

    def _read_credentials(self) -> str:
        """An apply job may hold the write key alone; a plan job never looks for it."""
        if self._applies and "STRATCTL_READ_KEY" not in self.environ:
            return "STRATCTL_WRITE"
        return "STRATCTL_READ"

    def _connection(
        self, prefix: str, connect: Callable[[Endpoint], ReadingTransport | httpx.BaseTransport]
    ) -> dict[str, Any]:
        credentials = credentials_from(self.environ, prefix)
        endpoint = Endpoint.parse(self._address())
        transport = connect(endpoint)
        self._close.append(transport.close)
        return {
            "endpoint": endpoint,
            "credentials": credentials,
            "transport": transport,
            "clockwork": self.clockwork,
            "limiter": self._limiter,
        }

    def _address(self) -> str:
        endpoint = self.environment.endpoint
        if endpoint != "sandbox":
            return endpoint
        path = self.root / RUNNING_SANDBOX
        try:
            address = json.loads(path.read_text(encoding="utf-8"))["endpoint"]
        except (FileNotFoundError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise UsageError(
                "no sandbox is running for this project",
                hint="start one with: stratctl sandbox --credentials .stratctl/credentials",
            ) from error
        if not str(address).startswith("http://"):
            # Plain http goes to this machine only; a real provider is no sandbox.
            raise UsageError(
                f"{RUNNING_SANDBOX} names {address}, which is not on this machine",
                hint="start one with: stratctl sandbox --credentials .stratctl/credentials",
            )
        return str(address)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
