"""Make the shipped border files from two npm packages, so that anybody can make them again.

::

    npm pack @rapideditor/country-coder us-atlas    # then unpack each
    python tools/borders.py COUNTRY_CODER_FOLDER US_ATLAS_FOLDER src/countenance/gate/borders

Writes ``borders.npz`` (rings, and whose they are), ``territories.json`` (codes, names, where each input came from) and
``NOTICE``. The same input gives the same bytes. ``aliases.json`` in that folder is kept by hand.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import shapely

# Areas whose codes country-coder leaves open or decides one way. Evidence names every claimant, so that an order of
# either side reaches the photo.
CLAIMED = {
    "Crimea": ("RU", "UA"),  # ISO 3166-2 lists it as UA-43; UN General Assembly resolution 68/262
    "Northern Cyprus": ("CY",),  # ISO 3166-1 knows no other code; Protocol 10 to the 2003 Act of Accession
    "Akrotiri": ("CY", "GB"),  # sovereign base areas: no code of their own, on the island of Cyprus
    "Dhekelia": ("CY", "GB"),
}

# FIPS state number -> ISO 3166-2:US. Areas above 56 have an ISO 3166-1 code and come from country-coder.
STATES = dict(
    re.findall(
        r"(\d\d)([A-Z]{2})",
        "01AL 02AK 04AZ 05AR 06CA 08CO 09CT 10DE 11DC 12FL 13GA 15HI 16ID 17IL 18IN 19IA 20KS 21KY 22LA 23ME 24MD 25MA "
        "26MI 27MN 28MS 29MO 30MT 31NE 32NV 33NH 34NJ 35NM 36NY 37NC 38ND 39OH 40OK 41OR 42PA 44RI 45SC 46SD 47TN 48TX "
        "49UT 50VT 51VA 53WA 54WV 55WI 56WY",
    )
)

DEGREE = 100_000  # coordinates are kept as whole 1e-5 degrees, at most 1.1 m: country-coder's own five decimals

Area = tuple[tuple[str, ...], shapely.Geometry]


def main() -> None:
    """Read the two package folders and write the shipped files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("country_coder", type=Path)
    parser.add_argument("us_atlas", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    world = json.loads((given.country_coder / "src/data/borders.json").read_bytes())
    atlas = json.loads((given.us_atlas / "states-10m.json").read_bytes())
    names, same = territories(world)
    names |= {f"US-{STATES[s['id']]}": [s["properties"]["name"]] for s in states(atlas)}
    areas = world_areas(world) + state_areas(atlas)
    write_borders(given.out / "borders.npz", areas)
    sources = [
        provenance(given.country_coder, "src/data/borders.json"),
        provenance(given.us_atlas, "states-10m.json"),
    ]
    table: dict[str, dict[str, Any]] = {"sources": {s["name"]: s for s in sources}, "names": names, "same": same}
    (given.out / "territories.json").write_text(lines(table), encoding="utf-8")
    (given.out / "NOTICE").write_text(notice(given.country_coder, given.us_atlas, sources), encoding="utf-8")


def lines(table: dict[str, dict[str, Any]]) -> str:
    """Return JSON with one line for each entry of each part, in order of its key."""
    parts = []
    for part, entries in table.items():
        rows = (f" {json.dumps(key)}: {json.dumps(entries[key], ensure_ascii=False)}" for key in sorted(entries))
        parts.append(f'"{part}": {{\n' + ",\n".join(rows) + "\n}")
    return "{" + ",\n".join(parts) + "}\n"


def official(world: dict[str, Any]) -> set[str]:
    """Return the ISO 3166-1 alpha-2 codes that are officially assigned, and XK, which everybody uses for Kosovo."""
    every = (feature["properties"] for feature in world["features"])
    return {p["iso1A2"] for p in every if "iso1A2" in p and p.get("isoStatus", "official") in {"official", "usrAssn"}}


def codes(properties: dict[str, Any], known: set[str]) -> tuple[str, ...]:
    """Return the codes of one country-coder feature: the ISO 3166-1 code nearest to it, then its ISO 3166-2 code."""
    if properties["nameEn"] in CLAIMED:
        return CLAIMED[properties["nameEn"]]
    nearest = [properties.get("iso1A2"), *properties.get("groups", ()), properties.get("country")]
    country = next((code for code in nearest if code in known), None)
    if country is None:
        return ()
    parts = (alias for alias in properties.get("aliases", ()) if re.fullmatch(rf"{country}-[A-Z0-9]{{1,3}}", alias))
    return (country, *parts)


def territories(world: dict[str, Any]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return code -> its alpha-3 code and English names, and other codes -> the code that is used here."""
    known = official(world)
    names: dict[str, list[str]] = {"EU": ["European Union"]}
    same: dict[str, str] = {}
    placed = (f["properties"] for f in world["features"] if f["geometry"] or "iso1A2" in f["properties"])
    for properties in placed:
        found = codes(properties, known)
        aliases = properties.get("aliases", [])
        if not found or properties["nameEn"] in CLAIMED:
            continue
        if properties.get("iso1A2") == found[0] or len(found) > 1:
            words = [alias for alias in aliases if len(alias) > 3 and "-" not in alias and not alias.isupper()]  # noqa: PLR2004 - shorter ones are vehicle codes
            alpha3 = [properties["iso1A3"]] if "iso1A3" in properties and len(found) == 1 else []
            names[found[-1]] = [*alpha3, properties["nameEn"], *words]
        same |= {a: found[-1] for a in aliases if re.fullmatch("[A-Z]{2}-[A-Z0-9]{1,3}", a) and a != found[-1]}
    return names, same


def world_areas(world: dict[str, Any]) -> list[Area]:
    """Return the areas of country-coder that belong to somebody."""
    known = official(world)
    shapes = ((codes(f["properties"], known), f["geometry"]) for f in world["features"] if f["geometry"])
    return [(found, shapely.geometry.shape(shape)) for found, shape in shapes if found]


def states(atlas: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the TopoJSON geometries of the fifty states and the District of Columbia."""
    return [g for g in atlas["objects"]["states"]["geometries"] if g["id"] in STATES]


def state_areas(atlas: dict[str, Any]) -> list[Area]:
    """Decode the states from TopoJSON: arcs are runs of whole-number differences, ``~i`` means arc i backwards."""
    scale, move = np.array(atlas["transform"]["scale"]), np.array(atlas["transform"]["translate"])
    arcs = [np.cumsum(arc, axis=0) * scale + move for arc in atlas["arcs"]]

    def ring(numbers: list[int]) -> np.ndarray[Any, Any]:
        runs = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
        return np.concatenate([runs[0], *(run[1:] for run in runs[1:])])

    areas: list[Area] = []
    for state in states(atlas):
        polygons = state["arcs"] if state["type"] == "MultiPolygon" else [state["arcs"]]
        shapes = [shapely.Polygon(ring(rings[0]), [ring(hole) for hole in rings[1:]]) for rings in polygons]
        whole = shapely.make_valid(shapely.MultiPolygon(shapes), method="structure", keep_collapsed=False)
        areas.append(((f"US-{STATES[state['id']]}",), whole))
    return areas


def write_borders(path: Path, areas: list[Area]) -> None:
    """Write one row per polygon: codes, and GeoArrow-like offsets into rings and rings into coordinates."""
    rows = [(" ".join(found), polygon) for found, shape in areas for polygon in shapely.get_parts(shape)]
    kind, coordinates, (rings, polygons) = shapely.to_ragged_array([polygon for _, polygon in rows])
    assert kind == shapely.GeometryType.POLYGON
    whole = np.rint(coordinates * DEGREE).astype(np.int32)
    steps = np.diff(whole, axis=0, prepend=np.zeros((1, 2), np.int32))  # small numbers compress to half the size
    np.savez_compressed(
        path,
        codes=np.array([found for found, _ in rows]),
        steps=np.ascontiguousarray(steps.T),
        rings=rings.astype(np.int32),
        polygons=polygons.astype(np.int32),
    )


def provenance(folder: Path, file: str) -> dict[str, str]:
    """Return package, version, licence, file and SHA-256 of one input."""
    package = json.loads((folder / "package.json").read_bytes())
    digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    stated = {key: package[key] for key in ("name", "version", "license")}
    return {**stated, "file": file, "sha256": digest}


def notice(country_coder: Path, us_atlas: Path, sources: list[dict[str, str]]) -> str:
    """Return the notice that ships beside the data: what it is made from, and both licences in full."""
    folders = zip(sources, (country_coder / "LICENSE.md", us_atlas / "LICENSE"), strict=True)
    parts = ["Made by tools/borders.py from these files. us-atlas redistributes boundaries of the US Census Bureau.\n"]
    for source, licence in folders:
        head = "{name} {version} ({license}), {file}\nsha256 {sha256}\n".format(**source)
        parts.append(head + "\n" + licence.read_text(encoding="utf-8").strip() + "\n")
    return "\n----\n\n".join(parts)


if __name__ == "__main__":
    main()
