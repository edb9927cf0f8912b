"""What the HSM workers count is in the log or accounted for, over the ends of nodes and connections; what somebody else had signed is found."""

import json
import os
import signal

import pytest

from demo import call
from support import ledger
from support.load import Load, wait_until
from support.software_ue import SoftwareUe
from support.tokend import Client, SeparateWorkers, access_token
from test_ledger_reading import Disk, refusal


@pytest.fixture(scope="module")
def disk(stopped_site):
    return Disk.of(stopped_site)


@pytest.fixture(scope="module")
def workers(disk, stopped_site):
    made = SeparateWorkers(stopped_site)
    made.start()
    yield made
    stopped_site.stop()
    made.close()


@pytest.fixture(scope="module")
def running(workers, stopped_site):
    """The workers outlive the node."""
    stopped_site.start()
    return stopped_site


@pytest.fixture(scope="module")
def alice(running):
    assert call.subscribe(running).status == 201
    return SoftwareUe(running)


def sign_some(site, alice, count=20):
    with Load(site, alice) as load:
        load.wait_for(count)
    return load


def leaves(site, event, since=0):
    return [leaf["details"] for leaf in ledger.leaves(site.ledger)[since:] if leaf["event"] == event]


def verified(site, *options):
    """What `avseal ledger verify` says of the stopped site's log: its exit status, and findings by id."""
    done = site.avseal("ledger", "verify", site.ledger, "--vkey", ledger.vkey(site), *options, "--json", check=False)
    found = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["id"], []).append(f"{finding['subject']}: {finding['found']}")
    return done.returncode, found


def assert_good_after(site):
    assert site.stop() == 0
    status, found = verified(site)
    assert status == 0 and "numbers-missing" not in found, found
    return found


def test_node_that_ends_well(running, alice):
    sign_some(running, alice)
    assert leaves(running, "worker.connected") == []
    assert_good_after(running)
    running.start()
    connected = leaves(running, "worker.connected")
    assert {details["token"] for details in connected} == set(running.tokens)
    assert all(sum(details["last_sequences"].values()) > 0 for details in connected)
    assert_good_after(running)
    running.start()


def test_node_that_is_killed_under_load(running, alice):
    for _ in range(3):
        with Load(running, alice) as load:
            load.wait_for(20)
            running.running["avseald"].kill()
            running.running["avseald"].wait()
        running.start_service()
    assert "run-not-stopped" in assert_good_after(running)
    running.start()


def test_connection_that_ends_while_the_log_is_full(running, alice, workers, disk):
    before = len(ledger.leaves(running.ledger))
    token = running.tokens[0]
    with workers.wires[token].hold():
        sign_some(running, alice)
        with disk.full():
            wait_until(lambda: refusal(running, alice) == "ledger-full")
            workers.wires[token].cut()
            log = running.log / "avseald.log"
            wait_until(lambda: all(f"event={event}" in log.read_text() for event in ("worker-lost", "leaf-waits")))
    wait_until(lambda: refusal(running, alice) is None)
    wait_until(lambda: leaves(running, "worker.connected", before))
    sign_some(running, alice)
    waited = [details for details in leaves(running, "worker.lost", before) if details.get("waited_ms", 0) > 0]
    assert sum(details["in_flight"] for details in waited) > 0 and all(details["token"] == token for details in waited)
    assert_good_after(running)
    running.start()


def test_node_that_ends_while_answers_are_late(running, alice, workers):
    before = len(ledger.leaves(running.ledger))
    with workers.wires[running.tokens[0]].hold():
        sign_some(running, alice)
        assert running.stop() == 0
    running.start()
    sign_some(running, alice)
    assert_good_after(running)
    assert sum(details["in_flight"] for details in leaves(running, "worker.lost", before)) > 0
    running.start()


def test_somebody_else_has_something_signed(running, alice, workers):
    """Seen after a restart, and at new connections; nobody signs afterwards. The last test: the log is bad for good."""
    assert running.stop() == 0
    seen = running.directory / "seen"
    assert verified(running, "--save-checkpoint", seen)[0] == 0
    workers.stop()  # for the deaths that are recorded might account for it
    workers.start()
    running.start()
    sign_some(running, alice)
    clients = [Client(workers.socket(token)) for token in running.tokens]
    numbers = [clients[0].sign("access-token", access_token()) for _ in range(3)]
    assert running.stop() == 0
    running.start()
    more = clients[1].sign("access-token", access_token())
    before = len(ledger.leaves(running.ledger))
    os.kill(running.running["avseald"].pid, signal.SIGHUP)
    wait_until(lambda: leaves(running, "configuration.reloaded", before))
    assert running.stop() == 0
    for client in clients:
        client.close()
    status, found = verified(running)
    assert status == 1 and len(found["numbers-missing"]) == 2, found
    status, since = verified(running, "--since", seen, "--save-checkpoint", seen)
    assert status == 1 and since["numbers-missing"] == found["numbers-missing"], "an auditor who read the rest alone"
    seen.with_name("seen.numbers").unlink()
    status, unknown = verified(running, "--since", seen)
    assert "numbers-not-judged" in unknown and "numbers-not-judged" not in since, unknown
    first, second = sorted(found["numbers-missing"], key=lambda line: "numbers" not in line.split(": ", 1)[1])
    assert "key access-token" in first and f"no leaf tells of numbers {numbers[0]} to {numbers[-1]}" in first
    assert "key access-token" in second and f"no leaf tells of number {more}" in second
