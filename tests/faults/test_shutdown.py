"""The service ends while the HSM is slow: what is signed then is in the log, or accounted for, though nobody waits for it any more."""

import json
import subprocess

import pytest

from demo import call, curl
from support import ledger
from support.faults import Faults
from support.load import wait_until
from support.software_ue import SoftwareUe
from support.tokend import SeparateWorkers

SITE_FAULTS = True
SITE_TOKENS = ("hsm-a",)  # nobody else has it signed meanwhile


@pytest.fixture(scope="module")
def workers(stopped_site):
    path = stopped_site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("threads = 2\n", "threads = 2\nrequest_deadline_ms = 15000\n", 1))
    made = SeparateWorkers(stopped_site)
    made.start()
    yield made
    stopped_site.stop()
    made.close()


@pytest.fixture
def running(workers, stopped_site):
    """The worker outlives the node, so the next run is told how far it has counted."""
    stopped_site.start()
    assert call.subscribe(stopped_site).status in (200, 201, 204)
    return stopped_site


@pytest.fixture
def faults(running):
    faults = Faults(running.faults)
    yield faults
    faults.clear()


def quiet(site):
    """Everything has its checkpoint: nobody but the test has something signed."""
    wait_until(lambda: ledger.size(site.ledger) == len(ledger.leaves(site.ledger)))


def leave_while_it_is_signed(site, faults, rule):
    """A client whose HTTP/2 connection ends while the HSM signs what it asked for."""
    request = json.dumps(call.signing_request(SoftwareUe(site).fingerprint()))
    quiet(site)
    struck = faults.add(f"{rule} function=C_Sign times=1")
    client = curl.client_of(site, "ims-as")
    asking = subprocess.Popen([*client.base, "-H", "Content-Type: application/json", "--data-binary", request, f"{site.url}/stir/v1/signing"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: faults.struck(struck) == 1)
    asking.kill()
    asking.wait()


def assert_all_is_accounted_for(site):
    """The next run is told by the worker how far it has counted."""
    site.start()
    wait_until(lambda: ledger.leaves(site.ledger)[-1]["event"] != "ledger.start")
    quiet(site)
    assert site.stop() == 0
    leaves = ledger.leaves(site.ledger)
    assert leaves[-1]["event"] == "ledger.stop" and "worker.connected" in [leaf["event"] for leaf in leaves]
    done = site.avseal("ledger", "verify", site.ledger, "--vkey", ledger.vkey(site), "--json", check=False)
    assert done.returncode == 0, done.stdout
    return leaves


def test_signature_whose_client_left(running, faults):
    before = len(ledger.leaves(running.ledger))
    leave_while_it_is_signed(running, faults, "delay ms=1500")
    assert running.stop() == 0
    signed = [leaf for leaf in ledger.leaves(running.ledger)[before:] if leaf["event"] == "sign.avatar-id"]
    assert len(signed) == 1 and len(signed[0]["keys"]) == 1, "it was waited for"
    assert_all_is_accounted_for(running)


def test_signature_that_takes_longer_than_the_service_waits(running, faults):
    before = len(ledger.leaves(running.ledger))
    leave_while_it_is_signed(running, faults, "delay ms=4200")
    assert running.stop() == 0
    leaves = ledger.leaves(running.ledger)[before:]
    lost = [leaf["details"] for leaf in leaves if leaf["event"] == "worker.lost"]
    assert sum(details["in_flight"] for details in lost) >= 1
    given_up = [leaf for leaf in leaves if leaf["event"] == "sign.avatar-id"]
    assert [(leaf["outcome"], leaf["reason"]) for leaf in given_up] == [("discarded", "hsm-unavailable")]
    assert_all_is_accounted_for(running)
