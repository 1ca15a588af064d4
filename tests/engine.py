"""The embedded engine as tests use it: for books of a few rows, in many processes at once."""

from stratctl.core import tables


def for_small_books() -> None:
    """Let what this process asks be carried out as it is written, by the thread that asks.

    Over ten rows the search for a better order takes longer than the query, and waking a second
    thread longer than its work. What the commands print as processes of their own, and a law,
    hold it to the same answers with both.
    """
    engine = tables._engine(None)
    engine.execute("SET threads = 1")
    engine.execute("SET GLOBAL enable_optimizer = false")
