"""`python -m stratctl.sandbox`: the server, for development."""

import argparse
import json
import sys
from pathlib import Path

from stratctl.sandbox.server import serve


def main() -> None:
    """Serve with the options of the command line; one line of JSON says where."""
    parser = argparse.ArgumentParser(prog="python -m stratctl.sandbox", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", default=":memory:")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--participants", type=int, default=0)
    parser.add_argument("--prices", type=Path)
    parser.add_argument("--credentials", type=Path)
    parser.add_argument("--project", type=Path)
    parser.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    prices = {} if options.prices is None else json.loads(options.prices.read_text())
    serve(
        port=options.port,
        state=options.state,
        seed=options.seed,
        participants=options.participants,
        prices=prices,
        credentials=options.credentials,
        switches=dict(switch.split("=", 1) for switch in options.switch),
        announce=_announce,
        project_root=options.project,
    )


def _announce(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
