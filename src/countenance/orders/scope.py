"""What an erasure reaches: computed once, shown in full, and then frozen. The only maker of `Scope`."""

from __future__ import annotations

from collections.abc import Iterable

from countenance import errors
from countenance.records import Reach, Scope
from countenance.store import erasures, faces, photos, searches, sources, subjects
from countenance.store.database import Tx
from countenance.store.expiry import Due


def of(
    tx: Tx,
    *,
    photo: str | None,
    face: str | None,
    subject: str | None,
    source: str | None,
    search: str | None,
    only: Iterable[str],
    collection_id: str | None,
) -> Scope:
    """What the one that is given reaches; `UsageError` if it is not exactly one. `only` chooses faces of a search's hits."""
    if sum(map(bool, (photo, face, subject, source, search))) != 1:
        raise errors.UsageError("Erase by one of: photo, face, subject, source, search.")
    if photo:
        return of_photos(tx, [photo])
    if face:
        return of_faces(tx, [face])
    if subject:
        return of_subject(tx, subject, collection_id)
    return of_source(tx, source) if source else of_search(tx, search or "", only)


def of_photos(tx: Tx, photo_ids: Iterable[str]) -> Scope:
    """These photos, with every face in them."""
    found = photos.several(tx, photo_ids).values()
    held = [face.id for face in faces.stored(tx, photo_id=[photo.id for photo in found])]
    return _scope(tx, "photo", {photo.collection_id for photo in found}, held, whole=[photo.id for photo in found])


def of_faces(tx: Tx, face_ids: Iterable[str], reason: str = "face") -> Scope:
    """These faces; a photo that shows nobody else goes with its face."""
    wanted = list(face_ids)
    found = faces.several(tx, wanted)  # what an order or a restriction hides can be erased
    if missing := sorted(set(wanted) - {face.id for face in found}):
        raise errors.NotFound(noun="face", name=missing[0])
    return _scope(tx, reason, {face.collection_id for face in found}, [face.id for face in found])


def of_subject(tx: Tx, name_or_id: str, collection_id: str | None) -> Scope:
    """A subject: the record, its enrolment photos, and every face that was matched with it."""
    subject = subjects.find(tx, name_or_id, collection_id)
    linked = [face.id for face in faces.stored(tx, subject_id=subject.id)]
    return _scope(tx, "subject", {subject.collection_id}, linked, subject_ids=[subject.id])


def of_source(tx: Tx, source_id: str) -> Scope:
    """A source with every photo of it."""
    source = sources.find(tx, source_id)
    held = [photo.id for photo in photos.of_source(tx, source.id)]
    in_them = [face.id for face in faces.stored(tx, photo_id=held)]
    return _scope(tx, "source", {source.collection_id}, in_them, whole=held, source_ids=[source.id])


def of_search(tx: Tx, search_id: str, only: Iterable[str] = ()) -> Scope:
    """What a search found, or `only` these face ids of it."""
    collection_id, hits = searches.hits(tx, search_id)
    found = list(dict.fromkeys(face_id for _, face_id in hits))
    chosen = list(only) or found
    if strange := [face_id for face_id in chosen if face_id not in found]:
        raise errors.UsageError(f"The search {search_id} did not find {', '.join(strange)}. Nothing was changed.")
    return _scope(tx, "search", {collection_id}, chosen)


def of_expired(tx: Tx, due: Due) -> Scope:
    """What is past its time in one collection. A photo that is not stays, even if it shows nobody else any more."""
    in_them = [face.id for face in faces.stored(tx, photo_id=due.photos)]
    return Scope(
        collection_id=due.collection_id,
        reason=erasures.EXPIRED,
        photos=tuple(sorted(due.photos)),
        faces=tuple(sorted({*due.faces, *in_them})),
        subjects=due.subjects,
        sources=(),
    )


def of_order(
    tx: Tx, collection_id: str, *, whole: Iterable[str], face_ids: Iterable[str], subject_ids: Iterable[str]
) -> Scope:
    """What an order erases in one collection: whole photos, or these faces in them, and the subjects that go with them."""
    return _scope(tx, "order", {collection_id}, face_ids, whole=whole, subject_ids=subject_ids)


def of_request(  # noqa: PLR0917
    tx: Tx,
    request_id: str,
    collection_id: str,
    whole: Iterable[str],
    face_ids: Iterable[str],
    subject_ids: Iterable[str],
) -> Scope:
    """What a person's request reaches in one collection: whole photos, these faces, and subjects."""
    return _scope(tx, "request", {collection_id}, face_ids, whole=whole, subject_ids=subject_ids, request=request_id)


def reach(tx: Tx, scope: Scope) -> list[Reach]:
    """The scope in full, photo by photo, with what happens to the file at its source."""
    listed = []
    touched: dict[str, list[str]] = {photo_id: [] for photo_id in scope.photos}
    for face in faces.stored(tx, id=list(scope.faces)):
        touched.setdefault(face.photo_id, []).append(face.id)
    found = photos.several(tx, touched)
    of = {source_id: sources.find(tx, source_id) for source_id in {photo.source_id for photo in found.values()}}
    for photo_id, here in touched.items():
        photo = found[photo_id]
        source = of[photo.source_id]
        listed.append(
            Reach(
                photo_id=photo_id,
                address=photo.address,
                source=source.location,
                whole=photo_id in scope.photos,
                faces=tuple(here),
                action=source.on_erase,
            )
        )
    return listed


def _scope(
    tx: Tx,
    reason: str,
    collection_ids: set[str],
    face_ids: Iterable[str],
    *,
    whole: Iterable[str] = (),
    subject_ids: Iterable[str] = (),
    source_ids: Iterable[str] = (),
    request: str | None = None,
) -> Scope:
    """Settle which photos go as a whole: those asked for, those that show nobody else, and those whose source deletes."""
    reached = set(face_ids)
    photo_ids = set(whole)
    others = photos.several(tx, {face.photo_id for face in faces.stored(tx, id=list(reached))} - photo_ids)
    origins = {photo.source_id for photo in others.values()}
    deletes = {source_id for source_id in origins if sources.find(tx, source_id).on_erase == "delete"}
    shown: dict[str, list[str]] = {photo_id: [] for photo_id in others}
    for face in faces.stored(tx, photo_id=list(others)):
        shown[face.photo_id].append(face.id)
    for photo_id, here in shown.items():
        alone = len(reached.intersection(here)) >= others[photo_id].faces
        if alone or others[photo_id].source_id in deletes:
            photo_ids.add(photo_id)
            reached.update(here)
    if len(collection_ids) > 1:
        raise errors.UsageError("One erasure reaches one collection. Nothing was changed; erase in each by itself.")
    if not (photo_ids or reached or set(subject_ids) or set(source_ids)):
        raise errors.UsageError("There is nothing in that scope. Nothing was changed.")
    return Scope(
        collection_id=collection_ids.pop(),
        reason=reason,
        photos=tuple(sorted(photo_ids)),
        faces=tuple(sorted(reached)),
        subjects=tuple(subject_ids),
        sources=tuple(source_ids),
        request=request,
    )
