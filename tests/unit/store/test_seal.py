from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import VaultDamaged
from countenance.store.seal import OVERHEAD, seal, unseal, unseal_into

KEY = bytes(range(32))


@given(st.binary(max_size=64), st.integers(0, 2**40 - 1), st.text(max_size=8))
def test_what_was_sealed_opens_again_and_is_28_bytes_longer(clear: bytes, item: int, kind: str) -> None:
    sealed = seal(KEY, kind, item, clear)
    assert len(sealed) == len(clear) + OVERHEAD
    assert unseal(KEY, kind, item, sealed) == clear


@given(st.binary(max_size=64), st.data())
def test_any_flipped_bit_and_any_cut_is_refused(clear: bytes, data) -> None:
    sealed = seal(KEY, "crop", 1, clear)
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    for bad in (bytes(flipped), sealed[: bit // 8], sealed + b"\0"):
        with pytest.raises(VaultDamaged):
            unseal(KEY, "crop", 1, bad)


@pytest.mark.parametrize(
    ("key", "kind", "item", "version"),
    [
        (bytes(32), "crop", 1, 1),
        (KEY, "crops", 1, 1),
        (KEY, "cro", 1, 1),
        (KEY, "crop", 2, 1),
        (KEY, "crop", 1, 2),
        (KEY, "", 1, 1),
    ],
)
def test_another_key_kind_item_or_version_does_not_open_it(key: bytes, kind: str, item: int, version: int) -> None:
    sealed = seal(KEY, "crop", 1, b"clear")
    buffer = bytearray(5)
    with pytest.raises(VaultDamaged):
        unseal(key, kind, item, sealed, version=version)
    with pytest.raises(VaultDamaged):
        unseal_into(key, kind, item, sealed, buffer, version=version)


def test_the_refusal_is_a_sentence_without_content() -> None:
    with pytest.raises(VaultDamaged, match="a sealed crop does not open under its key") as caught:
        unseal(KEY, "crop", 2, seal(KEY, "crop", 1, b"something private"))
    assert "private" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_template_opens_straight_into_its_row_of_a_matrix() -> None:
    template = np.linspace(-1, 1, 128, dtype="<f4")
    matrix = np.zeros((3, 128), "<f4")
    unseal_into(KEY, "template", 9, seal(KEY, "template", 9, template.tobytes()), matrix[1])
    assert (matrix[1] == template).all()
    assert not matrix[[0, 2]].any()


def test_a_row_that_was_refused_is_zero() -> None:
    row = np.ones(4, "<f4")
    sealed = bytearray(seal(KEY, "template", 9, bytes(range(16))))
    sealed[-1] ^= 1
    with pytest.raises(VaultDamaged):
        unseal_into(KEY, "template", 9, sealed, row)
    assert not row.any()


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(VaultDamaged):
        unseal_into(KEY, "template", 9, seal(KEY, "template", 9, bytes(16)), np.ones(5, "<f4"))


def test_the_nonce_comes_from_the_randomness_given_and_the_layout_is_fixed() -> None:
    sealed = seal(KEY, "crop", 1, b"clear", random=lambda n: b"\7" * n)
    bound = b"\1" + (1).to_bytes(8, "big") + b"crop"
    assert sealed == b"\7" * 12 + AESGCM(KEY).encrypt(b"\7" * 12, b"clear", bound)


def test_a_key_of_the_wrong_length_is_a_mistake_and_not_damage() -> None:
    with pytest.raises(ValueError, match="key"):
        unseal(b"short", "crop", 1, bytes(40))
