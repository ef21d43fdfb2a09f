"""Where a point or a name lies: ISO 3166-1 codes (``GB``) and ISO 3166-2 codes (``GB-SCT``, ``US-IL``), and ``EU``.

::

    territories_at(55.9533, -3.1883)                  # ("GB", "GB-SCT")
    territory_of_name("Scotland")                     # "GB-SCT"
    contains("GB", "GB-SCT"), contains("EU", "IE")    # (True, True)

The borders are those of country-coder and us-atlas; `borders/NOTICE` has their terms and `tools/borders.py` makes the
files. They are read once per process, at the first question: 20 ms and 6 MB. A question takes 0.1 ms. An area that two
states claim gives both.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

BORDERS = Path(__file__).parent / "borders"

NEAR_KM = 1.0
"""A point this near to a border counts for both sides. Of 47,330 random points on land (but Russia, Fiji, Antarctica),
99.8 % get the country that Natural Earth 1:10m gives them, with overseas departments taken as their country. Along
rivers country-coder is coarser: 1 % of the border from the United States to Mexico is 9 km off us-atlas."""

STATE_NEAR_KM = 2.0
"""The same between US states. us-atlas is simplified more: its outline is up to 0.7 km from country-coder's on the 49th
parallel and, for 99 % of it, 1.5 km from Maine to Vermont."""

STATE_REACH_KM = 17.0
"""A point in the US but in no state counts for the states this near. us-atlas stops at the shore, while a state has 3
nautical miles of sea (43 USC 1312; Texas and Florida in the Gulf 9, which is 16.7 km) and a part of the Great Lakes."""

KM_PER_DEGREE = 110.574  # of latitude at the equator (WGS 84), where it is shortest

EU = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK "  # noqa: SIM905 - 34 lines else
    # Union territory under codes of its own: Art. 355(1) and (4) TFEU. Other French territory overseas is not.
    "AX GF GP MF MQ RE YT".split()
)

# Own ISO 3166-1 code, reached by an authority of: the country whose data protection law applies there.
REACHED_FROM = {
    **dict.fromkeys(("AX",), "FI"),
    **dict.fromkeys(("BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"), "FR"),
    **dict.fromkeys(("SJ",), "NO"),
    **dict.fromkeys(("CC", "CX", "HM", "NF"), "AU"),
    **dict.fromkeys(("AS", "GU", "MP", "PR", "UM", "VI"), "US"),
}


def territories_at(latitude: float, longitude: float) -> tuple[str, ...]:
    """Return the codes of the places at a point in degrees (WGS 84), each country before its parts, in order of code.

    A point within `NEAR_KM` of a border counts for both sides. At sea it is the territory whose waters hold it, which
    country-coder draws about as wide as the territorial sea, else none. Not finite or out of range: none.
    """
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # noqa: PLR2004 - false for NaN too
        return ()
    found = {code for code in _within(latitude, longitude, NEAR_KM) if not code.startswith("US-")}
    if "US" in found:
        for reach in (STATE_NEAR_KM, STATE_REACH_KM):
            if states := {code for code in _within(latitude, longitude, reach) if code.startswith("US-")}:
                found |= states
                break
    return tuple(sorted(found))


def territory_of_name(text: str, within: str | None = None) -> str | None:
    """Return the code that a name or code stands for; None if it is unknown.

    Codes are alpha-2, alpha-3 or ISO 3166-2 in capitals. Names are English, a few others, in any case. With `within`,
    a country's code, only its parts are looked up, also by the short code that is used there ("IL" within "US").
    """
    text = text.strip()[:100]
    if within is not None:
        code = canonical(f"{within}-{text.upper()}")
        return code if code in known() else _names().get((within, _plain(text)))
    if re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", text):
        return canonical(text)
    names = _names()
    return names.get(("", text)) or names.get(("", _plain(text)))


def canonical(code: str) -> str | None:
    """Return `code` as it is written here ("uk" is "GB", "US-PR" is "PR"); None if its country is unknown.

    The part after the country's code is taken as it is, since only some countries' parts have borders here.
    """
    country, dash, part = code.strip().upper().partition("-")
    country = "GB" if country == "UK" else country
    if country not in known() or (dash and not re.fullmatch("[A-Z0-9]{1,3}", part)):
        return None
    return _same().get(country + dash + part, country + dash + part)


def contains(scope: str, territory: str) -> bool:
    """Whether all of `territory` lies in `scope`: GB contains GB-SCT, US contains PR, EU contains IE and RE.

    It does not hold the other way round: a photo known only to be from the US may or may not be from US-IL.
    """
    inner, outer = canonical(territory), canonical(scope)
    if inner is None or outer is None:
        return False
    country = inner.partition("-")[0]
    reached = {inner, country, REACHED_FROM.get(country, country)}
    return outer in reached or (outer == "EU" and country in EU)


@cache
def known() -> frozenset[str]:
    """Return every code that has a name or borders here."""
    return frozenset(json.loads((BORDERS / "territories.json").read_bytes())["names"])


@cache
def _same() -> dict[str, str]:
    table: dict[str, str] = json.loads((BORDERS / "territories.json").read_bytes())["same"]
    return table


@cache
def _names() -> dict[tuple[str, str], str]:
    """Return (country or "", alpha-3 code or plain name) -> code. A country goes before a part: Georgia is GE."""
    shipped: dict[str, list[str]] = json.loads((BORDERS / "territories.json").read_bytes())["names"]
    aliases: dict[str, list[str]] = json.loads((BORDERS / "aliases.json").read_bytes())
    found: dict[tuple[str, str], str] = {}
    for code in sorted(shipped, key=lambda code: ("-" in code, code)):
        for name in (*shipped[code], *aliases.get(code, ())):
            key = name if re.fullmatch("[A-Z]{3}", name) else _plain(name)
            for country in {"", code.partition("-")[0]} - {code}:
                found.setdefault((country, key), code)
    return found


def _plain(name: str) -> str:
    """Return a name without case, accents, punctuation and small words, "St." as "saint"."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    words = re.findall(r"\w+", re.sub(r"['\u2019.]", "", bare))
    return " ".join("saint" if word == "st" else word for word in words if word not in {"the", "and", "of"})


@cache
def _areas() -> tuple[shapely.STRtree, list[tuple[str, ...]]]:
    """Return the tree of all polygons and the codes of each."""
    with np.load(BORDERS / "borders.npz") as shipped:
        coordinates = np.cumsum(shipped["steps"], axis=1, dtype=np.int64).T / 1e5  # see tools/borders.py, `DEGREE`
        offsets = (shipped["rings"], shipped["polygons"])
        codes = [tuple(str(text).split()) for text in shipped["codes"]]
    polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, np.ascontiguousarray(coordinates), offsets)
    return shapely.STRtree(polygons), codes


def _within(latitude: float, longitude: float, km: float) -> set[str]:
    """Return the codes of the areas that a disc of radius `km` touches.

    It is not carried across the 180th meridian: what touches the meridian there lies on both sides of it.
    """
    tree, codes = _areas()
    rows = tree.query(shapely.Polygon(_disc(latitude, longitude, km)), predicate="intersects")
    return {code for row in rows for code in codes[row]}


def _disc(latitude: float, longitude: float, km: float) -> NDArray[np.float64]:
    """Return 16 corners (longitude, latitude) around a disc; shape (16, 2), degrees."""
    angles = np.arange(16) * (math.pi / 8)
    radius = km / KM_PER_DEGREE / math.cos(math.pi / 16)  # the polygon lies around the disc, not in it
    wide = min(radius / max(math.cos(math.radians(latitude)), 1e-9), 180.0)
    return np.column_stack((longitude + wide * np.cos(angles), latitude + radius * np.sin(angles)))
