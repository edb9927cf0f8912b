"""Subscriptions of an HSS-facing source in a second process: positive, negative, and failing closed."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

from demo import call, curl, processes, site as demo_site
from support import hss

FINGERPRINT = "SHA-256 " + ":".join(["AB"] * 32)


@pytest.fixture(scope="module")
def site():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(directory, os.environ["AVSEAL_BUILD"])
    site.make()
    port = processes.free_port()
    p = site.pki
    configuration = directory / "avseald.toml"
    configuration.write_text(configuration.read_text() + f"""
[signing.subscription_source]
url = "https://localhost:{port}/subscriptions"
tls_anchors = "{p.pem('tls-ca')}"
certificate = "{p.pem('auditor')}"
private_key = "{p.key('auditor')}"
timeout_ms = 500
""")
    log = directory / "hss.log"
    site.hss = processes.start([sys.executable, hss.__file__, port, p.pem("server"), p.key("server"), p.pem("tls-ca")], log)
    processes.wait_until(lambda: processes.accepts(port), site.hss, log, "the subscription source")
    site.start()
    yield site
    processes.stop(site.hss)
    assert site.stop() == 0
    shutil.rmtree(directory, ignore_errors=True)


def sign(site, user):
    return call.sign(site, call.signing_request(FINGERPRINT, origin=f"sip:{user}@a.example"))


def test_positive_and_negative(site):
    assert sign(site, "alice").status == 200
    refused = sign(site, "nobody")
    assert refused.status == 403 and refused.json()["requestError"]["policyException"]["reason"] == "avatar-not-subscribed"


def test_writes_are_not_served(site):
    assert call.subscribe(site).status == 405
    assert curl.client_of(site, "operator").get(f"/subscriptions/v1/{call.path_segment(demo_site.ALICE)}").status == 200


@pytest.mark.parametrize("user", ["broken", "garbage", "slow"])
def test_fails_closed(site, user):
    answer = sign(site, user)
    assert answer.status == 503 and "subscription-source-unavailable" in answer.text, answer.text
    assert "retry-after" in answer.headers


def test_away(site):
    processes.stop(site.hss)
    answer = sign(site, "carol")
    assert answer.status == 503 and "subscription-source-unavailable" in answer.text, answer.text
