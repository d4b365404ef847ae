"""Says what a demonstration is doing, and keeps how long it took."""

import time


class Stopwatch:
    def __init__(self):
        self.seconds = {}
        self._start = time.monotonic()

    def time(self, name, what, action):
        print(f"[{time.monotonic() - self._start:6.1f} s] {what}", flush=True)
        began = time.monotonic()
        result = action()
        self.seconds[name] = time.monotonic() - began
        return result
