"""The verifier's own Ed25519 against OpenSSL's: the same verdict or a stricter one, never a laxer one."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.audit import verify

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
TABLE = [  # RFC 8032, section 7.1: secret key, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655"
            "141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00"
            "d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc02"
            "7beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9"
            "ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9b"
            "ef1177331a704"
        ),
    ),
]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


def ours(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        return verify.signature_holds(public, signature, message)
    except ValueError:
        return False


def openssl(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def plus(one, two):
    """The sum of two points, in affine coordinates, as the definition has it."""
    (a, b), (c, d) = one, two
    both = D * a * b * c * d
    return (a * d + b * c) * pow(1 + both, -1, P) % P, (b * d + a * c) * pow(1 - both, -1, P) % P


def times(number, point):
    total = (0, 1)
    for bit in f"{number:b}":
        total = plus(total, total)
        total = plus(total, point) if bit == "1" else total
    return total


def written(point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def challenge(nonce: bytes, public: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(nonce + public + message).digest(), "little") % L


def scalar(number: int) -> bytes:
    return number.to_bytes(32, "little")


def torsion():
    """The eight points of small order."""
    for seed in range(99):
        try:
            x, y, *_ = verify._point(hashlib.sha256(bytes([seed])).digest())
        except ValueError:
            continue
        point = times(L, (x, y))
        if times(4, point) != (0, 1):
            return [times(n, point) for n in range(8)]
    raise AssertionError


SMALL = torsion()


@pytest.mark.parametrize("vector", TABLE, ids=["1", "2", "3", "SHA(abc)"])
def test_the_published_signatures_hold_and_no_other_message_does(vector):
    secret, public, message, signature = map(bytes.fromhex, vector)
    key = Ed25519PrivateKey.from_private_bytes(secret)
    assert (key.public_key().public_bytes_raw(), key.sign(message)) == (public, signature)
    assert ours(public, signature, message)
    assert not ours(public, signature, message + b"\0")


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.binary(max_size=300))
@settings(max_examples=60)
def test_what_any_key_signs_holds_and_only_for_that_message(secret, message, another):
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert ours(public, signature, message)
    assert ours(public, signature, another) == (another == message)


def test_a_signature_or_key_with_any_bit_flipped_does_not_hold(tally):
    signature = KEY.sign(b"message")
    for bit in range(512):
        flipped = (int.from_bytes(signature, "little") ^ 1 << bit).to_bytes(64, "little")
        assert not ours(PUBLIC, flipped, b"message")
    for bit in range(256):
        flipped = (int.from_bytes(PUBLIC, "little") ^ 1 << bit).to_bytes(32, "little")
        assert not ours(flipped, signature, b"message")
    tally["signatures and keys with a bit flipped refused"] += 768


def test_the_second_half_in_any_larger_spelling_does_not_hold():
    signature = KEY.sign(b"message")
    s = int.from_bytes(signature[32:], "little")
    for more in range(1, 15):
        assert not ours(PUBLIC, signature[:32] + scalar(s + more * L), b"message")
    with pytest.raises(ValueError, match="one right form"):
        verify.signature_holds(PUBLIC, signature[:32] + scalar(s + L), b"message")


@pytest.mark.parametrize("size", [0, 31, 32, 63, 65, 96])
def test_a_signature_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="one right form"):
        verify.signature_holds(PUBLIC, (KEY.sign(b"") * 2)[:size], b"")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="one right form"):
        verify.signature_holds((PUBLIC * 2)[:size], KEY.sign(b""), b"")


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64), st.binary(max_size=9))
@settings(max_examples=200)
def test_random_bytes_never_hold_where_openssl_refuses_them(public, signature, message):
    assert ours(public, signature, message) <= openssl(public, signature, message)


def test_keys_and_nonces_with_a_part_of_small_order_get_the_verdict_that_openssl_gives(tally):
    """Of 8 × 8 kinds, one in eight messages holds without the cofactor; with it all would."""
    a, r = 2**251 + 123, 2**250 + 456
    key, nonce = times(a, BASE), times(r, BASE)
    verdicts = {True: 0, False: 0}
    for part_of_key, part_of_nonce in itertools.product(SMALL, SMALL):
        public, first = written(plus(key, part_of_key)), written(plus(nonce, part_of_nonce))
        for message in (b"%d" % n for n in range(8)):
            signature = first + scalar((r + challenge(first, public, message) * a) % L)
            verdict = ours(public, signature, message)
            assert verdict == openssl(public, signature, message)
            verdicts[verdict] += 1
    assert min(verdicts.values()) > 40
    tally["edge cases of Ed25519 with the verdict of OpenSSL"] += sum(verdicts.values())


@pytest.mark.parametrize("nonce", SMALL)
def test_a_nonce_of_small_order_gets_the_verdict_that_openssl_gives(nonce):
    a = 123456789
    public = written(times(a, BASE))
    held = 0
    for message in (b"%d" % n for n in range(16)):
        signature = written(nonce) + scalar(challenge(written(nonce), public, message) * a % L)
        assert ours(public, signature, message) == openssl(public, signature, message)
        held += ours(public, signature, message)
    assert held == (16 if nonce == (0, 1) else 0)


@pytest.mark.parametrize("key", SMALL)
def test_a_key_of_small_order_with_which_anybody_can_sign_is_refused_where_openssl_takes_it(key):
    taken = 0
    for spelling in {written(key), scalar(key[1] | 1 << 255), scalar(key[1]), scalar((key[1] + P) % 2**256)}:
        for message in (b"%d" % n for n in range(16)):
            signature = written(times(7, BASE)) + scalar(7)  # S = r: holds wherever k times the key is nothing
            taken += openssl(spelling, signature, message)
            assert not ours(spelling, signature, message)
    assert taken > 0


def test_no_point_is_read_in_a_second_spelling():
    for y in range(19):
        for odd in (0, 1):
            with pytest.raises(ValueError, match=r"."):
                verify._point(scalar(y + P | odd << 255))


def test_a_nonce_in_a_second_spelling_does_not_hold():
    a = 987654321
    public = written(times(a, BASE))
    for spelling in (scalar(P + 1), scalar(1 | 1 << 255), scalar(P + 1 | 1 << 255)):  # of the neutral point
        for hashed in (spelling, scalar(1)):
            signature = spelling + scalar(challenge(hashed, public, b"m") * a % L)
            assert not openssl(public, signature, b"m")
            assert not ours(public, signature, b"m")
    assert ours(public, scalar(1) + scalar(challenge(scalar(1), public, b"m") * a % L), b"m")


def test_half_of_all_numbers_are_no_point_and_are_refused():
    refused = 0
    for n in range(200):
        try:
            x, y, z, t = verify._point(hashlib.sha256(b"%d" % n).digest())
        except ValueError:
            refused += 1
            continue
        assert (-x * x + y * y - 1 - D * x * x * y * y) % P == 0
        assert (z, t) == (1, x * y % P)
    assert 60 < refused < 140
