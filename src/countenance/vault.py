"""The vault: one folder with everything in it, and the verbs that users have.

::

    import countenance

    with countenance.open("club.vault") as vault:
        vault.add("~/Pictures/2026", collection="Club")
        for face in vault.search("probe.jpg", collection="Club", purpose="Picture desk", case="2026-11").faces:
            print(face.hits or "nobody found")
"""

from __future__ import annotations

import getpass
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from countenance import enrolment, errors, founding, ids, ingest, registry
from countenance import sources as openers
from countenance.audit import log
from countenance.audit.check import Checked, check
from countenance.audit.log import Line, Verified
from countenance.gate.admit import admit_probe, missing
from countenance.orders import erase as erasing
from countenance.orders import files
from countenance.orders import scope as scopes
from countenance.records import (
    Collection,
    Comparison,
    Consent,
    Entry,
    Erasure,
    Photo,
    Reach,
    Refusal,
    Scope,
    SearchResult,
    Seen,
    Source,
    Subject,
)
from countenance.search import compare, find
from countenance.search.gallery import Galleries
from countenance.search.why import Why, why
from countenance.settings import Settings
from countenance.store import collections, entries, erasures, photos, processes, sources, subjects
from countenance.store.database import Database, Tx
from countenance.store.erasures import Work
from countenance.store.keys import Keys
from countenance.store.lock import held
from countenance.store.subjects import Enrolled
from countenance.vision import examine, models
from countenance.vision.picture import content_of
from countenance.vision.pool import Pool

if TYPE_CHECKING:
    from countenance.vision.picture import Picture


class Vault:
    """An open vault. Threads may share it; other processes may have it open too, and each sees the others' changes.

    Args:
        path: the vault's folder.
        settings: see `Settings`; read from the environment and the settings file if not given.
        dry_run: do everything but keep nothing; `add` and `erase` refuse, use `would_add` and `preview`.
        clock: gives the time, UTC.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        settings: Settings | None = None,
        dry_run: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.path = Path(path)
        self.settings = settings or Settings()
        about = founding.about(self.path)
        passphrase = self.settings.passphrase
        self.keys = Keys.open(self.path / "keys", passphrase.get_secret_value() if passphrase else None)
        if self.keys.public_key().hex() != about["public_key"]:
            raise errors.WrongKey
        self.database = Database(self.path / "records.db", self.keys, clock, dry_run=dry_run)
        self.clock = clock
        self.by = _user()
        self.process_id = ids.new("process")
        self._pool: Pool | None = None
        self._runs: dict[str, erasing.Run] = {}
        self._stop = threading.Event()
        self.galleries = Galleries(self.database, models.table()[examine.MODEL].dimension)
        self.database.check_format()
        with self.database.write(quiet=True) as tx:
            processes.register(tx, self.process_id, self.keys.epoch, self.galleries.follow(tx))
        self._follower = threading.Thread(
            target=self.galleries.keep_up, args=(self._stop, self.process_id), name="countenance-follow", daemon=True
        )
        self._follower.start()
        self.warning = ""  # why an unfinished erasure could not be finished at opening
        if not dry_run:
            try:
                self.resume()
            except errors.CountenanceError as error:  # the vault can be used; what is in scope stays hidden
                self.warning = f"An erasure is not finished. {error}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind and self._pool:  # what is under way is dropped, not waited for
            self._pool.__exit__(kind, error, where)
            self._pool = None
        self.close()

    def close(self) -> None:
        """Close the vault and overwrite in memory what can be."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._follower.join()
        if self._pool:
            self._pool.__exit__(None, None, None)
        with suppress(errors.VaultError), self.database.write(quiet=True) as tx:
            processes.leave(tx, self.process_id)
        self.galleries.close()
        self.database.close()
        self.keys.close()

    # Collections and sources

    def create_collection(self, name: str, **fields: Any) -> Collection:
        """Make a collection. Fields are those of `Collection`; what is left out can be set later, and keeps faces out."""
        return registry.make_collection(self.database, name, fields, by=self.by)

    def set_collection(self, name_or_id: str, **fields: Any) -> Collection:
        """Change fields of a collection and return it."""
        return registry.change_collection(self.database, self.collection(name_or_id), fields, by=self.by)

    def collection(self, name_or_id: str) -> Collection:
        """Return one collection."""
        with self.database.read() as tx:
            return collections.find(tx, name_or_id)

    def collections(self) -> list[Collection]:
        """All collections, oldest first."""
        with self.database.read() as tx:
            return collections.every(tx)

    def create_source(
        self, location: str | os.PathLike[str], *, collection: str, controller: str, evidence: str, **fields: Any
    ) -> Source:
        """Register where photos come from: a folder or an archive, who controls it, and what shows that.

        `evidence` is a text, or the path of a file of which name and SHA-256 are kept. Fields: `country`, `on_erase`
        ("delete", "redact" or "worklist", the default).
        """
        chosen = self.collection(collection)
        return registry.register_source(
            self.database, chosen, location, controller=controller, evidence=evidence, by=self.by, **fields
        )

    def source(self, source_id: str) -> Source:
        """Return one source."""
        with self.database.read() as tx:
            return sources.find(tx, source_id)

    def sources(self, collection: str | None = None) -> list[Source]:
        """All sources, or those of one collection."""
        with self.database.read() as tx:
            return sources.every(tx, collections.find(tx, collection).id if collection else None)

    def add(
        self,
        source: str | os.PathLike[str],
        *,
        collection: str | None = None,
        report: Callable[[ingest.Progress], None] = lambda _: None,
    ) -> ingest.Added:
        """Scan a registered source (by id, or by location with its collection): add what is new, mark what vanished.

        Can be stopped at any point and called again. Raises `Incomplete` if the collection does not state its basis.
        """
        self._demand_wet()
        registered = registry.find_source(self.database, source, collection)
        self._demand_basis(self.collection(registered.collection_id))
        with openers.open(registered.kind, registered.location) as opened:
            return ingest.add(
                self.database,
                self.pool,
                opened,
                source=registered,
                enrolled=lambda tx: self._enrolled(tx, registered.collection_id),
                cache=self.settings.cache,
                report=report,
            )

    def would_add(self, source: str | os.PathLike[str], *, collection: str | None = None) -> dict[str, list[str]]:
        """What a scan would look at, as addresses by kind: new, changed, again (subjects were enrolled since), unchanged."""
        registered = registry.find_source(self.database, source, collection)
        self._demand_basis(self.collection(registered.collection_id))
        found: dict[str, list[str]] = {"new": [], "changed": [], "again": [], "unchanged": []}
        with openers.open(registered.kind, registered.location) as opened, self.database.read() as tx:
            for address in opened.list():
                found[ingest.standing(tx, registered, address)].append(address.path)
        return found

    # Search

    def log_export(self, result: SearchResult) -> None:
        """Note in the log that a search's hits were written to a file outside the vault, before it is written."""
        with self.database.write() as tx:
            public = {"collection": result.collection_id, "kind": "contact-sheet", "search-entry": result.entry}
            part = (collections.item_of(tx, result.collection_id), {"search": result.id, "by": self.by})
            log.append(tx, Entry(kind="export:written", public=public, parts=(part,)))

    def search(
        self,
        picture: Picture | None = None,
        *,
        collection: str,
        purpose: str,
        case: str,
        face: str | int | None = None,
        subject: str | None = None,
        fpir: float = find.DEFAULT_FPIR,
        top: int | None = None,
    ) -> SearchResult:
        """Search a collection by picture (every face in it, or `face` by its number), by stored face id, or by subject.

        `fpir` is the false positive identification rate wanted: in how many searches for a stranger a hit is tolerable.
        `purpose` and `case` are required and logged. Nothing of the picture is kept.
        """
        if (picture is not None) + isinstance(face, str) + (subject is not None) != 1:
            raise errors.UsageError("Search by one of: a picture, the id of a stored face, a subject.")
        if not 0 < fpir < 1:
            raise errors.UsageError("The false positive identification rate lies between 0 and 1, such as 0.01.")
        if top is not None and top < 1:
            raise errors.UsageError("The number of hits to show is at least 1.")
        chosen = self.collection(collection)
        question = find.Question(collection_id=chosen.id, purpose=purpose, case=case, by=self.by, fpir=fpir, top=top)
        seen = None
        if picture is None:
            self._demand_reason(chosen, purpose, case)
        else:
            seen = self._look(chosen, picture, purpose, case)
        with self.database.read() as tx:
            if seen is not None:
                probes = find.of_picture(tx, self.galleries, chosen.id, seen, face if isinstance(face, int) else None)
            elif isinstance(face, str):
                probes = find.of_face(tx, chosen.id, face)
            else:
                probes = find.of_subject(tx, chosen.id, subject or "")
        return find.find(self.database, self.galleries, question, probes, keep_days=self.settings.search_days)

    def compare(
        self,
        first: Picture,
        second: Picture,
        *,
        collection: str,
        purpose: str,
        case: str,
        fmr: float = compare.DEFAULT_FMR,
    ) -> Comparison:
        """Compare the largest face of two pictures under a collection's basis. Nothing of either is kept."""
        if not 0 < fmr < 1:
            raise errors.UsageError("The false match rate lies between 0 and 1, such as 0.0001.")
        chosen = self.collection(collection)
        question = find.Question(collection_id=chosen.id, purpose=purpose, case=case, by=self.by)
        a, b = (self._look(chosen, picture, purpose, case) for picture in (first, second))
        return compare.compare(self.database, question, a, b, fmr=fmr)

    # Subjects

    def enrol(
        self, name: str, pictures: Iterable[str | os.PathLike[str]], *, collection: str, consent: Consent
    ) -> Subject:
        """Enrol a person from photos, each showing exactly one face, under their recorded consent.

        Two or three photos are advised: their mean misses far less than one. Photos of more than one person or of too
        poor quality are refused, and then nobody is enrolled.
        """
        chosen = self.collection(collection)
        self._demand_basis(chosen)
        enrolment.check(name, consent, self.clock())
        paths = [os.path.realpath(Path(picture).expanduser()) for picture in pictures]
        looked = enrolment.look(self.database, self.pool, chosen, paths, cache=self.settings.cache)
        subject = enrolment.enrol(
            self.database, chosen, name, consent, looked, transform=lambda tx: self.galleries.transform(tx, chosen.id)
        )
        if chosen.mode == "all" and not self.database.dry_run:
            enrolment.link(self.database, subject, self.galleries.of, threshold=find.subject_threshold)
        return subject

    def subjects(self, collection: str | None = None) -> list[Subject]:
        """All enrolled subjects, or those of one collection."""
        with self.database.read() as tx:
            return subjects.every(tx, collections.find(tx, collection).id if collection else None)

    def withdraw(self, subject: str, *, collection: str | None = None) -> Erasure:
        """Withdraw a subject's consent: the record, the enrolment photos and every face matched with it are erased."""
        with self.database.read() as tx:
            chosen = collections.find(tx, collection).id if collection else None
            scope = scopes.of_subject(tx, subject, chosen)
        return self.erase(scope, ground="consent-withdrawn")

    # Erasure

    def scope(
        self,
        *,
        photo: str | None = None,
        face: str | None = None,
        subject: str | None = None,
        source: str | None = None,
        search: str | None = None,
        only: Iterable[str] = (),
        collection: str | None = None,
    ) -> Scope:
        """Compute what an erasure would reach; nothing is changed. `only` chooses faces of a search's hits."""
        given = [name for name in (photo, face, subject, source, search) if name]
        if len(given) != 1:
            raise errors.UsageError("Erase by one of: photo, face, subject, source, search.")
        with self.database.read() as tx:
            chosen = collections.find(tx, collection).id if collection else None
            if photo:
                return scopes.of_photos(tx, [photo])
            if face:
                return scopes.of_faces(tx, [face])
            if subject:
                return scopes.of_subject(tx, subject, chosen)
            if source:
                return scopes.of_source(tx, source)
            return scopes.of_search(tx, search or "", only)

    def preview(self, scope: Scope) -> list[Reach]:
        """The scope in full: each photo, its faces, and what happens to its file."""
        with self.database.read() as tx:
            return scopes.reach(tx, scope)

    def erase(self, scope: Scope, *, ground: str = "operator", approved_by: Iterable[str] = ()) -> Erasure:
        """Erase a scope: stop, destroy keys, purge, verify, certify. `ground` is a key of `orders.erase.GROUNDS`.

        When it returns, the certificate is there. If this process dies, the next one to open the vault finishes.
        """
        self._demand_wet()
        with held(self.path / "erase.lock"):
            plan = erasing.plan(self.database, scope, ground=ground, by=self.by, approved_by=tuple(approved_by))
            return self._carry_out(plan)

    def resume(self) -> list[Erasure]:
        """Finish erasures that a crash left unfinished, unless another process is at it."""
        self._demand_wet()
        with self.database.read() as tx:
            unfinished = erasures.unfinished(tx)
        if not unfinished:
            return []
        with held(self.path / "erase.lock", wait=False) as mine:
            return [self._carry_out(stored.id) for stored in unfinished] if mine else []

    def erasures(self) -> list[Erasure]:
        """All erasures, oldest first."""
        with self.database.read() as tx:
            return [erasing.summary(stored) for stored in erasures.every(tx)]

    def certificate(self, erasure: str) -> bytes:
        """The proof bundle of an erasure: a zip that `python -m countenance.audit.verify` checks offline."""
        with self.database.read() as tx:
            stored = erasures.find(tx, erasure)
        if stored.bundle is None:
            raise errors.NotFound(noun="certificate yet of erasure", name=f"{erasure} (it is {stored.state})")
        return stored.bundle

    def worklist(self) -> list[Work]:
        """What is still to be done by hand at sources that Countenance does not write to."""
        with self.database.read() as tx:
            return erasures.worklist(tx)

    def finish_work(self, work: str) -> None:
        """Take a line off the worklist: somebody did it."""
        files.finish(self.database, work)

    # Looking into it

    def log(self, *, first: int = 0, kind: str | None = None, newest: int | None = None) -> list[Line]:
        """Lines of the log, in order."""
        with self.database.read() as tx:
            return list(log.show(tx, first=first, kind=kind, newest=newest))

    def verify_log(self) -> Verified:
        """Check every line of the log against its signed checkpoint."""
        with self.database.read() as tx:
            return log.verify(tx)

    def checkpoint(self) -> str:
        """The log's signed checkpoint (C2SP). Whoever keeps one can show later that the log was rolled back."""
        with self.database.read() as tx:
            return entries.head(tx).checkpoint

    def why(self, record: str) -> Why:
        """Explain a record: where it came from, by what right, until when, and what it was used for."""
        with self.database.read() as tx:
            return why(tx, record)

    def check(self) -> Checked:
        """Prove that rows, templates, keys, index and log agree."""
        with self.database.read() as tx:
            return check(self.database, tx, self.galleries.of)

    def refused(self, source: str) -> list[Photo]:
        """Photos of a source that were refused, with the reason."""
        with self.database.read() as tx:
            return photos.refused(tx, source)

    def photos(self, source: str) -> list[Photo]:
        """All photos of a source."""
        with self.database.read() as tx:
            return photos.of_source(tx, source)

    def counts(self, collection: str) -> dict[str, int]:
        """Photos of a collection by state, and faces held."""
        with self.database.read() as tx:
            return photos.counts(tx, collections.find(tx, collection).id)

    # Inside

    @property
    def pool(self) -> Pool:
        """The worker processes, started when first needed."""
        if self._pool is None:
            examine.prepare(self.settings.cache)
            self._pool = Pool(
                workers=self.settings.workers,
                memory_mb=self.settings.worker_memory_mb,
                seconds=self.settings.worker_seconds,
                setup=(examine.ready, self.settings.cache),
            ).__enter__()
        return self._pool

    def _carry_out(self, erasure_id: str) -> Erasure:
        """Go on with an erasure; what it must search for stays in memory until it is certified."""
        new = erasing.Run(self.database, self.galleries.of, lambda: self.pool, self.process_id, erasure_id)
        done = erasing.carry_out(self._runs.setdefault(erasure_id, new))
        del self._runs[erasure_id]
        return done

    def _demand_basis(self, collection: Collection) -> None:
        """Refuse, and log that it was refused, unless the collection states all that it must (promise P1)."""
        if gaps := missing(collection):
            self._log_refusal(collection.id, "incomplete")
            raise errors.Incomplete(name=collection.name, missing="; ".join(gaps))

    def _demand_wet(self) -> None:
        if self.database.dry_run:
            raise errors.UsageError("This vault was opened for a dry run. Nothing was changed.")

    def _log_refusal(self, collection_id: str, slug: str) -> None:
        with self.database.write() as tx:
            log.append(tx, Entry(kind="act:refused", public={"collection": collection_id, "reason": slug}))

    def _enrolled(self, tx: Tx, collection_id: str) -> Enrolled:
        return subjects.enrolled(
            tx,
            collection_id,
            transform=self.galleries.transform(tx, collection_id),
            threshold=find.subject_threshold,
        )

    def _look(self, collection: Collection, picture: Picture, purpose: str, case: str) -> Seen:
        """Look for faces in a probe, in a worker, if the gate lets it."""
        outcome = self.pool.submit(
            find.look, content_of(picture), collection, purpose, case, self.clock(), self.settings.cache
        ).result()
        if isinstance(outcome, Refusal):
            self._log_refusal(collection.id, outcome.slug)
            raise errors.Refused(outcome.sentence)
        assert isinstance(outcome, Seen)
        return outcome

    def _demand_reason(self, collection: Collection, purpose: str, case: str) -> None:
        """Refuse a search without picture for the same reasons as one with a picture."""
        refusal = admit_probe(collection, b"", purpose=purpose, case=case, now=self.clock())
        if isinstance(refusal, Refusal):
            self._log_refusal(collection.id, refusal.slug)
            raise errors.Refused(refusal.sentence)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user number without a name
        return f"user {os.getuid()}"
