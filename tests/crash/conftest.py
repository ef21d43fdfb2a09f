"""Starting rigs: the processes in which faults strike, two at a time."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIDE_BY_SIDE = min(2, os.cpu_count() or 1)

Job = dict[str, Any]
Outcome = dict[str, Any]


class Rigs:
    """As many rigs as there are cores for them, all of one copy of the source."""

    def __init__(self, shim: Path, folder: Path, source: Path, number: int = SIDE_BY_SIDE) -> None:
        environment = os.environ | {
            "LD_PRELOAD": str(shim),
            "PYTHONPATH": str(source),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.crash.rig", str(shim), tempfile.mkdtemp(dir=folder)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(number)
        ]
        self.idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        try:
            for process in self.processes:
                used = Path(self._read(process)["source"])
                assert used.is_relative_to(source), f"the rig runs {used}"
                self.idle.put(process)
        except BaseException:
            self.close()
            raise

    def ask(self, job: Job) -> Outcome:
        """One job, one outcome."""
        return self._with_one(lambda process: self._say(process, job) or self._read(process))

    def all(self, jobs: list[Job]) -> list[Outcome]:
        """The outcomes of many jobs, in their order."""
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            return list(threads.map(self.ask, jobs))

    def stream(self, job: Job) -> Iterator[Outcome]:
        """The outcomes of a job that has many, such as power cuts."""
        process = self.idle.get()
        self._say(process, job)
        yield from iter(lambda: self._read(process), None)
        self.idle.put(process)

    def close(self) -> None:
        """End them; each ends when it is asked no more."""
        for process in self.processes:
            with process:
                process.terminate()

    def _with_one(self, run: Callable[[subprocess.Popen[str]], Any]) -> Any:
        process = self.idle.get()
        try:
            return run(process)
        finally:
            self.idle.put(process)

    def _say(self, process: subprocess.Popen[str], job: Job) -> None:
        assert process.stdin
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()

    def _read(self, process: subprocess.Popen[str]) -> Any:
        assert process.stdout
        line = process.stdout.readline()
        assert line, "the rig ended; what it said is above"
        return json.loads(line)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    if sys.platform != "linux" or not (compiler := shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("fault points are counted with LD_PRELOAD and need Linux and a C compiler")
    made = tmp_path_factory.mktemp("shim") / "fault.so"
    source = Path(__file__).with_name("fault.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", made, source, "-ldl"], check=True, capture_output=True)
    return made


@pytest.fixture(scope="session")
def start(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Rigs]:
    """Start rigs on a copy of the source; whoever starts them closes them."""
    return lambda source, *number: Rigs(shim, tmp_path_factory.mktemp("rigs"), source, *number)


@pytest.fixture(scope="session")
def rigs(start: Callable[..., Rigs]) -> Iterator[Rigs]:
    """Rigs on the source itself."""
    started = start(ROOT / "src")
    yield started
    started.close()


@pytest.fixture(scope="session")
def everything() -> bool:
    """Whether every point of every act is struck in every way (`make test-crash`), or a choice of them."""
    return os.environ.get("COUNTENANCE_CRASH") == "all"
