"""The only token of a site blinks: requests wait for it, and only those whose deadline passes are refused, with a 503 that says
why and when to come again."""

import json
import time

import pytest

from demo import call
from support.blink import blink, wait_until_replaced, wait_until_signing
from support.faults import Faults
from support.load import Load
from support.software_ue import SoftwareUe

SITE_FAULTS = True
SITE_TOKENS = ("hsm-a",)

SHORT = [
    ("sessions invalid", "invalidate-sessions"),
    ("logged out", "logout"),
    ("CKR_DEVICE_ERROR twice", "return function=C_Sign code=CKR_DEVICE_ERROR times=2"),
    ("CKR_FUNCTION_FAILED twice", "return function=C_Sign code=CKR_FUNCTION_FAILED times=2"),
    ("wrong signature", "signature form=flipped times=1"),
    ("crash", "crash function=C_Sign times=1"),
]


@pytest.fixture(scope="module")
def stopped_site(stopped_site):
    """A site whose deadline is longer than a hung call is waited for, and than a slow machine's pauses."""
    path = stopped_site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("threads = 2\n", "threads = 2\nrequest_deadline_ms = 15000\n", 1))
    return stopped_site


@pytest.fixture(scope="module")
def alice(site):
    assert call.subscribe(site).status == 201
    return SoftwareUe(site)


@pytest.fixture
def faults(alice, site):
    faults = Faults(site.faults)
    yield faults
    faults.clear()


@pytest.mark.parametrize("row, rule", [*SHORT, ("C_Sign hangs", "hang function=C_Sign times=1")])
def test_shorter_than_a_deadline(site, faults, alice, row, rule):
    end, pid = faults.clear, faults.worker("hsm-a").pid
    if rule.startswith("hang"):  # only another process helps
        end = lambda: wait_until_replaced(faults, "hsm-a", pid)
    load = blink(site, faults, alice, "hsm-a", lambda: faults.add(rule), end, row)
    assert load.refused == [] and load.broken == []


def test_longer_than_a_deadline(site, faults, alice):
    with Load(site, alice) as load:
        load.wait_for(10)
        with faults.rule("removed"):
            time.sleep(17)
        back = time.monotonic()
        wait_until_signing(faults, "hsm-a")
        load.wait_for(20)
    print(f"\nremoved for 17 s: {load.account()}; first answer {min(t for t in load.answers if t > back) - back:.2f} s after its return")
    assert load.broken == []
    assert load.refused, "requests of 15 s outlived an outage of 17 s"
    for status, retry_after, text in load.refused:
        assert status == 503, text
        assert int(retry_after) >= 1
        assert "hsm" in text or "deadline" in text, text
        json.loads(text)
