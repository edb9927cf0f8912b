"""A PIN that the HSM refuses is tried once, however often workers and services start; on a warning of the token nobody tries.
The other token goes on."""

import os
import signal

import pytest

from demo import processes, site as demo_site
from support import ledger, terminal
from support.blink import wait_until_signing
from support.faults import PIN_INCORRECT, Faults
from support.load import Load, wait_until

SITE_FAULTS = True


@pytest.fixture
def faults(alice, site):
    faults = Faults(site.faults)
    wait_until_back(site, faults, alice)
    yield faults
    faults.clear()


def wait_until_back(site, faults, alice):
    with Load(site, alice):
        wait_until_signing(faults, "hsm-a")


def kill_worker(faults, token):
    old = faults.worker(token)
    os.kill(old.pid, signal.SIGKILL)
    wait_until(lambda: not old.alive)


def log(site):
    return (site.log / "avseald.log").read_text()


def leaves(site, event):
    return [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == event]


def ends(site):
    return [(leaf["details"]["token"], leaf["reason"]) for leaf in leaves(site, "worker.ended")]


@pytest.mark.parametrize("flag", ["COUNT_LOW", "FINAL_TRY", "LOCKED"])
def test_flags_are_heeded(site, faults, alice, flag):
    with Load(site, alice) as load, faults.rule(f"pin-flags flags={flag} token=hsm-a"):
        logins = faults.total("C_Login", token="hsm-a")
        kill_worker(faults, "hsm-a")
        wait_until(lambda: f"CKF_USER_PIN_{flag}" in log(site))
        load.wait_for(20)
        assert faults.total("C_Login", token="hsm-a") == logins
    wait_until(lambda: ends(site)[-1:] == [("hsm-a", "pin-guarded")])
    print(f"\n{flag}: {load.account()}")
    assert load.refused == [] and load.broken == []
    processes.stop(site.running.pop("avseald"))  # a worker that ended for good comes with the next start
    site.start_service()


def test_wrong_pin_is_tried_once(site, faults, alice):
    with Load(site, alice) as load, faults.rule("return function=C_Login code=CKR_PIN_INCORRECT token=hsm-a"):
        kill_worker(faults, "hsm-a")
        wait_until(lambda: "CKR_PIN_INCORRECT" in log(site))
        load.wait_for(20)
    print(f"\n{load.account()}")
    assert load.refused == [] and load.broken == []
    assert faults.total("C_Login", PIN_INCORRECT) == 1
    wait_until(lambda: ends(site)[-1:] == [("hsm-a", "pin-incorrect")])
    logins = faults.total("C_Login", token="hsm-a")
    processes.stop(site.running.pop("avseald"))
    for _ in range(2):  # the PIN is right again, but that was the attempt
        with pytest.raises(processes.NotReady, match="avseal token login --once"):
            site.start_service()
        site.running.pop("avseald")
    assert faults.total("C_Login", token="hsm-a") == logins
    refused = leaves(site, "start.refused")
    assert [leaf["reason"] for leaf in refused] == ["workers-start"] * 2 and "pin-burned" in refused[-1]["details"]["detail"]
    code, shown = terminal.run([site.bin / "avseal", "token", "login", "--once", "--module", site.module, "--token", demo_site.token_uri("hsm-a"),
                                "--pin-file", site.secret("pin"), "--state-directory", site.directory / "state"], [("Type its label", "hsm-a")], site.environment)
    assert code == 0, shown
    site.start_service()
    wait_until_back(site, faults, alice)
