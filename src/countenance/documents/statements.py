"""What the operator states for the documents, because the vault does not know it: a table by name of what is missing.

::

    recipients = "the picture desk of the club"     # for every collection

    ["Summer 2026"]                                 # for the collection of that name
    recipients = "nobody outside the archive"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from countenance.documents.document import Gap, Value
from countenance.errors import UsageError

MAX_TEXT = 20_000  # characters of one statement

KEYS = {
    "address": "the controller's postal address",
    "adjudication": "who decides whether a hit is that person, and how",
    "advice": "the advice of the data protection officer, Art. 35(2) GDPR",
    "authority": "the supervisory authority to complain to, Art. 13(2)(d) GDPR",
    "automated_decisions": "whether decisions are made by automated means alone, Art. 22 GDPR",
    "balance": "why the interests of the people in the photos do not override, Art. 6(1)(f) GDPR",
    "consultation": "the views of the people in the photos, Art. 35(9) GDPR",
    "data_protection_officer": "the data protection officer and how to reach them, Art. 37 GDPR, or that there is none",
    "decision": "who decides that processing may begin, and when",
    "impact": "how severe and how likely the risks are, one by one, Art. 35(7)(c) GDPR",
    "interests": "the legitimate interests pursued, Art. 13(1)(d) GDPR",
    "joint_controllers": "joint controllers, Art. 26 GDPR, or that there are none",
    "jurisdiction": "the law under which consent is given, such as DE",
    "language": "the language of the notice, such as en",
    "method": "how consent was given, such as a signed form",
    "misses": "how often somebody who is there is not found, measured on photos like these",
    "must_provide": "whether people must provide photos, and what follows if they do not, Art. 13(2)(e) GDPR",
    "necessity": "why the purpose cannot be reached with less, Art. 35(7)(b) GDPR",
    "organisation": "organisational measures: training, access, review, Art. 32(1) GDPR",
    "public_source": "whether the photos come from publicly accessible sources, Art. 14(2)(f) GDPR",
    "recipients": "who receives the data, Art. 13(1)(e) GDPR",
    "residual": "what risk is left after the measures, and whether the authority is consulted, Art. 36 GDPR",
    "storage_location": "where the vault and its backups are kept",
    "transfers": "transfers to third countries and their safeguards, Art. 13(1)(f) GDPR, or that there are none",
    "withdraw_at": "how consent is withdrawn",
}


class Statements:
    """What is stated, by collection. Raises `UsageError` for what no document asks for."""

    def __init__(self, given: Mapping[str, Any], collections: Iterable[str]) -> None:
        own = {name: value for name, value in given.items() if isinstance(value, Mapping)}
        if strange := own.keys() - set(collections):
            raise UsageError(
                f"The statements speak of {_listed(strange)}, which is no collection. Nothing was written."
            )
        everywhere = _texts({name: value for name, value in given.items() if name not in own})
        self._of = {name: everywhere | _texts(own.get(name, {})) for name in collections}

    def about(self, collection: str) -> dict[str, str]:
        """What is stated of a collection, by key."""
        return dict(self._of[collection])

    def say(self, collection: str, key: str) -> Value:
        """What is stated under a key of `KEYS`, or the gap."""
        return self._of[collection].get(key) or Gap(f"{key}: {KEYS[key]}")


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    if strange := given.keys() - KEYS.keys():
        raise UsageError(
            f"No document asks for {_listed(strange)}; what can be stated is {', '.join(KEYS)}. Nothing was written."
        )
    for key, value in given.items():
        if not isinstance(value, str) or not 0 < len(value.strip()) <= MAX_TEXT:
            raise UsageError(
                f"The statement {key} must be a text of at most {MAX_TEXT:,} characters. Nothing was written."
            )
    return {key: value.strip() for key, value in given.items()}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
