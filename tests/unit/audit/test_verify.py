from __future__ import annotations

import functools
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.audit import bundles

from countenance.audit import checkpoint, verify

GOOD = bundles.files()
ZIP = verify.pack(GOOD)
PUBLIC = bundles.KEY.public_key().public_bytes_raw().hex()
CHECKED = verify.examine(GOOD)


@pytest.fixture(autouse=True, scope="module")
def _remembered():
    """Each signature is checked once in these tests: that takes 3 ms, and thousands of bundles carry the same one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "signature_holds", functools.cache(verify.signature_holds))
        yield


def why(files: dict[str, bytes], given: str | None = None) -> str:
    report = verify.examine(files, given)
    assert report.statement is None
    return ": ".join(report.checks[-1])


def leaves_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for name in value for leaf in leaves_of(value[name], (*path, name))]
    if isinstance(value, list) and value:
        return [leaf for number, entry in enumerate(value) for leaf in leaves_of(entry, (*path, number))]
    return [path]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def other(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    return value[:-1] + ("1" if value[-1] != "1" else "2") if value else [bundles.ZERO]


FIELDS = leaves_of(CHECKED.statement)


def test_a_whole_bundle_holds_and_every_check_is_named():
    assert CHECKED.statement is not None
    assert len(CHECKED.checks) == 7 + len(bundles.STEPS)
    assert all(reason == "" for _, reason in CHECKED.checks)
    assert len({name for name, _ in CHECKED.checks}) == len(CHECKED.checks)


@pytest.mark.parametrize(
    "steps", [verify.STATES, bundles.STEPS, [step for step in bundles.STEPS if step != "approved"]]
)
def test_steps_that_a_collection_does_not_ask_for_may_be_absent(steps):
    assert verify.examine(bundles.files(steps=steps)).statement


@pytest.mark.parametrize("missing", [step for step in bundles.STEPS if step not in verify.OPTIONAL_STATES])
def test_a_step_that_every_erasure_takes_may_not_be_absent(missing):
    assert "steps" in why(bundles.files(steps=tuple(step for step in bundles.STEPS if step != missing)))


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_each_field_altered_without_a_new_signature_is_caught(field):
    envelope = json.loads(GOOD["certificate.json"])
    statement = json.loads(json.dumps(CHECKED.statement))
    at(statement, field[:-1])[field[-1]] = other(at(statement, field))
    envelope["payload"] = bundles.b64(verify.canonical(statement))
    assert "this key signed the certificate" in why(GOOD | {"certificate.json": verify.canonical(envelope)})


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_each_field_altered_and_signed_with_another_key_is_caught(field):
    def change(statement: dict[str, Any]) -> None:
        at(statement, field[:-1])[field[-1]] = other(at(statement, field))

    forged = bundles.files(late=change, key=bundles.OTHER_KEY)
    assert "certificate" in why(GOOD | {"certificate.json": forged["certificate.json"]})
    assert "another key" in why(forged, PUBLIC)


UNLOGGED = {"issued_at", "software", "approved_by"}  # only the signature holds these; of those who approved, the names


@pytest.mark.parametrize("field", [field for field in FIELDS if field[0] not in UNLOGGED], ids=str)
def test_each_field_altered_after_it_was_logged_is_caught_even_with_the_right_key(field):
    def change(statement: dict[str, Any]) -> None:
        at(statement, field[:-1])[field[-1]] = other(at(statement, field))

    assert why(bundles.files(late=change))


NAMED = sorted({field[:n] for field in FIELDS for n in range(1, len(field) + 1) if isinstance(field[n - 1], str)})


@pytest.mark.parametrize("field", NAMED, ids=str)
def test_each_field_that_is_missing_or_of_another_type_is_caught(field):
    def without(statement: dict[str, Any]) -> None:
        del at(statement, field[:-1])[field[-1]]

    def untyped(statement: dict[str, Any]) -> None:
        at(statement, field[:-1])[field[-1]] = None

    def more(statement: dict[str, Any]) -> None:
        at(statement, field[:-1])["and_" + str(field[-1])] = "x"

    for change in (without, untyped, more):
        assert why(bundles.files(late=change))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s["scope"].update(items=8), "sum"),
        (lambda s: s["scope"].update(items=True, faces=0, photos=0, resealed=0), "form"),
        (lambda s: s["scope"].update(faces=-1, items=3), "form"),
        (lambda s: s["keys"].update(epoch_after=6), "epoch"),
        (lambda s: s["keys"].update(epoch_after=4), "epoch"),
        (lambda s: s["keys"].update(state_after=bundles.TWO), "state"),
        (lambda s: s["keys"].update(medium="D"), "form"),
        (lambda s: s["scan"].update(hits=1), "form"),
        (lambda s: s["scan"].update(control_hits=0), "form"),
        (lambda s: s["search"].update(hits=1), "form"),
        (lambda s: s.update(approved_by=[]), "who approved"),
        (lambda s: s.update(counts={}), "layer"),
        (lambda s: s.update(not_covered=[]), "cover"),
        (lambda s: s.update(not_covered=["x"] * 1001), "form"),
        (lambda s: s["processes"].update(unanswered=[""]), "form"),
        (lambda s: s.update(vault="example.org/other"), "another vault"),
        (lambda s: s.update(type="countenance/erasure/v2"), "form"),
        (lambda s: s.update(issued_at="2026-03-01T12:00:03Z"), "earlier"),
        (lambda s: s.update(issued_at="2026-13-01T12:00:03Z"), "form"),
        (lambda s: s.update(issued_at="2026-03-01 12:00:09Z"), "form"),
        (lambda s: s.update(ground="line\nend"), "form"),
        (lambda s: s.update(order={"id": "ord_x"}, request={}), "one order or one request"),
        (lambda s: s.update(order={"id": "ord_x", "file_sha256": "ab"}), "one order or one request"),
        (lambda s: s.update(order={"id": "ord_x", "name": "x"}), "form"),
        (lambda s: s.update(request={"sha256": "req_x"}), "form"),
        (lambda s: s.update(ground="\u202edesrever"), "form"),
    ],
)
def test_a_statement_that_cannot_be_true_is_caught_even_where_log_and_signature_agree(change, reason):
    assert reason in why(bundles.files(said=change))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e["public"].update(erasure="era_other"), "another erasure"),
        (lambda e: e.update(kind="search:done"), "another step"),
        (lambda e: e.pop("public"), "another erasure"),
        (lambda e: e["public"].update(scope=None, commitment=None), "differ in commitment"),
        (lambda e: "by" in e["public"] and e["public"].update(by=2), "differ in by"),
        (lambda e: "not_covered" in e["public"] and e["public"].update(not_covered=["x"]), "differ in not_covered"),
        (lambda e: "counts" in e["public"] and e["public"].update(counts={"rows": 8}), "differ in counts"),
        (lambda e: e.update(at="2026-03-01T12:00:08Z") if e["kind"] == "erasure:planned" else None, "earlier"),
    ],
)
def test_a_log_entry_that_says_something_else_is_caught(change, reason):
    assert reason in why(bundles.files(entry=change))


def test_a_checkpoint_signed_with_another_key_is_caught():
    assert "checkpoint" in why(bundles.files(log_key=bundles.OTHER_KEY))


def test_a_checkpoint_of_another_log_or_state_of_the_log_is_caught():
    shorter = checkpoint.sign(bundles.VAULT, 5, verify.leaf_hash(b""), bundles.KEY).encode()
    assert "not in the log" in why(GOOD | {"checkpoint.txt": shorter})
    elsewhere = checkpoint.sign("example.org/other", 5, verify.leaf_hash(b""), bundles.KEY, bundles.VAULT).encode()
    assert "another log" in why(GOOD | {"checkpoint.txt": elsewhere})


def test_a_certificate_whose_key_id_names_another_key_is_caught():
    payload = verify.canonical(CHECKED.statement)
    assert "not this key's" in why(GOOD | {"certificate.json": bundles.envelope(payload, name="example.org/other")})


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(signatures=[]),
        lambda e: e.update(signatures=e["signatures"] * 2),
        lambda e: e.update(payloadType="application/json"),
        lambda e: e.update(extra=1),
    ],
)
def test_an_envelope_that_is_not_one_signature_over_an_erasure_is_caught(change):
    envelope = json.loads(GOOD["certificate.json"])
    change(envelope)
    assert "certificate" in why(GOOD | {"certificate.json": verify.canonical(envelope)})


def test_a_right_signature_over_another_kind_of_payload_is_caught(monkeypatch):
    payload = verify.canonical(CHECKED.statement)
    monkeypatch.setattr(verify, "PAYLOAD_TYPE", "application/json")
    signed_as_json = bundles.envelope(payload)
    monkeypatch.undo()
    assert "erasure" in why(GOOD | {"certificate.json": signed_as_json})


def test_a_checkpoint_that_somebody_else_signed_too_is_not_part_of_a_bundle():
    more = checkpoint.sign(bundles.VAULT, 5, verify.leaf_hash(b""), bundles.OTHER_KEY).split("\n\n")[1].encode()
    assert "further" in why(GOOD | {"checkpoint.txt": GOOD["checkpoint.txt"] + more})


def test_a_key_without_its_line_end_is_caught():
    assert "line" in why(GOOD | {"key.txt": GOOD["key.txt"].rstrip()})


def test_steps_that_were_logged_in_another_order_are_caught():
    assert "log entries" in why(bundles.files(backwards=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda proofs: proofs[0].update(index=0),
        lambda proofs: proofs.reverse(),
        lambda proofs: proofs.pop(),
        lambda proofs: proofs.append(proofs[0]),
        lambda proofs: proofs[0]["path"].pop(),
    ],
)
def test_proofs_of_other_entries_or_places_are_caught(change):
    proofs = json.loads(GOOD["proofs.json"])
    change(proofs)
    assert "log" in why(GOOD | {"proofs.json": verify.canonical(proofs)})


@pytest.mark.parametrize("name", verify.MEMBERS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_file_with_any_byte_altered_added_or_removed_is_caught(name, data):
    good = GOOD[name]
    where = data.draw(st.integers(0, len(good) - 1))
    kept = data.draw(st.sampled_from([0, 1]))
    put = data.draw(st.binary(min_size=1 - kept, max_size=3))
    altered = good[: where + kept] + put + good[where + 1 :]
    if altered != good:
        assert why(GOOD | {name: altered})


@given(data=st.data())
@settings(max_examples=200)
def test_a_zip_with_any_byte_altered_added_removed_or_cut_off_is_caught(data):
    where = data.draw(st.integers(0, len(ZIP) - 1))
    cut = data.draw(st.sampled_from([0, 1, 2, len(ZIP)]))
    altered = ZIP[:where] + data.draw(st.binary(max_size=3)) + ZIP[where + cut :]
    if altered != ZIP:
        with pytest.raises(ValueError, match="zip"):
            verify.unpack(altered)


def test_every_other_zip_of_the_same_files_is_refused():
    def packed(names, compression=zipfile.ZIP_STORED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, data in names:
                archive.writestr(name, data)
        return buffer.getvalue()

    files = list(GOOD.items())
    for other_zip in (
        packed(files),
        packed(files, zipfile.ZIP_DEFLATED),
        packed(files[::-1]),
        packed([*files, ("../outside", b"x")]),
        packed(files[:-1]),
        packed([]),
        b"",
        b"PK",
    ):
        with pytest.raises(ValueError, match="zip"):
            verify.unpack(other_zip)


def test_the_zip_is_one_that_ordinary_tools_open():
    with zipfile.ZipFile(io.BytesIO(ZIP)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == GOOD
    assert verify.unpack(ZIP) == GOOD


@pytest.mark.parametrize(
    "text", ["YQ", "YQ=", "YR==", " YQ==", "YQ==\n", "Y Q==", "YQ===", "YWJj====", "_-8=", "é", "YQ==YQ=="]
)
def test_base64_in_any_other_spelling_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        verify.unbase64(text)


@given(st.binary(max_size=40))
def test_base64_in_its_right_spelling_is_read(data):
    assert verify.unbase64(bundles.b64(data), len(data)) == data
    with pytest.raises(ValueError, match="length"):
        verify.unbase64(bundles.b64(data), len(data) + 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_canonical_json_is_that_of_the_rfc_8785_package_and_is_read_back(value):
    data = verify.canonical(value)
    assert data == rfc8785.dumps(value)
    assert verify.parse(data) == value


def test_names_are_ordered_by_utf_16_units_not_by_code_points():
    assert verify.canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b"\xef\xbb\xbf{}",
        b"[NaN]",
        b"[Infinity]",
        b"[1.0]",
        b"[1e3]",
        b"[-0]",
        b"[01]",
        b"[9007199254740992]",
        b"[" + b"9" * 5000 + b"]",
        b'["\\u0061"]',
        b'["\\/"]',
        b'["\\ud800"]',
        b'["\xff"]',
        b"[" * 100_000 + b"]" * 100_000,
        "{}".encode("utf-16"),
        b"",
    ],
)
def test_json_in_any_other_spelling_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        verify.parse(data)


@given(st.dictionaries(st.sampled_from(verify.MEMBERS), st.binary(max_size=50)))
def test_files_of_any_content_are_refused_and_never_crash(files):
    if files:
        assert why(GOOD | files)


def test_a_bundle_proves_itself_only_as_far_as_its_key_is_known():
    given_key = str(CHECKED.key)
    assert "compare it" in verify.verdict(CHECKED)
    for given_text in (given_key, PUBLIC):
        assert verify.examine(GOOD, given_text).statement
        assert "the key you gave" in verify.verdict(verify.examine(GOOD, given_text), given_text)
    assert "another key" in why(GOOD, bundles.OTHER_KEY.public_key().public_bytes_raw().hex())


def test_the_statement_is_told_in_words_with_all_that_it_does_not_cover():
    told = list(verify.plain(CHECKED.statement))
    text = "\n".join(f"{heading} {sentence}" for heading, sentence in told)
    for expected in (
        "photos 2",
        "faces 3",
        "7 keys destroyed",
        "class B",
        "overwritten in place",
        "prc_b",
        "epoch 4 to 5",
    ):
        assert expected in text
    assert [sentence for heading, sentence in told if heading == "NOT covered"] == CHECKED.statement["not_covered"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(ZIP)
    return path


def test_the_command_prints_each_check_the_statement_and_the_verdict(bundle, capsys):
    assert verify.main([str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("ok      ") for line in lines[: len(CHECKED.checks)]] == [True] * len(CHECKED.checks)
    assert any(PUBLIC in line for line in lines)
    assert lines[-1].startswith("HOLDS, if")


def test_the_command_ends_with_6_and_shows_no_statement_where_the_proof_fails(bundle, capsys):
    bundle.write_bytes(verify.pack(GOOD | {"READ-ME.txt": b"Trust me."}))
    assert verify.main([str(bundle)]) == 6
    out = capsys.readouterr().out
    assert "FAILED  READ-ME.txt" in out
    assert out.splitlines()[-1].startswith("DOES NOT HOLD")
    assert "Art. 17" not in out


def test_the_command_prints_one_json_object_when_asked(bundle, capsys):
    assert verify.main([str(bundle), "--json", "--key", PUBLIC.upper()]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["holds"] is True
    assert told["key"] == {"text": str(CHECKED.key), "public": PUBLIC, "given": True}
    assert told["statement"] == CHECKED.statement
    bundle.write_bytes(b"PK")
    assert verify.main([str(bundle), "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["statement"] is None


def test_the_key_may_be_given_as_a_file(bundle, tmp_path, capsys):
    (tmp_path / "operator.key").write_text(f"{CHECKED.key}\n")
    assert verify.main([str(bundle), "--key", str(tmp_path / "operator.key")]) == 0
    (tmp_path / "operator.key").write_text(bundles.OTHER_KEY.public_key().public_bytes_raw().hex())
    assert verify.main([str(bundle), "--key", str(tmp_path / "operator.key")]) == 6
    assert "another key" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nowhere.zip"], ["--key", "zz"], ["--key", "z" * 5000], ["--verbose"]])
def test_a_command_that_makes_no_sense_ends_with_2(bundle, capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        verify.main(arguments if len(arguments) != 2 else [str(bundle), *arguments])
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


def test_a_folder_with_the_files_is_as_good_as_the_zip(tmp_path, capsys):
    for name, data in GOOD.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "note to self.txt").write_text("not part of it")
    assert verify.main([str(tmp_path)]) == 0
    (tmp_path / "proofs.json").unlink()
    assert verify.main([str(tmp_path)]) == 6
    assert "no proofs.json" in capsys.readouterr().out


def test_a_file_far_larger_than_any_bundle_is_refused_unread(tmp_path, capsys):
    with (tmp_path / "big.zip").open("wb") as file:
        file.truncate(verify.LIMIT + 1)
    assert verify.main([str(tmp_path / "big.zip")]) == 6
    assert "larger" in capsys.readouterr().out


def test_the_copied_file_verifies_a_bundle_where_there_is_nothing_but_python(bundle, tmp_path):
    copied = shutil.copy(verify.__file__, tmp_path / "verify.py")
    for path, code in ((bundle, 0), (copied, 6)):
        command = [sys.executable, "-I", "-S", "-W", "error", str(copied), str(path), "--key", PUBLIC]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={}, check=False)
        assert (ran.returncode, ran.stderr) == (code, "")
    without = [sys.executable, "-I", "-S", "-c", "import cryptography"]
    assert subprocess.run(without, capture_output=True, env={}, check=False).returncode == 1


def test_the_verifier_imports_nothing_but_the_standard_library():
    source = Path(verify.__file__).read_text()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
    assert "needs Python 3.11" in source
