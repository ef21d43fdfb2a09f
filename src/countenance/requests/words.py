"""Plain words by which a mail says what its writer wants, in several languages. A guess: a person confirms it."""

from __future__ import annotations

import re
import unicodedata

WORDS = {
    "complaint": ("complaint", "complain", "beschwerde", "plainte", "réclamation", "queja", "reclamo", "klacht", "skarga"),
    "withdrawal": (
        "withdraw my consent", "withdraw consent", "revoke my consent", "einwilligung wider", "widerrufe",
        "retire mon consentement", "retirer mon consentement", "retiro mi consentimiento", "revoco il consenso",
        "revoco mi consentimiento", "toestemming in", "wycofuję zgodę", "retiro o meu consentimento",
    ),
    "erasure": (
        "erase", "erasure", "delete", "deletion", "remove my photo", "remove me", "take down", "right to be forgotten",
        "löschen", "löschung", "supprim", "effac", "suppression", "borrar", "borren", "suprim", "eliminar", "eliminen",
        "cancella", "eliminare", "verwijder", "usunąć", "usunięci", "apagar", "excluir",
    ),
    "rectification": (
        "rectif", "correct my", "correction", "berichtig", "richtigstell", "rectification", "corregir", "rettific",
        "correggere", "corrigeer", "rectificatie", "sprostowan", "corrigir", "retifica", "not me in", "is not me",
    ),
    "restriction": (
        "restrict", "einschränk", "limitation du traitement", "limiter le traitement", "limitación del tratamiento",
        "limitare il trattamento", "limitazione del trattamento", "beperking", "beperken", "ograniczeni", "limitação",
    ),
    "portability": (
        "portability", "portable format", "datenübertrag", "übertragbarkeit", "portabilité", "portabilidad",
        "portabilità", "overdraagbaarheid", "przenoszeni", "portabilidade",
    ),
    "objection": (
        "i object", "objection", "widerspr", "m'oppose", "m’oppose", "opposition au traitement", "me opongo", "oposición",
        "mi oppongo", "opposizione", "bezwaar", "sprzeciw", "oponho", "oposição",
    ),
    "access": (
        "access", "copy of my data", "what data", "which data", "which photos", "what photos", "do you hold", "do you have",
        "subject access", "sar", "dsar", "auskunft", "welche daten", "welche fotos", "accès", "quelles données",
        "quelles photos", "acceso", "qué datos", "qué fotos", "accesso", "quali dati", "quali foto", "inzage",
        "welke gegevens", "welke foto", "dostęp", "jakie dane", "acesso", "quais dados", "que dados",
    ),
}  # fmt: skip
"""For each kind, beginnings of words and phrases. The kinds stand in the order in which a guess prefers them."""

_DOCUMENTS = (
    r"pass?port", r"reisepass", r"pasaporte", r"passaporto", r"passeport", r"paspoort", r"id ?card", r"identity",
    r"identit", r"ausweis", r"personalausw", r"carte d", r"cni\b", r"\bdni\b", r"\bnie\b", r"driv\w* ?licen",
    r"f[uü]hrerschein", r"permis de conduire", r"rijbewijs", r"patente", r"dow[oó]d", r"\bcpf\b", r"\brg\b",
    r"national ?id", r"\bid\b", r"utility ?bill",
)  # fmt: skip
_DOCUMENT = re.compile("|".join(_DOCUMENTS))


def shows_identity_document(name: str) -> bool:
    """Whether the name of a file says that it shows an identity document. Better one picture too few is looked at."""
    return _DOCUMENT.search(re.sub(r"[\W_\d]+", " ", _plain(name))) is not None


def guess(text: str) -> tuple[str, ...]:
    """The kinds of request that a text may be, likeliest first; empty if no word says so."""
    said = _plain(text)
    return tuple(kind for kind, found in _FINDERS.items() if found.search(said))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


_SHORT = 4  # letters: a word as short as this is looked for as a whole, not as a beginning


def _finder(words: tuple[str, ...]) -> re.Pattern[str]:
    ends = {word: r"\b" if len(word) <= _SHORT else "" for word in words}
    return re.compile(r"\b(?:" + "|".join(re.escape(_plain(word)) + end for word, end in ends.items()) + ")")


_FINDERS = {kind: _finder(words) for kind, words in WORDS.items()}
