"""The answer to an access request made from real photos: the person is in it, and nobody else can be recognised."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
from datetime import UTC, datetime

import pytest
from PIL import Image, ImageOps
from tests.conftest import STATED, WHY

import countenance
from countenance import errors
from countenance.audit import verify
from countenance.orders import residue
from countenance.records import Admitted
from countenance.requests import pictures
from countenance.settings import Settings
from countenance.store import faces, requests, tree
from countenance.store.tables import answer
from countenance.vision import examine

THRESHOLD = 0.363  # cosine from which SFace's makers take two faces for one person


def faces_of(picture, settings):
    """The faces of a picture that can be compared, as templates, largest first."""
    admitted = Admitted(
        collection_id="col_a",
        purpose="tests",
        art6="consent",
        art9="explicit-consent",
        notice="none needed",
        expires_at=datetime(2999, 1, 1, tzinfo=UTC),
        content=picture,
    )
    return examine.examine(admitted, cache=settings.cache).faces


def files_of(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def data_of(bundle):
    return json.loads(files_of(bundle)["data.json"])


@pytest.fixture
def made(empty, tmp_path, pair):
    """A vault with a group photo of two faces and a portrait: "pair.png" and "alone.jpg"."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    pair.save(folder / "pair.png")
    pair.crop((0, 0, 250, 250)).save(folder / "alone.jpg", quality=92)
    empty.create_collection("club", **STATED)
    empty.create_source(folder, collection="club", controller="A Club", evidence="made here", on_erase="delete")
    empty.add(folder)
    return empty


def in_photo(vault, name):
    """The faces of a photo from left to right."""
    with vault.database.read() as tx:
        (photo,) = [p for s in vault.sources() for p in vault.photos(s.id) if p.address == name]
        return sorted(faces.of_photo(tx, photo.id), key=lambda face: face.box[0])


def ask(vault, *chosen, kind="access", name="A. Person"):
    """A request in which these faces were reviewed with yes, and all other faces of their photos with no."""
    request = vault.requests.open(kind, name=name).id
    for photo_id in {face.photo_id for face in chosen}:
        address = next(p.address for s in vault.sources() for p in vault.photos(s.id) if p.id == photo_id)
        found = vault.requests.identify(request, clues=[("address", address)])
        ids = {face_id for one in found for face_id in one.face_ids}
        vault.requests.review(
            request, {face_id: "yes" if face_id in {f.id for f in chosen} else "no" for face_id in ids}
        )
    return request


def test_the_person_is_recognised_in_the_answered_photo_and_nobody_else_is(empty, shared_photos, tmp_path, settings):
    folder = tmp_path / "pictures"
    folder.mkdir()
    content = (shared_photos / "groups" / "compreface_016_8.jpg").read_bytes()
    (folder / "group.jpg").write_bytes(content)
    empty.create_collection("club", **STATED)
    empty.create_source(folder, collection="club", controller="x", evidence="y")
    empty.add(folder)
    everybody = in_photo(empty, "group.jpg")
    assert len(everybody) > 4
    stored = {seen.box: seen.template for seen in faces_of(content, settings)}
    for mine in everybody[:3]:
        bundle = empty.requests.access(ask(empty, mine))
        (name,) = [name for name in files_of(bundle) if name.startswith("photos/")]
        (face,) = faces_of(files_of(bundle)[name], settings)
        own = stored[mine.box]
        assert face.template @ own > 0.7
        for other in (template for box, template in stored.items() if box != mine.box and template is not None):
            assert face.template @ other < max(THRESHOLD, own @ other + 0.1)  # two of them may look alike
        (told,) = data_of(bundle)["photos"]
        assert told["files"] == [{"name": name, "others_hidden": len(everybody) - 1}]
        left, top, width, height = told["faces"][0]["box_in_file"]
        assert all(abs(a - b) < 0.3 * width for a, b in zip(face.box, (left, top, width, height), strict=True))


def test_who_was_found_by_a_scan_with_their_own_picture_sees_their_own_face(empty, shared_photos, tmp_path, settings):
    folder = tmp_path / "pictures"
    folder.mkdir()
    content = (shared_photos / "groups" / "compreface_010_2.jpg").read_bytes()
    (folder / "two.jpg").write_bytes(content)
    empty.create_collection("club", **STATED | {"mode": "enrolled", "justification": None})
    empty.create_source(folder, collection="club", controller="x", evidence="y")
    empty.add(folder)
    mine, other = faces_of(content, settings)
    left, top, width, height = mine.crop_box
    offered = io.BytesIO()
    Image.open(io.BytesIO(content)).crop((left, top, left + width, top + height)).save(offered, "PNG")
    request = empty.requests.open("access").id
    (found,) = empty.requests.identify(request, pictures=[offered.getvalue()], scan=True)
    assert found.face_ids == ()
    empty.requests.review(request, {found.photo_id: "yes"})
    bundle = empty.requests.access(request)
    (name,) = [name for name in files_of(bundle) if name.startswith("photos/")]
    (seen,) = faces_of(files_of(bundle)[name], settings)
    assert seen.template @ mine.template > 0.7
    assert seen.template @ other.template < THRESHOLD


def test_a_face_that_was_never_kept_is_hidden_too(made, settings):
    left, right = in_photo(made, "pair.png")
    with made.database.write() as tx:  # as in a collection in which only enrolled people's faces are kept
        faces.remove(tx, [right.id])
    bundle = made.requests.access(ask(made, left))
    (picture,) = [data for name, data in files_of(bundle).items() if name.startswith("photos/")]
    (seen,) = faces_of(picture, settings)
    assert abs(seen.box[0] - left.box[0]) < 10
    pixels = Image.open(io.BytesIO(picture)).crop((right.box[0], right.box[1], right.box[0] + right.box[2], 200))
    assert max(high - low for low, high in pixels.getextrema()) < 12  # one flat colour, as JPEG has it


def test_an_answered_photo_carries_no_metadata(made, tmp_path, portrait):
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "the name of a neighbour", "an author"
    portrait.save(tmp_path / "pictures" / "tagged.jpg", exif=exif, comment=b"a neighbour")
    made.add(tmp_path / "pictures", collection="club")
    bundle = made.requests.access(ask(made, *in_photo(made, "tagged.jpg")))
    (picture,) = [data for name, data in files_of(bundle).items() if name.startswith("photos/")]
    assert b"neighbour" not in picture
    assert not Image.open(io.BytesIO(picture)).getexif()


def test_who_searched_lists_exactly_the_searches_that_found_the_person(made, tmp_path, portrait, clock):
    mine = in_photo(made, "alone.jpg")
    Image.new("RGB", (80, 80)).save(tmp_path / "nobody.png")
    portrait.save(tmp_path / "probe.png")
    first = made.search(tmp_path / "probe.png", collection="club", purpose="press desk", case="2026-1")
    with pytest.raises(errors.NoFace):
        made.search(tmp_path / "nobody.png", collection="club", purpose="another", case="2026-2")
    missed = made.search(
        face=mine[0].id, collection="club", purpose="a third", case="2026-3"
    )  # it does not find itself
    made.exports.write(first, tmp_path / "sheet.html")
    made.exports.delete(made.exports.list()[0].id)
    assert first.found
    assert missed.found
    told = data_of(made.requests.access(ask(made, *mine)))["searches"]
    assert [(one["entry"], one["purpose"], one["case"], one["at"][:10]) for one in told] == [
        (first.entry, "press desk", "2026-1", "2026-11-23")
    ]
    assert told[0]["faces"] == [mine[0].id]
    assert told[0]["outcome"][1:] == ["Written to a contact sheet on 2026-11-23, deleted on 2026-11-23."]
    clock.forward(days=29)  # the hits can no longer be erased by the search's number; the face is still there
    again = data_of(made.requests.access(ask(made, *mine)))["searches"]
    assert again == told


def test_who_asked_is_the_office_and_not_the_person_at_the_keyboard(made, tmp_path, portrait):
    portrait.save(tmp_path / "probe.png")
    made.by = "an-employee"
    made.search(tmp_path / "probe.png", **WHY)
    bundle = made.requests.access(ask(made, *in_photo(made, "alone.jpg")))
    assert all(b"an-employee" not in data for data in files_of(bundle).values())
    assert b"<td>the test suite</td>" in files_of(bundle)["index.html"]


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda file: file.unlink(), "can"),
        (lambda file: Image.new("RGB", (500, 250)).save(file), pictures.CHANGED),
        (lambda file: file.parent.rename(file.parent.with_name("elsewhere")), pictures.UNREACHED),
    ],
    ids=["the file is gone", "the file is another", "the source is gone"],
)
def test_where_the_photo_cannot_be_had_the_stored_crop_is_given_without_the_neighbour(
    made, tmp_path, settings, harm, why
):
    left, _ = in_photo(made, "pair.png")
    request = ask(made, left)
    harm(tmp_path / "pictures" / "pair.png")
    bundle = made.requests.access(request)
    (told,) = data_of(bundle)["photos"]
    assert why in told["why_not_whole"]
    (name,) = [file["name"] for file in told["files"]]
    assert name == f"photos/{left.photo_id}-{left.id}.jpg"
    assert len(faces_of(files_of(bundle)[name], settings)) == 1
    assert told["why_not_whole"].encode() in files_of(bundle)["index.html"]


def test_the_answer_is_the_same_from_a_worker_process_and_leaves_nothing_temporary(
    made, vault_path, clock, tmp_path, settings
):
    request = ask(made, in_photo(made, "pair.png")[0])
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    here = made.requests.access(request)
    chosen = Settings(workers=1, temporary=settings.temporary)
    with countenance.open(vault_path, settings=chosen, clock=clock) as other:
        assert other.requests.access(request) == here
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert residue.written(vault_path, settings.temporary) == {}


def test_a_hostile_file_name_stays_text(empty, tmp_path, pair):
    name = '"><script>alert(1)</script><img src=x onerror=alert(2)>.png'
    folder = tmp_path / "pictures"
    (folder / "<b>").mkdir(parents=True)
    pair.crop((0, 0, 250, 250)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(folder / "<b>" / name.replace("/", "&sol;"))
    empty.create_collection("<i>club", **STATED)
    empty.create_source(folder, collection="<i>club", controller="<u>x", evidence="y")
    empty.add(folder)
    (photo,) = empty.photos(empty.sources()[0].id)
    with empty.database.read() as tx:
        (face,) = faces.of_photo(tx, photo.id)
    bundle = empty.requests.access(ask(empty, face, name="<script>A. Person</script>"))
    for file in ("index.html", "letter.html"):
        page = files_of(bundle)[file].decode()
        assert not re.search(r"<(script|b|i|u)>|<img src=x|https?:|src=\"(?!photos/pho_)", page)
    assert all(re.fullmatch(r"[a-z]+\.(html|txt|json)|photos/[a-z0-9_-]+\.jpg", one) for one in files_of(bundle))


def test_no_path_of_the_machine_is_told(made, tmp_path, portrait, clock):
    portrait.save(tmp_path / "enrolled.png")
    consent = countenance.Consent(by="A. Person", given_at=clock(), text="yes", until=clock.now.replace(year=2027))
    subject = made.enrol("A. Person", [tmp_path / "enrolled.png"], collection="club", consent=consent)
    with made.database.read() as tx:
        ids = [face.id for face in faces.stored(tx, subject_id=subject.id)]
        theirs = faces.several(tx, ids)
    request = made.requests.open("portability").id
    made.requests.identify(request, clues=[("name", "A. Person")])
    made.requests.review(request, dict.fromkeys(ids, "yes"))
    bundle = made.requests.access(request)
    assert len(theirs) > 1
    assert all(str(tmp_path).encode() not in data for data in files_of(bundle).values())
    assert data_of(bundle)["subjects"][0]["consent"]["text"] == "yes"
    assert pictures.ENROLMENT in {photo["why_not_whole"] for photo in data_of(bundle)["photos"]}


def test_a_face_that_was_only_matched_with_a_subject_does_not_tell_who_that_is(made, tmp_path, portrait, clock):
    portrait.save(tmp_path / "enrolled.png")
    consent = countenance.Consent(by="B. Person", given_at=clock(), text="yes", until=clock.now.replace(year=2027))
    subject = made.enrol("B. Person", [tmp_path / "enrolled.png"], collection="club", consent=consent)
    (alone,) = in_photo(made, "alone.jpg")
    assert alone.subject_id == subject.id
    bundle = made.requests.access(ask(made, alone))
    assert data_of(bundle)["subjects"] == []
    assert all(b"B. Person" not in data and subject.id.encode() not in data for data in files_of(bundle).values())


def test_what_the_vault_does_not_know_is_a_visible_gap(made):
    page = files_of(made.requests.access(ask(made, in_photo(made, "pair.png")[0])))["index.html"].decode()
    assert "[not stated: who else was given your data, Art. 15(1)(c)]" in page
    assert "[not stated: the supervisory authority]" in page
    for said in ("testing", "Art. 6(1)(f)", "Art. 9(2)(e)", "public-domain portrait", "A Club", "Art. 17", "sface"):
        assert said in page


def test_the_answer_is_handed_over_in_a_new_file_and_the_log_keeps_its_hash(made, tmp_path):
    mine = in_photo(made, "pair.png")[0]
    request, path = ask(made, mine), tmp_path / "answer.zip"
    with pytest.raises(errors.UsageError, match="outcomes"):
        made.requests.answer(request, "done", bundle=path)
    assert not path.exists()
    assert made.exports.list() == []
    assert made.requests.answer(request, "granted", bundle=path).request.state == "answered"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    line = made.log.lines(kind="request:answered")[-1]
    assert line.public["outcome"] == "granted"
    assert line.parts[0]["bundle"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not any(mark in str(line.public) for mark in ("pho_", "fac_", line.parts[0]["bundle"]))
    made.erase(made.scope(face=mine.id))  # the vault remembers the file that it wrote
    assert not path.exists()


def test_an_erasure_with_an_answer_kept_before_it_certifies_and_says_so(made, vault_path, tmp_path):
    left, _ = in_photo(made, "pair.png")
    request = ask(made, left)
    wanted = made.requests.access(request)
    done = made.erase(made.scope(source=made.sources()[0].id))
    assert done.state == "certified"
    assert done.scan["hits"] == 0
    assert not list((tmp_path / "pictures").iterdir())
    said = verify.examine(verify.unpack(made.erasures.certificate(done.id))).statement["not_covered"]
    assert any("kept until the request is closed" in sentence and "are 1 of" in sentence for sentence in said)
    assert made.requests.access(request) == wanted
    assert [line.parts[0]["bundle"] for line in made.log.lines(kind="request:frozen")] == [
        hashlib.sha256(wanted).hexdigest()
    ]
    assert made.log.verify().problems == ()
    with made.database.read() as tx:
        (row,) = tx.sql.execute(answer.select()).all()
    made.requests.answer(request, "granted", said="Two of them are ours.", bundle=tmp_path / "answer.zip")
    letter = files_of((tmp_path / "answer.zip").read_bytes())["letter.txt"].decode()
    assert "Two of them are ours. It is in the file index.html" in letter
    made.requests.close(request)
    with pytest.raises(errors.UsageError, match="closed"):
        made.requests.access(request)
    made.custody.rotate()
    made.database.truncate_wal()
    with pytest.raises(tree.Punctured):
        made.keys.item_key(row.item)
    windows = residue.windows(row.bundle)
    every = b"".join(path.read_bytes() for path in vault_path.rglob("*") if path.is_file())
    assert windows
    assert not any(window in every for window in windows)


def test_an_erasure_of_somebody_else_keeps_no_answer_and_does_not_speak_of_one(made):
    left, _ = in_photo(made, "pair.png")
    ask(made, left)
    other = in_photo(made, "alone.jpg")[0].photo_id
    assert made.requests.freeze([other]) == ()
    assert len(made.requests.freeze([left.id])) == 1  # kept for another erasure
    done = made.erase(made.scope(photo=other))
    assert len(made.log.lines(kind="request:frozen")) == 1
    said = verify.examine(verify.unpack(made.erasures.certificate(done.id))).statement["not_covered"]
    assert not any("request" in sentence for sentence in said)


def test_what_is_confirmed_after_a_first_erasure_joins_what_was_kept_before_it(made):
    (left, right), (alone,) = in_photo(made, "pair.png"), in_photo(made, "alone.jpg")
    request = ask(made, alone)
    made.erase(made.scope(photo=alone.photo_id))
    made.requests.identify(request, clues=[("address", "pair.png")])
    made.requests.review(request, {left.id: "yes", right.id: "no"})
    bundle = made.requests.access(request)
    assert {photo["id"] for photo in data_of(bundle)["photos"]} == {alone.photo_id, left.photo_id}
    assert f"photos/{alone.photo_id}.jpg" in files_of(bundle)
    with made.database.read() as tx:
        assert requests.with_answer(tx) == {request}


def test_mirrored_pictures_show_the_same_person_upright(made, tmp_path, portrait, settings):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    ImageOps.mirror(portrait).rotate(90, expand=True).save(tmp_path / "pictures" / "side.jpg", exif=exif)
    made.add(tmp_path / "pictures", collection="club")
    (mine,) = in_photo(made, "side.jpg")
    bundle = made.requests.access(ask(made, mine))
    (name,) = [name for name in files_of(bundle) if name.startswith("photos/")]
    (seen,) = faces_of(files_of(bundle)[name], settings)
    assert abs(seen.box[0] - mine.box[0]) < 0.2 * mine.box[2]


def test_the_command_writes_the_answer_to_a_new_file_and_in_a_dry_run_none(made, run, tmp_path):
    request, path = ask(made, in_photo(made, "pair.png")[0]), tmp_path / "answer.zip"
    dry = run("request", "answer", request, "--outcome", "granted", "--bundle", path, "--dry-run", "--json")
    assert dry.code == 0
    assert not path.exists()
    assert made.requests.show(request).standing.state == "opened"
    done = run("request", "answer", request, "--outcome", "granted", "--bundle", path, "--json")
    assert done.code == 0
    assert "send it, then delete it" in " ".join(done.err.split())
    assert {name for name in files_of(path.read_bytes()) if not name.startswith("photos/")} == {
        *("letter.html", "letter.txt", "index.html", "data.json")
    }
    listed = run("export", "list", "--json").json
    assert str(path) in str(listed)
