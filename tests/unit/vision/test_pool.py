from __future__ import annotations

import os
import pathlib
import select
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from countenance.errors import BadImage, Interrupted, ModelError
from countenance.vision import examine, models
from countenance.vision.decode import decode
from countenance.vision.pool import Pool

LONG = 3600


def reason(future) -> str:
    with pytest.raises(BadImage) as caught:
        future.result()
    return caught.value.reason


@pytest.mark.parametrize("workers", [0, 1])
def test_results_and_errors_of_the_tree_travel_back(workers: int):
    with Pool(workers=workers) as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert reason(pool.submit(decode, b"")) == "empty"
        with pytest.raises(ModelError, match="no model nobody"):
            pool.submit(models.named, "nobody").result()


def test_work_happens_in_other_processes_that_are_kept():
    with Pool(workers=1) as pool:
        first, second = (pool.submit(os.getpid).result() for _ in range(2))
    assert first == second != os.getpid()


def test_a_worker_that_dies_costs_its_own_task_only():
    with Pool(workers=1) as pool:
        lost, kept = pool.submit(os.abort), pool.submit(divmod, 7, 2)
        assert reason(lost) == "decoder-crashed"
        assert kept.result() == (3, 1)


def test_a_worker_that_hangs_is_killed_and_replaced():
    with Pool(workers=1, seconds=0.3) as pool:
        hung, kept = pool.submit(time.sleep, LONG), pool.submit(divmod, 7, 2)
        assert reason(hung) == "too-slow"
        assert kept.result() == (3, 1)


def test_a_task_that_wants_too_much_memory_is_refused():
    with Pool(workers=1, memory_mb=400) as pool:
        assert reason(pool.submit(bytearray, 500_000_000)) == "too-much-memory"
        assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_a_worker_the_kernel_killed_for_memory_is_named_so():
    with Pool(workers=1) as pool:
        pid = pool.submit(os.getpid).result()
        assert reason(pool.submit(os.kill, pid, signal.SIGKILL)) == "too-much-memory"


def test_a_worker_cannot_write_a_byte_to_any_file(tmp_path: pathlib.Path):
    target = tmp_path / "clear"
    with Pool(workers=1) as pool:
        assert reason(pool.submit(pathlib.Path.write_bytes, target, b"x")) == "decoder-crashed"
    assert target.read_bytes() == b""


def test_a_worker_sees_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "x")
    with Pool(workers=1) as pool:
        assert pool.submit(os.getenv, "SECRET_OF_THE_PARENT").result() is None


def test_a_worker_ignores_the_interrupt_key():
    with Pool(workers=1) as pool:
        pid = pool.submit(os.getpid).result()
        os.kill(pid, signal.SIGINT)
        assert pool.submit(os.getpid).result() == pid


def test_an_answer_that_is_not_ours_is_not_unpickled():
    with Pool(workers=1) as pool:
        assert reason(pool.submit(pathlib.PurePosixPath, "x")) == "decoder-crashed"


def test_large_content_crosses_whole():
    content = os.urandom(3_000_000)
    with Pool(workers=1) as pool:
        assert pool.submit(bytes.swapcase, content).result() == content.swapcase()


def test_an_exception_in_the_parent_stops_the_workers_at_once():
    class Stop(Exception): ...

    with pytest.raises(Stop), Pool(workers=1, seconds=LONG) as pool:
        future = pool.submit(time.sleep, LONG)
        raise Stop
    assert future.cancelled() or isinstance(future.exception(), Interrupted)


def test_a_setup_that_fails_fails_the_tasks_and_nothing_hangs():
    with Pool(workers=1, setup=(models.named, "nobody")) as pool, pytest.raises(ModelError, match="no model nobody"):
        pool.submit(os.getpid).result()


def test_a_worker_ends_when_the_parent_dies_even_in_the_middle_of_a_task(tmp_path: pathlib.Path):
    fifo = tmp_path / "never-ends"
    os.mkfifo(fifo)
    code = (
        "import os, pathlib; from countenance.vision.pool import Pool; "
        "pool = Pool(workers=1).__enter__(); print(pool.submit(os.getpid).result(), flush=True); "
        f"pool.submit(pathlib.Path.read_bytes, pathlib.Path({str(fifo)!r})); input(); os._exit(1)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        worker = os.pidfd_open(int(parent.stdout.readline()))
        with fifo.open("wb"):  # returns once the worker is reading
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            assert select.select([worker], [], [], 10)[0], "the worker outlived its parent by 10 seconds"
        os.close(worker)


def test_a_picture_is_examined_in_a_worker(portrait: bytes, cache: pathlib.Path, admitted):
    with Pool(workers=1, setup=(examine.ready, cache)) as pool:
        seen = pool.submit(partial(examine.examine, cache=cache), admitted(portrait)).result()
    assert len(seen.faces) == 1
    assert seen.faces[0].template.shape == (128,)
