"""Distillations for the page's monitor: those that run here, and what the queue and the files say of the others."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from aiohttp import web
from PIL import Image

from ...tha4_core.distill import Job, Report, Status, read_status
from ...tha4_core.errors import THA4Error
from .. import folders, host
from ..student import FOLDER as STUDENTS
from .request import MAX_NAME, NO_STORE, text, without_folders

EVENT = "tha4.distill"
NODE_CLASS = "THA4DistillStudent"
WORK = "distill"
_EVENT_SECONDS, _PREVIEW_SECONDS = 1.0, 5.0
_KEPT = 8  # runs that are over


class Run:
    """One run of Distill Student. Sends its progress to ComfyUI's progress bar and to the page's monitor."""

    def __init__(self, node_id: str | None, job: Job) -> None:
        self._node_id, self._job = node_id, job
        self.state, self.prompt_id = "running", host.running_prompt_id()
        self._bar: host.ProgressBar | None = None
        self._stage, self._preview = "", ""
        self._sent = self._previewed = 0.0
        self._last: Report | None = None

    def report(self, report: Report) -> None:
        """To be called after every step."""
        self._last, now = report, time.monotonic()
        if self._bar is None or report.stage != self._stage:
            self._bar, self._stage = host.ProgressBar(report.total), report.stage
        elif now - self._sent < _EVENT_SECONDS and report.done < report.total:
            return
        self._sent = now
        self._bar.update_absolute(report.done, report.total)
        preview = ""
        if report.preview is not None and now - self._previewed > _PREVIEW_SECONDS:
            preview, self._previewed = _data_url(report.preview()), now
            self._preview = preview
        self._send(preview)

    def end(self, state: str, note: str = "") -> None:
        """The run is over: it has finished, was stopped, or has failed."""
        self.state = state
        self._send(note=note)

    def facts(self) -> dict[str, Any]:
        """All that there is to know, as the route tells it."""
        progress = self._last.progress if self._last else None
        history = {"losses": progress.losses, "scores": progress.scores} if progress else {}
        return {**self._now(), **history, "preview": self._preview or None}

    def _send(self, preview: str = "", note: str = "") -> None:
        progress = self._last.progress if self._last else None
        points = {
            "loss": _point(progress.losses) if progress else None,
            "psnr": _point(progress.scores) if progress else None,
        }
        more = {"preview": preview or None, "note": note}
        host.send_event(EVENT, {**self._now(), **points, **more})

    def _now(self) -> dict[str, Any]:
        last, preset = self._last, self._job.preset
        who = {"name": self._job.name, "node": self._node_id, "state": self.state, "preset": preset.name}
        if last is None:
            return who
        return {
            **who,
            "stage": last.stage,
            "step": last.done,
            "steps": last.total,
            "examples": last.done * preset.crops if last.stage == "training" else last.done,
            "rate": last.rate,
            "seconds_left": last.seconds_left if math.isfinite(last.seconds_left) else None,
        }


_runs: dict[str, Run] = {}
"""The runs of this process by the student's name, the newest last."""


@contextmanager
def following(node_id: str | None, job: Job) -> Iterator[Run]:
    """A run of a job. Where the block raises, the run was stopped or has failed; else the caller ends it."""
    run = Run(node_id, job)
    _runs.pop(job.name, None)
    _runs[job.name] = run
    while len(_runs) > _KEPT:
        del _runs[next(iter(_runs))]
    try:
        yield run
    except host.Interrupt:
        run.end("stopped")
        raise
    except BaseException:
        run.end("failed")
        raise


async def status_response(request: web.Request) -> web.Response:
    """What is known of the distillation that the query's `name` names."""
    name = text(request.query, "name", None, MAX_NAME).strip()
    try:
        facts = await asyncio.to_thread(status, name)
    except (THA4Error, OSError) as error:  # a damaged file, or a name that no student can have
        facts = {"name": name, "state": "unreadable", "note": without_folders(str(error))}
    return web.json_response(facts, headers=NO_STORE)


def status(name: str) -> dict[str, Any]:
    """What is known of the distillation of a name: its `state`, and with it what events of `EVENT` have.

    `losses` and `scores` are rows [step, face, body]. The state is "running", "waiting" (in the queue), "stopped",
    "failed", "finished", or "none". Raises THA4Error for names that no student can have and for damaged files; the
    route then says "unreadable", with a `note` that says why.
    """
    run = _runs.get(name)
    if run is not None and run.state == "running":
        return run.facts()
    found = read_status(folders.wanted_folders(STUDENTS)[0], folders.wanted_folders(WORK)[0], name)
    facts = {"name": name, "state": "none"} if found is None else _facts(name, found)
    if run is not None and found is not None:
        facts["preview"] = run.facts()["preview"]
    if run is not None and (found is None or found.state == "stopped") and run.state != "finished":
        facts = {**run.facts(), **facts, "state": run.state}
    if _is_queued(name, run):
        facts["state"] = "waiting"
    return facts


def _is_queued(name: str, run: Run | None) -> bool:
    """Whether a graph that runs or waits is still to come to the distillation of that name."""
    begun = run.prompt_id if run else ""
    queued = host.queued_inputs(NODE_CLASS)
    return any(prompt_id != begun and str(inputs.get("name")).strip() == name for prompt_id, inputs in queued)


def _facts(name: str, found: Status) -> dict[str, Any]:
    progress = found.progress
    return {
        "name": name,
        "state": found.state,
        "stage": "training",
        "preset": found.preset,
        "step": progress.step,
        "steps": found.steps,
        "examples": progress.step * found.crops,
        "rate": 0.0,
        "seconds_left": None,
        "losses": progress.losses,
        "scores": progress.scores,
    }


def _point(rows: list[list[float]]) -> dict[str, float] | None:
    return {"step": rows[-1][0], "face": rows[-1][1], "body": rows[-1][2]} if rows else None


def _data_url(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
