"""One of two replica tokens blinks, in every way of the failure table, under load: no request fails, nothing is lost or
doubled, and the token takes part again by itself."""

import os
import signal
import time

import pytest

from demo import curl
from support import ledger
from support.blink import blink, wait_until_replaced, wait_until_signing
from support.failure_table import RUNNING, STARTING, walk
from support.faults import Faults
from support.load import Load, wait_until

SITE_FAULTS = True

@pytest.fixture(scope="module")
def stopped_site(stopped_site):
    """A site whose deadline is longer than a slow machine's pauses, and whose workers want several sessions each."""
    for token in stopped_site.tokens:
        worker = stopped_site.worker_config(token)
        worker.write_text("sessions = 2\n" + worker.read_text())
    path = stopped_site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("threads = 2\n", "threads = 2\nrequest_deadline_ms = 10000\n", 1))
    return stopped_site


@pytest.fixture
def faults(alice, site):
    faults = Faults(site.faults)
    yield faults
    faults.clear()


@pytest.mark.parametrize("row, rule", RUNNING, ids=[row for row, _ in RUNNING])
def test_running(site, faults, alice, row, rule):
    load = walk(site, faults, alice, "hsm-a", row, rule)
    assert load.refused == [] and load.broken == []


@pytest.mark.parametrize("row, rules", STARTING, ids=[row for row, _ in STARTING])
def test_starting(site, faults, alice, row, rules):
    for rule in rules:
        faults.add(rule if "C_Initialize" in rule else f"{rule} token=hsm-a")
    with Load(site, alice) as load:
        load.wait_for(10)
        wait_until_signing(faults, "hsm-a")
        old = faults.worker("hsm-a")
        os.kill(old.pid, signal.SIGKILL)
        wait_until_replaced(faults, "hsm-a", old.pid)
        wait_until_signing(faults, "hsm-a")
        load.wait_for(10)
        rulers = faults.worker("hsm-a")
        faults.clear()
        wait_until_signing(faults, "hsm-a")
    print(f"\n{row}: {load.account()}; {rulers.sessions} sessions")
    assert "session-limit" not in rules[0] or rulers.sessions_at_once == 2
    assert load.refused == [] and load.broken == []


def test_the_ledger_tells_of_it(site, faults, alice):
    """A lost worker, a breaker that opens and closes again, and a signature that was thrown away each leave their mark."""
    before = len(ledger.leaves(site.ledger))
    for rule in ("removed", "signature form=flipped times=2"):
        blink(site, faults, alice, "hsm-a", lambda: faults.add(f"{rule} token=hsm-a"), faults.clear, rule)

    def states():
        return [leaf["details"]["state"] for leaf in ledger.leaves(site.ledger)[before:]
                if leaf["event"] == "token.breaker" and leaf["details"]["token"] == "hsm-a"]

    wait_until(lambda: 0 < states().count("open") == states().count("closed"))
    leaves = ledger.leaves(site.ledger)[before:]
    assert any(leaf["event"] == "worker.lost" and leaf["details"]["token"] == "hsm-a" for leaf in leaves)
    uses = [use for leaf in leaves if leaf["event"] == "sign.avatar-id" for use in leaf["keys"]]
    assert any(use["outcome"] == "discarded" for use in uses)


def test_the_deep_check_really_signs(site, faults):
    def asked(path):
        answer = curl.client_of(site, "auditor").get(path)
        return answer.status, {key["name"]: key for key in answer.json()["keys"] if key["kind"] != "dac-kek"}

    faults.add("return function=C_Sign code=CKR_FUNCTION_FAILED token=hsm-a")
    status, keys = asked("/readyz?deep=true")
    assert status == 200 and all(key["ready"] and "hsm-a" in key["why"] and "hsm-b" not in key["why"] for key in keys.values()), keys
    faults.add("return function=C_Sign code=CKR_FUNCTION_FAILED token=hsm-b")
    status, keys = asked("/readyz?deep=true")
    assert status == 503 and not any(key["ready"] for key in keys.values()), keys
    assert all("CKR_FUNCTION_FAILED" in key["why"] for key in keys.values()), keys
    status, keys = asked("/readyz")
    assert status == 200 and all(key["ready"] for key in keys.values()), "this one asks nobody"


def test_idle_sessions(site, faults, alice):
    """Sessions that the HSM ends when they are idle cost no request when there is one again."""
    faults.add("idle-timeout ms=300")
    with Load(site, alice) as load:
        load.wait_for(10)
    print(f"\n{load.account()}")
    time.sleep(1)
    with Load(site, alice) as again:
        again.wait_for(20)
        for token in site.tokens:
            wait_until_signing(faults, token)
    print(again.account())
    assert load.refused + again.refused == [] and load.broken + again.broken == []


def test_one_thread_only(site, faults, alice):
    """A module that cannot lock is called by one thread at a time, and everything works."""
    faults.add("no-locking")
    with Load(site, alice) as load:
        load.wait_for(10)
        for token in site.tokens:
            wait_until_signing(faults, token)
            old = faults.worker(token)
            os.kill(old.pid, signal.SIGKILL)
            wait_until_replaced(faults, token, old.pid)
            wait_until_signing(faults, token)
        load.wait_for(50)
        overlaps = [faults.worker(token).overlaps for token in site.tokens]
    print(f"\n{load.account()}")
    assert overlaps == [0, 0]
    assert load.refused == [] and load.broken == []


def test_what_no_worker_did(site, faults, alice):
    """No worker forked after C_Initialize. None closes the module when it leaves, which may crash or hang."""
    assert {facts.pid: facts.forks for facts in faults.processes() if facts.forks} == {}
    faults.add("crash function=C_Finalize,C_CloseAllSessions,C_Logout")
    old = faults.worker("hsm-a")
    os.kill(old.pid, signal.SIGTERM)
    wait_until_replaced(faults, "hsm-a", old.pid)
    ends = [line for line in (site.log / "avseald.log").read_text().splitlines() if "hsm-a-1 ended" in line]
    assert "ended with exit code 0" in ends[-1]
