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

from countenance import backup, custody, enrolment, errors, founding, ids, ingest, registry
from countenance import sources as openers
from countenance import wish as wishing
from countenance.audit import log
from countenance.audit.check import Checked, check
from countenance.gate.admit import admit_probe, lacks
from countenance.orders import erase as erasing
from countenance.orders import exposed, issue
from countenance.orders import scope as scopes
from countenance.records import (
    Collection,
    Comparison,
    Consent,
    Entry,
    Erasure,
    Evidence,
    Photo,
    Reach,
    Refusal,
    Scope,
    SearchResult,
    Seen,
    Source,
    Subject,
)
from countenance.scan import Added, Progress
from countenance.search import compare, find, ordered
from countenance.search.gallery import Galleries
from countenance.search.question import DEFAULT_FPIR, Question
from countenance.search.why import Why, why
from countenance.settings import Settings
from countenance.store import (
    collections,
    erasures,
    exports,
    photos,
    processes,
    snapshot,
    sources,
    standing,
    subjects,
    wishes,
)
from countenance.store.database import Database, Tx
from countenance.store.keys import Keys
from countenance.store.lock import held
from countenance.store.subjects import Enrolled
from countenance.store.wishes import KeptOut
from countenance.verbs.custody import Custody
from countenance.verbs.documents import Documents
from countenance.verbs.erasures import Erasures
from countenance.verbs.exports import Exports
from countenance.verbs.faces import Faces
from countenance.verbs.log import Log
from countenance.verbs.orders import Orders
from countenance.verbs.requests import Requests
from countenance.verbs.sweep import Swept, sweep
from countenance.verbs.wishes import Wishes
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
        custody.demand_in_step(self.database)
        snapshot.tidy(self.path)
        with self.database.write(quiet=True) as tx:
            processes.register(tx, self.process_id, self.keys.epoch, self.galleries.follow(tx))
        self._follower = threading.Thread(
            target=self.galleries.keep_up, args=(self._stop, self.process_id), name="countenance-follow", daemon=True
        )
        self.warning = ""  # why an unfinished erasure could not be finished at opening, or a replica not brought along
        if not dry_run:
            try:
                self.keys.align()
            except errors.ReplicaUnreachable as error:
                self.warning = str(error)
        self._follower.start()
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
        report: Callable[[Progress], None] = lambda _: None,
    ) -> Added:
        """Scan a registered source (by id, or by location with its collection): add what is new, mark what vanished.

        Can be stopped at any point and called again. Raises `Incomplete` if the collection does not state its basis.
        """
        self.database.demand_wet()
        registered = registry.find_source(self.database, source, collection)
        self._demand_basis(self.collection(registered.collection_id))
        with openers.open(registered.kind, registered.location) as opened:
            return ingest.add(
                self.database,
                self.pool,
                opened,
                source=registered,
                enrolled=lambda tx: self._enrolled(tx, registered.collection_id),
                kept_out=_kept_out,
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
                found[photos.standing(tx, registered, address)].append(address.path)
        return found

    # Search

    def search(
        self,
        picture: Picture | None = None,
        *,
        collection: str,
        purpose: str,
        case: str,
        face: str | int | None = None,
        subject: str | None = None,
        fpir: float = DEFAULT_FPIR,
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
        question = self._question(chosen, purpose, case, fpir=fpir, top=top)
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
        question = self._question(chosen, purpose, case)
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
            self.database,
            chosen,
            name,
            consent,
            looked,
            transform=lambda tx: self.galleries.transform(tx, chosen.id),
            kept_out=_kept_out,
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
        with self.database.read() as tx:
            chosen = collections.find(tx, collection).id if collection else None
            return scopes.of(
                tx,
                photo=photo,
                face=face,
                subject=subject,
                source=source,
                search=search,
                only=only,
                collection_id=chosen,
            )

    def preview(self, scope: Scope) -> list[Reach]:
        """The scope in full: each photo, its faces, and what happens to its file."""
        with self.database.read() as tx:
            return scopes.reach(tx, scope)

    def erase(self, scope: Scope, *, ground: str = "operator", approved_by: Iterable[str] = ()) -> Erasure:
        """Erase a scope: stop, destroy keys, purge, verify, certify. `ground` is a key of `orders.erase.GROUNDS`.

        When it returns, the certificate is there. If this process dies, the next one to open the vault finishes.
        """
        self.database.demand_wet()
        erasing.demand_ground(ground)
        self.requests.freeze([*scope.photos, *scope.faces])
        with held(self.path / "erase.lock"):
            plan = erasing.plan(self.database, scope, ground=ground, by=self.by, approved_by=tuple(approved_by))
            wishing.end(self.database)
            return self._carry_out(plan)

    def sweep(self) -> Swept:
        """Erase what is past its time, in this vault only: files at the sources stay. In a dry run it is counted."""
        finish, freeze = self._carry_out, self.requests.freeze
        return sweep(self.database, process_id=self.process_id, by=self.by, finish=finish, freeze=freeze)

    def resume(self) -> list[Erasure]:
        """Finish erasures that a crash left unfinished, unless another process is at it."""
        self.database.demand_wet()
        with self.database.read() as tx:
            unfinished = erasures.unfinished(tx)
            behind = standing.epoch(tx) < self.keys.epoch
        issue.catch_up(self.database)
        if not (unfinished or behind):
            return []
        with held(self.path / "erase.lock", wait=False) as mine:
            if mine and behind:
                custody.finish_rotation(self.database, self.process_id)
            return [self._carry_out(stored.id) for stored in unfinished] if mine else []

    # Groups of verbs on one noun

    @property
    def erasures(self) -> Erasures:
        """The verbs on erasures that are planned or done, and on what they leave to do by hand."""
        return Erasures(database=self.database)

    @property
    def exports(self) -> Exports:
        """The verbs on files that show faces outside the vault."""
        return Exports(database=self.database, by=self.by)

    @property
    def wishes(self) -> Wishes:
        """The verbs on people's wishes to be kept out."""
        return Wishes(
            database=self.database, pool=lambda: self.pool, process_id=self.process_id, cache=self.settings.cache
        )

    @property
    def custody(self) -> Custody:
        """The verbs on the keys, their replicas and the erasure ledger."""
        return Custody(database=self.database, process_id=self.process_id)

    @property
    def log(self) -> Log:
        """The verbs on the log."""
        return Log(database=self.database)

    @property
    def orders(self) -> Orders:
        """The verbs on orders."""
        return Orders(database=self.database, by=self.by, finish=self._carry_out, freeze=self.requests.freeze)

    @property
    def requests(self) -> Requests:
        """The verbs on people's requests."""
        return Requests(
            database=self.database,
            by=self.by,
            settings=self.settings,
            pool=lambda: self.pool,
            carry_out=self.erase,
        )

    @property
    def documents(self) -> Documents:
        """The verbs on documents made from live data, and on consent receipts."""
        return Documents(database=self.database, by=self.by, search_days=self.settings.search_days)

    @property
    def faces(self) -> Faces:
        """The verbs on faces that a person corrects or has restricted."""
        return Faces(database=self.database, by=self.by, process_id=self.process_id)

    def correct_evidence(self, photo: str, territory: str) -> Evidence:
        """Record where a photo is from, as the operator knows it. It refines what was too coarse, and is logged."""
        return issue.correct(self.database, photo, territory, by=self.by)

    def backup(
        self,
        destination: str | os.PathLike[str],
        *,
        keep: int | None = None,
        report: Callable[[backup.Progress], None] = lambda _: None,
    ) -> backup.Backup:
        """Write what is new to a backup in a folder or a bucket (`s3://…`, `gs://…`, `az://…`). No key is ever in it.

        `keep` drops all but so many of the newest. Can be stopped at any point and called again, and works while the
        vault is in use. Opened for a dry run, it says how much would be written.
        """
        return backup.backup(self.database, destination, keep=keep, report=report)

    # Looking into it

    def why(self, record: str) -> Why:
        """Explain a record: where it came from, by what right, until when, and what it was used for."""
        with self.database.read() as tx:
            return why(tx, record)

    def check(self) -> Checked:
        """Prove that rows, templates, keys, index and log agree."""
        with self.database.read() as tx:
            return check(self.database, tx, self.galleries.of)

    def check_residue(self, offered: Iterable[str | os.PathLike[str]] = ()) -> exposed.Exposed:
        """Search the files for what must stand in none of them: see `orders.exposed`.

        `offered` are files, such as a photo that was erased, of which no part may be in the vault, the temporary folder
        or an export that is known. Nothing is changed.
        """
        with self.database.read() as tx:
            return exposed.look(
                tx,
                self.path,
                self.galleries.transform,
                [value for run in self._runs.values() for value in run.clear],
                [Path(path).expanduser() for path in offered],
                temporary=self.settings.temporary,
                exports=[Path(export.path) for export in exports.every(tx)],
            )

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
        done = erasing.carry_out(self._runs.setdefault(erasure_id, self._run(erasure_id)))
        del self._runs[erasure_id]
        return done

    def _run(self, erasure_id: str) -> erasing.Run:
        return erasing.Run(
            database=self.database,
            index_of=self.galleries.of,
            transform_of=self.galleries.transform,
            pool=lambda: self.pool,
            process_id=self.process_id,
            erasure_id=erasure_id,
            temporary=self.settings.temporary,
        )

    def _question(self, collection: Collection, purpose: str, case: str, **more: Any) -> Question:
        """What is asked, unless an order in force refuses it as a whole, or the collection may not hold faces."""
        known: Any = {"origin": self.settings.origin, "tenant": self.settings.tenant} | more
        question = Question(collection_id=collection.id, purpose=purpose, case=case, by=self.by, **known)
        ordered.demand(self.database, question)
        self._demand_basis(collection)
        return question

    def _demand_basis(self, collection: Collection) -> None:
        """Refuse, and log that it was refused, unless the collection states all that it must (promise P1)."""
        if lacking := lacks(collection, self.clock().date()):
            self._log_refusal(collection.id, "incomplete")
            raise lacking

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


def _kept_out(tx: Tx) -> KeptOut:
    return wishes.live(tx, model=examine.MODEL, threshold=find.subject_threshold)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user number without a name
        return f"user {os.getuid()}"
