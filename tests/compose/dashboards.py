"""The queries of the provisioned dashboard."""

import json

from tests.compose.conftest import ROOT

DASHBOARD = ROOT / "compose/grafana/dashboards/chammal.json"


def queries() -> list[str]:
    """With Grafana's own variables filled in as for a look at the last half hour."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    told = [target["expr"] for panel in panels for target in panel["targets"]]
    return [query.replace("$__rate_interval", "5m").replace("$__range", "30m") for query in told]
