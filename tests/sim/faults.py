"""What can go wrong: every kind of fault, and which of them produce each row of the fault matrix.

The matrix is a table of the ways in which a runner, a disk, a network, a clock and a provider can
fail; MATRIX says for each row which kinds of this simulation reach it, or why none applies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetFault:
    """Something that happens to one exchange."""

    name: str
    sandbox: str = ""
    """The kind of the sandbox's own faults that does it."""
    path: str = ""
    """Only requests whose target has this in it."""
    seconds: int = 0
    retry_after: str = ""
    find: str = ""
    with_: str = ""
    instead: tuple[int, object] | None = None
    """An answer in place of the provider's, which never gets the request."""


POST_FAULTS = (
    NetFault("lost_before", "timeout_before"),
    NetFault("lost_after", "timeout_after"),
    NetFault("late", "late", seconds=3),
    NetFault("later", "late", seconds=31),
    NetFault("too_late", "late", seconds=70),
    NetFault("reset_before", "reset_before"),
    NetFault("reset_after", "reset_after"),
    NetFault("half_json", "truncated"),
    NetFault("limited", "429"),
    NetFault("limited_for", "429", retry_after="20"),
    NetFault("500_before", "500_before"),
    NetFault("500_after", "500_after"),
    NetFault("502_before", "502_before"),
    NetFault("502_after", "502_after"),
    NetFault("504_before", "504_before"),
    NetFault("504_after", "504_after"),
    NetFault("503", "503"),
    NetFault("409", "409"),
    # Often, because much has to come together before a refusal could do harm.
    *[NetFault("refused", instead=(400, {"errors": ["the body cannot be read"]}))] * 4,
    NetFault("401", "401"),
    NetFault("403", "403"),
    NetFault("1020", "1020"),
    NetFault("not_json", "malformed"),
    NetFault("html", "html"),
    NetFault("echo_other_type", "replace", path="/enroll", find='"enrollment"', with_='"top_up"'),
    NetFault("echo_other_id", "replace", find='"request_id":"', with_='"request_id":"0'),
)

GET_FAULTS = (
    NetFault("get_lost", "timeout_before"),
    NetFault("get_reset", "reset_after"),
    NetFault("get_half_json", "truncated"),
    NetFault("get_limited", "429"),
    NetFault("get_500", "500_before"),
    NetFault("get_502", "502_before"),
    NetFault("get_503", "503"),
    NetFault("get_401", "401"),
    NetFault("get_html", "html"),
    NetFault("get_not_json", "malformed"),
    NetFault("short_page", "short_page", path="_token"),
    NetFault("short_list", "short_page", path="/strategies/"),
    NetFault("repeat_token", "repeat_token", path="/strategies/"),
    NetFault("drop_item", "drop_item", path="/strategies/operations?"),
    NetFault("drop_execution", "drop_item", path="/strategies/executions"),
    NetFault(
        "backwards",
        "replace",
        path="/strategies/operations",
        find='"status":"settled"',
        with_='"status":"pricing"',
    ),
    NetFault(
        "two_terminals",
        "replace",
        path="/strategies/operations",
        find='"status":"settled"',
        with_='"status":"failed"',
    ),
)
