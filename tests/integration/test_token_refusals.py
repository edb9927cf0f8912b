"""What the authorization role must refuse at both of its routes: stale and foreign signed Avatar-ids, and what the store was made to say."""

import datetime
import os
import pathlib
import shutil
import sqlite3
import tempfile
import time
import uuid

import pytest

from demo import call, curl, pki, processes, site as demo_site
from support import jose, ledger
from support.software_ue import SoftwareUe
from support.x5u_server import X5uServer

MAX_AGE = 600  # signed_avatar_id_max_age's default

RECALLED = "urn:avatar:recalled"


@pytest.fixture(scope="module")
def site():
    """With another signer of the same STI CA, whose signed Avatar-ids a test makes itself."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(directory, os.environ["AVSEAL_BUILD"])
    site.x5u_port = processes.free_port()
    site.x5u_internal_hosts = [f"localhost:{site.x5u_port}"]
    site.make()
    for name, domain in (("issuer", "a.example"), ("stranger", "b.example")):
        pem = site.pki.issue(f"signer-{name}", "stir-ca", name, pki.stir_extensions([domain]), 30)
        earlier = jose.antedated(jose.load_certificate(pem), jose.load_certificate(site.pki.pem("stir-ca")), jose.load_key(site.pki.key("stir-ca")),
                                 datetime.timedelta(days=2))
        pem.write_bytes(earlier.public_bytes(jose.serialization.Encoding.PEM))
    configuration = directory / "avseald.toml"
    configuration.write_text(configuration.read_text().replace("[enrollment]\n", "[enrollment]\nattempts_per_minute = 1000\n"))
    policy = directory / "policy.toml"
    policy.write_text(policy.read_text() + f'[[rule]]\nname = "recalled"\neffect = "deny"\navatars = ["{RECALLED}"]\n')
    site.start()
    assert call.subscribe(site).status in (200, 201, 204)
    assert call.publish(site, call.sample_avatar(10_000)).status in (200, 201)
    yield site
    assert site.stop() == 0
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def server(site):
    server = X5uServer(site.x5u_port, site.pki.pem("server"), site.pki.key("server"))
    for path in site.pki.directory.glob("signer-*.pem"):
        server.documents[f"/{path.stem}.pem"] = path.read_bytes()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def alice(site):
    return SoftwareUe(site)


def identity_by(site, server, fingerprint, signer="issuer", age=0, **claims):
    x5u = server.url(f"/signer-{signer}.pem")
    claims = {"origid": str(uuid.uuid4()), **claims}
    passport = jose.sign({"alg": "ES256", "ppt": "avatar", "typ": "passport", "x5u": x5u},
                         jose.avatar_claims(fingerprint, int(time.time()) - age, **claims), jose.load_key(site.pki.key(f"signer-{signer}")))
    return jose.identity_header(passport, x5u)


def ask(site, identity, token, form="nrf"):
    """The same request in either form."""
    if form == "nrf":
        return call.request_token(site, call.token_form(site, identity, token))
    members = {"grant_type": "client_credentials", "client_id": "xr-as-1", "signed_avatar_id": identity, "ue_token": token,
               "application_id": demo_site.APPLICATION}
    return curl.client_of(site, "xr-as").post("/capif-security/v1/securities/sec-1/token", form=members)


def x5t_of(ue):
    return jose.b64url(jose.hashlib.sha256(ue.der).digest())


def refused(site, identity, token, reason, form="nrf"):
    answer = ask(site, identity, token, form)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant"), answer.text
    assert answer.json()["error_description"].startswith(reason + ":"), answer.text
    assert "access_token" not in answer.json()


def metric(site, name):
    lines = curl.client_of(site, "operator").get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


@pytest.mark.parametrize("form", ["nrf", "capif"])
@pytest.mark.parametrize("age, reason", [(MAX_AGE + 5, "iat-stale"), (86400, "iat-stale"), (-65, "iat-future"), (-86400, "iat-future")])
def test_signed_avatar_id_of_another_time(site, server, alice, form, age, reason):
    refused(site, identity_by(site, server, alice.fingerprint(), age=age), alice.token(), reason, form)


def test_signed_avatar_id_of_the_calls_set_up_time(site, server, alice):
    """Too old for the terminating IMS, not for a token: the UE token gives the freshness here."""
    identity = identity_by(site, server, alice.fingerprint(), age=MAX_AGE - 60)
    granted = ask(site, identity, alice.token())
    assert granted.status == 200, granted.text
    answer = call.verify(site, call.verification_request(identity, alice.fingerprint()))
    assert answer.json()["verificationResponse"]["verifyResults"][0]["verifyResult"]["reason"] == "iat-stale", answer.text


@pytest.mark.parametrize("form", ["nrf", "capif"])
def test_signer_that_is_no_accepted_issuer(site, server, form):
    """Genuine and of a trusted CA, for an identity of its own domain; but this operator takes only a.example's."""
    bea = "sip:bea@b.example"
    assert call.subscribe(site, bea).status in (200, 201, 204)
    ue = SoftwareUe(site, bea)
    identity = identity_by(site, server, ue.fingerprint(), "stranger", orig={"uri": bea})
    refused(site, identity, ue.token(), "signer-not-accepted", form)


def test_signer_without_authority_over_the_caller(site, server, alice):
    refused(site, identity_by(site, server, alice.fingerprint(), "stranger"), alice.token(), "certificate-not-authoritative")


@pytest.mark.parametrize("form", ["nrf", "capif"])
def test_denied_by_the_policy(site, server, form):
    hal = "sip:hal@a.example"
    assert call.subscribe(site, hal, [(RECALLED, demo_site.APPLICATION)]).status in (200, 201, 204)
    assert call.publish(site, call.sample_avatar(1000), RECALLED, hal).status in (200, 201, 412)
    ue = SoftwareUe(site, hal)
    avatar = {"app": demo_site.APPLICATION, "id": RECALLED}
    digest = jose.unb64url(x5t_of(ue))
    identity = identity_by(site, server, ue.fingerprint(), orig={"uri": hal}, avatar={**avatar, "ue": jose.b64url(digest)})
    answer = ask(site, identity, ue.token(avatar=avatar), form)
    assert (answer.status, answer.json()["error"]) == (400, "unauthorized_client"), answer.text
    assert answer.json()["error_description"].startswith("policy-denied:") and "recalled" in answer.text


def edit(site, sql, *values):
    """What the sqlite3 tool does to the store behind the service's back."""
    with sqlite3.connect(site.directory / "store.sqlite", timeout=10) as store:
        changed = store.execute(sql, values).rowcount
    store.close()
    assert changed == 1, sql


@pytest.mark.parametrize("column, value", [("revoked_at", 0), ("impu", demo_site.ALICE), ("not_after", 4102444800)])
def test_edited_device_row(site, server, column, value):
    """A row edited in the file grants nothing, whatever it says; the log and a metric tell."""
    ue = SoftwareUe(site, "sip:erin@a.example") if column == "impu" else SoftwareUe(site)
    if column == "revoked_at":
        answer = curl.client_of(site, "operator").post(f"/enrollment/v1/certificates/{x5t_of(ue)}/revoke", json_body={"reason": "a test"})
        assert answer.status == 204, answer.text
    identity = identity_by(site, server, ue.fingerprint())
    before = metric(site, 'avseal_store_rows_forged_total{table="ue_certificate"}')
    edit(site, f"UPDATE ue_certificate SET {column} = ? WHERE certificate_x5t = ?", value, x5t_of(ue))
    for form in ("nrf", "capif"):
        answer = ask(site, identity, ue.token(), form)
        assert answer.status == 500 and answer.json()["reason"] == "store-row-forged", answer.text
        assert "restore it from a copy" in answer.json()["detail"]
    assert metric(site, 'avseal_store_rows_forged_total{table="ue_certificate"}') == before + 2
    assert "store-row-forged" in (site.log / "avseald.log").read_text()


def test_deleted_device_row(site, server):
    ue = SoftwareUe(site)
    identity = identity_by(site, server, ue.fingerprint())
    edit(site, "DELETE FROM ue_certificate WHERE certificate_x5t = ?", x5t_of(ue))
    refused(site, identity, ue.token(), "ue-certificate-unknown")


def test_revoked_device(site, server):
    ue = SoftwareUe(site)
    identity = identity_by(site, server, ue.fingerprint())
    assert curl.client_of(site, "operator").post(f"/enrollment/v1/certificates/{x5t_of(ue)}/revoke", json_body={"reason": "a test"}).status == 204
    refused(site, identity, ue.token(), "ue-certificate-revoked")


def test_edited_subscription_row(site, server):
    """A subscription made in the database alone allows nothing."""
    fay = "sip:fay@a.example"
    assert call.subscribe(site, fay, [("urn:avatar:own", demo_site.APPLICATION)]).status in (200, 201, 204)
    ue = SoftwareUe(site, fay)
    wanted = f'[{{"applications":["{demo_site.APPLICATION}"],"id":"{demo_site.AVATAR}"}}]'
    edit(site, "UPDATE subscription SET avatars = ? WHERE impu = ?", wanted, fay)
    identity = identity_by(site, server, ue.fingerprint(), orig={"uri": fay})
    refused(site, identity, ue.token(), "avatar-not-subscribed")


@pytest.mark.parametrize("form", ["nrf", "capif"])
def test_subscription_revoked_after_the_call_was_set_up(site, server, form):
    gil = f"sip:gil-{form}@a.example"
    assert call.subscribe(site, gil).status in (200, 201, 204)
    ue = SoftwareUe(site, gil)
    identity = identity_by(site, server, ue.fingerprint(), orig={"uri": gil})
    assert ask(site, identity, ue.token(), form).status == 200
    assert call.unsubscribe(site, gil).status in (200, 204)
    refused(site, identity, ue.token(), "avatar-not-subscribed", form)


def test_a_ue_token_is_used_once_also_over_a_restart_and_in_the_other_form(site, server, alice):
    identity, token = identity_by(site, server, alice.fingerprint()), alice.token()
    first = ask(site, identity, token)
    assert first.status == 200, first.text
    refused(site, identity, token, "ue-token-replayed", "capif")
    assert site.running["avseald"].poll() is None and site.stop() == 0
    site.start()
    again = ask(site, identity, token)
    assert again.json()["access_token"] == first.json()["access_token"]
    refused(site, identity, token, "ue-token-replayed", "capif")
    granted = [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == "grant.access-token"]
    jti = call.claims_of(first.json()["access_token"])["jti"]
    assert [leaf["outcome"] for leaf in granted if leaf["details"]["jti"] == jti] == ["released"]
