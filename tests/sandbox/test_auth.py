"""Who may call: signatures, the clock window, read-only keys."""

import base64
import hmac
import re
from hashlib import sha256

import pytest

from stratctl.sandbox.auth import Credential, credentials_lines, make_credential, sign
from tests.sandbox.platform import Platform, open_platform, signed_headers

KEY = "2mC4ZvVd4goRkuJm+rjr9byUiaUW1b6tVN4xy9QXNSE="
VECTORS = [
    (
        ("1714445421", "GET", "/accounts?account_owner=00SCXM&account_group=BBLGTW", b""),
        "nvY/lGZoaom8x6eHeMWlzF4NnGvGA3YPtrbCmyUSplo=",
    ),
    (
        (
            "1714445704",
            "POST",
            "/convert_withdraw/execute",
            b'{"quote_id":"3fc51610-3dd9-409f-b531-38f78de8ca8a"}',
        ),
        "7SwJyWdDvInzNmzKHOC4SVpLuMrops/xG8DbucYpV50=",
    ),
    (
        (
            "1714445704",
            "POST",
            "/strategies",
            b'{"quoted_currency":"USD","metadata":{"platform_label":"Blue Chip Crypto"}}',
        ),
        "bh0z7yf/RUap7rlLg20TcDZZBchU7nUj6evpMHEUMfg=",
    ),
    (
        (
            "1714445704",
            "PATCH",
            "/strategies/traders/f1a2b3c4-d5e6-4789-abcd-ef0123456789",
            b'{"auto_rebalance":false}',
        ),
        "U+XopvIRVvq0xaOSNXEgg0INYrvNVP5WoS1Txzk7cuI=",
    ),
    (
        (
            "1714445704",
            "GET",
            "/strategies/operations?strategy_id=b1c2d3e4-f5a6-4789-bcde-f01234567890&page_size=200",
            b"",
        ),
        "dSj8VyczqSxEEniDe4lhQK1WcWB60fEeM4LTIFZc9/o=",
    ),
]


@pytest.mark.parametrize(("request_parts", "expected"), VECTORS)
def test_signatures_match_the_vectors(
    request_parts: tuple[str, str, str, bytes], expected: str
) -> None:
    """The published vector, and four of our own with the same key."""
    assert sign(KEY, *request_parts) == expected


def test_the_key_is_decoded_before_it_signs() -> None:
    """The commonest mistake gives the digest that is documented as wrong."""
    (timestamp, method, route, _), right = VECTORS[0]
    message = f"{timestamp}{method}{route}{{}}".encode()
    text_as_key = base64.b64encode(hmac.new(KEY.encode(), message, sha256).digest()).decode()
    assert text_as_key == "7KN/E0TcSVDKVyy7PSnU9UQ766tSAqcXR4TJ1XyslsA="
    assert sign(KEY, timestamp, method, route, b"") == right


def status_of(platform: Platform, **changed: str) -> int:
    """The status of GET /strategies with some headers changed or, when empty, left out."""
    headers = signed_headers(
        platform.sandbox.credentials.read, platform.clock.wall_ms(), "GET", "/strategies", b""
    )
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    kept = {name: value for name, value in headers.items() if value}
    return platform.client.get("/strategies", headers=kept).status_code


def test_a_signed_request_is_admitted(platform: Platform) -> None:
    """The helper's own headers are right, so that what follows proves something."""
    assert status_of(platform) == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"X_SCX_API_KEY": ""},
        {"X_SCX_API_KEY": "nobody"},
        {"X_SCX_PASSPHRASE": "wrong"},
        {"X_SCX_SIGNED": ""},
        {"X_SCX_SIGNED": "bm90IHRoZSBzaWduYXR1cmU="},
        {"X_SCX_SIGNED": "not base64"},
        {"X_SCX_TIMESTAMP": ""},
        {"X_SCX_TIMESTAMP": "1776421801"},
        {"X_SCX_TIMESTAMP": "soon"},
        {"X_SCX_TIMESTAMP": "1776421800000"},
    ],
)
@pytest.mark.parametrize("failure", ["401", "403"])
def test_anything_wrong_is_refused(changed: dict[str, str], failure: str) -> None:
    """A missing or wrong key, passphrase, signature or timestamp, with either status."""
    with open_platform(switches={"auth_failure": failure}) as platform:
        assert status_of(platform, **changed) == int(failure)


@pytest.mark.parametrize(
    ("seconds", "status"), [(-61, 401), (-60, 200), (0, 200), (60, 200), (61, 401)]
)
def test_the_timestamp_may_be_sixty_seconds_off(
    platform: Platform, seconds: int, status: int
) -> None:
    """Both sides of the documented window, on both sides of now."""
    wall_ms = platform.clock.wall_ms() + seconds * 1000
    credential = platform.sandbox.credentials.read
    headers = signed_headers(credential, wall_ms, "GET", "/strategies", b"")
    assert platform.client.get("/strategies", headers=headers).status_code == status


def test_sandbox_time_does_not_spoil_signatures(platform: Platform) -> None:
    """Authentication uses the wall clock; advancing sandbox time leaves it alone."""
    platform.sandbox.advance(86_400)
    assert status_of(platform) == 200


def test_the_query_is_signed(platform: Platform) -> None:
    """A query that was not signed is refused."""
    credential = platform.sandbox.credentials.read
    headers = signed_headers(credential, platform.clock.wall_ms(), "GET", "/strategies", b"")
    assert platform.client.get("/strategies?page_size=1", headers=headers).status_code == 401


def test_the_body_is_signed(platform: Platform) -> None:
    """A body that was not signed is refused."""
    credential = platform.sandbox.credentials.write
    headers = signed_headers(credential, platform.clock.wall_ms(), "POST", "/strategies", b"{}")
    answer = platform.client.post("/strategies", content=b"{ }", headers=headers)
    assert answer.status_code == 401


def test_read_keys_cannot_write(platform: Platform) -> None:
    """A read-only key is refused on every mutation, in the documented words."""
    strategy = platform.strategy()
    reader = platform.sandbox.credentials.read
    for method, target in (
        ("POST", "/strategies"),
        ("PATCH", f"/strategies/{strategy}"),
        ("POST", f"/strategies/{strategy}/enroll"),
        ("PATCH", f"/strategies/traders/{strategy}"),
    ):
        answer = platform.call(method, target, {}, credential=reader)
        assert (answer.status, answer.body) == (
            403,
            {
                "error": True,
                "message": "This api key does not have write permission to this endpoint",
            },
        )


def test_time_needs_no_signature(platform: Platform) -> None:
    """GET /time is open, and tells the wall clock."""
    answer = platform.client.get("/time")
    assert answer.json() == {"epoch": platform.clock.wall_ms() // 1000}


def test_credentials_follow_from_the_seed() -> None:
    """The same seed gives the same keys, another seed others; reader and writer differ."""
    one, same = make_credential(7, may_write=True), make_credential(7, may_write=True)
    assert one == same
    assert one != make_credential(8, may_write=True)
    assert one.secret != make_credential(7, may_write=False).secret


def test_a_credential_never_shows_its_secret() -> None:
    """The representation names the key only."""
    credential = make_credential(0, may_write=True)
    assert credential.secret not in repr(credential)
    assert credential.passphrase not in repr(credential)


def test_credentials_file_has_six_lines() -> None:
    """Three variables for the reader and three for the writer."""
    text = credentials_lines(Credential("a", "b", "c", False), Credential("d", "e", "f", True))
    names = re.findall(r"^(STRATCTL_\w+)=.$", text, re.MULTILINE)
    assert names == [
        f"STRATCTL_{role}_{part}"
        for role in ("READ", "WRITE")
        for part in ("KEY", "SECRET", "PASSPHRASE")
    ]
