"""`avseal doctor` on tokens that misbehave: each fault gives its own finding, and a module that hangs does not hang the doctor."""

import time

import pytest

from demo import site as demo_site
from support.doctor import copy_of, doctor, edit, found, problems
from support.faults import Faults

SITE_FAULTS = True
A, B = demo_site.TOKENS


@pytest.fixture(scope="module")
def made(stopped_site):
    for name in ("sockets", "state"):
        (stopped_site.directory / name).mkdir(mode=0o700, exist_ok=True)
    return stopped_site


@pytest.fixture(scope="module")
def healthy(made):
    return problems(doctor(made), made.directory)


@pytest.fixture
def site(made, directory):
    return copy_of(made, directory / "s", faults=True)


@pytest.fixture
def faults(site):
    faults = Faults(site.faults)
    yield faults
    faults.check()


@pytest.mark.parametrize("flag, expected", [("COUNT_LOW", "pin-count-low"), ("FINAL_TRY", "pin-final-try"), ("LOCKED", "pin-locked")])
def test_pin_warning(site, faults, healthy, flag, expected):
    """The PIN is not tried."""
    before = faults.total("C_Login")
    with faults.rule(f"pin-flags flags={flag} token={B}"):
        assert found(site, healthy) == {expected: "error"}
    assert faults.total("C_Login") == before + 1, f"only {A} is logged in to"


@pytest.mark.parametrize("code, expected", [
    ("CKR_PIN_EXPIRED", "pin-unusable"), ("CKR_DEVICE_REMOVED", "hsm-device-lost"), ("CKR_GENERAL_ERROR", "hsm-error")])
def test_login_that_fails(site, faults, healthy, code, expected):
    """None of these burns the PIN."""
    with faults.rule(f"return function=C_Login code={code} token={B}"):
        assert found(site, healthy) == {expected: "error"}
    assert found(site, healthy) == {}


def test_token_without_mechanisms(site, faults, healthy):
    with faults.rule(f"no-mechanism mechanism=CKM_ECDSA,CKM_ECDSA_SHA256,CKM_ECDSA_SHA384 token={B}"):
        assert found(site, healthy) == {"mechanism-missing": "error", "key-test-failed": "error"}


def test_token_with_few_sessions(site, faults, healthy):
    edit(site, f"tokend-{B}.toml", 'token = "', 'sessions = 4\ntoken = "')
    with faults.rule(f"session-limit max=3 token={B}"):
        report = doctor(site)
        (few,) = [f for f in report["findings"] if f["id"] == "sessions-few"]
        assert few["subject"] == B and "only 3 at once" in few["found"] and few["expected"].startswith("5 ")
        assert found(site, healthy) == {"sessions-few": "error"}
    assert found(site, healthy) == {}
    assert max(facts.sessions_at_once for facts in faults.processes()) <= 1 + 5, "it takes no more sessions than the workers would"


def test_token_without_sessions(site, faults, healthy):
    with faults.rule(f"session-limit max=0 token={B}"):
        assert set(found(site, healthy)) == {"session-refused", "sessions-few"}


def test_module_for_one_thread(site, faults, healthy):
    for token in (A, B):
        edit(site, f"tokend-{token}.toml", 'token = "', 'sessions = 2\ntoken = "')
    with faults.rule("no-locking"):
        assert found(site, healthy) == {"module-single-threaded": "error"}


@pytest.mark.parametrize("form", ["flipped", "short", "der"])
def test_key_that_signs_wrongly(site, faults, healthy, form):
    with faults.rule(f"signature form={form} token={B}"):
        assert found(site, healthy) == {"key-test-failed": "error"}


def test_module_that_hangs(site, faults, healthy):
    """The doctor says so, and what it can of the rest, and leaves."""
    edit(site, f"tokend-{A}.toml", 'token = "', 'call_limit_ms = 100\ntoken = "')
    with faults.rule(f"hang function=C_Login token={A}"):
        began = time.monotonic()
        report = doctor(site)
        assert time.monotonic() - began < 250
    fresh = {(f["id"], f["subject"]) for f in report["findings"] if f["severity"] == "error"}
    assert fresh == {("module-hung", A)}
    assert ("login", B) in {(f["id"], f["subject"]) for f in report["findings"] if f["severity"] == "ok"}
