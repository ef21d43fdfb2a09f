from __future__ import annotations

import json
import math

import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from countenance.gate import place
from countenance.gate.place import canonical, contains, known, territories_at, territory_of_name

latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


def countries(codes: tuple[str, ...]) -> set[str]:
    return {code.partition("-")[0] for code in codes}


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (55.9533, -3.1883, ("GB", "GB-SCT")),
        (51.5007, -0.1246, ("GB", "GB-ENG")),
        (51.4816, -3.1791, ("GB", "GB-WLS")),
        (54.5973, -5.9301, ("GB", "GB-NIR")),
        (53.3498, -6.2603, ("IE",)),
        (46.5, 8.0, ("CH",)),
        (39.7817, -89.6501, ("US", "US-IL")),
        (64.8378, -147.7164, ("US", "US-AK")),
        (18.4, -66.1, ("PR",)),
        (28.1, -15.4, ("ES",)),
        (49.4542, -2.5361, ("GG",)),
        (22.2793, 114.1628, ("HK",)),
        (42.6629, 21.1655, ("XK",)),
        (-90.0, 0.0, ("AQ",)),
    ],
)
def test_a_point_on_land_gives_its_country_and_the_parts_that_are_known(latitude, longitude, expected):
    assert territories_at(latitude, longitude) == expected


@pytest.mark.parametrize(("latitude", "longitude"), [(40.0, -40.0), (90.0, 0.0), (-30.0, 80.0)])
def test_the_high_sea_belongs_to_nobody(latitude, longitude):
    assert territories_at(latitude, longitude) == ()


def test_a_point_in_coastal_waters_belongs_to_the_coast():
    assert territories_at(54.2, 7.6) == ("DE",)  # between Helgoland and the mainland


@pytest.mark.parametrize(
    ("north", "expected"), [(2.5, {"CA"}), (0.6, {"CA", "US"}), (-0.6, {"CA", "US"}), (-2.5, {"US"})]
)
def test_within_one_kilometre_of_a_border_both_sides_count(north, expected):
    assert countries(territories_at(49.0 + north / 111.2, -104.9)) == expected


def test_a_point_near_two_states_and_no_other_country_gives_both_states():
    assert territories_at(40.7127, -74.0200) == ("US", "US-NJ", "US-NY")


def test_a_point_in_a_states_part_of_lake_michigan_gives_that_state():
    assert territories_at(41.9, -87.5) == ("US", "US-IL")


def test_a_foreign_point_beside_a_state_does_not_give_the_state():
    assert territories_at(43.6532, -79.3832) == ("CA",)  # Toronto, 40 km from New York's shore


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [(44.95, 34.1, {"RU", "UA"}), (34.59, 32.98, {"CY", "GB"}), (35.33, 33.3, {"CY"})],
)
def test_a_claimed_area_gives_every_claimant(latitude, longitude, expected):
    assert set(territories_at(latitude, longitude)) == expected


@pytest.mark.parametrize("latitude", [66.0, 65.5, -16.8, -80.0, 71.5])
def test_both_names_of_the_180th_meridian_give_the_same_answer(latitude):
    assert territories_at(latitude, 180.0) == territories_at(latitude, -180.0) != ()


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(math.nan, 0.0), (0.0, math.nan), (90.01, 0.0), (0.0, 180.5), (math.inf, 0.0)]
)
def test_a_point_that_is_not_on_earth_is_nowhere(latitude, longitude):
    assert territories_at(latitude, longitude) == ()


@given(st.floats(), st.floats())
def test_any_two_numbers_give_known_codes_in_order_with_their_countries(latitude, longitude):
    codes = territories_at(latitude, longitude)
    assert known().issuperset(codes)
    assert codes == tuple(sorted(set(codes)))
    assert countries(codes).issubset(codes)


@given(latitudes, longitudes)
def test_a_point_gives_the_same_answer_each_time(latitude, longitude):
    assert territories_at(latitude, longitude) == territories_at(latitude, longitude)


def test_the_inside_of_every_shipped_area_gives_exactly_one_country():
    tree, codes = place._areas()
    tried = 0
    for polygon, found in zip(tree.geometries, codes, strict=True):
        point = shapely.maximum_inscribed_circle(polygon, tolerance=0.01)
        if len(countries(found)) > 1 or shapely.length(point) * math.cos(math.radians(point.coords[0][1])) < 0.05:
            continue  # claimed by two, or less than 5 km to its border
        longitude, latitude = point.coords[0]
        assert countries(territories_at(latitude, longitude)) == countries(found)
        tried += 1
    assert tried > 350


def kilometres_to(longitude: float, latitude: float, polygon: shapely.Geometry) -> float:
    """Measure on the plane that touches the earth at the point; WGS 84 radii of curvature."""
    sine = math.sin(math.radians(latitude))
    north = 6335.439 / (1 - 0.00669438 * sine**2) ** 1.5 * math.radians(1)
    east = 6378.137 / math.sqrt(1 - 0.00669438 * sine**2) * math.cos(math.radians(latitude)) * math.radians(1)
    flat = shapely.transform(polygon, lambda at: (at - [longitude, latitude]) * [east, north])
    return shapely.distance(shapely.Point(0, 0), flat)


@given(st.integers(0, 10**9), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_the_disc_around_a_point_reaches_just_the_areas_within_a_kilometre(number, north, east):
    tree, codes = place._areas()
    polygon = tree.geometries[number % len(tree.geometries)]
    corners = polygon.exterior.coords
    longitude, latitude = corners[number % len(corners)]
    longitude, latitude = longitude + east, latitude + north
    assume(abs(latitude) < 85 and abs(longitude) < 179.9)
    found = place._within(latitude, longitude, 1.0)
    near = tree.query(shapely.Point(longitude, latitude).buffer(0.3), predicate="intersects")
    distances = [(kilometres_to(longitude, latitude, tree.geometries[row]), codes[row]) for row in near]
    assert {code for km, row in distances if km <= 1.0 for code in row} <= found
    assert found <= {code for km, row in distances if km <= 1.05 for code in row}


@given(st.floats(-85, 85), longitudes)
def test_the_disc_holds_every_point_within_a_kilometre_and_few_others(latitude, longitude):
    disc = shapely.Polygon(place._disc(latitude, longitude, 1.0))
    assert kilometres_to(longitude, latitude, disc.exterior) >= 1.0
    assert all(kilometres_to(longitude, latitude, shapely.Point(corner)) <= 1.05 for corner in disc.exterior.coords)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GB", "GB"),
        ("UK", "GB"),
        ("uk", "GB"),
        ("GBR", "GB"),
        ("United Kingdom", "GB"),
        (" united  kingdom ", "GB"),
        ("Great Britain", "GB"),
        ("Scotland", "GB-SCT"),
        ("England", "GB-ENG"),
        ("U.S.A.", "US"),
        ("usa", "US"),
        ("United States of America", "US"),
        ("Illinois", "US-IL"),
        ("Georgia", "GE"),
        ("Deutschland", "DE"),
        ("ÖSTERREICH", "AT"),
        ("Osterreich", "AT"),
        ("Ελλάδα", "GR"),
        ("Россия", "RU"),
        ("日本", "JP"),
        ("Ireland", "IE"),
        ("The Netherlands", "NL"),
        ("Denmark", "DK"),
        ("China", "CN"),
        ("Côte d\u2019Ivoire", "CI"),
        ("St Lucia", "LC"),
        ("Saint Lucia", "LC"),
        ("Trinidad & Tobago", "TT"),
        ("European Union", "EU"),
        ("US-PR", "PR"),
        ("DE-BY", "DE-BY"),
        ("Congo", None),
        ("no", None),
        ("R19", None),
        ("ZZ", None),
        ("RIGHT-IPTC-Country", None),
        (" ", None),
        ("", None),
    ],
)
def test_a_country_is_known_by_its_codes_and_its_usual_names(text, expected):
    assert territory_of_name(text) == expected


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("IL", "US", "US-IL"),
        ("il", "US", "US-IL"),
        ("Illinois", "US", "US-IL"),
        ("Georgia", "US", "US-GA"),
        ("Scotland", "GB", "GB-SCT"),
        ("Illinois", "GB", None),
        ("United States", "US", None),
        ("Tyne & Wear", "GB", None),
        ("", "US", None),
    ],
)
def test_a_part_is_looked_up_within_its_country(text, country, expected):
    assert territory_of_name(text, within=country) == expected


@given(st.text(max_size=300))
def test_any_text_names_a_territory_that_can_be_a_scope_or_nothing(text):
    code = territory_of_name(text)
    assert code is None or contains(code, code)


def test_every_shipped_name_and_alias_is_found_again():
    shipped = json.loads((place.BORDERS / "territories.json").read_bytes())["names"]
    aliases = json.loads((place.BORDERS / "aliases.json").read_bytes())
    assert set(aliases) <= set(shipped)
    wrong = {
        (name, code, territory_of_name(name))
        for code in shipped
        for name in [*shipped[code], *aliases.get(code, ())]
        if territory_of_name(name) != code
    }
    assert wrong == {("Georgia", "US-GA", "GE")}


@pytest.mark.parametrize(
    ("scope", "territory"),
    [
        ("GB", "GB"),
        ("UK", "GB"),
        ("GB", "UK"),
        ("GB", "GB-SCT"),
        ("US", "US-IL"),
        ("US", "PR"),
        ("PR", "US-PR"),
        ("US", "UM-79"),
        ("EU", "IE"),
        ("EU", "DE-BY"),
        ("EU", "EU"),
        ("EU", "RE"),
        ("FR", "RE"),
        ("FR", "NC"),
        ("EU", "AX"),
        ("NO", "SJ"),
        ("us-il", "US-IL"),
    ],
)
def test_a_scope_contains_itself_and_what_lies_in_it(scope, territory):
    assert contains(scope, territory)


@pytest.mark.parametrize(
    ("scope", "territory"),
    [
        ("GB-SCT", "GB"),
        ("US-IL", "US"),
        ("IE", "EU"),
        ("EU", "GB"),
        ("EU", "CH"),
        ("EU", "NO"),
        ("EU", "NC"),
        ("GB", "GG"),
        ("GB", "IM"),
        ("CN", "TW"),
        ("US-IL", "US-IN"),
        ("GB", "G"),
        ("", ""),
        ("ZZ", "ZZ"),
    ],
)
def test_a_scope_does_not_contain_what_may_lie_outside_it(scope, territory):
    assert not contains(scope, territory)


def test_containment_holds_through_what_lies_between_but_for_french_territory_outside_the_union():
    inside = {outer: {inner for inner in known() if contains(outer, inner)} for outer in known()}
    broken = {
        (outer, middle, inner)
        for outer in known()
        for middle in inside[outer]
        for inner in inside[middle] - inside[outer]
    }
    assert broken == {("EU", "FR", code) for code in ("BL", "NC", "PF", "PM", "TF", "WF")}


def test_the_union_has_27_members_and_seven_territories_with_codes_of_their_own():
    assert len(place.EU - place.REACHED_FROM.keys()) == 27
    assert len(place.EU & place.REACHED_FROM.keys()) == 7


def test_every_code_in_every_table_is_known():
    _, codes = place._areas()
    assert known() >= {code for row in codes for code in row}
    assert known() >= place.EU
    assert known() >= {*place.REACHED_FROM, *place.REACHED_FROM.values()}
    assert all(canonical(code) == code for code in known())


def test_every_state_and_the_district_has_borders():
    _, codes = place._areas()
    assert len({code for row in codes for code in row if code.startswith("US-")} | {"US-AK", "US-HI"}) == 51


def test_the_notice_names_version_licence_and_hash_of_every_input():
    notice = (place.BORDERS / "NOTICE").read_text(encoding="utf-8")
    sources = json.loads((place.BORDERS / "territories.json").read_bytes())["sources"]
    assert set(sources) == {"@rapideditor/country-coder", "us-atlas"}
    for source in sources.values():
        assert "{name} {version} ({license})".format(**source) in notice
        assert source["sha256"] in notice
    assert notice.count("Permission to use, copy, modify, and/or distribute") == 2
