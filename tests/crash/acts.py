"""What is done to a vault while faults strike, and what must be true of it afterwards.

Vision is replaced by the reader of tiny text "photos" of the property tests, so that a run takes a tenth of a second;
gate, store, keys, index, search, orders and log are the real ones. Everything lies under one folder, `here`: the vault,
a source whose files are deleted and a source whose files are redacted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.conftest import STATED, WHY
from tests.orders import order_text
from tests.property.test_vault import look, look_at_probe

import countenance
from countenance import ingest
from countenance.audit import verify
from countenance.errors import CountenanceError, VaultMissing
from countenance.orders import files
from countenance.search import find, gallery
from countenance.settings import Settings
from countenance.store import faces, photos, tables, tree
from countenance.vault import Vault
from countenance.vision import examine

Facts = dict[str, Any]  # what is known of a prepared vault, as JSON

EVERYBODY = ("ann", "bob", "cat", "dan", "eve")
DESTROYED = ("keys-destroyed", "purged", "verified", "certified")
FILES = {
    "deleted/cat.jpg": "cat",
    "deleted/eve.jpg": "eve",
    "deleted/dan.jpg": "dan",
    "redacted/group.jpg": "ann+bob",
    "redacted/bob.jpg": "bob",
}


@dataclass(frozen=True)
class Act:
    """One thing to do: how its vault is prepared, how it is done, and how the outcome is judged."""

    prepare: Callable[[Path], Facts]
    do: Callable[[Vault, Facts], None] | None  # None: it makes the vault, instead of working on an open one
    judge: Callable[[Path, Facts], Iterator[str]]


def replace_vision() -> None:
    """Text stands for pictures from here on, and the thread that follows other processes writes nothing meanwhile."""
    ingest.look, find.look = look, look_at_probe
    files.redact = blank
    examine.prepare = examine.ready = lambda _: None
    gallery.FOLLOW_SECONDS = 3600


def blank(content: bytes, boxes: list[tuple[int, ...]]) -> bytes:
    """A text photo without the names in these boxes."""
    names = content.decode().split("+")
    for left, *_ in boxes:
        names[left // 100] = "-" * len(names[left // 100])
    return "+".join(names).encode()


def noon() -> datetime:
    """The time in which all happens."""
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


def opened(folder: Path) -> Vault:
    """The vault, as a new process would open it."""
    temporary = folder.parent / "temporary"  # an erasure searches it too, and beside this folder lie prepared copies
    temporary.mkdir(exist_ok=True)
    chosen = Settings(workers=0, temporary=temporary)
    return countenance.open(folder, settings=chosen, clock=noon)


def seen(vault: Vault) -> dict[str, list[str]]:
    """Where a search finds each of everybody."""
    result = vault.search("+".join(EVERYBODY).encode(), fpir=0.5, **WHY)
    return {name: sorted(hit.address for hit in face.hits) for name, face in zip(EVERYBODY, result.faces, strict=True)}


def listing(here: Path) -> list[str]:
    """What an undisturbed act leaves, all must: every file but photos, locks, SQLite's own and canaries, without epochs.

    A canary is random bytes; that it is gone need not survive a power cut.
    """
    passing = ("-wal", "-shm", "lock", ".jpg", "canary")
    names = (str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())
    return sorted(name.rstrip("0123456789") for name in names if not name.endswith(passing))


def holding(here: Path, value: bytes) -> list[str]:
    """The files that hold these bytes."""
    return [str(path.relative_to(here)) for path in here.rglob("*") if path.is_file() and value in path.read_bytes()]


# Adding


def with_sources(here: Path) -> Facts:
    """A vault with both sources, of which nothing was added yet."""
    for name, content in FILES.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(content)
    countenance.create(here / "vault", clock=noon)
    with opened(here / "vault") as vault:
        vault.create_collection("club", **STATED)
        made = [
            vault.create_source(here / way, collection="club", controller="x", evidence="y", on_erase=on_erase).id
            for way, on_erase in (("deleted", "delete"), ("redacted", "redact"))
        ]
    return {
        "sources": made,
        "found": {"ann": ["group.jpg"], "bob": ["bob.jpg", "group.jpg"]} | alone("cat", "dan", "eve"),
    }


def alone(*names: str) -> dict[str, list[str]]:
    """Each found in the photo of that name."""
    return {name: [f"{name}.jpg"] for name in names}


def add(vault: Vault, facts: Facts) -> None:
    """Scan both sources."""
    for source in facts["sources"]:
        vault.add(source)


def judge_adding(here: Path, facts: Facts) -> Iterator[str]:
    """Each photo is there whole or not at all, and adding again ends as an undisturbed add does."""
    with opened(here / "vault") as vault:
        found = seen(vault)
        if ("group.jpg" in found["ann"]) != ("group.jpg" in found["bob"]):
            yield "half a group photo is found"
        add(vault, facts)
        if (found := seen(vault)) != facts["found"]:
            yield f"after adding again it finds {found}"
        counted = {source: len(vault.photos(source)) for source in facts["sources"]}
        if (
            counted != dict(zip(facts["sources"], (3, 2), strict=True))
            or vault.counts("club")["faces"] != len(FILES) + 1
        ):
            yield f"after adding again it holds {counted} photos"
        yield from vault.check().problems


# Erasing


def filled(here: Path) -> Facts:
    """A vault that holds everything, in which a search has found the face of a group photo and a photo to be erased."""
    facts = with_sources(here)
    with opened(here / "vault") as vault:
        add(vault, facts)
        correct(vault)
        return facts | asked(vault)


def correct(vault: Vault) -> None:
    """Say of both faces to be erased that they are not the same, and of one that it was restricted once."""
    result = vault.search(b"ann+cat", fpir=0.5, **WHY)
    one, other = (face.hits[0].face_id for face in result.faces)
    vault.faces.not_same(one, other, reason="x")
    once = vault.faces.restrict(one, ground="accuracy").restriction.id
    vault.faces.unrestrict(once, reason="x", told="y")


def erased_before(here: Path) -> Facts:
    """The same with an erasure behind it."""
    facts = filled(here)
    with opened(here / "vault") as vault:
        photo = next(photo.id for photo in vault.photos(facts["sources"][0]) if photo.address == "eve.jpg")
        vault.erase(vault.scope(photo=photo))
        return facts | {"found": facts["found"] | {"eve": []}} | asked(vault)


def asked(vault: Vault) -> Facts:
    """A search to erase the hits of, and everything by which its hits could be known later."""
    scope = vault.scope(search=(search := vault.search(b"ann+cat", fpir=0.5, **WHY).id))
    with vault.database.read() as tx:
        found = faces.stored(tx, id=list(scope.faces))
        sealed = [value[:64].hex() for value in faces.sealed_bytes(tx, scope.faces)]
        items = [*(face.item for face in found), *photos.items(tx, scope.photos).values()]
        items += [row.item for table in (tables.link, tables.restriction) for row in tx.sql.execute(table.select())]
    return {
        "search": search,
        "items": items,
        "sealed": [value for value in sealed if value],
        "epoch": vault.keys.epoch,
        "epoch_key": vault.keys.epoch_key().hex(),
        "erasures": len(vault.erasures.list()),
    }


def erase(vault: Vault, facts: Facts) -> None:
    """Erase one face of a group photo and one whole photo."""
    vault.erase(vault.scope(search=facts["search"]), ground="request", approved_by=["somebody"])


def judge_erasing(here: Path, facts: Facts) -> Iterator[str]:
    """Nothing half-erased is visible, the next open finishes what was planned, and what is finished is whole."""
    after = facts["found"] | {"ann": [], "cat": []}
    with unresumed(here) as vault:
        planned = vault.erasures.list()[facts["erasures"] :]
        state = planned[0].state if planned else "nothing"
        found = seen(vault)
    before = state in {"nothing", "planned", "approved"}
    if found != (facts["found"] if before else after):
        yield f"at {state}, before it is resumed, a search finds {found}"
    if state in DESTROYED and (where := holding(here, bytes.fromhex(facts["epoch_key"]))):
        yield f"at {state} the old epoch key is in {', '.join(where)}"
    with opened(here / "vault") as vault:
        if vault.warning:
            yield f"opened with the warning: {vault.warning}"
        if not planned:
            erase(vault, facts)
        states = {erasure.state for erasure in vault.erasures.list()}
        if states != {"certified"} or len(vault.erasures.list()) != facts["erasures"] + 1:
            yield f"after opening, erasures are {sorted(states)}"
        elif wrong := certificate_wrong(here, vault, facts):
            yield wrong
        if (found := seen(vault)) != after:
            yield f"after it is resumed a search finds {found}"
        yield from (f"{one.id} is still there" for one in (*vault.faces.links(), *vault.faces.restrictions(ended=True)))
        for item in facts["items"]:
            try:
                vault.keys.item_key(item)
            except tree.Punctured:
                continue
            yield f"the key of item {item} can be derived"
        yield from vault.check().problems
    yield from left_behind(here, facts)


def certificate_wrong(here: Path, vault: Vault, facts: Facts) -> str | None:
    """What is wrong with the certificate of the newest erasure."""
    report = verify.examine(verify.unpack(vault.erasures.certificate(vault.erasures.list()[-1].id)))
    if report.statement is None:
        return f"the bundle does not hold: {report.checks[-1]}"
    keys, source = report.statement["keys"], report.statement["source"]
    untouched = (here / "deleted/cat.jpg").exists() or (here / "redacted/group.jpg").read_text() != "---+bob"
    for wrong, what in (
        (keys["epoch_before"] != facts["epoch"], f"it begins with epoch {keys['epoch_before']}"),
        (keys["epoch_after"] != facts["epoch"] + 1, f"it ends with epoch {keys['epoch_after']}"),
        (keys["state_before"] == keys["state_after"], "it names one key state as before and after"),
        (source["deleted"] + source["redacted"] + source["failed"] != 2, f"it says of the sources {source}"),
        (source["failed"] != source["worklist"], f"what failed is not all on the worklist: {source}"),
        (not source["failed"] and untouched, "it says that the files were changed, and they were not"),
    ):
        if wrong:
            return f"the certificate: {what}"
    return None


def left_behind(here: Path, facts: Facts) -> Iterator[str]:
    """What must be gone from the files when the vault is closed."""
    for what, value in [("the old epoch key", facts["epoch_key"]), *(("a sealed value", v) for v in facts["sealed"])]:
        if where := holding(here, bytes.fromhex(value)):
            yield f"{what} is still in {', '.join(where)}"


@contextmanager
def unresumed(here: Path) -> Iterator[Vault]:
    """A copy of the vault, opened by a process that finishes nothing."""
    copy = here.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(here / "vault", copy)
    resume, Vault.resume = Vault.resume, lambda _: []  # type: ignore[method-assign]
    try:
        with opened(copy) as vault:
            yield vault
    finally:
        Vault.resume = resume  # type: ignore[method-assign]


# Approving an order


def with_draft(here: Path) -> Facts:
    """A vault that holds everything, and the draft of an order that reaches it all: nothing has evidence."""
    facts = filled(here)
    with opened(here / "vault") as vault:
        return {"found": facts["found"], "order": vault.orders.draft(order_text("GB")).id}


def approve(vault: Vault, facts: Facts) -> None:
    """Approve the order."""
    vault.orders.approve(facts["order"], by="somebody", confirm=len(FILES))


def judge_approving(here: Path, facts: Facts) -> Iterator[str]:
    """The order is in force, hides everything and stands in the ledger, or it is a draft still and nothing is hidden."""
    with opened(here / "vault") as vault:
        for _ in range(2):
            state = vault.orders.show(facts["order"]).state
            noted = {each.order["id"] for each in vault.keys.noted() if each.order}
            if state not in {"drafted", "stopped"} or noted != ({facts["order"]} if state == "stopped" else set()):
                yield f"opened, the order is {state}, and the ledger knows {noted}"
            if (found := seen(vault)) != ({name: [] for name in EVERYBODY} if state == "stopped" else facts["found"]):
                yield f"{state}, a search finds {found}"
            if state == "drafted":
                approve(vault, facts)
        yield from vault.check().problems
        yield from vault.log.verify().problems


# Making a vault


def nothing(here: Path) -> Facts:
    """No vault."""
    return {}


def judge_making(here: Path, facts: Facts) -> Iterator[str]:
    """The vault is there, or making it again makes it."""
    try:
        opened(here / "vault").close()
    except VaultMissing:
        countenance.create(here / "vault", clock=noon)
    with opened(here / "vault") as vault:
        vault.create_collection("club", **STATED)
        yield from vault.check().problems


ACTS = {
    "init": Act(nothing, None, judge_making),
    "add": Act(with_sources, add, judge_adding),
    "erase": Act(filled, erase, judge_erasing),
    "again": Act(erased_before, erase, judge_erasing),
    "approve": Act(with_draft, approve, judge_approving),
}


def perform(act: Act, here: Path, facts: Facts, disarm: Callable[[], int]) -> tuple[int, str, list[str]]:
    """Do an act under an armed fault: how many calls it made, what it raised, and what is wrong with that."""
    vault, raised, problems = None, "", []
    try:
        if act.do is None:
            countenance.create(here / "vault", clock=noon)
        else:
            vault = opened(here / "vault")
            act.do(vault, facts)
    except CountenanceError as error:
        raised = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - any other is the finding
        raised = f"{type(error).__name__}: {error}"
        problems.append(f"raised {trace(error)}")
    calls = 0
    if raised:
        calls = disarm()
        problems += resumed(vault) if vault else []
    try:
        if vault:
            vault.close()
    except CountenanceError:
        pass
    except Exception as error:  # noqa: BLE001
        problems.append(f"closing raised {trace(error)}")
    return calls or disarm(), raised, problems


def resumed(vault: Vault) -> list[str]:
    """What is wrong when the process that saw the error goes on."""
    try:
        vault.resume()
        return [f"resumed, but {e.id} is {e.state}" for e in vault.erasures.list() if e.state != "certified"]
    except Exception as error:  # noqa: BLE001
        return [f"resuming in the same process raised {trace(error)}"]


def trace(error: BaseException) -> str:
    """An exception and where it came from, on one line."""
    frames, at = [], error.__traceback__
    while at:
        frames.append(f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}")
        at = at.tb_next
    return f"{type(error).__name__}: {error} ({' '.join(frames[-4:])})"
