"""`make demo`: the main job on real photos, from an empty folder to a certificate that a stranger can check.

It uses pictures that come with scikit-image, among them a public-domain portrait (NASA, 1999), and altered copies of it;
with `--photos FOLDER` also the photos of that folder, which are read and never changed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

import countenance
from countenance import errors
from countenance.audit import verify
from countenance.orders.residue import forms_of_template, scan
from countenance.search.sheet import in_words
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
}
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
    countenance.create(folder / "vault")
    photos = folder / "photos"
    pictures(photos)
    with countenance.open(folder / "vault") as vault:
        title("Photos whose collection does not state its basis are refused")
        vault.create_collection("demo", purpose=STATED["purpose"])
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
            vault.set_collection(
                "demo", notice="public-domain portrait; the others are photos of whoever runs this demo"
            )
            mine = vault.create_source(own, collection="demo", controller="the user", evidence="given to the demo")
            add(vault, mine.id)

        title("Who is on this picture? (a crop of the portrait, blurred a little)")
        probe = folder / "probe.jpg"
        with Image.open(photos / "portrait.png") as portrait:
            portrait.crop((120, 20, 340, 260)).resize((180, 196)).save(probe, quality=70)
        found = vault.search(probe, **WHY)
        for hit in found.faces[0].hits:
            say(f"score {hit.score:.3f}  {hit.address:18} box {hit.box}; {in_words(hit.fpir)}")
        say(f"{found.gallery} faces searched. Why may it be shown? {found.faces[0].hits[0].because}")
        same = vault.compare(probe, photos / "grey.png", **WHY)
        say(f"1:1 with the grey copy: score {same.score:.3f}, same person: {'yes' if same.same else 'no'}")

        title("Erase the person: every face that the search found")
        scope = vault.scope(search=found.id)
        for reach in vault.preview(scope):
            say(f"{reach.address:18} {'whole photo' if reach.whole else 'this face only'}; file: {reach.action}")
        with vault.database.read() as tx:
            forms = [form for face_id in scope.faces for form in forms_of_template(faces.template(tx, face_id))]
        before = scan(folder / "vault", [b"portrait.png", *forms])
        erasure = vault.erase(scope, ground="request", approved_by=["whoever runs this demo"])
        say(f"{erasure.id} is {erasure.state}: {erasure.photos} photos, {erasure.faces} faces; files {erasure.files}")

        title("Searching finds nothing, and neither does a search through the bytes of every file")
        again = vault.search(probe, **WHY)
        say("the same search: " + ("somebody found!" if again.found else "nobody found"))
        after = scan(folder / "vault", [b"portrait.png", *forms])
        say(f"{after.patterns} patterns looked for in {after.files} files of {after.bytes:,} bytes: {after.hits} found")
        say(
            f"(before the erasure {before.hits}: all of it was sealed; the planted canary was found: {after.control_hits})"
        )
        if again.found or after.hits:
            raise errors.ProofFailed(why="something of the erased person is still there")

        title("The erased photo does not come back")
        pictures(photos)
        add(vault, source.id)
        if vault.search(probe, **WHY).found:
            raise errors.ProofFailed(why="the erased person came back")

        title("A stranger verifies the certificate, with one file and no vault")
        bundle = folder / "erasure.zip"
        bundle.write_bytes(vault.certificate(erasure.id))
        stranger(folder / "stranger", bundle)
        checked = vault.verify_log()
        if checked.problems:
            raise errors.ProofFailed(why="; ".join(checked.problems))
        say(f"The log: {checked.size} lines verified; {checked.erased} details died with the erased records.")


def pictures(folder: Path) -> None:
    """Write the demo's pictures: the portrait, altered copies, and pictures that show nobody."""
    folder.mkdir(exist_ok=True)
    data = resources.files("skimage").joinpath("data")
    with resources.as_file(data.joinpath("astronaut.png")) as file:
        portrait = Image.open(file).convert("RGB")
    portrait.save(folder / "portrait.png")
    ImageOps.mirror(portrait).save(folder / "mirrored.jpg", quality=85)
    ImageOps.grayscale(portrait).save(folder / "grey.png")
    ImageEnhance.Brightness(portrait).enhance(0.6).save(folder / "darker.webp", quality=80)
    portrait.resize((256, 256)).save(folder / "smaller.jpg", quality=75)
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        with resources.as_file(data.joinpath(name)) as file:
            shutil.copy(file, folder / name)


def add(vault: Vault, source_id: str) -> None:
    """Add a source and say what came of it."""
    added = vault.add(source_id)
    say(f"{added.added} photos added, {added.unchanged} unchanged, {added.vanished} vanished, {added.faces} faces kept")
    for slug, count in added.refused.items():
        say(f"refused {count}: {added.sentences[slug]}")


def stranger(folder: Path, bundle: Path) -> None:
    """Check a bundle as somebody would who has only that file: in another process, with the verifier alone."""
    folder.mkdir()
    (folder / "verify.py").write_bytes(Path(verify.__file__).read_bytes())
    done = subprocess.run(  # noqa: S603 - our own verifier
        [sys.executable, "-I", "verify.py", str(bundle)], cwd=folder, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line]
    for line in (
        lines[:1] + [line for line in lines if line.startswith(("erased", "byte scan", "removed"))] + lines[-1:]
    ):
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
