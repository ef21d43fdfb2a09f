"""All evidence of one photo's jurisdiction: its own metadata, its source's country, its address.

::

    collect(facts, source_country="GB", address="https://www.example.fr/2014/rally.jpg")

Evidence may contradict itself; all of it is kept, so that an order whose scope holds any of it reaches the photo.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from countenance.gate.place import canonical
from countenance.records import Evidence, PictureFacts

# Country-code domains that are sold to anybody, so that they say nothing of a place. First those that Google Search
# treats as generic (Search Central, "Managing multi-regional sites"), then more that are marketed in the same way.
# To drop one too many is safe: a photo without evidence is in every order's scope (promise P3).
SOLD_TO_ANYBODY = frozenset(
    "ad ai as bz cc cd co dj fm io la me ms nu sc sr su tv tk ws "  # noqa: SIM905 - fifty lines otherwise
    "ac ag cf cx ga gd gg gl gq gs ht im ly ml mn mu pm pw sh st sx tf tm to vc vg wf yt".split()
)

WEB = ("", "http", "https", "ftp")  # elsewhere what stands for the host may be a bucket or a folder


def collect(facts: PictureFacts | None, source_country: str | None, address: str) -> tuple[Evidence, ...]:
    """Return the photo's evidence without repeats, the strongest first.

    `source_country` is what the source declares (ISO 3166-1 alpha-2 or ISO 3166-2); `address` a URL or anything else.
    Of a picture that could not be read there are no `facts`.
    """
    found = list(facts.evidence) if facts else []
    if source_country and (territory := canonical(source_country)):
        found.append(Evidence(kind="source", territory=territory, origin="declared by the source"))
    domain = top_level_domain(address)
    if domain and (territory := territory_of_domain(domain)):
        origin = f"top-level domain .{domain} of the address"
        found.append(Evidence(kind="tld", territory=territory, origin=origin))
    return tuple(dict.fromkeys(found))


def top_level_domain(address: str) -> str | None:
    """Return the last label of the host of a URL (``https://…``, ``//…``), in lower case; None if there is no host."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return None
    return host.rpartition(".")[2] if parts.scheme in WEB and "." in host else None


def territory_of_domain(domain: str) -> str | None:
    """Return the territory of a country-code top-level domain: its ISO 3166-1 code, ``uk`` and ``eu`` besides."""
    return None if domain in SOLD_TO_ANYBODY or len(domain) != 2 else canonical(domain)  # noqa: PLR2004
