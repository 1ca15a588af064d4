"""``stratctl audit``"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from stratctl.cli.commands import Group
from stratctl.cli.exits import Exit
from stratctl.cli.options import format_option
from stratctl.cli.state import State
from stratctl.cli.writing import write_file


@click.group(cls=Group)
def audit() -> None:
    """Read and verify the journal.

    The journal is the append-only record of what was meant, sent and answered.
    """


@audit.command()
@click.option("--participant", metavar="CODE", default="", help="Only what is about them.")
@click.option("--strategy", metavar="NAME", default="", help="Only what is about it.")
@click.option("--run", metavar="ID", default="", help="Only that run; the first digits are enough.")
@click.option(
    "--request-id", metavar="ID", default="", help="Only that call; the first digits are enough."
)
@format_option("text", "table", "json", "csv")
@click.pass_obj
def log(state: State, /, *, chosen: str | None, **wanted: str) -> int:
    """Print the journal, one entry on a line, oldest first.

    What is about a participant is every entry that names them, and every attempt and answer of a
    call that they are in. Several options must all fit.

    A table has a line for each participant of an entry, with what is asked for, or moved, in money;
    csv is the same with every id, for a spreadsheet. json has each entry as it stands in the
    journal, with everybody who is in it.

    \b
    Examples:
      stratctl audit log | tail
      stratctl audit log --participant CUST01 --format table
      stratctl audit log --strategy blue-chip --format csv > blue-chip.csv
      stratctl audit log --format json | jq 'select(.type == "outcome")'
    """
    from stratctl import pipeline
    from stratctl.view import audit as view
    from stratctl.view import json

    shown = state.choose(chosen)
    asked: dict[str, Any] = {"environment": state.env, **wanted}
    if shown == "table":
        state.console.result(view.journal_table(list(pipeline.audit_trail(state.root(), **asked))))
    elif shown == "csv":
        for line in view.journal_csv(pipeline.audit_trail(state.root(), **asked)):
            state.console.result(line)
    else:
        for entry in pipeline.audit_log(state.root(), **asked):
            line = json.entry(entry) if shown == "json" else f"{view.journal_line(entry)}\n"
            state.console.result(line)
    return Exit.DONE


@audit.command()
@click.option(
    "--head",
    "heads",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A head that was kept: the journal must go on from it. Repeatable.",
)
@click.option(
    "--public-key", metavar="BASE64", default="", help="Whose signature each head must carry."
)
@format_option("text", "json")
@click.pass_obj
def verify(state: State, *, heads: tuple[Path, ...], public_key: str, chosen: str | None) -> int:
    """Check the journal against its chain, sums and kept heads.

    Every line against the one before it, and the totals by a second reckoning. One changed byte is
    an error (exit code 1).

    A chain cannot show that its end was cut off cleanly, nor that all of it was written anew. A
    head that was kept elsewhere can: see stratctl audit head.

    \b
    Examples:
      stratctl audit verify
      stratctl audit verify --head kept/2026-11.json --public-key "$PUBLIC_KEY"
    """
    from stratctl import pipeline
    from stratctl.view import audit as view
    from stratctl.view import json

    state.choose(chosen)
    found = pipeline.audit_verify(
        state.root(), environment=state.env, heads=heads, public_key=public_key
    )
    if state.format == "json":
        state.console.result(json.audit(found))
    else:
        console = state.console
        shown = view.verified(found, color=console.colors_results, width=console.width)
        console.result(shown)
    return Exit.DONE if found.holds else Exit.ERROR


@audit.command()
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write it there instead of printing it.",
)
@click.pass_obj
def head(state: State, *, out: Path | None) -> int:
    """Print the journal's head, to be kept elsewhere.

    Kept where nobody who writes the journal can write, it shows what a chain cannot: that entries
    were cut off, or written anew. It says in a line of JSON how many entries there are, the digest
    of the last one, and one over all of them.

    Where STRATCTL_HEAD_KEY is set (32 bytes in base64, an Ed25519 key) it is signed, and each
    apply, recover, adopt, halt and resume leaves its own in .stratctl/heads/ when it ends. The
    public key is in it: publish it once, and let audit verify ask for it.

    \b
    Examples:
      stratctl audit head --out kept/2026-11.json
      stratctl audit verify --head kept/2026-11.json
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    line = pipeline.audit_head(
        state.root(), environment=state.env, environ=Surroundings(os.environ)
    )
    if out is None:
        state.console.result(line.decode())
    else:
        write_file(out, line)
    return Exit.DONE


@audit.command()
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write: compressed JSON lines.",
)
@click.pass_obj
def totals(state: State, *, out: Path) -> int:
    """Write what the journal books, signed, against its loss.

    Per Strategy every Operation that has its end, and for each participant what moved, what is
    parked, and which target was reached. A machine that has lost the journal begins a new one with
    them, and asks the provider only for what is newer: see stratctl recover --help.

    STRATCTL_HEAD_KEY signs them (32 bytes in base64, an Ed25519 key). Where it is set, whatever
    leaves a head leaves its totals in .stratctl/totals/ too. They name customers and amounts: keep
    them as the journal is kept, and elsewhere.

    \b
    Examples:
      stratctl audit totals --out kept/2026-11.jsonl.gz
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    made = pipeline.audit_totals(
        state.root(), environment=state.env, environ=Surroundings(os.environ)
    )
    write_file(out, made)
    state.console.note(f"Wrote {out}.\n")
    return Exit.DONE


@audit.command()
@click.option("--participant", metavar="CODE", default="", help="Evidence about them alone.")
@click.option("--since", metavar="TIME", default="", help="From this day or time on, in UTC.")
@click.option("--until", metavar="TIME", default="", help="Until this day or time, and all of it.")
@click.option(
    "--head",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Prove it against this kept head, instead of the head of now.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The zip to write.",
)
@click.pass_obj
def export(
    state: State, *, participant: str, since: str, until: str, head: Path | None, out: Path
) -> int:
    """Write evidence that others can check by themselves.

    A zip about one participant, or about a time: the entries of the journal, a proof for each that
    it is in the journal of the head that is with it (RFC 6962), and a short script that checks all
    of it with Python alone. What is about one participant shows nobody else. Where
    STRATCTL_HEAD_KEY is set the head is signed.

    \b
    Examples:
      stratctl audit export --participant CUST01 --out CUST01.zip
      stratctl audit export --since 2026-10 --until 2026-10 --out october.zip
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings

    if not (participant or since or until):
        raise click.UsageError("say whose evidence, or of when: --participant, --since, --until")
    made = pipeline.audit_export(
        state.root(),
        environment=state.env,
        environ=Surroundings(os.environ),
        participant=participant,
        since=since,
        until=until,
        head=head,
    )
    write_file(out, made)
    state.console.note(f"Wrote {out}: its README.txt says what it is and how it is checked.\n")
    return Exit.DONE


@audit.command()
@click.option(
    "--ledger",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The platform's own record: CSV or Parquet with participant_code, strategy, contributed,"
    " withdrawn.",
)
@click.option("--live", is_flag=True, help="The provider's Operations and Executions.")
@format_option("text", "json", "csv")
@click.pass_obj
def reconcile(state: State, *, ledger: Path | None, live: bool, chosen: str | None) -> int:
    """Compare the journal with a ledger, or with the provider.

    A ledger is what the platform's own books say each participant put into each Strategy, and took
    out. Told are who is missing from it, who is extra in it, and who is different, with amounts.
    The journal counts what settled, and names what is under way.

    With --live every Operation of the journal is read from the provider again, with its Executions,
    and so are Operations of the same Strategies that the journal does not know.

    \b
    Exit codes:
      0  they agree
      1  they differ, or the ledger cannot be read

    \b
    Examples:
      stratctl audit reconcile --ledger books.csv
      stratctl audit reconcile --ledger books.parquet --format csv > differences.csv
      stratctl audit reconcile --live
    """
    from stratctl import pipeline
    from stratctl.core.surroundings import Surroundings
    from stratctl.view import reconciliation as view

    if (ledger is None) is not live:
        raise click.UsageError("say with what: --ledger FILE, or --live")
    state.choose(chosen)
    if ledger is not None:
        found = pipeline.audit_reconcile(state.root(), environment=state.env, ledger=ledger)
    else:
        found = pipeline.audit_reconcile_live(
            state.root(),
            environment=state.env,
            environ=Surroundings(os.environ),
            progress=state.console.progress,
        )
    code = Exit.DONE if found.agrees else Exit.ERROR
    console = state.console
    if state.format == "json":
        console.result(view.as_json(found, code))
    elif state.format == "csv":
        for line in view.as_csv(found):
            console.result(line)
    else:
        shown = view.as_text(
            found,
            color=console.colors_results,
            verbose=bool(state.verbose),
            width=console.width,
        )
        console.result(shown)
    return code
