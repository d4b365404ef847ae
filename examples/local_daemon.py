"""A bifd of one's own on a free port, and bifctl pointed at it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time


class LocalDaemon:
    """Runs bifd for as long as a `with` block lasts. `read_roots` are the folders whose files it may import."""

    def __init__(self, binaries, data, read_roots, extra_flags=()):
        self._bifd = binaries / "bifd"
        self._bifctl = binaries / "bifctl"
        self._flags = [f"--data={data}", "--listen=127.0.0.1:0", *extra_flags]
        self._flags += [f"--allow-root={root}" for root in read_roots]
        self._port_file = pathlib.Path(f"{data}.port")
        self._log_path = pathlib.Path(f"{data}.log")

    def __enter__(self):
        self._port_file.unlink(missing_ok=True)
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [self._bifd, *self._flags, f"--port-file={self._port_file}"], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._port_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"bifd did not start:\n{self._log_path.read_text()[-2000:]}")
            time.sleep(0.02)
        self.server = f"127.0.0.1:{self._port_file.read_text().strip()}"
        return self

    def __exit__(self, *unused):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    @contextlib.contextmanager
    def watch_memory(self):
        """Gives a list that, when the `with` block ends, holds the largest resident memory met during it, in MiB."""
        largest, stop = [0.0], threading.Event()
        status = pathlib.Path(f"/proc/{self.process.pid}/status")

        def watch():
            while not stop.wait(0.1):
                kib = next((line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS")), 0)
                largest[0] = max(largest[0], int(kib) / 1024)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield largest
        finally:
            stop.set()
            watcher.join()

    def run_bifctl(self, *arguments):
        """What bifctl prints. Progress goes to the terminal."""
        command = [self._bifctl, "--server", self.server, *map(os.fspath, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"failed: bifctl {' '.join(map(str, arguments))}")
        return done.stdout.decode()

    def bifctl(self, *arguments):
        """bifctl's answer as a program gets it."""
        return json.loads(self.run_bifctl("--json", *arguments) or "null")
