"""Idempotency-Key on signing: one signature however often, wherever and whenever the request is repeated."""

import collections
import threading
import time
import uuid

import pytest

from demo import call, processes
from support import jose, ledger
from support.tls_client import TlsClient


@pytest.fixture(scope="module")
def second(site, alice):
    """A second avseald on the same store; gives its port."""
    port, directory = processes.free_port(), site.directory / "second"
    (directory / "sockets").mkdir(parents=True, mode=0o700)
    text = (site.directory / "avseald.toml").read_text()
    for old, new in ((f"port = {site.port}\n", f"port = {port}\n"), (f'"{site.ledger}"', f'"{directory / "ledger"}"'),
                     ('origin = "a.example/demo"', 'origin = "a.example/second"'),
                     (f'"{site.directory / "sockets"}"', f'"{directory / "sockets"}"')):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (directory / "avseald.toml").write_text(text)
    log = directory / "log"
    process = processes.start([site.bin / "avseald", "--config", directory / "avseald.toml"], log, site.environment)
    processes.wait_until(lambda: processes.accepts(port), process, log, "the second avseald")
    yield port
    assert processes.stop(process) == 0


def signing_request(alice):
    return call.signing_request(alice.fingerprint())


def origid_of(request):
    return request["signingRequest"]["origid"]


def send(client, request, key):
    return client.request("POST", "/stir/v1/signing", json_body=request, headers={"Idempotency-Key": f'"{key}"'})


def send_until_answered(client, request, key, deadline):
    """As a caller does: whatever is not an answer is repeated. Gives the identity and how often it was told to wait."""
    waits = 0
    while time.monotonic() < deadline:
        try:
            answer = send(client, request, key)
        except ConnectionError:
            time.sleep(0.05)
            continue
        if answer.status == 200:
            return call.identity_of(answer), waits
        assert answer.status in (409, 503), answer.text
        assert int(answer.headers["retry-after"]) >= 1
        waits += answer.status == 409
        time.sleep(0.02)
    raise AssertionError("no answer in time")


def send_from_everywhere(clients, request, key):
    results, start = [], threading.Barrier(len(clients))

    def run(client):
        start.wait()
        results.append(send_until_answered(client, request, key, time.monotonic() + 60))

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(clients)
    return results


def leaves_of(directory, request):
    events = collections.Counter()
    for leaf in ledger.leaves(directory):
        if leaf.get("details", {}).get("origid") == origid_of(request):
            events[leaf["event"], leaf["outcome"]] += 1
            assert leaf["event"] != "sign.avatar-id" or len(leaf["keys"]) == 1
    return events


def test_concurrent_retries_get_one_signature(site, alice):
    clients = [TlsClient(site, "ims-as") for _ in range(24)]
    waits = 0
    for _ in range(8):
        request, key = signing_request(alice), str(uuid.uuid4())
        results = send_from_everywhere(clients, request, key)
        assert len({identity for identity, _ in results}) == 1
        waits += sum(told for _, told in results)
        assert leaves_of(site.ledger, request) == {("sign.avatar-id", "released"): 1, ("sign.replayed", "released"): 23}
    assert waits > 0, "no two of them ever met"
    for client in clients:
        client.close()


def test_replay_names_what_was_signed(site, alice):
    client, request = TlsClient(site, "ims-as"), signing_request(alice)
    first, again = send(client, request, "names"), send(client, request, "names")
    assert first.body == again.body
    key = site.pki.pem("avatar-id")
    assert jose.parts(call.identity_of(again).split(";")[0]) and key.exists()
    leaves = [leaf for leaf in ledger.leaves(site.ledger) if leaf.get("details", {}).get("origid") == origid_of(request)]
    assert [leaf["event"] for leaf in leaves] == ["sign.avatar-id", "sign.replayed"]
    assert leaves[1]["details"]["digest"] == leaves[0]["keys"][0]["digest"] and "keys" not in leaves[1]
    assert leaves[1]["actor"] == leaves[0]["actor"]


def test_another_body_and_a_revoked_subscription(site, alice):
    client, request = TlsClient(site, "ims-as"), signing_request(alice)
    assert send(client, request, "body").status == 200
    other = send(client, signing_request(alice), "body")
    assert other.status == 422 and other.json()["requestError"]["serviceException"]["reason"] == "idempotency-key-reused"
    assert send(client, request, 'a"b').status == 400
    assert call.unsubscribe(site).status == 204
    revoked = send(client, request, "body")
    assert revoked.status == 403 and "avatar-not-subscribed" in revoked.text
    assert call.subscribe(site).status == 201
    assert send(client, request, "body").status == 200


def test_two_services_on_one_store(site, alice, second):
    clients = [TlsClient(site, "ims-as", port) for port in (site.port, second) for _ in range(6)]
    for _ in range(6):
        request, key = signing_request(alice), str(uuid.uuid4())
        results = send_from_everywhere(clients, request, key)
        assert len({identity for identity, _ in results}) == 1
        both = leaves_of(site.ledger, request) + leaves_of(site.directory / "second" / "ledger", request)
        assert both == {("sign.avatar-id", "released"): 1, ("sign.replayed", "released"): 11}
    for client in clients:
        client.close()


def test_killed_service_keeps_its_word(site, alice):
    """What a caller was told once, it is told again after kill -9; what it was not told, it gets from a repetition."""
    stopping, told, failures = threading.Event(), [], []

    def run():
        client = TlsClient(site, "ims-as")
        while not stopping.is_set():
            request, key = signing_request(alice), str(uuid.uuid4())
            try:
                first, _ = send_until_answered(client, request, key, time.monotonic() + 50)
                told.append((request, key, first))
            except AssertionError as error:
                failures.append(error)
                return
        client.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        enough = len(told) + 20
        processes.wait_until(lambda: len(told) >= enough or failures, None, None, "the load", seconds=60)
        site.running["avseald"].kill()
        site.running["avseald"].wait()
        site.start_service()
    stopping.set()
    for thread in threads:
        thread.join()
    assert failures == []
    client, fresh = TlsClient(site, "ims-as"), 0
    for request, key, first in told:
        again = send(client, request, key)
        if again.status == 200:
            fresh += 1
            assert call.identity_of(again) == first
        else:
            assert "iat-outside-window" in again.text, again.text
    assert fresh > 0
    client.close()
