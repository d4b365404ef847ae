"""The files in deploy/ do what they say, as far as it can be seen without a cluster.

Needs promtool and protoc, which ./dev setup brings.
"""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

CUT_OFF_SECONDS = 20  # kCutOffAfterDrain of server/run_daemon.cc: what bifd takes beyond the drain time at most


def exported_metrics():
    """Names in string literals of src/ and server/, but not of their tests."""
    names = set()
    for top in ("src", "server"):
        for file in (ROOT / top).rglob("*.cc"):
            if not file.stem.endswith(("_test", "_benchmark")):
                names.update(re.findall(r'"(bif_[a-z0-9_]+)"', file.read_text(encoding="utf-8")))
    return names


def metrics_in(text):
    """Names of metrics in expressions of Prometheus; the series of a histogram count as the histogram."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bbif_[a-z0-9_]+", text)}


def anchors_in(markdown):
    """The anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def rules():
    alerts = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in alerts["groups"] for rule in group["rules"]]


def dashboard_panels():
    return json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))["panels"]


def kubernetes_documents():
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))


def stateful_set():
    return next(d for d in kubernetes_documents() if d["kind"] == "StatefulSet")["spec"]


def encode_config(text):
    """Reads a configuration in protobuf's text format as bifd does; raises for what is no DaemonConfig."""
    subprocess.run(["protoc", "-Iproto", "--encode=bif.config.v1.DaemonConfig", "bif/config/v1/config.proto"],
                   cwd=ROOT, input=text.encode(), check=True, capture_output=True)


def drain_seconds(config):
    return float(re.search(r"drain\s*\{[^}]*?\bseconds:\s*([\d.]+)", config).group(1))


def promtool(*arguments):
    return subprocess.run(["promtool", *arguments], cwd=DEPLOY, capture_output=True, text=True)


class Alerts(unittest.TestCase):
    def test_promtool_accepts_the_rules(self):
        run = promtool("check", "rules", "alerts.yaml")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_the_unit_tests_of_the_rules_pass(self):
        run = promtool("test", "rules", "alerts_test.yaml")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_a_rule_that_fires_wrongly_is_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            rules_text = (DEPLOY / "alerts.yaml").read_text(encoding="utf-8")
            wrong = rules_text.replace('up{job="bifd"} == 0', 'up{job="bifd"} >= 0')
            self.assertNotEqual(wrong, rules_text)
            (pathlib.Path(folder) / "alerts.yaml").write_text(wrong, encoding="utf-8")
            shutil.copy(DEPLOY / "alerts_test.yaml", folder)
            run = promtool("test", "rules", f"{folder}/alerts_test.yaml")
            self.assertNotEqual(run.returncode, 0)
            self.assertIn("BifDown", run.stdout + run.stderr)

    def test_every_alert_has_a_case_in_which_it_fires(self):
        tests = yaml.safe_load((DEPLOY / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
        fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
        self.assertEqual(fired, {rule["alert"] for rule in rules()})

    def test_every_alert_has_a_severity_a_summary_and_its_section_in_the_runbook(self):
        anchors = anchors_in((ROOT / "docs/operations.md").read_text(encoding="utf-8"))
        for rule in rules():
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("page", "ticket"))
                self.assertTrue(rule["annotations"]["summary"])
                file, anchor = rule["annotations"]["runbook"].split("#")
                self.assertEqual(file, "docs/operations.md")
                self.assertEqual(anchor, rule["alert"].lower())
                self.assertIn(anchor, anchors)

    def test_every_alert_has_the_reason_for_its_threshold_above_it(self):
        lines = (DEPLOY / "alerts.yaml").read_text(encoding="utf-8").splitlines()
        for before, line in zip(lines, lines[1:]):
            if "- alert:" in line:
                self.assertRegex(before, r"^ *# ", line)


class Metrics(unittest.TestCase):
    def assert_exported(self, text, where):
        used = metrics_in(text)
        self.assertTrue(used, where)
        self.assertEqual(used - exported_metrics(), set(), f"{where} names metrics that nobody exports")

    def test_alerts_use_only_metrics_that_are_exported(self):
        for rule in rules():
            if rule["alert"] != "BifDown":  # which is about `up`
                self.assert_exported(rule["expr"], rule["alert"])

    def test_the_dashboard_uses_only_metrics_that_are_exported(self):
        for panel in dashboard_panels():
            for target in panel.get("targets", []):
                if not target["expr"].startswith("up{"):  # which Prometheus makes
                    self.assert_exported(target["expr"], panel["title"])

    def test_a_metric_that_nobody_exports_is_noticed(self):
        with self.assertRaisesRegex(AssertionError, "bif_no_such_total"):
            self.assert_exported("rate(bif_no_such_total[5m])", "the negative control")

    def test_every_metric_is_explained_and_every_explained_one_is_exported(self):
        text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
        explained = {re.sub(r"\{.*", "", name) for name in re.findall(r"^\| `(bif_[^`]+)`", text, re.MULTILINE)}
        self.assertEqual(exported_metrics(), explained)


class Dashboard(unittest.TestCase):
    def test_every_panel_has_a_title_and_a_place_of_its_own(self):
        panels = dashboard_panels()
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            self.assertTrue(panel["title"])
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(taken & cells, f"{panel['title']} covers another panel")
            taken |= cells

    def test_prometheus_can_read_every_expression(self):
        expressions = [t["expr"] for panel in dashboard_panels() for t in panel.get("targets", [])]
        groups = {"groups": [{"name": "dashboard", "rules": [
            {"record": f"panel:{i}", "expr": e.replace("$__rate_interval", "5m")} for i, e in enumerate(expressions)]}]}
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "dashboard.yaml"
            file.write_text(yaml.safe_dump(groups), encoding="utf-8")
            run = promtool("check", "rules", str(file))
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


class Configuration(unittest.TestCase):
    def test_the_configuration_in_kubernetes_yaml_is_one(self):
        config = next(d for d in kubernetes_documents() if d["kind"] == "ConfigMap")["data"]["bifd.textproto"]
        encode_config(config)
        with self.assertRaises(subprocess.CalledProcessError):
            encode_config(config + "no_such_field: 1")

    def test_kubernetes_waits_longer_than_bifd_drains(self):
        config = next(d for d in kubernetes_documents() if d["kind"] == "ConfigMap")["data"]["bifd.textproto"]
        pod = stateful_set()["template"]["spec"]
        self.assertGreater(pod["terminationGracePeriodSeconds"], drain_seconds(config) + CUT_OFF_SECONDS)

    def test_one_daemon_has_a_data_directory(self):
        self.assertEqual(stateful_set()["replicas"], 1)

    def test_systemd_waits_longer_than_bifd_drains(self):
        unit = (DEPLOY / "bifd.service").read_text(encoding="utf-8")
        wait = float(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE).group(1))
        self.assertGreater(wait, drain_seconds((DEPLOY / "bifd.textproto").read_text(encoding="utf-8")) + CUT_OFF_SECONDS)

    def test_the_cut_off_is_that_of_the_source(self):
        source = (ROOT / "server/run_daemon.cc").read_text(encoding="utf-8")
        self.assertIn(f"kCutOffAfterDrain = absl::Seconds({CUT_OFF_SECONDS})", source)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd here")
    def test_systemd_knows_everything_in_the_unit(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = (DEPLOY / "bifd.service").read_text(encoding="utf-8")
            file = pathlib.Path(folder) / "bifd.service"
            # The real one names a program that need not be installed here.
            file.write_text(unit.replace("/usr/local/bin/bifd", "/bin/true"), encoding="utf-8")
            run = subprocess.run(["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
