"""kill -9 of any process at any moment: nothing that a caller was told is lost, nothing is signed twice for one answer."""

import os
import signal
import threading
import time

import pytest

from demo import call, curl
from support.load import Load, wait_until
from support.processes import worker_pids


def test_worker_killed_under_load(site, alice):
    with Load(site, alice) as load:
        load.wait_for(20)
        for _ in range(3):
            before = set(worker_pids(site))
            assert len(before) == 2
            os.kill(before.pop(), signal.SIGKILL)
            load.wait_for(20)
            wait_until(lambda: len(worker_pids(site)) == 2)
    print(load.account())
    assert load.refused == [] and load.broken == []


def test_service_killed_under_load(site, alice):
    for _ in range(2):
        with Load(site, alice) as load:
            load.wait_for(20)
            site.running["avseald"].kill()
            site.running["avseald"].wait()
        site.start_service()
        print(load.account())


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
