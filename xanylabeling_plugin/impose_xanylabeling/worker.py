"""One thread that talks to the service, so that the window never waits for it."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from PyQt6 import QtCore

from impose_xanylabeling.client import Json, ServiceDown, ServiceError

log = logging.getLogger("impose")


@dataclass(slots=True, kw_only=True)
class Job:
    """Work for the service, and what becomes of its answers.

    Attributes:
        title: what the user sees while it runs.
        work: runs in the worker's thread; what it yields goes to ``answered``.
        answered: runs in the window's thread, once per answer.
        ended: runs there at the end, whatever happened; with what went wrong, or None.
        cancelled: set it to end the job at its next answer.
    """

    title: str
    work: Callable[[Event], Iterator[Json]]
    answered: Callable[[Json], None]
    ended: Callable[[Exception | None], None] = lambda _: None
    cancelled: Event = field(default_factory=Event)


class Worker(QtCore.QThread):
    """Does jobs one after the other, in the order they came."""

    _call = QtCore.pyqtSignal(object)
    busy = QtCore.pyqtSignal(object)
    """The job that begins; None when there is none left."""

    def __init__(self, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._now: Job | None = None
        self._waiting = 0
        # this object lives in the window's thread, so what is sent from the worker is run there
        self._call.connect(self._here, QtCore.Qt.ConnectionType.QueuedConnection)

    def submit(self, job: Job) -> Job:
        """Do it when those before it are done. Called in the window's thread."""
        self._waiting += 1
        self._jobs.put(job)
        return job

    def cancel(self) -> None:
        """End the job that runs now; what it did stays."""
        if self._now is not None:
            self._now.cancelled.set()

    def finish(self) -> None:
        """No more jobs; wait for the one that runs."""
        self.cancel()
        self._jobs.put(None)
        self.wait(10_000)

    def run(self) -> None:
        """The worker's thread."""
        while (job := self._jobs.get()) is not None:
            self._now = job
            self.busy.emit(job)
            wrong: Exception | None = None
            try:
                for answer in job.work(job.cancelled):
                    self._call.emit(lambda job=job, answer=answer: job.answered(answer))
            except (ServiceDown, ServiceError) as error:
                wrong = error
            except Exception as error:
                # whatever it is must neither end this thread nor reach the host
                log.exception("%s failed", job.title)
                wrong = error
            self._now = None
            self._call.emit(lambda job=job, wrong=wrong: self._done(job, wrong))

    def is_idle(self) -> bool:
        """Whether every answer has arrived. Called in the window's thread."""
        return self._waiting == 0

    def _done(self, job: Job, wrong: Exception | None) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self.busy.emit(None)
        job.ended(wrong)

    @QtCore.pyqtSlot(object)
    def _here(self, call: Callable[[], None]) -> None:
        safely(call)()


def safely(call: Callable[..., Any]) -> Callable[..., None]:
    """``call``, whose errors are logged: one that leaves a slot would end the host (PyQt6)."""

    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except Exception:
            log.exception("An action of IMPose failed")

    return guarded
