"""Credentials stay hidden, and signatures are what the provider documents."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratctl.core.errors import UsageError
from stratctl.core.secret import HIDDEN, Secret
from stratctl.live.auth import Credentials, credentials_from, sign

KEY = "2mC4ZvVd4goRkuJm+rjr9byUiaUW1b6tVN4xy9QXNSE="
CREDENTIALS = Credentials(Secret("key"), Secret(KEY), Secret("pass"))

STRATEGY = "b1c2d3e4-f5a6-4789-bcde-f01234567890"
TRADER = "f1a2b3c4-d5e6-4789-abcd-ef0123456789"

VECTORS = [
    (
        1714445421,
        "GET",
        "/accounts?account_owner=00SCXM&account_group=BBLGTW",
        "",
        "nvY/lGZoaom8x6eHeMWlzF4NnGvGA3YPtrbCmyUSplo=",
    ),
    (
        1714445704,
        "POST",
        "/convert_withdraw/execute",
        '{"quote_id":"3fc51610-3dd9-409f-b531-38f78de8ca8a"}',
        "7SwJyWdDvInzNmzKHOC4SVpLuMrops/xG8DbucYpV50=",
    ),
    (
        1714445704,
        "POST",
        "/strategies",
        '{"quoted_currency":"USD","metadata":{"platform_label":"Blue Chip Crypto"}}',
        "bh0z7yf/RUap7rlLg20TcDZZBchU7nUj6evpMHEUMfg=",
    ),
    (
        1714445704,
        "PATCH",
        f"/strategies/traders/{TRADER}",
        '{"auto_rebalance":false}',
        "U+XopvIRVvq0xaOSNXEgg0INYrvNVP5WoS1Txzk7cuI=",
    ),
    (
        1714445704,
        "GET",
        f"/strategies/operations?strategy_id={STRATEGY}&page_size=200",
        "",
        "dSj8VyczqSxEEniDe4lhQK1WcWB60fEeM4LTIFZc9/o=",
    ),
]


@pytest.mark.parametrize(("timestamp", "method", "target", "body", "signature"), VECTORS)
def test_signatures_match_the_vectors(
    timestamp: int, method: str, target: str, body: str, signature: str
) -> None:
    """The published vector and our own ones come out, with the key base64-decoded first."""
    headers = sign(CREDENTIALS, timestamp, method, target, body)
    assert headers["X-SCX-SIGNED"].reveal() == signature
    assert headers["X-SCX-TIMESTAMP"].reveal() == str(timestamp)
    assert headers["X-SCX-API-KEY"].reveal() == "key"
    assert headers["X-SCX-PASSPHRASE"].reveal() == "pass"


def test_a_secret_shows_nothing() -> None:
    """However it is turned into text, a secret shows the same word."""
    secret = Secret("canary-7f3a")
    # The old formatting is what the logging module uses, so that it is tried here on purpose.
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", format(secret, ">99")]
    shown += ["%s %r" % (secret, secret), str([secret]), str({"k": secret})]  # noqa: UP031 - this form must hide it too
    shown += [str(Credentials(secret, secret, secret))]
    assert all("canary" not in text for text in shown)
    assert all(HIDDEN in text for text in shown)
    assert secret.reveal() == "canary-7f3a"


ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=settings().max_examples // 4)
@given(st.sampled_from(("KEY", "SECRET", "PASSPHRASE")), ANY)
def test_nothing_that_is_shown_depends_on_a_secret(part: str, text: str) -> None:
    """I33: whatever its text, what a credential shows, or why it is refused, is the same."""
    hidden(part, text)


def hidden(part: str, text: str) -> None:
    """What I33 says of one variable: text and traceback are those of another secret.

    The environment itself is its owner's, and hides what it holds by itself."""
    assert _shown(part, text) in {_shown(part, other) for other in ("abcd", " \n", "é")}


def _shown(part: str, text: str) -> str:
    try:
        found = credentials_from({**ENVIRON, f"STRATCTL_READ_{part}": text}, "STRATCTL_READ")
    except UsageError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        (last,) = (frame for frame in report.stack if frame.name == "credentials_from")
        shown = {name: value for name, value in (last.locals or {}).items() if name != "environ"}
        return f"{error.summary}; {error.hint}; {shown}"
    headers = sign(found, 1, "GET", "/x")
    return f"{found} {found!r} {found.key:>9} {headers} {[*headers.values()]}"


def test_the_law_notices_a_secret_that_shows_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: as many dots as there are characters."""
    hidden("PASSPHRASE", "longer than the others")
    monkeypatch.setattr(Secret, "__repr__", lambda secret: "." * len(secret.reveal()))
    with pytest.raises(AssertionError):
        hidden("PASSPHRASE", "longer than the others")


@pytest.mark.parametrize("carry", [pickle.dumps, copy.deepcopy, copy.copy, json.dumps])
def test_a_secret_cannot_be_carried_away(carry: object) -> None:
    """Pickling, copying and JSON refuse it."""
    assert callable(carry)
    with pytest.raises(TypeError):
        carry(Secret("canary-7f3a"))


def test_credentials_cannot_be_dumped_as_fields() -> None:
    """The usual way to turn a dataclass into plain data refuses them."""
    with pytest.raises(TypeError):
        asdict(CREDENTIALS)


def test_a_secret_is_not_in_logs_or_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    """Neither log records nor tracebacks that show locals have it."""
    logging.getLogger("x").warning("signing with %s and %r", Secret("canary-7f3a"), CREDENTIALS)
    assert "canary" not in caplog.text
    assert KEY not in caplog.text
    with pytest.raises(UnicodeEncodeError) as caught:
        sign(CREDENTIALS, 1, "GET", "/x", "\ud800")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(shown.format())
    assert "credentials" in text
    assert KEY not in text


ENVIRON = {
    "STRATCTL_READ_KEY": "k",
    "STRATCTL_READ_SECRET": KEY,
    "STRATCTL_READ_PASSPHRASE": "p",
}


def test_credentials_come_from_the_environment() -> None:
    """The three variables of a prefix make Credentials."""
    found = credentials_from(ENVIRON, "STRATCTL_READ")
    assert [each.reveal() for each in (found.key, found.secret, found.passphrase)] == [
        "k",
        KEY,
        "p",
    ]


def test_missing_variables_are_named() -> None:
    """Every variable that is missing or empty is in the message, and no other."""
    with pytest.raises(UsageError) as caught:
        credentials_from({**ENVIRON, "STRATCTL_READ_SECRET": ""}, "STRATCTL_READ")
    assert "STRATCTL_READ_SECRET" in caught.value.summary
    assert "STRATCTL_READ_KEY" not in caught.value.summary
    with pytest.raises(UsageError, match=r"WRITE_KEY.*WRITE_SECRET.*WRITE_PASSPHRASE"):
        credentials_from(ENVIRON, "STRATCTL_WRITE")


@pytest.mark.parametrize("secret", ["not base64!", "abc", "sécret", "====", "cGFzcw"])
def test_a_secret_that_is_not_base64_is_refused_without_showing_it(secret: str) -> None:
    """The private key must decode, and the message does not repeat it."""
    with pytest.raises(UsageError) as caught:
        credentials_from({**ENVIRON, "STRATCTL_READ_SECRET": secret}, "STRATCTL_READ")
    assert "STRATCTL_READ_SECRET is not base64" in caught.value.summary
    assert secret not in caught.value.summary


@pytest.mark.parametrize("key", ["k\r\nX-Other: 1", "ключ", " k", "k\x00"])
def test_what_does_not_fit_a_header_is_refused(key: str) -> None:
    """Line breaks and foreign characters never reach a header."""
    with pytest.raises(UsageError, match="STRATCTL_READ_KEY has characters"):
        credentials_from({**ENVIRON, "STRATCTL_READ_KEY": key}, "STRATCTL_READ")
