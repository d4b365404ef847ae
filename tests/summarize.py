"""Sums up test runs: the slowest ten tests, what failed, and a last line 'N passed, N failed' over all of them.

usage: summarize.py RESULTS...    folders like build/asan/test-results: a ctest.junit, and one NAME.xml for each
                                  GoogleTest binary NAME. A run without ctest.junit did not get to its tests: it counts
                                  as one failure

With several folders a test's name begins with that of its build: "asan: TraceStore.TornLastTileIsInvisible".

A ctest entry is a binary with many cases. Where the binary wrote its own report, its cases are counted; where it has
none (a script, or a binary that died before it could write), the entry itself counts as one test.
"""

import pathlib
import sys
import xml.etree.ElementTree as ET


def gtest_cases(report):
    """(name, seconds, passed) of every case that ran in one GoogleTest report."""
    for case in ET.parse(report).getroot().iter("testcase"):
        if case.get("status") == "run":
            name = f"{case.get('classname')}.{case.get('name')}"
            yield name, float(case.get("time", 0)), case.find("failure") is None


def all_cases(results):
    """(name, seconds, passed) of everything that one run did."""
    if not (results / "ctest.junit").exists():
        yield f"{results.parent.name}: no tests ran", 0.0, False
        return
    for entry in ET.parse(results / "ctest.junit").getroot().iter("testcase"):
        name, passed = entry.get("name"), entry.get("status") == "run"
        report = results / f"{name}.xml"
        try:
            cases = list(gtest_cases(report)) if report.exists() else []
        except ET.ParseError:  # the binary died while it wrote
            cases = []
        yield from cases
        # A binary may fail outside its cases: a crash, a sanitizer's report at exit, a time-out.
        if not cases or (not passed and all(ok for _, _, ok in cases)):
            yield name, float(entry.get("time", 0)), passed


def main():
    runs = [pathlib.Path(folder) for folder in sys.argv[1:]]
    cases = []
    for run in runs:
        prefix = f"{run.resolve().parent.name}: " if len(runs) > 1 else ""
        cases += [(prefix + name, seconds, passed) for name, seconds, passed in all_cases(run)]
    cases.sort(key=lambda case: -case[1])
    failed = [name for name, _, passed in cases if not passed]
    print("Slowest tests:")
    for name, seconds, _ in cases[:10]:
        print(f"  {seconds:8.2f} s  {name}")
    for name in failed:
        print(f"FAILED  {name}")
    print(f"{len(cases) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
