"""One of two replica tokens blinks, in every way of the failure table, under load: no request fails, nothing is lost or
doubled, and the token takes part again by itself."""

import os
import signal
import time

import pytest

from demo import call
from support.blink import blink, wait_until_replaced, wait_until_signing
from support.faults import Faults
from support.load import Load
from support.software_ue import SoftwareUe

SITE_FAULTS = True

# What the fault is, and its rule. The rule goes some signatures later; what `times` or an event did stays done.
RUNNING = [
    ("sessions invalid", "invalidate-sessions"),
    ("CKR_SESSION_CLOSED", "return function=C_SignInit code=CKR_SESSION_CLOSED times=3"),
    ("CKR_SESSION_HANDLE_INVALID for good", "return function=C_SignInit,C_Sign code=CKR_SESSION_HANDLE_INVALID"),
    ("logged out", "logout"),
    ("CKR_USER_NOT_LOGGED_IN", "return function=C_SignInit code=CKR_USER_NOT_LOGGED_IN times=3"),
    ("object handles mean nothing", "renumber-objects"),
    ("object handles mean other keys", "swap-objects"),
    ("CKR_KEY_HANDLE_INVALID", "return function=C_SignInit code=CKR_KEY_HANDLE_INVALID times=2"),
    ("CKR_OPERATION_ACTIVE", "return function=C_SignInit code=CKR_OPERATION_ACTIVE times=2"),
    ("CKR_DEVICE_ERROR", "return function=C_SignInit,C_Sign code=CKR_DEVICE_ERROR"),
    ("CKR_DEVICE_MEMORY", "return function=C_Sign code=CKR_DEVICE_MEMORY times=2"),
    ("device removed", "removed"),
    ("token not present", "removed code=CKR_TOKEN_NOT_PRESENT"),
    ("CKR_FUNCTION_FAILED, busy", "return function=C_Sign code=CKR_FUNCTION_FAILED probability=0.5 seed=3"),
    ("CKR_GENERAL_ERROR", "return function=C_SignInit code=CKR_GENERAL_ERROR times=3"),
    ("reply lost after signing", "return function=C_Sign code=CKR_DEVICE_ERROR forwarded=yes times=1"),
    ("a vendor's code", "return function=C_Sign code=0x80000123 times=2"),
    ("C_Sign hangs", "hang function=C_Sign times=1"),
    ("C_SignInit hangs", "hang function=C_SignInit times=1"),
    ("late", "delay function=C_Sign ms=600 times=2"),
    ("crash", "crash function=C_Sign times=1"),
    ("abort", "crash function=C_SignInit signal=ABRT times=1"),
    ("signature of 63 bytes", "signature form=short times=2"),
    ("signature of 65 bytes", "signature form=long times=2"),
    ("signature in DER", "signature form=der times=2"),
    ("wrong signature", "signature form=flipped times=2"),
    ("another key's signature", "signature form=other-key times=2"),
    ("C_GetSessionInfo not supported", "return function=C_GetSessionInfo code=CKR_FUNCTION_NOT_SUPPORTED"),
]

# What a worker meets that starts on hsm-a while the rules stand; it must sign all the same.
STARTING = [
    ("already initialised", ["return function=C_Initialize code=CKR_CRYPTOKI_ALREADY_INITIALIZED forwarded=yes"]),
    ("already logged in", ["return function=C_Login code=CKR_USER_ALREADY_LOGGED_IN forwarded=yes"]),
    ("login fails before the PIN is looked at", ["return function=C_Login code=CKR_GENERAL_ERROR times=2"]),
    ("slot numbers changed", ["slots shift=1000"]),
    ("read-only sessions refused", ["read-only-refused"]),
    ("read-only sessions refused by another code", ["read-only-refused code=CKR_SESSION_READ_ONLY"]),
    ("few sessions, CKR_SESSION_COUNT", ["session-limit max=2"]),
    ("few sessions, CKR_ARGUMENTS_BAD", ["session-limit max=2 code=CKR_ARGUMENTS_BAD"]),
    ("raw EC points", ["ec-point form=raw"]),
    ("EC points in bit strings", ["ec-point form=bit-string"]),
    ("hashing ECDSA only", ["no-mechanism mechanism=CKM_ECDSA", "hashing-ecdsa"]),
    ("network HSM, 5 ms, 4 at once", ["latency function=C_Sign ms=5 parallel=4"]),
]


@pytest.fixture(scope="module")
def stopped_site(stopped_site):
    """A site whose deadline is longer than a slow machine's pauses, and whose workers want several sessions each."""
    for token in stopped_site.tokens:
        worker = stopped_site.worker_config(token)
        worker.write_text("sessions = 2\n" + worker.read_text())
    path = stopped_site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("threads = 2\n", "threads = 2\nrequest_deadline_ms = 10000\n", 1))
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


@pytest.mark.parametrize("row, rule", RUNNING, ids=[row for row, _ in RUNNING])
def test_running(site, faults, alice, row, rule):
    if "C_GetSessionInfo" in rule:  # which is no test of whether a session lives
        faults.add(f"{rule} token=hsm-a")
        rule = "invalidate-sessions"
    end, pid = faults.clear, faults.worker("hsm-a").pid
    if rule.startswith("hang"):  # only another process helps
        end = lambda: wait_until_replaced(faults, "hsm-a", pid)
    load = blink(site, faults, alice, "hsm-a", lambda: faults.add(f"{rule} token=hsm-a"), end, row)
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
