"""What may be kept of what was seen."""

from __future__ import annotations

from datetime import datetime

from countenance.records import Collection, Consent, Refusal, SeenFace


def keep(
    collection: Collection, face: SeenFace, *, consent: Consent | None, photo_expires_at: datetime, now: datetime
) -> datetime | Refusal:
    """Decide whether a face's template may be stored, and until when.

    `consent` is that of the enrolled subject whom the face matches, if it matches one. In mode enrolled a face without
    a consent in force is discarded; in mode all it is kept as long as its photo. A consent's end is an earlier end.
    """
    if face.template is None:
        return Refusal(slug="not-embedded", sentence=" ".join(face.reasons))
    if consent and not consent.given_at <= now < consent.until:
        consent = None
    if collection.mode == "enrolled" and consent is None:
        return Refusal(
            slug="not-enrolled",
            sentence="The face matches no enrolled, consenting subject and was discarded in memory.",
        )
    return min(photo_expires_at, consent.until) if consent and collection.mode == "enrolled" else photo_expires_at
