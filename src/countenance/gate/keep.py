"""What may be kept of what was seen."""

from __future__ import annotations

from datetime import datetime

from countenance.records import Collection, Consent, Refusal, SeenFace

KEPT_OUT = Refusal(slug="kept-out", sentence="The face was kept out at the person's own wish.")


def keep(
    collection: Collection,
    face: SeenFace,
    *,
    kept_out: bool,
    consent: Consent | None,
    photo_expires_at: datetime,
    now: datetime,
) -> datetime | Refusal:
    """Decide whether a face's template may be stored, and until when.

    `kept_out` says that the face matches a wish in force to be kept out, which goes before any consent.
    `consent` is that of the enrolled subject whom the face matches, if it matches one. In mode enrolled a face without
    a consent in force is discarded; in mode all it is kept as long as its photo. A consent's end is an earlier end.
    """
    if face.template is None:
        return Refusal(slug="not-embedded", sentence=" ".join(face.reasons))
    if kept_out:
        return KEPT_OUT
    if consent and not consent.given_at <= now < consent.until:
        consent = None
    if collection.mode == "enrolled" and consent is None:
        return Refusal(
            slug="not-enrolled",
            sentence="The face matches no enrolled, consenting subject and was discarded in memory.",
        )
    return min(photo_expires_at, consent.until) if consent and collection.mode == "enrolled" else photo_expires_at
