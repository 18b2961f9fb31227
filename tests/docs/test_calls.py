"""What docs/calls.md and docs/rules.md claim."""

import datetime as dt
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from standardwebhooks import Webhook

from chammal.__main__ import parser
from chammal.webhook_receiver import new_secret
from chammal_api.calls.webhooks import DELAYS
from chammal_api.check.rules import Element, KeywordRule, RuleSet
from chammal_api.settings import ApiSettings
from chammal_contracts.calls import CallMetadata, CallStatus
from chammal_contracts.checks import Verdict
from chammal_contracts.webhooks import NoticeType

DOCS = Path(__file__).parents[2] / "docs"
CALLS = (DOCS / "calls.md").read_text(encoding="utf-8")
RULES = (DOCS / "rules.md").read_text(encoding="utf-8")


def block(page: str, language: str) -> str:
    return page.split(f"```{language}\n")[1].split("```")[0]


def section(page: str, title: str) -> str:
    return page.split(f"## {title}\n")[1].split("\n## ")[0]


def fields_of(table: str) -> set[str]:
    rows = [row.split("|")[1] for row in re.sub(r"\\\|", "", table).splitlines() if row.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def test_the_signature_check_of_the_page_takes_what_is_genuine_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(block(CALLS, "python"), names)
    is_genuine: Callable[[str, dict[str, str], bytes], bool] = names["is_genuine"]
    secret, now = new_secret(), dt.datetime.now(dt.UTC)
    signature = Webhook(secret).sign("msg_1", now, "{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(time.time())), "webhook-signature": signature}
    headers["webhook-timestamp"] = str(int(now.timestamp()))
    assert is_genuine(secret, headers, b"{}")
    assert not is_genuine(secret, headers, b"{ }")
    assert not is_genuine(new_secret(), headers, b"{}")
    assert not is_genuine(secret, {**headers, "webhook-timestamp": "1"}, b"{}")


def test_every_field_of_a_call_is_explained_and_no_other() -> None:
    told = fields_of(section(CALLS, "Send one"))
    assert told - {"file", "file_url", "file_path"} == set(CallMetadata.model_fields)


def test_every_verdict_status_and_type_is_explained() -> None:
    assert all(f"| `{verdict}` |" in CALLS for verdict in Verdict)
    assert all(status in section(CALLS, "The life of a call") for status in CallStatus)
    assert all(f"`{kind}`" in CALLS for kind in NoticeType)


def test_the_waits_between_tries_are_those_of_the_code() -> None:
    told = section(CALLS, "Webhooks").split("tried again after ")[1].split(";")[0]
    units = {"s": 1, "min": 60, "h": 3600}
    assert [int(n) * units[unit] for n, unit in re.findall(r"(\d+) (s|min|h)", told)] == list(DELAYS)


def test_every_setting_that_is_named_is_one_and_has_the_default_that_is_told() -> None:
    for name, default in re.findall(r"`CHAMMAL_API_([A-Z_]+)`(?: \((\d+|on)\))?", CALLS + RULES):
        if name != "KEY":  # the commands' own
            value = ApiSettings.model_fields[name.lower()].default
            assert default in ("", str(value), "on" if value is True else None), name


@pytest.mark.parametrize("line", re.findall(r"^    (chammal (?:calls|transcribe) .*?)(?:  #.*)?$", CALLS, re.M))
def test_every_command_can_be_read(line: str) -> None:
    parser().parse_args([part.strip("'") for part in line.split()[1:]])


def test_the_rule_set_of_the_page_is_one() -> None:
    assert RuleSet.model_validate(yaml.safe_load(block(RULES, "yaml"))).elements[0].rules


@pytest.mark.parametrize(("title", "model"), [("An element", Element), ("A keyword rule", KeywordRule)])
def test_every_field_of_a_rule_set_is_explained(title: str, model: Any) -> None:
    missing = set(model.model_fields) - set(re.findall(r"`([a-z_]+)`", section(RULES, title)))
    assert missing == set()
