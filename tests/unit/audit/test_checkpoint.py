from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.audit.bundles import KEY, OTHER_KEY, VAULT

from countenance.audit import checkpoint, verify
from countenance.errors import UsageError

ROOT = verify.leaf_hash(b"an entry")

# The worked example of Go's golang.org/x/mod/sumdb/note, where the signed-note format comes from.
NOTE_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
NOTE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    f"{NOTE_TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_public_example_note_opens_with_its_key():
    assert verify.open_note(NOTE.encode(), verify.parse_key(NOTE_KEY)) == NOTE_TEXT


def test_the_public_example_key_is_written_as_its_specification_writes_it():
    assert str(checkpoint.key_of("PeterNeumann", Ed25519PrivateKey.from_private_bytes(NOTE_SEED))) == NOTE_KEY


@pytest.mark.parametrize(
    "text",
    [
        NOTE_KEY.replace("c74f20a3", "c74f20a4"),
        NOTE_KEY.replace("c74f20a3", "C74F20A3"),
        NOTE_KEY.replace("PeterNeumann", "Peter Neumann"),
        NOTE_KEY.replace("PeterNeumann", ""),
        NOTE_KEY + "=",
        NOTE_KEY + "\n",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # unknown type, right hash
        "PeterNeumann+c74f20a3",
        "PeterNeumann",
        "",
    ],
)
def test_a_key_in_any_other_spelling_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        verify.parse_key(text)


@pytest.mark.parametrize("y", [*verify._SMALL, verify._P, verify._P + 1])
@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_a_key_with_which_anybody_can_sign_is_refused(y, sign):
    with pytest.raises(ValueError, match="anybody"):
        verify.parse_key(str(verify.Key(VAULT, (y | sign).to_bytes(32, "little"))))


@given(st.integers(0, 2**53 - 1), st.binary(min_size=32, max_size=32))
def test_a_signed_checkpoint_says_what_was_signed(size, root):
    signed = checkpoint.sign(VAULT, size, root, KEY)
    assert verify.open_checkpoint(signed.encode(), checkpoint.key_of(VAULT, KEY), alone=True) == (VAULT, size, root)
    assert checkpoint.problems(signed, VAULT, size, root, KEY.public_key().public_bytes_raw()) == []


def test_a_checkpoint_has_exactly_the_form_of_its_specification():
    body, _, signature = checkpoint.sign(VAULT, 7, ROOT, KEY).partition("\n\n")
    assert body.split("\n") == [VAULT, "7", base64.b64encode(ROOT).decode()]
    assert signature.startswith(f"— {VAULT} ")
    assert signature.endswith("\n")


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        (("example.org/other", 7, ROOT, KEY), "cannot be relied on"),
        ((VAULT, 8, ROOT, KEY), "size"),
        ((VAULT, 7, verify.EMPTY_ROOT, KEY), "root"),
        ((VAULT, 7, ROOT, OTHER_KEY), "cannot be relied on"),
    ],
)
def test_a_checkpoint_of_another_log_size_root_or_key_is_named_as_such(expected, problem):
    *facts, key = expected
    (found,) = checkpoint.problems(checkpoint.sign(VAULT, 7, ROOT, KEY), *facts, key.public_key().public_bytes_raw())
    assert problem in found


@given(st.data())
def test_a_checkpoint_with_any_byte_altered_added_or_removed_is_refused(data):
    signed = checkpoint.sign(VAULT, 1234, ROOT, KEY).encode()
    at = data.draw(st.integers(0, len(signed) - 1))
    kept = data.draw(st.sampled_from([0, 1]))
    put = data.draw(st.binary(min_size=1 - kept, max_size=2))
    altered = signed[: at + kept] + put + signed[at + 1 :]
    if altered == signed:
        return
    with pytest.raises(ValueError, match=r"."):
        verify.open_checkpoint(altered, checkpoint.key_of(VAULT, KEY), alone=True)


def cosigned() -> bytes:
    signed = checkpoint.sign(VAULT, 7, ROOT, KEY)
    return (signed + checkpoint.sign(VAULT, 7, ROOT, OTHER_KEY, "witness.example").split("\n\n")[1]).encode()


def test_a_signature_by_an_unknown_witness_is_ignored_unless_the_log_must_stand_alone():
    key = checkpoint.key_of(VAULT, KEY)
    assert verify.open_checkpoint(cosigned(), key).size == 7
    with pytest.raises(ValueError, match="further"):
        verify.open_checkpoint(cosigned(), key, alone=True)


def test_a_witness_can_be_checked_by_its_own_key():
    assert verify.open_checkpoint(cosigned(), checkpoint.key_of("witness.example", OTHER_KEY)).size == 7


def test_a_checkpoint_with_one_bad_signature_of_a_known_key_is_refused_whole():
    signed = checkpoint.sign(VAULT, 7, ROOT, KEY)
    bad = checkpoint.sign(VAULT, 8, ROOT, KEY).split("\n\n")[1]
    with pytest.raises(ValueError, match="not this key's"):
        verify.open_checkpoint((signed + bad).encode(), checkpoint.key_of(VAULT, KEY))


@pytest.mark.parametrize(
    "text",
    [
        f"{VAULT}\n07\n{{}}\n",
        f"{VAULT}\n+7\n{{}}\n",
        f"{VAULT}\n\u0667\n{{}}\n",
        f"{VAULT}\n7\n{{}}\nextension\n",
        f"{VAULT}\x01\n7\n{{}}\n",
        f"{VAULT}\n7\n",
        "\n7\n{}\n",
        f"{VAULT}\n7\n{{}}\n\n",
        f"{VAULT}\r\n7\r\n{{}}\r\n",
    ],
)
def test_a_rightly_signed_note_that_is_not_a_plain_checkpoint_is_refused(text):
    key, text = checkpoint.key_of(VAULT, KEY), text.format(base64.b64encode(ROOT).decode())
    signature = base64.b64encode(bytes.fromhex(key.keyid[-8:]) + KEY.sign(text.encode())).decode()
    with pytest.raises(ValueError, match=r"."):
        verify.open_checkpoint(f"{text}\n— {VAULT} {signature}\n".encode(), key)


@pytest.mark.parametrize("name", ["", "two words", "one+two", "line\nend", "no\u2003break", "x" * 256, "\ud800"])
def test_a_name_that_cannot_stand_in_a_note_is_refused_before_signing(name):
    with pytest.raises(UsageError, match="name"):
        checkpoint.sign(name, 1, ROOT, KEY)


# Cosignatures


def witnessed(at: int = 1_679_315_147) -> tuple[str, checkpoint.Cosigner]:
    signed = checkpoint.sign(VAULT, 7, ROOT, KEY)
    line = checkpoint.cosign(signed.partition("\n\n")[0] + "\n", "witness.example/w1", OTHER_KEY, at)
    return signed + line, checkpoint.Cosigner("witness.example/w1", OTHER_KEY.public_key().public_bytes_raw())


def test_a_cosignature_has_exactly_the_form_of_its_specification():
    note, witness = witnessed()
    text, signatures = note.split("\n\n")
    dash, name, encoded = signatures.splitlines()[1].split(" ")
    data = base64.b64decode(encoded)
    assert (dash, name, len(data)) == ("\u2014", "witness.example/w1", 4 + 8 + 64)
    assert data[:4] == hashlib.sha256(b"witness.example/w1\n\x04" + witness.public).digest()[:4]
    assert int.from_bytes(data[4:12], "big") == 1_679_315_147
    message = f"cosignature/v1\ntime 1679315147\n{text}\n".encode()
    OTHER_KEY.public_key().verify(data[12:], message)


def test_the_key_of_a_witness_has_one_spelling_and_is_not_that_of_a_log():
    _, witness = witnessed()
    assert checkpoint.parse_cosigner(str(witness)) == witness
    assert base64.b64decode(str(witness).split("+", 2)[2])[0] == 4
    for text in (
        str(checkpoint.key_of(witness.name, OTHER_KEY)),
        str(witness) + "\n",
        str(witness).replace("w1", "w2"),
        "",
        "w+0+0",
    ):
        with pytest.raises(ValueError, match=r"."):
            checkpoint.parse_cosigner(text)


@given(st.data())
def test_a_cosigned_checkpoint_with_any_byte_altered_is_refused(data):
    note, witness = witnessed()
    log = checkpoint.key_of(VAULT, KEY)
    assert checkpoint.cosigned_at(note, log, witness) == 1_679_315_147
    at = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != note[at]))
    with pytest.raises(ValueError, match=r"."):
        checkpoint.cosigned_at(note[:at] + other + note[at + 1 :], log, witness)


@pytest.mark.parametrize("at", [0, 253_402_300_800, 2**63])
def test_a_cosignature_of_no_time_is_refused(at):
    note, witness = witnessed(at)
    with pytest.raises(ValueError, match="does not hold"):
        checkpoint.cosigned_at(note, checkpoint.key_of(VAULT, KEY), witness)


def test_a_checkpoint_that_the_witness_did_not_sign_is_not_taken_for_cosigned():
    note, witness = witnessed()
    log = checkpoint.key_of(VAULT, KEY)
    with pytest.raises(ValueError, match="did not sign"):
        checkpoint.cosigned_at(checkpoint.sign(VAULT, 7, ROOT, KEY), log, witness)
    with pytest.raises(ValueError, match="did not sign"):
        checkpoint.cosigned_at(note, log, witness._replace(name="witness.example/w2"))
    with pytest.raises(ValueError, match="not this key's"):
        checkpoint.cosigned_at(note, checkpoint.key_of(VAULT, OTHER_KEY), witness)
