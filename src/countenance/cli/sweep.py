"""`countenance sweep`: erase what is past its time."""

from __future__ import annotations

from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened

STAYS = {
    "order": "hidden by an order that is not carried out yet, or waiting for review under it",
    "restriction": "restricted at a person's request",
    "request": "which a person's open request is about",
}


def command(vault: VaultPath = None, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Erase what is past its time: photos, faces, consents, wishes, requests. Files at the sources are not touched."""
    with opened(vault, dry_run=dry_run) as held:
        swept = held.sweep()

    def show() -> None:
        names = ("photos", "faces", "subjects", "searches", "wishes", "requests", "leaves")
        output.facts({name: getattr(swept, name) for name in names} | {"erasures": ", ".join(swept.erasures) or "none"})
        if not any(getattr(swept, name) for name in names):
            output.say("Nothing is past its time that can be erased.")
        for reason, count in swept.stays.items():
            output.say(f"Past its time and still here: {output.count(count, 'photo')}, {STAYS[reason]}.")
        if dry_run:
            output.say("Dry run: nothing has been changed.")
        elif swept.erasures:
            output.say(f"Next: countenance certificate save {swept.erasures[0]} erasure.zip")

    output.emit(output.plain(swept) | {"changed": not dry_run}, as_json=as_json, show=show)
