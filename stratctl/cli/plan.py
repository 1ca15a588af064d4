"""``stratctl plan`` and ``stratctl show``"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stratctl.cli.commands import Command
from stratctl.cli.exits import Exit
from stratctl.cli.options import (
    acknowledgement_options,
    acknowledgements,
    format_option,
    today,
)
from stratctl.cli.outputs import write_outputs
from stratctl.cli.state import State

if TYPE_CHECKING:
    from stratctl.core.explanation import Explained
    from stratctl.core.plan import Plan
    from stratctl.view import human


@click.command(cls=Command)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the plan: stratctl apply FILE.",
)
@format_option("text", "markdown", "json")
@click.option(
    "--explain",
    "asked",
    multiple=True,
    metavar="CODE|call:N",
    help="Say why, for a participant or a call, in the place of the plan. Repeatable.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@click.option("--target", multiple=True, metavar="STRATEGY", help="Only this one. Repeatable.")
@click.option("--exclude", multiple=True, metavar="STRATEGY", help="Not this one. Repeatable.")
@click.option(
    "--snapshot",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Plan against a saved copy of what is live; needs no credentials.",
)
@acknowledgement_options
@click.pass_obj
def plan(
    state: State,
    *,
    out: Path | None,
    chosen: str | None,
    asked: tuple[str, ...],
    detailed_exitcode: bool,
    target: tuple[str, ...],
    exclude: tuple[str, ...],
    snapshot: Path | None,
    acks: tuple[str, ...],
    reason: str | None,
) -> int:
    """Show what would be sent, and what it moves in money.

    Nothing is written to the provider: a plan holds a transport that can only read. A plan that a
    guard stops is shown and saved like any other, and then the exit code is 3. In a workflow,
    has_changes, exit_code, plan_digest, cash_in, participants, liquidations and plan_path are set
    as outputs.

    \b
    Exit codes:
      0  planned (with --detailed-exitcode: no changes)
      1  an error
      2  there are changes, with --detailed-exitcode
      3  a guard stops the plan

    \b
    Examples:
      stratctl plan
      stratctl plan -v                          # every row
      stratctl plan --out plan.zip && stratctl apply plan.zip
      stratctl plan --format markdown           # for a pull request
      stratctl plan --explain CUST01            # why something happens to it, or does not
      stratctl plan --explain call:3 --json     # the same for everybody in a call
      stratctl plan --target blue-chip          # the others are left alone, and it says so
      stratctl plan --ack liquidations=3 --reason "closing three test accounts"
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    state.choose(chosen)
    participants, calls = _asked(asked, state.format)
    made, explained = pipeline.plan_explained(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        snapshot=snapshot,
        target=target,
        exclude=exclude,
        acknowledgements=acknowledgements(acks, reason, today()),
        participants=participants,
        calls=calls,
        progress=state.console.progress,
    )
    if out:
        pipeline.write_plan(made, out)
    shown = _why(state, made, explained) if asked else text(state, made, file=str(out or ""))
    state.console.result(shown)
    if out:
        state.console.note(f"Saved as {out}, digest {made.digest}\n")
    code = exit_code(made, detailed=detailed_exitcode)
    _write_outputs(made, out, code)
    return code


@click.command(cls=Command)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@format_option("text", "markdown", "json")
@click.pass_obj
def show(state: State, file: Path, chosen: str | None) -> int:
    """Show a saved plan, stale ones too.

    Only a file that does not hold the plan that its digest names is refused (exit code 4). A file
    holds what is sent and not what everybody holds, so it cannot explain: ask stratctl plan
    --explain.

    \b
    Examples:
      stratctl show plan.zip
      stratctl show plan.zip --format json | jq .digest
    """
    from stratctl import pipeline

    state.choose(chosen)
    state.console.result(text(state, pipeline.read_plan(file), file=str(file)))
    return Exit.DONE


def text(state: State, made: Plan, *, file: str = "") -> str:
    """A plan in the format that was chosen, as long as was asked for."""
    from stratctl.view import human, json, markdown

    if state.format == "json":
        return json.plan(made)
    if state.format == "markdown":
        return markdown.plan(made)
    console = state.console
    return human.plan(
        made,
        level=level(state),
        color=console.colors_results,
        width=console.width,
        then=human.next_step(made, file),
    )


def _asked(asked: tuple[str, ...], format_: str) -> tuple[list[str], list[int]]:
    """Participants and numbers of calls. Raises click.UsageError."""
    if asked and format_ == "markdown":
        raise click.UsageError("--explain is shown as text or json")
    participants, calls = [], []
    for one in asked:
        word, colon, number = one.partition(":")
        if not colon:
            participants.append(one)
        elif word == "call" and number.isascii() and number.isdigit() and len(number) < 10:
            calls.append(int(number))
        else:
            raise click.UsageError(f"--explain {one}: name a participant or, as call:3, a call")
    return participants, calls


def _why(state: State, made: Plan, explained: Explained) -> str:
    """Explanations in the format that was chosen."""
    from stratctl.view import explanation, explanation_json

    if state.format == "json":
        return explanation_json.text_of(made, explained)
    console = state.console
    return explanation.text(
        explained, window=made.window, color=console.colors_results, width=console.width
    )


def level(state: State) -> human.Level:
    """How much of a plan is shown: -q summaries, -v every row."""
    from stratctl.view.human import Level

    if state.quiet:
        return Level.SUMMARY
    return Level.FULL if state.verbose else Level.DEFAULT


def exit_code(made: Plan, *, detailed: bool) -> Exit:
    """A stopped plan first, then changes for those who asked."""
    if made.stopped:
        return Exit.REFUSED
    return Exit.CHANGES if detailed and not made.empty else Exit.DONE


def _write_outputs(made: Plan, out: Path | None, code: Exit) -> None:
    from stratctl.core.state import Verb
    from stratctl.view.summary import summarise

    summary = summarise(made)
    numbers = dict(summary.verbs)
    write_outputs(
        {
            "has_changes": str(not made.empty).lower(),
            "exit_code": str(int(code)),
            "plan_digest": made.digest,
            "cash_in": summary.cash_in,
            "participants": str(summary.participants),
            "liquidations": str(numbers.get(Verb.LIQUIDATE, 0)),
            "plan_path": str(out or ""),
        }
    )
