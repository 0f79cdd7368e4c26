"""A service in processes of its own, for tests: started, killed, started again; and who listens where nobody should."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.service.client import Client
from understudy.service.store import Store

PATIENCE = 900.0  # seconds that anything may take where the machine has much else to do


@dataclass
class Server:
    """`understudy serve` on a port of its own. What it says is kept."""

    folder: Path
    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)

    def start(self) -> Server:
        command = [sys.executable, "-m", "understudy", "serve", "--data", str(self.folder), "--port", "0", *self.words]
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self._listening = threading.Event()
        self.port = 0
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        if not self._listening.wait(PATIENCE):
            raise TimeoutError("the service does not begin")
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            try:
                told = json.loads(line)
            except ValueError:
                told = {"event": "noise", "line": line}
            self.said.append(told)
            if told["event"] == "listening":
                self.port = told["port"]
            if told["event"] == "service begins":
                self._listening.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Client:
        return Client(self.url, patience=PATIENCE)

    def kill(self) -> None:
        """As nobody can prepare for."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [told for told in list(self.said) if told["event"] == name]

    def workers(self) -> list[int]:
        """Process numbers of those that draw now."""
        store = Store(self.folder / "jobs.sqlite")
        try:
            return [job.worker for job in store.open() if job.worker is not None and job.state == "running"]
        finally:
            store.close()


@contextmanager
def serving(folder: Path, *words: str, **environment: str) -> Iterator[Server]:
    server = Server(folder, words, environment).start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def until(true: Callable[[], bool], patience: float = PATIENCE, often: float = 0.05) -> None:
    """Wait for something."""
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("it does not become true")
        time.sleep(often)


@contextmanager
def eavesdropper() -> Iterator[tuple[int, list[Any]]]:
    """A port, and everyone who came there."""
    came: list[Any] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        stopped = threading.Event()

        def listen() -> None:
            while not stopped.is_set():
                try:
                    caller, address = listening.accept()
                except OSError:
                    continue
                came.append(address)
                caller.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield listening.getsockname()[1], came
        stopped.set()
        thread.join()
