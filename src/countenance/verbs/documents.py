"""The verbs on documents and on consent receipts: `vault.documents`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from countenance import errors
from countenance.documents import consent, facts
from countenance.documents.document import Document, closed, gaps
from countenance.documents.dpia import dpia
from countenance.documents.evidence import evidence
from countenance.documents.notice import notice
from countenance.documents.render import FORMATS
from countenance.documents.retention import retention
from countenance.documents.ropa import ropa
from countenance.documents.statements import Statements
from countenance.records import Consent
from countenance.store import collections
from countenance.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One document. The same vault on the same day gives the same text."""

    text: str = field(repr=False)
    sha256: str  # of the text in UTF-8; an order is lifted on that of an impact assessment
    gaps: tuple[str, ...]  # what is not stated, by heading


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Documents generated from configuration and counts, of all collections or of one.

    `form` is a key of `documents.render.FORMATS`. `stated` is what the operator states because the vault does not know it:
    by the keys of `documents.statements.KEYS`, or by the name of a collection and then by those.
    """

    database: Database
    by: str
    search_days: int

    def notice(
        self, collection: str | None = None, *, form: str = "html", stated: Mapping[str, Any] | None = None
    ) -> Written:
        """The public notice, Arts. 13 and 14 GDPR."""
        return self._written(notice, collection, form, stated)

    def ropa(
        self, collection: str | None = None, *, form: str = "html", stated: Mapping[str, Any] | None = None
    ) -> Written:
        """The record of processing activities, Art. 30(1) GDPR."""
        return self._written(ropa, collection, form, stated)

    def dpia(
        self, collection: str | None = None, *, form: str = "html", stated: Mapping[str, Any] | None = None
    ) -> Written:
        """The skeleton of an impact assessment, Art. 35(7) GDPR. Judgements are gaps until somebody states them."""
        return self._written(dpia, collection, form, stated)

    def retention(
        self, collection: str | None = None, *, form: str = "html", stated: Mapping[str, Any] | None = None
    ) -> Written:
        """The retention schedule: the terms that hold, by which law, and how much expires in which month."""
        return self._written(retention, collection, form, stated)

    def evidence(
        self, collection: str | None = None, *, form: str = "html", stated: Mapping[str, Any] | None = None
    ) -> Written:
        """What supports each collection's and source's right: for an auditor, not for the public."""
        return self._written(evidence, collection, form, stated)

    def receipt(
        self, subject: str, *, collection: str | None = None, stated: Mapping[str, Any] | None = None
    ) -> Written:
        """A receipt of an enrolled subject's consent (ISO/IEC TS 27560 as JSON-LD), for that person.

        Its number is new, and leads a later request back to them. Logged.
        """
        given, left = consent.give(self.database, subject, collection=collection, stated=stated or {}, by=self.by)
        return Written(text=given.decode(), sha256=hashlib.sha256(given).hexdigest(), gaps=left)

    def consent(self, receipt: bytes, *, collection: str) -> Consent:
        """The consent that a receipt records, to enrol somebody with in a collection. Nothing is changed.

        Raises `Refused` if it was withdrawn, has ended, or is for another purpose or controller.
        """
        with self.database.read() as tx:
            chosen = collections.find(tx, collection)
        return consent.take(receipt, chosen, self.database.clock())

    def _written(
        self,
        write: Callable[[facts.Facts, Statements], Document],
        collection: str | None,
        form: str,
        stated: Mapping[str, Any] | None,
    ) -> Written:
        if form not in FORMATS:
            raise errors.UsageError(
                f"There is no format {form}; choose one of {', '.join(FORMATS)}. Nothing was written."
            )
        with self.database.read() as tx:
            found = facts.read(tx, search_days=self.search_days, collection=collection)
            names = [each.name for each in collections.every(tx)]
        document = closed(write(found, Statements(stated or {}, names)))
        text = FORMATS[form](document)
        return Written(text=text, sha256=hashlib.sha256(text.encode()).hexdigest(), gaps=gaps(document))
