"""Which files belong to a photo."""

from __future__ import annotations

import pytest

from countenance.sources.companion import companions

PHOTO = "IMG_1234.JPG"


def of(photo, *names, links=(), folder=""):
    """What is found beside a photo: path -> (kind, shared)."""
    beside = [(name, name in links) for name in (photo, *names)]
    return {c.path: (c.kind, c.shared) for c in companions([photo], beside, folder).get(photo, ())}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("IMG_1234.JPG.xmp", "xmp"),
        ("IMG_1234.xmp", "xmp"),
        ("img_1234.XMP", "xmp"),
        ("IMG_1234.JPG.json", "takeout"),
        ("IMG_1234.JPG.supplemental-metadata.json", "takeout"),
        ("IMG_1234.JPG.supplemental-me.json", "takeout"),
        ("IMG_1234.JPG.s.json", "takeout"),
        ("IMG_1234.JPG..json", "takeout"),
        ("IMG_1234.json", "json"),
        ("IMG_1234.THM", "thumbnail"),
        ("@eaDir/IMG_1234.JPG/SYNOPHOTO_THUMB_XL.jpg", "thumbnail"),
        ("@eaDir/IMG_1234.JPG/SYNOINDEX_MEDIA_INFO", "thumbnail"),
        ("@eaDir/IMG_1234.JPG@SynoEAStream", "thumbnail"),
        (".@__thumb/s800IMG_1234.JPG", "thumbnail"),
        (".@__thumb/IMG_1234.JPG", "thumbnail"),
        ("._IMG_1234.JPG", "thumbnail"),
        ("._IMG_1234.xmp", "thumbnail"),
        ("IMG_1234.MOV", "film"),
        ("IMG_1234.mp4", "film"),
        ("IMG_1234.MP", "film"),
        ("IMG_1234.AAE", "settings"),
        ("IMG_O1234.AAE", "settings"),
        ("IMG_1234.JPG.pp3", "settings"),
        (".comments/IMG_1234.JPG.xml", "settings"),
        ("IMG_1234.JPG_original", "original"),
        (".picasaoriginals/IMG_1234.JPG", "original"),
    ],
)
def test_a_file_that_a_tool_names_after_a_photo_belongs_to_it_alone(name, kind):
    assert of(PHOTO, name, "IMG_1235.JPG", "IMG_123.JPG") == {name: (kind, False)}


@pytest.mark.parametrize(
    "name",
    [
        "IMG_12345.xmp",
        "XIMG_1234.JPG.xmp",
        "IMG_1234.txt",
        "IMG_1234.JPG.supplemental-dat.json",
        "metadata.json",
        "@eaDir/IMG_12.JPG/SYNOPHOTO_THUMB_M.jpg",
        "@eaDir/SYNO",
        "other/IMG_1234.JPG.xmp",
        ".IMG_1234.JPG",
        "IMG_O12345.AAE",
        "IMG_1234.png",
    ],
)
def test_a_file_of_another_photo_or_none_is_left_alone(name):
    assert of(PHOTO, name) == {}


@pytest.mark.parametrize("name", ["Thumbs.db", "ehthumbs.db", ".picasa.ini", "Picasa.ini"])
def test_one_file_for_the_whole_folder_is_shared(name):
    assert of(PHOTO, name) == {name: ("list", True)}


def test_a_file_named_without_the_ending_is_shared_if_another_picture_has_the_same_name():
    found = of(PHOTO, "IMG_1234.xmp", "IMG_1234.CR3", "IMG_1234.JPG.xmp")
    assert found["IMG_1234.xmp"] == ("xmp", True)
    assert found["IMG_1234.JPG.xmp"] == ("xmp", False)
    assert found["IMG_1234.CR3"][0] == "raw"


def test_a_file_is_shared_with_the_picture_that_is_left_when_the_photo_has_gone_already():
    found = companions(["a.jpg"], [("a.xmp", False), ("a.png", False)], "")
    assert [(c.path, c.shared) for c in found["a.jpg"]] == [("a.xmp", True)]
    found = companions(["a.jpg"], [("a.xmp", False)], "")
    assert [(c.path, c.shared) for c in found["a.jpg"]] == [("a.xmp", False)]


def test_the_number_of_a_repeated_takeout_name_stands_behind_the_ending():
    names = ("IMG.jpg.supplemental-metadata(1).json", "IMG.jpg(1).json", "IMG.jpg.json")
    assert set(of("IMG(1).jpg", *names)) == set(names[:2])
    assert set(of("IMG.jpg", *names)) == set(names[2:])


def test_a_long_takeout_name_is_cut_at_46_characters():
    name = "a" * 60 + ".jpg"
    assert of(name, "a" * 46 + ".json") == {"a" * 46 + ".json": ("takeout", False)}
    assert of(name, "a" * 46 + ".json", "a" * 61 + ".jpg") == {"a" * 46 + ".json": ("takeout", True)}
    assert of(name, "a" * 45 + ".json") == {}


def test_an_edited_copy_shares_the_takeout_file_of_its_original_and_nothing_else():
    assert of("IMG-edited.jpg", "IMG.jpg", "IMG.jpg.json", "IMG.jpg.xmp") == {"IMG.jpg.json": ("takeout", True)}


def test_a_motion_photo_whose_name_ends_twice_has_its_film():
    assert of("PXL_1.MP.jpg", "PXL_1.MP") == {"PXL_1.MP": ("film", False)}


def test_a_link_is_said_to_be_one_and_paths_begin_at_the_source():
    assert of(PHOTO, "IMG_1234.xmp", links={"IMG_1234.xmp"}, folder="2026/") == {"2026/IMG_1234.xmp": ("link", False)}


def test_two_files_whose_names_differ_in_case_only_share_what_lies_beside_them():
    assert of("a.jpg", "A.JPG", "a.jpg.xmp") == {"a.jpg.xmp": ("xmp", True)}
