"""The only token of a site blinks: requests wait for it, and only those whose deadline passes are refused, with a 503 that says
why and when to come again."""

import json
import time

import pytest

from support.blink import wait_until_signing
from support.failure_table import RUNNING, walk
from support.faults import Faults
from support.load import Load

SITE_FAULTS = True
SITE_TOKENS = ("hsm-a",)


@pytest.fixture(scope="module")
def stopped_site(stopped_site):
    """A site whose deadline is longer than a hung call is waited for, and than a slow machine's pauses."""
    path = stopped_site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("threads = 2\n", "threads = 2\nrequest_deadline_ms = 15000\n", 1))
    return stopped_site


@pytest.fixture
def faults(alice, site):
    faults = Faults(site.faults)
    yield faults
    faults.clear()


@pytest.mark.parametrize("row, rule", RUNNING, ids=[row for row, _ in RUNNING])
def test_shorter_than_a_deadline(site, faults, alice, row, rule):
    load = walk(site, faults, alice, "hsm-a", row, rule, stands=lambda load: time.sleep(0.5))  # while it does, nobody may sign
    assert load.refused == [] and load.broken == []


def test_longer_than_a_deadline(site, faults, alice):
    with Load(site, alice) as load:
        begun = time.monotonic()
        load.wait_for(200)
        before = 200 / (time.monotonic() - begun)
        with faults.rule("removed"):
            time.sleep(17)
        back = time.monotonic()
        wait_until_signing(faults, "hsm-a")
        load.wait_for(200)
        time.sleep(2)
    first = min(moment for moment in load.answers if moment > back)
    after = sum(back + 1 < moment <= back + 2 for moment in load.answers)
    print(f"\nremoved for 17 s: {load.account()}; first answer {first - back:.2f} s after its return; {before:.0f} answers/s before, {after} in "
          "the second second after it")
    assert load.broken == []
    assert load.refused, "requests of 15 s outlived an outage of 17 s"
    for status, retry_after, text in load.refused:
        assert status == 503, text
        assert int(retry_after) >= 1
        assert "hsm" in text or "deadline" in text, text
        json.loads(text)
