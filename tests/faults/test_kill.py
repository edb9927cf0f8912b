"""kill -9 of any process at any moment: nothing that a caller was told is lost, nothing is signed twice for one answer."""

import hashlib
import os
import pathlib
import signal
import threading
import time

import pytest

from demo import call, curl, processes
from support import jose, ledger
from support.software_ue import SoftwareUe


@pytest.fixture(scope="module")
def alice(site):
    assert call.subscribe(site).status == 201
    return SoftwareUe(site)


class Load:
    """Signs from several threads until stopped; remembers every answer."""

    def __init__(self, site, ue, threads=4):
        self.signed, self.failed, self.lock, self.stopping = [], [], threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(site, ue)) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, site, ue):
        while not self.stopping.is_set():
            try:
                answer = call.sign(site, call.signing_request(ue.fingerprint()))
            except ConnectionError:
                continue
            with self.lock:
                if answer.status == 200:
                    self.signed.append(call.identity_of(answer))
                else:
                    self.failed.append(answer.text)

    def wait_for(self, count, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.lock:
                if len(self.signed) >= count:
                    return
            time.sleep(0.01)
        raise AssertionError(f"only {len(self.signed)} answers; failed: {self.failed[:3]}")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def digest_of(identity):
    """As the ledger names what was signed."""
    signing_input = identity.split(";")[0].rpartition(".")[0]
    return jose.b64url(hashlib.sha256(signing_input.encode()).digest())


def worker_pids(site):
    """The avseal-tokend children of the site's avseald."""
    parent = site.running["avseald"].pid
    out = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent and "avseal-tokend" in (path.parent / "comm").read_text():
                out.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


def released_digests(site):
    return [use["digest"] for leaf in ledger.leaves(site.ledger) if leaf["outcome"] == "released" for use in leaf.get("keys", [])
            if use["outcome"] == "signed"]


def test_worker_killed_under_load(site, alice):
    load = Load(site, alice)
    try:
        load.wait_for(20)
        for _ in range(3):
            before = set(worker_pids(site))
            assert len(before) == 2
            os.kill(before.pop(), signal.SIGKILL)
            load.wait_for(len(load.signed) + 20)
            end = time.monotonic() + 30
            while len(worker_pids(site)) < 2 and time.monotonic() < end:
                time.sleep(0.01)
            assert len(worker_pids(site)) == 2
    finally:
        load.stop()
    assert load.failed == []


def test_service_killed_under_load(site, alice):
    told = []
    for _ in range(2):
        load = Load(site, alice)
        try:
            load.wait_for(20)
            site.running["avseald"].kill()
            site.running["avseald"].wait()
        finally:
            load.stop()
        told += load.signed
        site.start_service()
    assert site.stop() == 0
    digests = released_digests(site)
    assert set(map(digest_of, told)) <= set(digests)
    assert len(digests) == len(set(digests))
    site.start()


def test_what_was_granted_survives(site, alice):
    """A subscription, a published avatar and a spent UE token are there after kill -9."""
    content = call.sample_avatar(70_000)
    assert call.publish(site, content).status == 201
    identity = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint())))
    form = call.token_form(site, identity, alice.token())
    granted = call.request_token(site, form)
    assert granted.status == 200, granted.text
    site.running["avseald"].kill()
    site.running["avseald"].wait()
    site.start_service()
    again = call.request_token(site, form)
    assert again.json()["access_token"] == granted.json()["access_token"]
    assert call.request_token(site, {**form, "signed_avatar_id": identity + " "}).json()["error"] == "invalid_grant"
    assert call.fetch(site, "content", granted.json()["access_token"]).body == content


def test_upload_killed_midway_leaves_nothing(site, alice):
    content = call.sample_avatar(20_000_000)
    upload = threading.Thread(target=lambda: pytest.raises(ConnectionError, call.stage, site, content, "urn:avatar:big"))
    upload.start()
    end = time.monotonic() + 20
    while not any((site.directory / "dac").iterdir()) and time.monotonic() < end:
        time.sleep(0.005)
    site.running["avseald"].kill()
    upload.join()
    site.running["avseald"].wait()
    site.start_service()
    assert curl.client_of(site, "feeder").get("/dac/v1/avatars/urn%3Aavatar%3Abig").status == 404
