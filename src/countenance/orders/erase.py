"""Erasing, step by step: planned, approved, stopped, keys destroyed, purged, verified, certified.

Each step is recorded before the next begins and can be done again: whatever a crash leaves, `carry_out` finishes. From
*stopped* on nothing in scope is shown or taken in by any process. Files at the sources are cleared before the keys are
destroyed, because their addresses are sealed under those keys.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rfc8785

from countenance import errors, ids
from countenance.audit import log, merkle
from countenance.audit.verify import canonical, leaf_hash
from countenance.index.exact import Exact
from countenance.orders import certificate, files, residue
from countenance.records import Entry, Erasure, Scope, Template
from countenance.store import (
    collections,
    erasures,
    exports,
    faces,
    links,
    photos,
    processes,
    replay,
    requests,
    restrictions,
    snapshot,
    sources,
    standing,
    subjects,
    suppressions,
    tree,
)
from countenance.store.database import Database, Tx
from countenance.store.erasures import Reached
from countenance.store.system import spoken
from countenance.vision.imprint import mirrored
from countenance.vision.pool import Pool

GROUNDS = {
    "request": "Erasure asked for by the person, Art. 17(1) GDPR",
    "consent-withdrawn": "Consent withdrawn, Art. 17(1)(b) GDPR",
    "objection": "Objection by the person, Art. 17(1)(c) GDPR",
    "no-longer-needed": "No longer needed for the purpose, Art. 17(1)(a) GDPR",
    "unlawful": "Processed unlawfully, Art. 17(1)(d) GDPR",
    "order": "Order of an authority or a court, Art. 17(1)(e) GDPR",
    "operator": "The operator's own decision",
}

CUT_SHORT = (
    "The process stopped after the keys were destroyed, and what was to be searched for was in its memory only: the byte "
    "scan and the search with the erased templates were done without it."
)

KEPT_ANSWERS = (
    "The answer to a person's open request for access that was made before, sealed under a key of its own: it is given to "
    "that person, and kept until the request is closed. It may show what was erased. There are {} of them."
)

UNTOUCHED = (
    "The files at the sources: what the vault held is past its time and erased, the holder's own files are not touched."
)

SHORT = "Values of fewer than 8 bytes, which stand in other bytes by chance, were not searched for: {} of them."

ANSWER_SECONDS = 3.0  # other processes follow within one second; one that takes three is named as unanswered
PROBES = 64  # erased templates to search with, evenly chosen: that every row is out of the index is asked of each
ITSELF = 0.99  # cosine; a face that is still there scores 1 with its own template
TRIES = 50  # for a reader in another process to let the write-ahead log be cut


@dataclass(slots=True, kw_only=True)
class Run:
    """One erasure being carried out by this process. What must be searched for is held here, in memory, only."""

    database: Database
    index_of: Callable[[Tx, str], Exact]  # a collection's index, in step with the records
    transform_of: Callable[[Tx, str], np.ndarray[Any, Any]]  # a collection's matrix, shape (d, d)
    pool: Callable[[], Pool]  # only an erasure that redacts needs the worker processes
    process_id: str
    erasure_id: str
    temporary: Path  # searched too
    clear: list[bytes] = field(default_factory=list, repr=False)  # values that must be gone
    words: list[bytes] = field(default_factory=list, repr=False)  # addresses and names that must be gone
    templates: list[Template] = field(default_factory=list, repr=False)
    rows: list[int] = field(default_factory=list)


def demand_ground(ground: str) -> None:
    """Raise `UsageError` unless this is a key of `GROUNDS`."""
    if ground not in GROUNDS:
        raise errors.UsageError(f"{ground} is no ground for erasure; choose one of {', '.join(GROUNDS)}.")


def plan(
    database: Database,
    scope: Scope,
    *,
    ground: str,
    by: str,
    approved_by: tuple[str, ...] = (),
    order: tuple[str, str] | None = None,
) -> str:
    """Freeze a scope as a new erasure and return its id; nothing is changed yet. `ground` is a key of `GROUNDS`.

    `order` is the id of the order that asks for it and the SHA-256 of its file, which the certificate names. A request is
    named by the SHA-256 of its id: who was told the id can find it there, and nobody else can tell whose it is.
    """
    demand_ground(ground)
    erasure_id = ids.new("erasure")
    with database.write() as tx:
        _demand_current(tx, scope)
        ledger = _ledger(tx, scope)
        salt = os.urandom(32).hex()
        listed: Any = {"erasure": erasure_id, "salt": salt, "items": [[r.kind, r.id, r.item] for r in ledger]}
        request = {"sha256": hashlib.sha256(scope.request.encode()).hexdigest()} if scope.request else {}
        asked = {"order": {"id": order[0], "file_sha256": order[1]} if order else {}, "request": request}
        progress: dict[str, Any] = {
            "ground": GROUNDS[ground],
            "order": order[0] if order else None,
            "request": scope.request,
            "asked": asked,
            "approved_by": list(approved_by),
            "commitment": hashlib.sha256(rfc8785.dumps(listed)).hexdigest(),
            "salt": salt,
            "states": [],
        }
        erasures.insert_planned(tx, erasure_id, scope.collection_id, scope.reason, progress, ledger)
        said = {"commitment": progress["commitment"], "ground": progress["ground"], "reason": scope.reason, **asked}
        _enter(tx, erasure_id, "planned", progress, said, {"by": by, "salt": salt})
    return erasure_id


def carry_out(run: Run) -> Erasure:
    """Take the erasure through every step that is left, and return what it did.

    Raises `VaultError` if bytes that must be gone are still found: then it stays unfinished, hidden and without
    certificate, and the next open tries again.
    """
    while True:
        with run.database.read() as tx:
            stored = erasures.find(tx, run.erasure_id)
        if stored.state == "certified":
            return summary(stored)
        with spoken("the vault's folder"):
            STEPS[stored.state](run, stored.progress)


def summary(stored: erasures.Stored) -> Erasure:
    """An erasure as callers see it."""
    progress = stored.progress
    scope = progress.get("scope", {})
    return Erasure(
        id=stored.id,
        collection_id=stored.collection_id,
        state=stored.state,
        reason=stored.reason,
        photos=scope.get("photos", 0),
        faces=scope.get("faces", 0),
        subjects=scope.get("subjects", 0),
        files=progress.get("source", {}),
        scan={name: n for name, n in progress.get("scan", {}).items() if name != "places"},
        unanswered=tuple(progress.get("processes", {}).get("unanswered", ())),
        request=progress.get("request"),
    )


def _approve(run: Run, progress: dict[str, Any]) -> None:
    """Record who approved; where nobody was asked, there is no such step."""
    if not progress["approved_by"]:
        _stop(run, progress)
        return
    with run.database.write() as tx:
        _enter(tx, run.erasure_id, "approved", progress, {"by": len(progress["approved_by"])})


def _stop(run: Run, progress: dict[str, Any]) -> None:
    """Hide everything in scope, in every process, and keep its content from coming back."""
    with run.database.write() as tx:
        ledger = erasures.ledger(tx, run.erasure_id)
        of_kind = _by_kind(ledger)
        faces.stop(tx, of_kind["face"])
        for subject_id in of_kind["subject"]:
            subjects.stop(tx, subject_id)
        partly = {face.photo_id for face in faces.stored(tx, id=of_kind["face"])} - set(of_kind["photo"])
        found = photos.several(tx, [*of_kind["photo"], *partly])
        locations = {
            source_id: sources.find(tx, source_id).location for source_id in {p.source_id for p in found.values()}
        }
        fields = photos.fields_of(tx, found)
        expired = erasures.find(tx, run.erasure_id).reason == erasures.EXPIRED
        for photo_id, photo in found.items():
            opened = fields[photo_id]
            if expired:
                if photo_id not in partly and photo.reason is None and locations[photo.source_id] != "enrolment":
                    token = suppressions.expired(tx, photo.collection_id, bytes.fromhex(opened["sha256"]))
                    suppressions.add(tx, token, erasures.EXPIRED, run.erasure_id)
                continue
            content = suppressions.content(tx, bytes.fromhex(opened["sha256"]))
            suppressions.add(tx, content, "content", run.erasure_id)
            if kept := bytes.fromhex(opened.get("imprint") or ""):
                suppressions.add_picture(tx, (kept, mirrored(kept)), run.erasure_id)
            if photo_id in partly:
                photos.note(tx, photo_id, imprint=None)  # it is of the picture with the erased face in it
            else:
                token = suppressions.address(tx, locations[photo.source_id], photo.address)
                suppressions.add(tx, token, "address", run.erasure_id)
        photos.reach(tx, of_kind["photo"])
        links.forget(tx, face_ids=of_kind["face"], subject_ids=of_kind["subject"], photo_ids=of_kind["photo"])
        restrictions.forget(tx, face_ids=of_kind["face"], photo_ids=of_kind["photo"])
        progress["suppressed"] = suppressions.counts(tx, run.erasure_id)
        _enter(tx, run.erasure_id, "stopped", progress, {"items": len(ledger)})


def _destroy_keys(run: Run, progress: dict[str, Any]) -> None:
    """Clear the files at the sources, then destroy the keys of everything in scope."""
    keys = run.database.keys
    if "source" not in progress:
        pieces: list[bytes] = []
        with run.database.read() as tx:
            sources_too = erasures.find(tx, run.erasure_id).reason != erasures.EXPIRED
        cleared = files.clear(run.database, run.pool, run.erasure_id, pieces.append, at_sources=sources_too)
        run.clear += [window for piece in pieces for window in residue.varied(piece)]
        progress["source"], progress["beside"] = cleared.files, cleared.beside
        with run.database.write() as tx:
            erasures.advance(tx, run.erasure_id, "stopped", progress)
    with run.database.read() as tx:
        ledger = erasures.ledger(tx, run.erasure_id)
        discarded = erasures.discarded(tx)
    items = sorted({reached.item for reached in ledger})
    keys.reload()  # an error behind the point of no return left the old epoch in memory: it would be rotated twice
    done = _punctured(keys, items)
    if "epoch" not in progress or not done:  # what the rotation starts from is on record before it happens
        progress["epoch"], progress["state"] = keys.epoch, keys.state_hash
        with run.database.write() as tx:
            erasures.advance(tx, run.erasure_id, "stopped", progress)
    if not done:
        _remember(run, ledger)
        with run.database.read() as tx:
            record = replay.record(tx, erasures.find(tx, run.erasure_id), ledger)
        keys.advance([*items, *discarded], record)
    replicas = keys.align()  # as long as one may hold the old key, no key is destroyed
    discarded = [item for item in discarded if _punctured(keys, [item])]  # none that came after a rotation cut short
    with run.database.write() as tx:
        erasures.clear_discarded(tx, discarded)
        log.erase(tx, discarded)
        standing.follow(tx, keys.epoch)
        progress["keys"] = {
            "method": "puncturable key tree; the old epoch key overwritten",
            "provider": keys.provider,
            "medium": keys.medium.cls,
            "medium_note": keys.medium.note,
            "epoch_before": progress["epoch"],
            "epoch_after": keys.epoch,
            "state_before": progress["state"],
            "state_after": keys.state_hash,
            "replicas": replicas,
        }
        tokens = [hashlib.sha256(f"{progress['salt']} {item}".encode()).digest() for item in items]
        count = _by_kind(ledger)
        progress["scope"] = {
            "commitment": progress["commitment"],
            "items": len(items),
            "items_root": merkle.root([leaf_hash(token) for token in tokens]).hex(),
            "photos": len(count["photo"]),
            "faces": len(count["face"]),
            "subjects": len(count["subject"]),
            "sources": len(count["source"]),
            "resealed": len(count["resealed"]),
        }
        processes.follow(tx, run.process_id, keys.epoch, run.database.generation_in(tx))
        _enter(tx, run.erasure_id, "keys-destroyed", progress, {"epoch": keys.epoch, "items": len(items)})


def _purge(run: Run, progress: dict[str, Any]) -> None:
    """Delete every row in scope and the log details sealed under its keys."""
    with run.database.write() as tx:
        ledger = erasures.ledger(tx, run.erasure_id)
        of_kind = _by_kind(ledger)
        run.clear += faces.sealed_bytes(tx, of_kind["face"])  # the sealed forms must leave the files too
        run.rows = [face.row for face in faces.stored(tx, id=of_kind["face"])]
        seen = [face.photo_id for face in faces.stored(tx, id=of_kind["face"])]
        faces.remove(tx, of_kind["face"])
        photos.remove(tx, of_kind["photo"])
        of_expiry = erasures.find(tx, run.erasure_id).reason == erasures.EXPIRED  # its files still show what they did
        for photo_id in set() if of_expiry else set(seen) - set(of_kind["photo"]):
            photos.renew(tx, photo_id, faces_seen=photos.find(tx, photo_id).faces - seen.count(photo_id))
        for subject_id in of_kind["subject"]:
            subjects.remove(tx, subject_id)
        for source_id in of_kind["source"]:
            sources.remove(tx, source_id)
        details = log.erase(tx, [reached.item for reached in ledger])
        progress["counts"] = {
            "templates": len(of_kind["face"]),
            "crops": len(of_kind["face"]),
            "photo-records": len(of_kind["photo"]),
            "subjects": len(of_kind["subject"]),
            "sources": len(of_kind["source"]),
            "log-details": details,
            **progress["beside"],
        }
        _enter(tx, run.erasure_id, "purged", progress, {"counts": progress["counts"]})


def _verify(run: Run, progress: dict[str, Any]) -> None:
    """Wait for the other processes, search every file for the bytes, and search with the erased templates."""
    progress["processes"] = _acknowledged(run)
    for _ in range(TRIES):
        if run.database.truncate_wal():
            break
        time.sleep(0.1)
    folder = run.database.path.parent
    with run.database.read() as tx:
        known_exports = [Path(export.path) for export in exports.every(tx)]
    with snapshot.absent(folder):  # a backup's copy of the records may still hold them, sealed
        scan = residue.scan(folder, run.clear, words=run.words, temporary=run.temporary, exports=known_exports)
    # A process that no longer knows what to look for still knows in which files it was, and what they held.
    known = [name for name, digest in progress.get("residue", {}).items() if residue.digest(folder / name) == digest]
    if where := sorted({*scan.where, *known}):
        progress["residue"] = {name: residue.digest(folder / name) for name in where}
        with run.database.write() as tx:
            erasures.advance(tx, run.erasure_id, "purged", progress)
        raise errors.VaultError(
            f"Bytes that must be gone are still in {', '.join(where)}. The keys are destroyed and nothing is shown, but "
            "nothing is certified. Remove what should not be there and run `countenance erase --resume`."
        )
    with run.database.read() as tx:
        stored = erasures.find(tx, run.erasure_id)
        probes, found = _findable(run, tx, stored.collection_id)
        expired = stored.reason == erasures.EXPIRED
        answers = _answers(tx, erasures.ledger(tx, run.erasure_id))
    if found:
        raise errors.VaultError(f"A search still finds {found} erased faces. Nothing is certified.")
    progress["scan"] = {name: getattr(scan, name) for name in ("files", "bytes", "patterns", "hits", "control_hits")}
    progress["scan"]["places"] = list(scan.places)
    progress["search"] = {"probes": probes, "hits": found}
    cut_short = not run.templates and progress["scope"]["faces"]
    progress["limits"] = [CUT_SHORT] * bool(cut_short) + [SHORT.format(scan.short)] * bool(scan.short)
    progress["limits"] += [UNTOUCHED] * expired
    progress["limits"] += [KEPT_ANSWERS.format(answers)] * bool(answers)
    progress["not_covered"] = [*certificate.NOT_COVERED, *progress["limits"]]
    with run.database.write() as tx:
        names = ("counts", "keys", "not_covered", "processes", "scan", "scope", "search", "source", "suppressed")
        said = {name: progress[name] for name in names}  # its sentences hold words that may be somebody's name
        said["not_covered"] = hashlib.sha256(canonical(said["not_covered"])).hexdigest()
        _enter(tx, run.erasure_id, "verified", progress, said)


def _certify(run: Run, progress: dict[str, Any]) -> None:
    with run.database.write() as tx:
        stored = erasures.find(tx, run.erasure_id)
        bundle = certificate.build(tx, run.erasure_id, progress, stored.reason)
        digest = hashlib.sha256(bundle).hexdigest()
        log.append(tx, Entry(kind="erasure:certified", public={"erasure": run.erasure_id, "bundle": digest}))
        erasures.advance(tx, run.erasure_id, "certified", progress, bundle)
    run.clear.clear()
    run.words.clear()
    for template in run.templates:
        template[:] = 0
    run.templates.clear()


STEPS: dict[str, Callable[[Run, dict[str, Any]], None]] = {
    "planned": _approve,
    "approved": _stop,
    "stopped": _destroy_keys,
    "keys-destroyed": _purge,
    "purged": _verify,
    "verified": _certify,
}


def _enter(  # noqa: PLR0917
    tx: Tx,
    erasure_id: str,
    state: str,
    progress: dict[str, Any],
    public: dict[str, Any],
    detail: dict[str, Any] | None = None,
) -> None:
    """Move to a state: its log entry, and the entry's number and hash for the certificate, in one transaction."""
    stored = erasures.find(tx, erasure_id)
    parts = ((collections.item_of(tx, stored.collection_id), detail),) if detail else ()
    entry = Entry(kind=f"erasure:{state}", public={"erasure": erasure_id, **public}, parts=parts)
    number = log.append(tx, entry)
    leaf = log.leaf(tx, number)
    progress["states"].append({"state": state, "at": log.moment(tx), "entry": number, "leaf": leaf_hash(leaf).hex()})
    erasures.advance(tx, erasure_id, state, progress)


def _demand_current(tx: Tx, scope: Scope) -> None:
    """Refuse a scope that the records have outgrown since it was shown: what was added meanwhile would be missed."""
    held = faces.beyond_stop(tx, scope.faces)
    now = {face.id for face in faces.stored(tx, photo_id=list(scope.photos))}
    for subject_id in scope.subjects:
        now |= {face.id for face in faces.stored(tx, subject_id=subject_id)}
    listed = {photo.id for source_id in scope.sources for photo in photos.of_source(tx, source_id)}
    if not (now <= set(scope.faces) == held and listed <= set(scope.photos) == set(photos.items(tx, scope.photos))):
        raise errors.UsageError(
            "The vault has changed since this scope was shown. Nothing was erased; look at it again."
        )


def _ledger(tx: Tx, scope: Scope) -> list[Reached]:
    photo_items = photos.items(tx, scope.photos)
    return [
        *(Reached(kind="photo", id=photo_id, item=item) for photo_id, item in photo_items.items()),
        *(Reached(kind="face", id=face.id, item=face.item) for face in faces.stored(tx, id=list(scope.faces))),
        *(Reached(kind="subject", id=name, item=subjects.item_of(tx, name)) for name in scope.subjects),
        *(Reached(kind="source", id=name, item=sources.item_of(tx, name)) for name in scope.sources),
    ]


def _by_kind(ledger: list[Reached]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {kind: [] for kind in ("photo", "face", "subject", "source", "resealed")}
    for reached in ledger:
        found[reached.kind].append(reached.id)
    return found


def _punctured(keys: Any, items: list[int]) -> bool:
    for item in items:
        try:
            keys.item_key(item)
        except tree.Punctured:
            continue
        return False
    return True


def _remember(run: Run, ledger: list[Reached]) -> None:
    """Collect, in memory, every clear value in scope and its keys, while they can still be read."""
    with run.database.read() as tx:
        transform = run.transform_of(tx, erasures.find(tx, run.erasure_id).collection_id)
        shown = photos.several(tx, [reached.id for reached in ledger if reached.kind == "photo"])
        for reached in ledger:
            run.clear.append(tx.keys.item_key(reached.item))
            if reached.kind == "photo":
                run.words.append(os.fsencode(shown[reached.id].address))
            elif reached.kind == "subject":
                run.words.append(subjects.name_of(tx, reached.id).encode())
        for stored, crop in faces.contents(tx, [reached.id for reached in ledger if reached.kind == "face"]):
            template = stored.copy()
            run.templates.append(template)
            run.clear += residue.forms_of_template(template)
            run.clear += residue.forms_of_template(template @ transform.T)[1:]  # float32 would differ by rounding
            run.clear += residue.pixels_of(crop)
    run.clear.append(run.database.keys.epoch_key())


def _acknowledged(run: Run) -> dict[str, Any]:
    """Wait until every process that has the vault open took up the new epoch, and name those that did not."""
    epoch = run.database.keys.epoch
    until = time.monotonic() + ANSWER_SECONDS
    while True:
        with run.database.read() as tx:
            others = [p for p in processes.every(tx) if p.id != run.process_id and p.alive]
        behind = [p for p in others if p.epoch < epoch]
        if not behind or time.monotonic() > until:
            answered = len(others) - len(behind) + 1
            return {"acknowledged": answered, "unanswered": [f"process {p.pid} on {p.host}" for p in behind]}
        time.sleep(0.05)


def _answers(tx: Tx, ledger: list[Reached]) -> int:
    """How many answers to open requests are kept that tell of something in this ledger."""
    reached, kept = {each.id for each in ledger if each.kind != "resealed"}, requests.with_answer(tx)
    return sum(
        request.id in kept
        and any(reached & {one.photo_id, one.face_id} for one in request.reviews if one.verdict == "yes")
        for request in requests.every(tx)
    )


def _findable(run: Run, tx: Tx, collection_id: str) -> tuple[int, int]:
    """How many templates were searched with, and how many erased faces the index still knows or such a search returns."""
    engine = run.index_of(tx, collection_id)
    known = {row for row in run.rows if engine.contains(row)}
    probes = run.templates[:: -(-len(run.templates) // PROBES) or 1]
    if probes and len(engine):
        for rows, _ in engine.search(np.stack(probes).astype(np.float32), threshold=ITSELF, now=tx.second):
            known.update(set(run.rows).intersection(int(row) for row in rows))
    return len(probes), len(known)
