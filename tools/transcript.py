"""Run the shell and Python blocks of a page, in one shell and one empty folder, and put what they print under them.

::

    python tools/transcript.py README.md docs/tutorial.md    # writes the pages anew

A block fenced as `sh` or `python` runs; a block fenced as `text` right after it is what it printed, on stdout and stderr.
Record ids in later blocks are those that the earlier ones really printed, so a reader's own ids may differ from the
page's. Lines about the machine's own disk are left out. `tests/docs/test_pages_run.py` compares page and transcript.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from countenance.settings import Settings

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
ID = re.compile(r"\b(?:col|src|pho|fac|sub|sea|era|wrk)_[a-z2-7]{20}\b")
MACHINE = re.compile(r"^(?:medium |Overwriting may not overwrite).*\n", re.MULTILINE)
HOME = "/home/you"  # stands for the folder that the page is played in
END = "@@ end of block @@"
OFFLINE = """
import socket

class Offline(socket.socket):
    def connect(self, address):
        if self.family != socket.AF_UNIX:
            raise OSError("a documented example used the network")
        super().connect(address)

socket.socket = Offline
"""


def play(page: str, folder: Path) -> str:
    """Return the page with every block's real output under it; `folder` is empty."""
    (folder / "site").mkdir()
    (folder / "temporary").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(OFFLINE)
    here = folder / "here"
    here.mkdir()
    environment = {
        "COUNTENANCE_CACHE": str(Settings().cache),
        "COUNTENANCE_TEMPORARY": str(folder / "temporary"),  # not what others left on this machine
        "COUNTENANCE_WORKERS": "1",  # half the start-up of two, which matters where a page starts a dozen commands
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "LOGNAME": "you",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "site"),
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        ["bash", "--noprofile", "--norc"],  # noqa: S607 - the reader's own shell
        cwd=here,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as shell:
        real: dict[str, str] = {}  # the page's ids -> this run's

        def run(match: re.Match[str]) -> str:
            language, code, before = match.groups()
            printed = _printed(shell, language, ID.sub(lambda found: real.get(found[0], found[0]), code))
            printed = MACHINE.sub("", printed.replace(str(here), HOME))
            for said, is_now in zip(ID.findall(before or ""), ID.findall(printed), strict=False):
                if said[:4] == is_now[:4]:  # the same kind of id: output that has changed does not line up
                    real.setdefault(said, is_now)
            said_by_now = {now: said for said, now in real.items()}
            printed = ID.sub(lambda found: said_by_now.get(found[0], found[0]), printed)
            return f"```{language}\n{code}```\n" + (f"\n```text\n{printed}```\n" if printed else "")

        return BLOCK.sub(run, page)


def _printed(shell: subprocess.Popen[str], language: str, code: str) -> str:
    assert shell.stdin
    assert shell.stdout
    body = f"python - <<'END_OF_CODE'\n{code}END_OF_CODE\n" if language == "python" else code
    shell.stdin.write(f"{body}echo '{END}'\n")
    shell.stdin.flush()
    lines = []
    for line in shell.stdout:
        if line == f"{END}\n":
            break
        lines.append(line)
    return "".join(lines)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as empty:
            Path(name).write_text(play(Path(name).read_text("utf-8"), Path(empty)), "utf-8")
