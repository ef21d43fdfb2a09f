"""Check the proof bundle of an order, offline: one file that needs Python 3.11 or newer and verify.py beside it.

::

    python verify_order.py FOLDER [--key FILE|KEY]    # FOLDER: the zip, unpacked

Exit codes: 0 holds, 6 does not, 2 the command was wrong. `READ_ME` says what is in the bundle and what it shows.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

try:
    from countenance.audit import verify
except ImportError:  # outside the package, where the bundle's own verify.py lies beside this file
    import verify  # type: ignore[import-not-found,no-redef]

READ_ME = """\
This is the proof that an order was carried out, made by Countenance. To check it you need Python 3.11 or newer and nothing
else, no network either. Unpack the zip to a folder and run there:

    python verify_order.py . --key KEY

KEY is the operator's public key, which you should have from somewhere else than this bundle. Whoever made the bundle also
put the two Python files into it: if you do not trust them, take them from the published package countenance instead.

order.yaml       the order, byte for byte as the operator took it in: compare it with yours
completion.json  who signed that it was carried out, when, and what was hidden, erased and left over
certificates/    the proof of each erasure, which names the order's file by its SHA-256; verify.py checks each by itself
proofs.json      the order's lines in the operator's log: drafted, approved, stopped, erased, completed; or "restored",
                 where the vault came back from a backup that did not know the order
checkpoint.txt   the signed state of that log; key.txt: the public key

What it proves: the holder of the key committed to each of these steps at these times, and none was altered since. What it
does not prove: that the records from which the list was computed were complete. Each certificate names its own limits.
"""

_FACTS = {
    "order": "order",
    "completed at": "completed_at",
    "signed by": "signed_by",
    "still hidden": "hidden",
    "to review": "to_review",
    "left to do": "worklist",
}
_PROOFS = [{"index": range(2**53), "leaf": verify._BASE64, "path": [verify._BASE64]}]  # noqa: SLF001 - its twin


def check(folder: Path, given: str | None = None) -> Iterator[str]:
    """Yield what is checked, before it is. Raises ValueError, with why, at the first that does not hold."""
    yield "the public key is well formed"
    key = verify.parse_key((folder / "key.txt").read_text("utf-8").removesuffix("\n"))
    if given is not None:
        yield "it is the key you gave"
        _demand(given in {str(key), key.public.hex()}, "the bundle carries another key; do not rely on it")
    yield "this key signed the checkpoint"
    checkpoint = verify.open_checkpoint((folder / "checkpoint.txt").read_bytes(), key)
    yield "each line about the order is in the log"
    kinds: dict[str, dict[str, Any]] = {}
    for proof in verify.shaped(verify.parse((folder / "proofs.json").read_bytes()), _PROOFS, "proofs"):
        leaf, path = verify.unbase64(proof["leaf"]), [verify.unbase64(node) for node in proof["path"]]
        digest = verify.leaf_hash(leaf)
        held = verify.inclusion_holds(digest, proof["index"], checkpoint.size, path, checkpoint.root)
        _demand(held, f"line {proof['index']} is not in the log at that place")
        line = verify.parse(leaf)
        kinds[line["kind"]] = line
    begun = ("restored",) if "order:restored" in kinds else ("drafted", "approved")
    steps = (*begun, "completed")
    _demand(all(f"order:{step}" in kinds for step in steps), "a line is missing: drafted, approved or completed")
    yield "the order's file is the one that the log names"
    file = hashlib.sha256((folder / "order.yaml").read_bytes()).hexdigest()
    for step in (begun[0], "completed"):
        _demand(kinds[f"order:{step}"]["public"]["file"] == file, f"it is another file than the one that was {step}")
    yield "the completion is the one that the log names, and is of this order"
    raw = (folder / "completion.json").read_bytes()
    said = verify.parse(raw)
    public = kinds["order:completed"]["public"]
    _demand(public["statement"] == hashlib.sha256(raw).hexdigest(), "the completion was altered")
    _demand((said["order"], said["file"]) == (public["order"], file), "the completion is of another order")
    ids = {line["public"].get("order") for line in kinds.values()}
    _demand(ids == {said["order"]}, "a line is of another order")
    _demand(said["completed_at"] == kinds["order:completed"]["at"], "the completion is of another time")
    present = {path.stem for path in (folder / "certificates").glob("*.zip")}
    _demand(present == set(said["certificates"]), "the certificates are not those that the completion names")
    for name, digest_said in sorted(said["certificates"].items()):
        yield f"the certificate of {name} holds, and names the order"
        bundle = (folder / "certificates" / f"{name}.zip").read_bytes()
        _demand(hashlib.sha256(bundle).hexdigest() == digest_said, "it is another certificate")
        report = verify.examine(verify.unpack(bundle), given or key.public.hex())
        _demand(report.statement is not None, "{}: {}".format(*report.checks[-1]))
        assert report.statement is not None
        _demand(report.statement["order"] == {"id": said["order"], "file_sha256": file}, "it names another order")


def _demand(holds: object, why: str) -> None:
    if not holds:
        raise ValueError(why)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser("verify_order", description="Check the proof bundle of an order, offline.")
    parser.add_argument("folder", type=Path, help="the zip, unpacked")
    parser.add_argument("--key", type=verify.public_key, help="the operator's, from elsewhere")
    args = parser.parse_args(argv)
    name = "the bundle can be read"
    try:
        for name in check(args.folder, args.key):
            sys.stdout.write(f"... {name}\n")
        said = json.loads((args.folder / "completion.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stdout.write(f"DOES NOT HOLD: {name}? No: {error}\n")
        return 6
    facts = {heading: said[name] for heading, name in _FACTS.items()} | {
        "erasures": ", ".join(sorted(said["certificates"])) or "none",
        "public key": (args.folder / "key.txt").read_text("utf-8").strip(),
    }
    for heading, value in facts.items():
        sys.stdout.write(f"{heading:15}{value}\n")
    theirs = ", if the public key shown is the operator's: compare it with one you have from somewhere else.\n"
    sys.stdout.write("HOLDS" + (", and is signed with the key you gave.\n" if args.key else theirs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
