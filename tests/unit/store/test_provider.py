from __future__ import annotations

import struct

import pytest

from countenance.errors import UsageError, VaultDamaged, WrongKey
from countenance.store.provider import PROVIDERS, begin, recall, unwrap, wrap

KEY = bytes(range(32))
EASY = 16  # scrypt's n, for tests


def fixed(n: int) -> bytes:
    return b"\7" * n


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_gives_the_key_back_from_its_payload(provider: str) -> None:
    passphrase = "correct horse" if provider == "passphrase" else None
    payload = wrap(begin(provider, passphrase, fixed, EASY), 3, KEY)
    assert unwrap(recall(provider, payload, passphrase), 3, payload) == KEY


def test_under_a_passphrase_the_key_is_not_in_the_payload_and_a_wrong_or_missing_one_is_refused() -> None:
    payload = wrap(begin("passphrase", "correct horse", fixed, EASY), 3, KEY)
    assert KEY not in payload
    with pytest.raises(WrongKey):
        unwrap(recall("passphrase", payload, "wrong"), 3, payload)
    for missing in (None, ""):
        with pytest.raises(WrongKey):
            recall("passphrase", payload, missing)


def test_a_payload_of_another_epoch_or_another_salt_is_refused() -> None:
    secret = begin("passphrase", "correct horse", fixed, EASY)
    payload = wrap(secret, 3, KEY)
    with pytest.raises(WrongKey):
        unwrap(secret, 4, payload)
    other = wrap(begin("passphrase", "correct horse", lambda n: b"\x08" * n, EASY), 3, KEY)
    with pytest.raises(WrongKey):
        unwrap(secret, 3, other)


def test_a_passphrase_opens_however_its_letters_were_composed() -> None:
    payload = wrap(begin("passphrase", "caf\u00e9", fixed, EASY), 1, KEY)
    assert unwrap(recall("passphrase", payload, "cafe\u0301"), 1, payload) == KEY


@pytest.mark.parametrize(
    ("provider", "passphrase"), [("passphrase", None), ("passphrase", ""), ("slot-file", "x"), ("unknown", None)]
)
def test_a_provider_and_a_passphrase_that_do_not_go_together_are_refused(provider: str, passphrase: str | None) -> None:
    with pytest.raises(UsageError):
        begin(provider, passphrase, fixed, EASY)


@pytest.mark.parametrize("head", [(2**21, 8, 1), (15, 8, 1), (0, 8, 1), (1, 8, 1), (16, 255, 1), (16, 8, 2)])
def test_parameters_that_would_eat_the_machine_are_refused(head: tuple[int, int, int]) -> None:
    with pytest.raises(VaultDamaged):
        recall("passphrase", struct.pack(">IBB16s", *head, bytes(16)) + bytes(60), "x")


def test_a_payload_too_short_or_of_an_unknown_provider_is_damage() -> None:
    with pytest.raises(VaultDamaged):
        recall("passphrase", b"short", "x")
    with pytest.raises(VaultDamaged):
        recall("tpm", b"", None)


def test_the_secret_does_not_print_its_key() -> None:
    secret = begin("passphrase", "correct horse", fixed, EASY)
    assert secret.key is not None
    assert repr(secret.key) not in repr(secret)
