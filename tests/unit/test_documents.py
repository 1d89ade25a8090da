"""What an operator reads is what is there: the proxy's configuration, the settings, the metrics, the alerts."""

import re
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Histogram

from config import Settings
from tests.support.databases import ROOT
from wizard import metrics

README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def names_in(text: str, begins: str) -> str:
    """The first column of a table's lines that begin like that."""
    return "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith(begins))


def test_the_proxys_configuration_in_the_readme_is_the_one_that_is_tried() -> None:
    assert (ROOT / "docs" / "nginx.conf").read_text() in README


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, **values: str) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def test_every_setting_is_in_the_readme_and_no_other(tmp_path: Path) -> None:
    asked = Asked(SANDBOX="1", INSTANCE_PATH=str(tmp_path))
    Settings.from_env(asked)
    table = README.partition("## Every setting")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([A-Z][A-Z0-9_]{3,})`", names_in(table, "| `"))) == {
        re.sub("^AWS_(CN|EUSC)_", "AWS_", name)
        for name in asked.names  # One row of the table says so for all.
    }


def test_every_metric_is_in_the_list_and_no_other() -> None:
    endings = {"counter": "_total", "histogram": ""}
    counted = {
        family.name + endings[family.type]
        for metric in vars(metrics).values()
        if isinstance(metric, (Counter, Histogram))
        for family in metric.collect()
    }
    of_database = set(re.findall(r'"(wizard_\w+)"', (ROOT / "wizard" / "health.py").read_text()))
    assert set(re.findall(r"`(wizard_\w+)`", names_in(OPERATIONS, "| `wizard_"))) == counted | of_database
    rules = OPERATIONS.partition("```yaml")[2].partition("```")[0]
    known = counted | of_database | {"wizard_request_seconds_bucket"}
    assert set(re.findall(r"\bwizard_\w+", rules)) <= known


def test_every_alert_in_the_log_is_told() -> None:
    rooms = "\n".join(path.read_text() for path in (ROOT / "wizard").rglob("*.py"))
    told = OPERATIONS.partition("* `alert` is on")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", told)) == set(re.findall(r'(?:"alert": |_alarm\()"(\w+)"', rooms))
