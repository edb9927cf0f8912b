"""A PIN that the HSM refuses is tried once, however often workers start; what is not about the PIN costs no attempt."""

import os
import signal
import time

import pytest

from demo import call
from support.blink import wait_until_signing
from support.faults import OK, PIN_INCORRECT, Faults
from support.load import Load, wait_until
from support.software_ue import SoftwareUe

SITE_FAULTS = True


@pytest.fixture(scope="module")
def alice(site):
    assert call.subscribe(site).status == 201
    return SoftwareUe(site)


@pytest.fixture
def faults(alice, site):
    faults = Faults(site.faults)
    yield faults
    faults.clear()


def restart(faults, token, reload):
    """Ends the token's worker, and has a permanently ended one started again."""
    old = faults.worker(token)
    if old:
        os.kill(old.pid, signal.SIGKILL)
        wait_until(lambda: not old.alive)
    else:
        reload()


@pytest.mark.parametrize("flag", ["COUNT_LOW", "FINAL_TRY", "LOCKED"])
def test_flags_are_heeded(site, faults, alice, flag):
    """On a warning of the token nobody tries; hsm-b goes on."""
    def reload():
        os.kill(site.running["avseald"].pid, signal.SIGHUP)

    with Load(site, alice) as load:
        load.wait_for(10)
        with faults.rule(f"pin-flags flags={flag} token=hsm-a"):
            logins = faults.total("C_Login", token="hsm-a")
            restart(faults, "hsm-a", reload)
            wait_until(lambda: f"CKF_USER_PIN_{flag}" in (site.log / "avseald.log").read_text())
            load.wait_for(10)
            assert faults.total("C_Login") - faults.total("C_Login", token="hsm-b") == logins
        reload()
        wait_until_signing(faults, "hsm-a")
    print(f"\n{load.account()}")
    assert load.refused == [] and load.broken == []


def test_wrong_pin_is_tried_once(site, faults, alice):
    def reload():
        os.kill(site.running["avseald"].pid, signal.SIGHUP)

    with Load(site, alice) as load:
        load.wait_for(10)
        with faults.rule("return function=C_Login code=CKR_PIN_INCORRECT token=hsm-a"):
            for _ in range(4):
                restart(faults, "hsm-a", reload)
                load.wait_for(10)
            wait_until(lambda: faults.total("C_Login", PIN_INCORRECT) == 1)
            for _ in range(3):
                reload()
                load.wait_for(10)
        assert faults.total("C_Login", PIN_INCORRECT) == 1
    print(f"\n{load.account()}")
    assert load.refused == [] and load.broken == []
    assert faults.worker("hsm-a") is None
