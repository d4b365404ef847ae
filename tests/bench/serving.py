"""Figures of a daemon that many use at once, on copies of the demonstration's data directory.

Every figure starts a daemon of its own on a fresh copy, so that nothing in it was asked before and nothing of it stays.
What stands on the other side of each ratio goes to standard error.
"""

import contextlib
import copy
import json
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from demonstration import EXAMPLE, LocalDaemon

sys.path.insert(0, str(EXAMPLE))
import demo as fashion_mnist  # noqa: E402

NAMES = ["shared_scan_64_clients", "health_p99_ms_under_load", "stored_answer_slowdown", "sampling_loss_idle_pct",
         "sampling_loss_50rps_pct", "fair_share_error_pct", "idle_2000_connections_mib"]

CALLERS, SCAN_ROUNDS = 64, 4
OPEN_CONNECTIONS, HEALTH_SECONDS, QUERY_CALLERS = 500, 20, 16
POSTERIOR_JOBS, DEVICE_TASKS = 64, 256  # at most: src/jobs/posteriors.h, src/jobs/device_executor.h
ANSWER_ROUNDS, ANSWER_SECONDS = 3, 6
SHARE_SECONDS = 30
IDLE_CONNECTIONS = 2000
ENDLESS_DRAWS = 2000  # more than any figure waits for


def tell(text: str):
    print(f"  {text}", file=sys.stderr, flush=True)


def wait_until(holds, what: str, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.1)


def metrics(daemon) -> dict[str, float]:
    """What /metrics says: name{labels} -> value."""
    with urllib.request.urlopen(daemon.metrics_url) as page:
        lines = page.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and line[0] != "#"}


def resident_mib(daemon) -> float:
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def open_files(daemon) -> int:
    return len(list(pathlib.Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


class Serving:
    def __init__(self, build: pathlib.Path, demo):
        self._build, self._demo = build, demo
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # of the children: thousands of connections

    @contextlib.contextmanager
    def _daemon(self, *flags, fresh: bool = False):
        """A daemon on a copy of the demonstration's data, or on an empty directory; killed in the end."""
        _ = self._demo.summary  # makes the demonstration if it is missing
        with tempfile.TemporaryDirectory(dir=self._demo.folder) as folder:
            data = pathlib.Path(folder) / "bifd"
            if not fresh:
                shutil.copytree(self._demo.folder / "bifd", data, ignore=shutil.ignore_patterns("*.sock", "endpoint"))
            roots = [self._demo.folder / "model", fashion_mnist.DEBIAN_DATA]
            with LocalDaemon(self._build, data, roots, ("--metrics=127.0.0.1:0", *flags)) as daemon:
                log = pathlib.Path(f"{data}.log").read_text()
                daemon.metrics_url = re.search(r"metrics on (\S+)", log)[1]
                daemon.operator_socket = f"unix:{data}/operator.sock"
                try:
                    yield daemon
                finally:
                    daemon.process.kill()  # nobody needs its data any more

    def _load_command(self, daemon, mix: str, *flags):
        return [self._build / "bif-load", "--server", daemon.server, "--posterior", self._demo.posterior["name"],
                "--mix", mix, "--json", *flags]

    def _load(self, daemon, mix: str, *flags) -> dict:
        """What bif-load says of the one method of `mix`."""
        answer = subprocess.run(self._load_command(daemon, mix, *flags), stdout=subprocess.PIPE, check=True, text=True)
        return json.loads(answer.stdout)[mix]

    def _start_posterior(self, daemon, seed: int, draws: int = ENDLESS_DRAWS):
        settings = {**fashion_mnist.SETTINGS, "seed": seed, "draws": draws}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        return daemon.bifctl("posterior", "create", "--checkpoint", self._demo.posterior["checkpoint"], "--dataset",
                             self._demo.posterior["dataset"], *flags)["name"]

    def shared_scan(self):
        """64 new queries at once against 64 others one after another, over the same 64 connections."""
        rates = {1: [], CALLERS: []}
        seed = 5000  # of queries that no other bench asks

        def ask(daemon, callers, calls):
            nonlocal seed
            seed += 1
            answered = self._load(daemon, "new-query", f"--connections={CALLERS}", f"--concurrency={callers}",
                                  f"--calls={calls}", f"--seed={seed}", "--duration=600")
            if answered["errors"] or answered["count"] != calls:
                raise RuntimeError(f"of {calls} new queries: {answered}")
            return answered["rate"]

        with self._daemon() as daemon:
            ask(daemon, 1, 4)  # brings draws and traces to memory
            before = metrics(daemon)
            for _ in range(SCAN_ROUNDS):
                for callers in rates:
                    rates[callers].append(ask(daemon, callers, CALLERS))
            after = metrics(daemon)
        used = {name: after[name] - before[name] for name in (
            "bif_rows_evaluated_total", "bif_rows_from_store_total", "bif_scan_draws_loaded_total",
            "bif_scan_draws_served_total", "bif_device_busy_seconds_total")}
        if used["bif_rows_evaluated_total"] != 2 * CALLERS * SCAN_ROUNDS or used["bif_rows_from_store_total"] != 0:
            raise RuntimeError(f"not every query was new: {used}")
        tell(f"new queries a second: {', '.join(f'{rate:.1f}' for rate in rates[CALLERS])} by {CALLERS} at once, "
             f"{', '.join(f'{rate:.1f}' for rate in rates[1])} one after another")
        return {"shared_scan_64_clients": (max(rates[CALLERS]) / max(rates[1]), "x")}

    def health(self):
        """Health checks in an open loop, while the device's queue is full: sampling, traces, and a scan for new queries."""
        with self._daemon() as daemon:
            idle = self._load(daemon, "health", "--rate=50", f"--duration={HEALTH_SECONDS / 4}")
            # As many rows as the posterior was sampled on: the first trace job outlasts the checks.
            fashion_mnist.import_images(daemon, "more", fashion_mnist.DEBIAN_DATA / "train-images-idx3-ubyte.gz",
                                        self._demo.folder / "model/train-labels.idx")
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda seed: self._start_posterior(daemon, 2000 + seed), range(POSTERIOR_JOBS)))
                trace = ["trace", "--posterior", self._demo.posterior["name"], "--samples", "more/*"]
                list(pool.map(lambda _: daemon.bifctl(*trace), range(DEVICE_TASKS - POSTERIOR_JOBS - 1)))
            queries = subprocess.Popen(  # their scan takes the last place in the queue
                self._load_command(daemon, "new-query", f"--concurrency={QUERY_CALLERS}", "--connections=4",
                                   f"--duration={HEALTH_SECONDS + 3}", "--seed=6000"),
                stdout=subprocess.PIPE, text=True)
            loaded = self._load(daemon, "health", "--rate=50", "--warm-up=2", f"--duration={HEALTH_SECONDS}",
                                "--connections=4", f"--idle-connections={OPEN_CONNECTIONS - 8}")
            after = metrics(daemon)
            asked = json.loads(queries.communicate()[0])["new-query"]
        tasks = after["bif_device_tasks"]
        if tasks < DEVICE_TASKS - 1 or loaded["errors"] or asked["errors"]:
            raise RuntimeError(f"{tasks} tasks at the end; health checks: {loaded}; queries: {asked}")
        spent = {part: sum(value for name, value in after.items()
                           if name.startswith("bif_device_seconds_total") and f'class="{part}"' in name)
                 for part in ("interactive", "trace", "sampling")}
        tell(f"health p99 {loaded['latency_ms']['p99']:.2f} ms of {loaded['count']} checks, at worst "
             f"{loaded['latency_ms']['max']:.1f} ms, with {tasks:.0f} tasks on the device, {OPEN_CONNECTIONS} connections "
             f"and {asked['rate']:.0f} new queries a second; {idle['latency_ms']['p99']:.2f} ms idle. Device seconds: "
             + ", ".join(f"{part} {seconds:.1f}" for part, seconds in spent.items()))
        return {"health_p99_ms_under_load": (loaded["latency_ms"]["p99"], "ms")}

    def stored_answer(self):
        """The same stored answers, with a posterior being sampled and without."""
        p50 = {"idle": [], "sampling": []}
        stored = ["--samples=20", "--rate=50"]
        with self._daemon() as daemon:
            self._load(daemon, "stored-top-k", "--samples=20", "--calls=20", "--duration=600")  # ranks them once

            def ask():
                return self._load(daemon, "stored-top-k", *stored, f"--duration={ANSWER_SECONDS}")["latency_ms"]["p50"]

            for _ in range(ANSWER_ROUNDS):
                p50["idle"].append(ask())
                steps = metrics(daemon)["bif_sampling_steps_total"]
                operation = self._start_posterior(daemon, 3000)
                wait_until(lambda: metrics(daemon)["bif_sampling_steps_total"] > steps, "the first steps")
                p50["sampling"].append(ask())
                daemon.bifctl("operation", "cancel", operation)
                wait_until(lambda: daemon.bifctl("operation", "get", operation).get("done"), "the end of sampling")
        for side, values in p50.items():
            tell(f"p50 of a stored answer, {side}: {', '.join(f'{value:.3f}' for value in values)} ms")
        return {"stored_answer_slowdown": (statistics.median(p50["sampling"]) / statistics.median(p50["idle"]), "x")}

    def sampling_loss(self):
        known_row = self._demo.summary["misread"][0]
        with self._daemon() as daemon:
            lines = subprocess.run(
                [self._build / "tests/bench/sampling_benchmark", daemon.server, self._demo.posterior["checkpoint"],
                 self._demo.posterior["dataset"], self._demo.folder / "model/model.pt2", self._demo.posterior["name"],
                 "datasets/test", str(known_row)], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
        measured = {line.split()[0]: (float(line.split()[1]), line.split()[2]) for line in lines}
        return {name: value for name, value in measured.items() if name.startswith("sampling_loss")}

    def fair_share(self):
        """Two tenants that sample on 10,000 images each, from when both are at it."""
        weights = {"light": 1, "heavy": 3}

        def used(daemon):
            seconds = dict.fromkeys(weights, 0.0)
            for name, value in metrics(daemon).items():
                found = re.match(r'bif_device_seconds_total\{.*tenant="(\w+)"', name)
                if found and found[1] in seconds:
                    seconds[found[1]] += value
            return seconds

        with self._daemon("--require-tokens=true", fresh=True) as daemon:
            operator = copy.copy(daemon)
            operator.server = daemon.operator_socket
            for tenant, weight in weights.items():
                operator.bifctl("admin", "put-tenant", tenant, f"--weight={weight}")
                token = operator.bifctl("admin", "create-token", tenant, "--role=submit")["secret"]
                self._start_sampling_as(daemon, token)
            start = time.monotonic()
            wait_until(lambda: min(used(daemon).values()) > 3, "both to sample")  # tuning is a second in one step
            before = used(daemon)
            time.sleep(SHARE_SECONDS)
            after = used(daemon)
            tell(f"both sampled after {time.monotonic() - start - SHARE_SECONDS:.1f} s")
        seconds = {tenant: after[tenant] - before[tenant] for tenant in weights}
        ratio = seconds["heavy"] / seconds["light"]
        tell(f"device seconds: {seconds['light']:.2f} with weight 1, {seconds['heavy']:.2f} with weight 3: "
             f"1 to {ratio:.3f}")
        return {"fair_share_error_pct": (100 * abs(ratio / 3 - 1), "%")}

    def _start_sampling_as(self, daemon, token: str):
        tenant = copy.copy(daemon)
        tenant.bifctl = lambda *arguments: daemon.bifctl("--token", token, *arguments)
        files = [fashion_mnist.DEBIAN_DATA / f"t10k-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
        fashion_mnist.import_images(tenant, "train", *files)
        checkpoint = fashion_mnist.register_checkpoint(tenant, self._demo.folder / "model/model.pt2")
        flags = [f"--{name}={value}" for name, value in {**fashion_mnist.SETTINGS, "draws": ENDLESS_DRAWS}.items()]
        tenant.bifctl("posterior", "create", "--checkpoint", checkpoint, "--dataset", "train", *flags)

    def idle_connections(self):
        with self._daemon() as daemon:
            self._load(daemon, "health", "--rate=20", "--duration=2")  # what the first connection alone brings
            time.sleep(1)
            without, files = resident_mib(daemon), open_files(daemon)
            load = subprocess.Popen(
                self._load_command(daemon, "health", "--rate=1", "--duration=10",
                                   f"--idle-connections={IDLE_CONNECTIONS}"), stdout=subprocess.PIPE)
            wait_until(lambda: open_files(daemon) >= files + IDLE_CONNECTIONS, "the connections")
            time.sleep(4)
            connections, resident = open_files(daemon) - files, resident_mib(daemon)
            if connections < IDLE_CONNECTIONS or load.wait() != 0:
                raise RuntimeError(f"{connections} of {IDLE_CONNECTIONS} connections stayed")
        tell(f"resident: {resident:.1f} MiB with {connections} more connections, {without:.1f} MiB without")
        return {"idle_2000_connections_mib": (resident - without, "MiB")}
