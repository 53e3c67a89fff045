"""README and documentation show what the stored results give: ``make bench ARGS=--render`` sees to it."""

from __future__ import annotations

import report
import workloads


def test_readme_shows_the_stored_results():
    readme = report.README.read_text(encoding="utf-8")
    assert report.with_section(readme, report.readme_section(report.load())) == readme


def test_documentation_shows_the_stored_results():
    assert report.TABLE.read_text(encoding="utf-8") == report.table(report.load()) + "\n"


def test_results_are_complete():
    results = report.load()
    assert results.facts["rounds"] and results.noise
    for work in workloads.WORK.values():
        for column in (workloads.C, workloads.PYTHON):
            assert results.rate(work.name, column), f"{work.name}: nothing stored for {column}"
    for target in workloads.TARGETS:
        assert report.reached(results, target), f"{target.name}: nothing stored to compare with"


def test_table_names_what_is_below_its_target():
    fast = {"unwind": {workloads.C: [80.0, 90.0, 100.0], workloads.OFFICIAL: [9.0, 10.0, 30.0]}}
    results = report.Results({"rounds": 3}, fast)
    assert results.ratio("unwind", workloads.OFFICIAL) == 9
    assert "ok 9x" in report.table(results) and "targets reached: 1 of 1" in report.table(results)
    results.add("unwind", workloads.C, 81)
    results.add("unwind", workloads.C, 82)
    text = report.table(results)
    assert "BELOW 9x" in text and "below: unwind" in text
