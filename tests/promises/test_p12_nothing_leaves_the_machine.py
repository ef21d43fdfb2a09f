"""P12: nothing leaves the machine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import countenance

SOURCE = Path(countenance.__file__).parent
NETWORK = {
    *("socket", "http", "urllib", "ftplib", "smtplib", "ssl", "asyncio", "requests", "httpx", "aiohttp", "urllib3"),
    *("boto3", "obstore", "websockets", "grpc", "sentry_sdk", "opentelemetry", "posthog"),
}
ALLOWED = {
    ("store/processes.py", "socket"),  # gethostname only
    ("audit/cosign.py", "http"),  # asks the witness whose address the user names (docs/decisions/0007)
    ("audit/witness.py", "http"),  # is that witness, on another machine
    ("audit/witness.py", "socket"),  # to end a connection that lasts too long
    ("store/shelf.py", "obstore"),  # a backup to the bucket whose address the user names (docs/decisions/0008)
}


def test_no_module_imports_a_network_client_but_those_named_here():
    found = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names = [name for name in names if name != "urllib.parse"]  # it takes addresses apart and opens none
            found |= {(str(file.relative_to(SOURCE)), n.split(".")[0]) for n in names if n.split(".")[0] in NETWORK}
    assert found == ALLOWED


def test_the_one_use_of_sockets_asks_for_this_machines_name_only():
    text = (SOURCE / "store" / "processes.py").read_text("utf-8")
    assert set(__import__("re").findall(r"socket\.(\w+)", text)) == {"gethostname"}


def test_importing_countenance_loads_no_model_opens_no_file_of_ours_and_prints_nothing():
    code = (
        "import sys; import countenance; "
        "heavy = {'onnx', 'onnxruntime', 'cv2', 'sqlalchemy', 'shapely', 'numpy.linalg._x'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_whole_main_job_opens_no_socket_to_anywhere(tmp_path):
    """An audit hook in a process of its own sees every connection that Python would make, in every library."""
    code = """
import sys
def hook(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request"}:
        raise SystemExit(f"network: {event} {args}")
sys.addaudithook(hook)
from pathlib import Path
from countenance.demo import play
play(Path(sys.argv[1]), None)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HOLDS" in done.stdout
