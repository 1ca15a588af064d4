"""``stratctl recover`` and ``stratctl adopt``"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stratctl.cli.asking import ask_for
from stratctl.cli.commands import Command
from stratctl.cli.options import format_option
from stratctl.cli.state import State
from stratctl.cli.watching import Watching

if TYPE_CHECKING:
    from stratctl.core.report import Adoption, Strangers


@click.command(cls=Command)
@click.option(
    "--no-wait",
    "impatient",
    is_flag=True,
    help="Leave open what may still be under way, instead of waiting up to three minutes.",
)
@click.option(
    "--from-server",
    is_flag=True,
    help="Rebuild a journal that was lost from the provider's record. Takes three minutes.",
)
@click.option(
    "--totals",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Signed totals of the lost journal: with --from-server, only what is newer is read.",
)
@click.option("--public-key", metavar="BASE64", default="", help="Whose signature they must carry.")
@click.option(
    "--head",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A head that was kept: the totals must not be older.",
)
@format_option("text", "json")
@click.pass_obj
def recover(
    state: State,
    *,
    impatient: bool,
    from_server: bool,
    totals: Path | None,
    public_key: str,
    head: Path | None,
    chosen: str | None,
) -> int:
    """Find out what became of calls that were left open.

    A run that was killed, or lost its connection, leaves calls in the journal of which nobody knows
    whether they were carried out. The next apply finds out before it does anything else; this does
    the same and nothing more. It plans nothing and sends nothing, so that it needs no approval and
    no key that writes.

    Each call is looked up by its request id. What the provider knows is followed to its end and
    booked. What it does not know is given up once nothing of it can be under way any more, 180 s
    after it was last signed. What was given up is planned again.

    With --from-server the journal itself is what was lost. Every Operation of ours that it does not
    know is booked from its Executions, which show money to a minor unit a leg; where the declared
    totals agree within that, they are booked, for good. Nothing may be in flight, and everything is
    read twice, three minutes apart. The next plan is then empty, but for what really differs.

    With --totals the journal begins with what the lost one booked, to the cent, and only Operations
    that are not among it are read. A run with STRATCTL_HEAD_KEY leaves its totals in
    .stratctl/totals/, and stratctl audit totals writes them. They must carry the signature of the
    public key, be of this environment, and contain nothing that the provider does not show.

    \b
    Exit codes:
      0  nothing is open any more
      1  the totals are forged, of another journal, or older than the head
      3  with --from-server: recover open calls first; with --totals: the journal is not lost
      4  with --from-server: an old configuration
      5  done, and some participants were rejected
      6  a call is still open, or something is in flight
      8  an apply is running

    \b
    Examples:
      stratctl recover
      stratctl recover --no-wait --json | jq '.open'
      stratctl recover --from-server && stratctl plan --detailed-exitcode
      stratctl recover --from-server --totals prod.jsonl.gz --public-key "$PUBLIC_KEY"
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings
    from stratctl.view import json, report
    from stratctl.view.story import Story

    if impatient and from_server:
        raise click.UsageError("--from-server waits: it does not go with --no-wait")
    if totals and not (from_server and public_key):
        raise click.UsageError("--totals goes with --from-server and --public-key")
    if (public_key or head) and not totals:
        raise click.UsageError("--public-key and --head are about --totals")
    state.choose(chosen)
    # A signal only asks: nothing is sent, and what was found out is written down.
    state.graceful = True
    if from_server:
        return _show(
            state,
            pipeline.recover_from_server(
                state.root(),
                environment=state.env,
                environ=Surroundings(os.environ),
                totals=totals,
                public_key=public_key,
                head=head,
                progress=state.console.progress,
                stopping=state.stopping,
            ),
        )
    watcher = Watching(state, Story(verbose=bool(state.verbose)))
    result = pipeline.recover(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        wait=not impatient,
        progress=state.console.progress,
        watch=watcher,
        stopping=state.stopping,
    )
    watcher.end()
    code = state.exit_code(result.exit_code)
    console = state.console
    if state.format == "json":
        console.result(json.resolved(result, code))
    else:
        shown = report.resolved(result, color=console.colors_results, width=console.width)
        console.result(shown)
    return code


@click.command(cls=Command)
@click.argument("operation")
@click.option("--auto-approve", is_flag=True, help="Do not ask for whom no cohort declares.")
@format_option("text", "json")
@click.pass_obj
def adopt(state: State, *, operation: str, auto_approve: bool, chosen: str | None) -> int:
    """Take an Operation that is not ours into the declared totals.

    Whatever else writes to a Strategy is seen, counted in full, and stops the participants that it
    touched. To go on with them, first declare what it moved, in contributed and withdrawn or in
    funding and payouts, so that a review sees it; then adopt it. Until the declared totals contain
    it, adopt refuses and says what they must be. Nothing is sent.

    Of participants whom no cohort declares no total says whether it was meant. They are shown, and
    what the Operation moved for them must be typed.

    \b
    Exit codes:
      0  it is booked
      3  it has not ended, or the declared totals lack it
      4  an old configuration
      7  nobody approved participants whom no cohort declares
      8  an apply is running

    \b
    Examples:
      stratctl adopt 5f6f1e7c-6f0b-4a52-8a0a-0b6b0a3c9d11
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    state.choose(chosen)
    result = pipeline.adopt(
        state.root(),
        operation,
        environment=state.env,
        environ=Surroundings(os.environ),
        approve=partial(_approve, state, auto=auto_approve),
        progress=state.console.progress,
    )
    return _show(state, result)


def _approve(state: State, strangers: Strangers, *, auto: bool) -> None:
    from stratctl.core.money import format_amount
    from stratctl.view import report

    console = state.console
    console.note(report.strangers(strangers, color=console.colors_errors, width=console.width))
    if not auto:
        ask_for(
            format_amount(strangers.total_minor, strangers.currency),
            state,
            what="Operation",
            question="Type what it moved for them (in + out) to adopt it",
            otherwise="declare them in a cohort, so that a review sees it, or --auto-approve",
            no="nothing was booked",
        )


def _show(state: State, result: Adoption) -> int:
    from stratctl.view import json, report

    code = state.exit_code(result.exit_code)
    console = state.console
    if state.format == "json":
        console.result(json.adoption(result, code))
    else:
        shown = report.adoption(result, color=console.colors_results, width=console.width)
        console.result(shown)
    return code
