"""Lanes on threads."""

from __future__ import annotations

import queue
import threading

from kubexms.executor.lanes import Idle, Message, Performs, Task


class ThreadLanes:
    """Lanes on threads: at most `capacity` hosts at once, besides the controller's own hooks.

    Threads are daemons: work that was aborted and does not return keeps nobody from leaving.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._performer: Performs | None = None

    @property
    def capacity(self) -> int:
        """How many hosts are worked on at once."""
        return self._capacity

    def start(self, performer: Performs) -> None:
        """Threads begin when there is a task for them."""
        self._performer = performer

    def submit(self, task: Task) -> None:
        """Hand it to a free thread."""
        self._busy += 1
        if self._busy > len(self._threads):
            name = f"kubexms-worker-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._tasks.put(task)

    def _serve(self) -> None:
        performer = self._performer
        assert performer is not None
        while (task := self._tasks.get()) is not None:
            for message in performer.perform(task):
                self._messages.put(message)

    def poll(self) -> Message | None:
        """What a thread has sent."""
        try:
            return self._counted(self._messages.get_nowait())
        except queue.Empty:
            return None

    def wait(self, timeout: float) -> Message | None:
        """What a thread sends within `timeout` seconds."""
        try:
            return self._counted(self._messages.get(timeout=timeout))
        except queue.Empty:
            return None

    def _counted(self, message: Message) -> Message:
        if isinstance(message, Idle):
            self._busy -= 1
        return message

    def post(self, message: Message) -> None:
        """Reentrant: a signal handler may call it while this thread waits."""
        self._messages.put(message)

    def close(self) -> None:
        """Threads that are free end at once, and are waited for."""
        for _ in self._threads:
            self._tasks.put(None)
        if not self._busy:
            for thread in self._threads:
                thread.join()
