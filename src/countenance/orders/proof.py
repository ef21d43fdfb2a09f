"""The proof bundle of an order: its file, each erasure's certificate, its lines in the log, and how to check them."""

from __future__ import annotations

import io
import zipfile
from importlib import resources

import rfc8785

from countenance import errors
from countenance.audit import log, verify_order
from countenance.orders.survey import of_order
from countenance.store import orders
from countenance.store.database import Tx

_TIME = (1980, 1, 1, 0, 0, 0)  # the same files give the same bytes


def build(tx: Tx, order_id: str) -> bytes:
    """The bundle as a zip that `audit.verify_order` checks once unpacked; `UsageError` before the order is completed."""
    stored = orders.find(tx, order_id)
    if "completion" not in stored.progress:
        raise errors.UsageError(
            f"The order is {stored.state}, and only one that was carried out has a proof. Nothing was written."
        )
    checkpoint, proofs = log.proofs(tx, stored.progress["lines"])
    code = resources.files("countenance.audit")
    files = {
        "READ-ME.txt": verify_order.READ_ME.encode(),
        "order.yaml": stored.text.encode(),
        "completion.json": rfc8785.dumps(stored.progress["completion"]),
        "checkpoint.txt": checkpoint.encode(),
        "key.txt": f"{log.key(tx)}\n".encode(),
        "proofs.json": rfc8785.dumps(proofs),
        "verify.py": code.joinpath("verify.py").read_bytes(),
        "verify_order.py": code.joinpath("verify_order.py").read_bytes(),
    }
    files |= {f"certificates/{each.id}.zip": each.bundle for each in of_order(tx, order_id) if each.bundle}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name, _TIME), data)
    return stream.getvalue()
