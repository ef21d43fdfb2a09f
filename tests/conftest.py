"""What tests share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from PIL import Image, ImageOps

import countenance
from countenance.settings import Settings
from countenance.vault import Vault
from countenance.vision import examine

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"

TALLY: Counter[str] = Counter()  # what was counted, for the end of pytest's summary

STATED = {
    "purpose": "testing",
    "controller": "the test suite",
    "contact": "the test suite",
    "art6": "legitimate-interests",
    "art9": "made-public",
    "notice": "public-domain portrait",
    "retention_days": 30,
    "mode": "all",
    "justification": "tests search among people who are not enrolled",
    "takes_in": ("GB", "FR"),
    "established": "GB",
    "representative": "the test suite, Paris",
}
WHY = {"collection": "club", "purpose": "a test", "case": "case 1"}


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture(scope="session")
def tally() -> Counter[str]:
    """Counts that the summary shows, such as `tally["tamperings caught"] += 1`; every name begins at 0."""
    return TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each count on a line of its own."""
    if TALLY:
        terminalreporter.section("counts")
    for name, count in sorted(TALLY.items()):
        terminalreporter.write_line(f"{name}: {count:,}")


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """The larger photo set beside the project, where it is there."""
    if not PHOTOS.is_dir():
        pytest.skip("the larger photo set is not beside the project (../shared/data/photos)")
    return PHOTOS


@pytest.fixture(scope="session")
def portrait() -> Image.Image:
    """The public-domain portrait that comes with scikit-image, 512 × 512."""
    with resources.as_file(resources.files("skimage").joinpath("data", "astronaut.png")) as file:
        return Image.open(file).convert("RGB")


@pytest.fixture(scope="session", autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Erasures search the temporary folder: one of the tests' own, since pytest keeps its photos in the system's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTENANCE_TEMPORARY", str(tmp_path_factory.mktemp("temporary")))
        yield


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Settings for tests: vision runs in this process."""
    chosen = Settings(workers=0)
    examine.prepare(chosen.cache)
    return chosen


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def photos(tmp_path: Path, portrait: Image.Image) -> Path:
    """A folder with three photos of one person and one of nobody."""
    folder = tmp_path / "photos"
    folder.mkdir()
    portrait.save(folder / "portrait.png")
    ImageOps.mirror(portrait).save(folder / "mirrored.jpg", quality=90)
    portrait.resize((300, 300)).save(folder / "smaller.jpg", quality=85)
    Image.new("RGB", (200, 150), (90, 120, 60)).save(folder / "meadow.jpg")
    return folder


@pytest.fixture
def pair(portrait: Image.Image) -> Image.Image:
    """A group photo of two faces: the portrait beside its mirror image, the faces 100 pixels apart."""
    face = portrait.crop((100, 0, 350, 250))
    both = Image.new("RGB", (500, 250))
    both.paste(face, (0, 0))
    both.paste(ImageOps.mirror(face), (250, 0))
    return both


@pytest.fixture
def vault_path(tmp_path: Path, clock: Clock) -> Path:
    path = tmp_path / "vault"
    countenance.create(path, clock=clock)
    return path


@pytest.fixture
def reopen(vault_path: Path, settings: Settings, clock: Clock) -> Iterator[Callable[[], Vault]]:
    """Open the vault once more, as another process would."""
    opened: list[Vault] = []

    def open_one() -> Vault:
        opened.append(countenance.open(vault_path, settings=settings, clock=clock))
        return opened[-1]

    yield open_one
    for vault in opened:
        vault.close()


@pytest.fixture
def empty(reopen: Callable[[], Vault]) -> Vault:
    """An open vault without any collection."""
    return reopen()


@pytest.fixture
def vault(empty: Vault, photos: Path) -> Vault:
    """A vault whose collection "club" (mode all) has the folder of photos as a source, nothing added yet."""
    empty.create_collection("club", **STATED)
    empty.create_source(photos, collection="club", controller="the test suite", evidence="made here", on_erase="delete")
    return empty


@pytest.fixture
def filled(vault: Vault, photos: Path) -> Vault:
    """The same with the photos added: three faces."""
    vault.add(photos)
    return vault
