"""``stratctl sandbox``"""

from __future__ import annotations

import json
from pathlib import Path

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.state import State

CREDENTIALS = Path(".stratctl", "credentials")


@click.command(cls=Command)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
@click.option(
    "--state",
    "store",
    type=click.Path(dir_okay=False, path_type=Path),
    help="An SQLite file that survives a restart. Without: memory.",
)
@click.option("--seed", type=int, default=0, help="The same seed makes the same world.")
@click.option(
    "--participants", type=click.IntRange(0), default=0, help="Make this many participants."
)
@click.option(
    "--prices",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON: {"BTC": "65000.00", …}.',
)
@click.option(
    "--credentials",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Where the keys are written.  [default: {CREDENTIALS}]",
)
@click.option("--switch", multiple=True, metavar="NAME=VALUE", help="Set a behaviour. Repeatable.")
@click.pass_obj
def sandbox(
    state: State,
    *,
    port: int,
    store: Path | None,
    seed: int,
    participants: int,
    prices: Path | None,
    credentials: Path | None,
    switch: tuple[str, ...],
) -> int:
    """Run a local provider to try things on.

    It speaks the provider's API until it is stopped with Ctrl-C. When it is ready, it prints one
    line of JSON with its address. In a project it is found by environments whose endpoint is
    sandbox.

    \b
    Examples:
      stratctl sandbox --participants 100 &
      set -a; . .stratctl/credentials; set +a
      stratctl plan
    """
    from stratctl.core.errors import UsageError
    from stratctl.sandbox.server import serve

    project = _project(state)
    try:
        serve(
            port=port,
            state=":memory:" if store is None else str(store),
            seed=seed,
            participants=participants,
            prices=_prices(prices),
            credentials=credentials or (project or Path.cwd()) / CREDENTIALS,
            switches=dict(one.partition("=")[::2] for one in switch),
            announce=lambda facts: state.console.result(json.dumps(facts) + "\n"),
            project_root=project,
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"the sandbox cannot start: {error}") from error
    return Exit.DONE


def _project(state: State) -> Path | None:
    """The project whose environments will find the sandbox, if we are in one."""
    from stratctl.core.errors import UsageError

    try:
        return state.root()
    except UsageError:
        return None


def _prices(path: Path | None) -> dict[str, str]:
    """Prices per asset. A JSON number keeps its text, so that no digit is lost.

    Raises ValueError when the file is not a JSON object.
    """
    if path is None:
        return {}
    found = json.loads(path.read_text(encoding="utf-8"), parse_float=str, parse_int=str)
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not a JSON object of prices")
    return {str(asset): str(price) for asset, price in found.items()}
