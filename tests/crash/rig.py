"""A process of its own that runs fault points: `python -m tests.crash.rig SHIM FOLDER`, jobs in and outcomes out as JSON lines.

Importing takes 0.3 s and a run a tenth of that, so this process imports everything once, with the shim loaded and not
armed, and forks a child for each run and one more for judging what it left. It uses a vault itself once, before the first
fork, so that what is loaded late is loaded; no thread is left when it forks.

A job is `{"act", "mode", "at"}`, answered by one line `{"calls", "died", "raised", "problems"}`; `"mode": "trace"` adds
the recorded calls, and `{"act", "power": {...}}` is answered by one line for each disk state (see `power`), then null.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.modules["onnxruntime"] = types.ModuleType("onnxruntime")  # starts a thread when imported, and vision is replaced

from tests.crash import acts, power  # noqa: E402

MODES = {"count": 1, "kill": 2, "torn": 3, "eio": 4, "full": 5}
SECONDS = 60  # after which a run hangs


class Rig:
    """The shim, and a folder to work in."""

    def __init__(self, shim: str, folder: str) -> None:
        self.shim = ctypes.CDLL(shim)
        self.shim.fault_arm.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_long, ctypes.c_int)
        self.shim.fault_disarm.restype = ctypes.c_long
        self.folder = Path(folder)
        self.here = self.folder / "here"
        self.facts: dict[str, acts.Facts] = {}

    def answer(self, job: dict[str, Any]) -> Iterator[dict[str, Any] | None]:
        """Run one job."""
        act = job["act"]
        if act not in self.facts and (wrong := self.ready(act)):
            yield {"calls": 0, "died": False, "raised": "", "problems": [f"without any fault: {wrong}"]}
            return
        if "power" in job:
            yield from self.cut(act, **job["power"])
            return
        outcome = self.strike(act, job["mode"], job.get("at", 0))
        outcome["problems"] += self.judged(act)
        yield outcome

    def ready(self, act: str) -> list[str]:
        """Prepare the vault of an act, note what it is like after an undisturbed run, and return what is wrong with that."""
        self.reset(None)
        facts = child(lambda: acts.ACTS[act].prepare(self.here))
        shutil.copytree(self.here, self.folder / act)
        self.facts[act] = facts
        undisturbed = self.strike(act, "count", 0)
        problems: list[str] = undisturbed["problems"] + [undisturbed["raised"]] * bool(undisturbed["raised"])
        problems += self.judged(act)
        facts["undisturbed"] = acts.listing(self.here)
        return problems

    def warm(self) -> None:
        """Do an act and judge it, in this process."""
        self.reset(None)
        act = acts.ACTS["erase"]
        facts = act.prepare(self.here)
        acts.perform(act, self.here, facts, self.shim.fault_disarm)
        list(act.judge(self.here, facts))

    def reset(self, act: str | None) -> None:
        """Put the prepared folder in its place."""
        shutil.rmtree(self.here, ignore_errors=True)
        if act:
            shutil.copytree(self.folder / act, self.here)
        else:
            self.here.mkdir()

    def strike(self, act: str, mode: str, at: int) -> dict[str, Any]:
        """Do an act with one fault."""
        self.reset(act)
        record = self.folder / "trace"
        kind = "count" if mode == "trace" else mode

        def run() -> Any:
            to = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if mode == "trace" else -1
            self.shim.fault_arm(os.fsencode(self.here), MODES[kind], at, to)
            return acts.perform(acts.ACTS[act], self.here, self.facts[act], self.shim.fault_disarm)

        outcome = child(run)
        died = outcome == -signal.SIGKILL
        if not died and isinstance(outcome, int | str):
            return {"calls": 0, "died": False, "raised": "", "problems": [f"the run ended with {outcome}"]}
        calls, raised, problems = (0, "", []) if died else outcome
        found = {"calls": calls, "died": died, "raised": raised, "problems": list(problems)}
        if mode == "trace":
            found["trace"] = [[op.kind, op.role(self.here)] for op in power.read(record)]
        return found

    def judged(self, act: str) -> list[str]:
        """What is wrong with what lies in the folder now."""
        problems: list[str] = []

        def judge() -> list[str]:
            try:
                problems.extend(acts.ACTS[act].judge(self.here, self.facts[act]))
                usual = self.facts[act].get("undisturbed", now := acts.listing(self.here))
                if now != usual:
                    problems.append(f"files differ from an undisturbed run: {sorted(set(now) ^ set(usual))}")
            except Exception as error:  # noqa: BLE001 - whatever it is, the vault did not survive
                problems.append(acts.trace(error))
            return problems

        found = child(judge)
        return found if isinstance(found, list) else [f"judging ended with {found}"]

    def cut(self, act: str, **options: Any) -> Iterator[dict[str, Any] | None]:
        """Judge what an act leaves on its medium, and the disk states that power cuts during it may leave."""
        self.strike(act, "trace", 0)
        cuts = power.Cuts(self.folder / act, self.here, power.read(self.folder / "trace"))
        key = bytes.fromhex(self.facts[act].get("epoch_key", ""))
        if key and (where := cuts.medium(key)):
            yield {
                "at": len(cuts.done),
                "lost": "nothing",
                "problems": [f"the old epoch key lies in freed or live blocks of {where}"],
            }
        for state in cuts.states(**options):
            shutil.rmtree(self.here)
            state.build(self.here)
            yield {"at": state.at, "lost": state.lost, "problems": self.judged(act)}
        yield None


def child(run: Callable[[], Any]) -> Any:
    """Call a function in a forked child: what it returns, or how the child ended (negative: the signal)."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        os.close(reader)
        signal.alarm(SECONDS)
        with os.fdopen(writer, "w") as pipe:
            try:
                json.dump(run(), pipe)
            except BaseException as error:  # noqa: BLE001 - a child must never go on as its parent
                json.dump(acts.trace(error), pipe)
            pipe.flush()
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(said) if status == 0 and said else status


def say(outcome: Any) -> None:
    """One line on standard output."""
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer jobs until there are no more."""
    acts.replace_vision()
    rig = Rig(*sys.argv[1:3])
    rig.warm()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread was started before forking"
    say({"source": acts.countenance.__file__})
    for line in sys.stdin:
        for outcome in rig.answer(json.loads(line)):
            say(outcome)


if __name__ == "__main__":
    main()
