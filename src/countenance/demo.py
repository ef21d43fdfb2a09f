"""`make demo`: the main job on real photos: a search, a regulator's order, a person's request, and proofs to check.

It uses pictures that come with scikit-image, among them a public-domain portrait (NASA, 1999), and altered copies of it;
with `--photos FOLDER` also the photos of that folder, which are read and never changed.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageEnhance, ImageOps

import countenance
from countenance import errors
from countenance.audit import verify
from countenance.orders.residue import forms_of_template, scan
from countenance.search.sheet import in_words
from countenance.settings import Settings
from countenance.store import faces
from countenance.vault import Vault

STATED: dict[str, Any] = {
    "purpose": "showing what Countenance does",
    "controller": "whoever runs this demo",
    "contact": "whoever runs this demo",
    "art6": "legitimate-interests",
    "art9": "made-public",
    "notice": "public-domain portrait; nobody else is in these photos",
    "retention_days": 1,
    "mode": "all",
    "justification": "the demo shows a search among people who are not enrolled",
    "takes_in": ("GB", "FR", "IE"),
    "established": "GB",
    "representative": "whoever runs this demo",
}
ORDER = """order: countenance/order/v1
authority: Information Commissioner's Office
country: GB
reference: the facts of 18 May 2022, as the demo plays them
issued: 2022-05-18
measures: [stop, erase]
scope: {collections: [demo], territories: [GB], unknown: include}
"""
WHY: dict[str, Any] = {"collection": "demo", "purpose": "showing a search", "case": "demo-1"}


def main() -> int:
    """Run the demo; returns an exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of your own, which is read and never changed")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="countenance-demo-") as name:
        try:
            play(Path(name), arguments.photos)
        except errors.CountenanceError as error:
            print(f"\nThe demo stopped: {error}", file=sys.stderr)  # noqa: T201
            return error.exit_code
    say(f"\nDone in {time.monotonic() - began:.0f} seconds; everything the demo made is deleted again.")
    say("On your own photos, start with:\n")
    say("    .venv/bin/countenance init my.vault")
    return 0


def play(folder: Path, own: Path | None) -> None:  # noqa: PLR0915 - a play in one act reads best in one piece
    """Play it all in a folder that is empty and thrown away afterwards."""
    title("A vault: records, keys, index and log in one folder")
    (folder / "temporary").mkdir()
    countenance.create(folder / "vault")
    photos = folder / "photos"
    placed(photos)
    with countenance.open(folder / "vault", settings=Settings(temporary=folder / "temporary")) as vault:
        title("Photos whose collection does not state its basis are refused")
        known = ("purpose", "takes_in", "established", "representative")
        vault.create_collection("demo", **{field: STATED[field] for field in known})
        source = vault.create_source(
            photos, collection="demo", controller="this demo", evidence="made by the demo itself", on_erase="delete"
        )
        try:
            vault.add(source.id)
        except errors.Incomplete as refusal:
            say(f"refused: {refusal}")

        title("With purpose, controller, contact, basis, condition, notice and retention stated, they are added")
        vault.set_collection("demo", **STATED)
        add(vault, source.id)
        if own:
            vault.create_collection("yours", **STATED | {"notice": "photos of whoever runs this demo"})
            mine = vault.create_source(own, collection="yours", controller="the user", evidence="given to the demo")
            add(vault, mine.id)

        title("Where are they from? Of that only the files are asked, never a face")
        for photo in vault.photos(source.id):
            places = ", ".join(f"{each.territory} ({each.origin})" for each in photo.evidence)
            say(f"{photo.address:14} {places or 'no evidence'}")

        title("Who is on this picture? (a crop of the portrait, blurred a little)")
        probe = folder / "probe.jpg"
        portrait().crop((120, 20, 340, 260)).resize((180, 196)).save(probe, quality=70)
        found = vault.search(probe, **WHY)
        for hit in found.faces[0].hits:
            say(f"score {hit.score:.3f}  {hit.address:14} box {hit.box}; {in_words(hit.fpir)}")
        say(f"{found.gallery} faces searched. Why may it be shown? {found.faces[0].hits[0].because}")

        title("A regulator orders: stop, and erase what is of the United Kingdom")
        order = vault.orders.draft(ORDER)
        seen = vault.orders.preview(order.id)
        say(f"{seen.inside} of {seen.held} photos are in scope, by GPS; one at the Irish border counts for both sides")
        say(
            f"without evidence: {seen.undetermined}; the order says to include them, so {seen.stopped} are to be stopped"
        )
        began = time.monotonic()
        vault.orders.approve(order.id)
        left = [hit.address for hit in vault.search(probe, **WHY).faces[0].hits]
        say(f"approved: {time.monotonic() - began:.2f} seconds later the same search finds {', '.join(left)} only")
        place(portrait().resize((300, 300)), photos / "edinburgh.jpg", 55.9486, -3.1999)
        add(vault, source.id)

        title("It is carried out, and a person signs")
        done = vault.orders.carry_out(order.id, signed_by="whoever runs this demo")
        (erasure,) = vault.erasures.list()
        say(f"{erasure.id} is {erasure.state}: {erasure.photos} photos, {erasure.faces} faces; files {erasure.files}")
        say(f"order {done.id} is {done.state}, signed by {done.signed_by}; it stays in force until it is lifted")
        placed(photos)  # somebody puts the files back
        add(vault, source.id)

        title("The regulator checks the proof offline, with what is in it and Python alone")
        zipfile.ZipFile(io.BytesIO(vault.orders.proof(order.id))).extractall(folder / "proof")
        stranger(folder / "proof", "verify_order.py", ".", "--key", vault.log.key())

        title("The person asks to be erased altogether")
        scope = vault.scope(search=vault.search(probe, **WHY).id)
        for reach in vault.preview(scope):
            say(f"{reach.address:14} {'whole photo' if reach.whole else 'this face only'}; file: {reach.action}")
        with vault.database.read() as tx:
            forms = [form for face_id in scope.faces for form in forms_of_template(faces.template(tx, face_id))]
        before = scan(folder / "vault", [b"paris.jpg", *forms])
        erasure = vault.erase(scope, ground="request", approved_by=["whoever runs this demo"])
        again = vault.search(probe, **WHY)
        say("the same search: " + ("somebody found!" if again.found else "nobody found"))
        after = scan(folder / "vault", [b"paris.jpg", *forms])
        say(f"{after.patterns} patterns looked for in {after.files} files of {after.bytes:,} bytes: {after.hits} found")
        say(f"(before it {before.hits}: all of it was sealed; the planted canary was found: {after.control_hits})")
        if again.found or after.hits:
            raise errors.ProofFailed(why="something of the erased person is still there")
        (folder / "stranger").mkdir()
        shutil.copy(verify.__file__, folder / "stranger" / "verify.py")
        (folder / "stranger" / "erasure.zip").write_bytes(vault.erasures.certificate(erasure.id))
        stranger(folder / "stranger", "verify.py", "erasure.zip", "--key", vault.log.key())
        checked = vault.log.verify()
        if checked.problems:
            raise errors.ProofFailed(why="; ".join(checked.problems))
        say(f"The log: {checked.size} lines verified; {checked.erased} details died with the erased records.")


def placed(folder: Path) -> None:
    """Write the play's pictures: the portrait in four versions, from four places as their GPS says, and one of nobody."""
    folder.mkdir(exist_ok=True)
    place(portrait(), folder / "london.jpg", 51.5007, -0.1246)
    place(ImageOps.mirror(portrait()), folder / "paris.jpg", 48.8584, 2.2945)
    place(ImageOps.grayscale(portrait()), folder / "pettigo.jpg", 54.5497, -7.8305)  # a village on the Irish border
    ImageEnhance.Brightness(portrait()).enhance(0.6).save(folder / "unknown.jpg", quality=85)
    with data("rocket.jpg") as file, Image.open(file) as rocket:
        place(rocket, folder / "rocket.jpg", 28.6083, -80.6041)


def place(picture: Image.Image, path: Path, latitude: float, longitude: float) -> None:
    """Save a picture as JPEG with a GPS position, degrees WGS 84, in its EXIF."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S",
            ExifTags.GPS.GPSLatitude: (abs(latitude), 0.0, 0.0),
            ExifTags.GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W",
            ExifTags.GPS.GPSLongitude: (abs(longitude), 0.0, 0.0),
        }
    )
    picture.save(path, "JPEG", quality=85, exif=exif)


def portrait() -> Image.Image:
    """The public-domain portrait, 512 × 512."""
    with data("astronaut.png") as file:
        return Image.open(file).convert("RGB")


def data(name: str) -> AbstractContextManager[Path]:
    """A file that comes with scikit-image."""
    return resources.as_file(resources.files("skimage").joinpath("data", name))


def pictures(folder: Path) -> None:
    """Write pictures to try things with: the portrait, altered copies, and pictures that show nobody."""
    folder.mkdir(exist_ok=True)
    portrait().save(folder / "portrait.png")
    ImageOps.mirror(portrait()).save(folder / "mirrored.jpg", quality=85)
    ImageOps.grayscale(portrait()).save(folder / "grey.png")
    ImageEnhance.Brightness(portrait()).enhance(0.6).save(folder / "darker.webp", quality=80)
    portrait().resize((256, 256)).save(folder / "smaller.jpg", quality=75)
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        with data(name) as file:
            shutil.copy(file, folder / name)


def add(vault: Vault, source_id: str) -> None:
    """Add a source and say what came of it."""
    added = vault.add(source_id)
    say(f"{added.added} photos added, {added.unchanged} unchanged, {added.vanished} vanished, {added.faces} faces kept")
    for slug, count in added.refused.items():
        say(f"refused {count}: {added.sentences[slug]}")


def stranger(folder: Path, *command: str) -> None:
    """Check a proof as somebody would who has only these files: in another process, without this package or any other."""
    done = subprocess.run(  # noqa: S603 - our own verifier
        [sys.executable, "-S", "-E", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line]
    told = ("... the order's file", "... the certificate", "signed_by", "erased", "byte scan")
    for line in [*(line for line in lines if line.startswith(told)), *lines[-1:]]:
        say(line)
    if done.returncode:
        raise errors.ProofFailed(why=done.stdout.strip() or done.stderr.strip())


def title(text: str) -> None:
    """Begin a part."""
    say(f"\n== {text}")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201 - this is what the demo is for


if __name__ == "__main__":
    sys.exit(main())
