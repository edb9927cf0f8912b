"""What must be refused in an avatar call, each through the real processes, with its own reason."""

import hashlib
import time
import uuid

import pytest

from demo import call, curl, site as demo_site
from support import jose
from support.software_ue import SoftwareUe

CONTENT = call.sample_avatar(150_000)
BOBS_AVATAR = "urn:uuid:0b0b0b0b-6f0e-4d0b-9a53-2f6f3b0f7a11"


@pytest.fixture(scope="module")
def alice(site):
    """Alice with a subscription to her published avatar, in two applications."""
    applications = [demo_site.APPLICATION, "xr-games"]
    body = {"avatars": [{"id": demo_site.AVATAR, "applications": applications}, {"id": "urn:avatar:second", "applications": applications}]}
    put = curl.client_of(site, "operator").put(f"/subscriptions/v1/{call.path_segment(demo_site.ALICE)}", json_body=body)
    assert put.status in (200, 201, 204), put.text
    assert call.publish(site, CONTENT).status in (200, 201)
    assert call.publish(site, CONTENT, avatar="urn:avatar:second").status in (200, 201)
    return SoftwareUe(site)


@pytest.fixture
def signed(site, alice):
    """A fresh signed Avatar-id of Alice's."""
    answer = call.sign(site, call.signing_request(alice.fingerprint()))
    assert answer.status == 200, answer.text
    return call.identity_of(answer)


def ms_reason(answer):
    return answer.json()["requestError"]


def refused_token(site, identity, token, reason, application=demo_site.APPLICATION, client="xr-as", error="invalid_grant"):
    answer = call.request_token(site, call.token_form(site, identity, token, application, client), client)
    assert answer.status in (400, 401), answer.text
    assert answer.json()["error"] == error, answer.text
    assert answer.json()["error_description"].startswith(reason + ":"), answer.text
    assert answer.headers["cache-control"] == "no-store"


def verdict(site, identity, fingerprint, **facts):
    answer = call.verify(site, call.verification_request(identity, fingerprint, **facts))
    assert answer.status == 200, answer.text
    return answer.json()["verificationResponse"]


def failed(site, identity, fingerprint, code, reason, **facts):
    response = verdict(site, identity, fingerprint, **facts)
    assert response["verstatValue"] == "Avatar-Validation-Failed", response
    result = response["verifyResults"][0]["verifyResult"]
    assert (result["reasonCode"], result["reason"]) == (code, reason), result
    assert "avatar" not in response


# --- signing (step c) ---

def test_another_identitys_avatar(site, alice):
    assert call.publish(site, CONTENT, BOBS_AVATAR, "sip:bob@b.example", client="feeder-b").status in (200, 201)
    answer = call.sign(site, call.signing_request(alice.fingerprint(), avatar=BOBS_AVATAR))
    assert answer.status == 403 and "policyException" in ms_reason(answer), answer.text


def test_avatar_in_an_application_it_is_not_subscribed_for(site, alice):
    answer = call.sign(site, call.signing_request(alice.fingerprint(), application="xr-other"))
    assert answer.status == 403 and "policyException" in ms_reason(answer), answer.text


@pytest.mark.parametrize("origin", ["sip:mallory@b.example", "sip:alice@a.example.b.example", "tel:+15715550000"])
def test_client_out_of_scope(site, alice, origin):
    request = call.signing_request(alice.fingerprint(), origin=origin)
    answer = call.sign(site, request)
    assert answer.status == 403 and "policyException" in ms_reason(answer), answer.text


@pytest.mark.parametrize("at", [-61, 3600, -86400 * 365])
def test_signing_outside_the_window(site, alice, at):
    answer = call.sign(site, call.signing_request(alice.fingerprint(), issued_at=int(time.time()) + at))
    assert answer.status in (400, 403), answer.text
    assert "signingResponse" not in answer.json()


# --- verification (step d) ---

def test_a_genuine_one_passes(site, alice, signed):
    response = verdict(site, signed, alice.fingerprint())
    assert response["verstatValue"] == "Avatar-Validation-Passed"
    assert response["avatar"]["id"] == demo_site.AVATAR and response["avatar"]["app"] == demo_site.APPLICATION


def test_altered(site, alice, signed):
    passport, _, parameters = signed.partition(";")
    forged = jose.altered(passport, lambda claims: claims["avatar"].update(id="urn:avatar:second"))
    failed(site, f"{forged};{parameters}", alice.fingerprint(), 438, "signature-invalid")


def test_pasted_onto_another_caller(site, alice, signed):
    failed(site, signed, alice.fingerprint(), 438, "orig-mismatch", origin="sip:mallory@a.example")


def test_pasted_onto_another_callee(site, alice, signed):
    failed(site, signed, alice.fingerprint(), 438, "dest-mismatch", destination="sip:carol@b.example")


def test_pasted_onto_another_sdp(site, signed):
    failed(site, signed, "SHA-256 " + ":".join(["AB"] * 32), 438, "fingerprint-mismatch")


def test_pasted_into_another_call(site, alice, signed):
    assert verdict(site, signed, alice.fingerprint(), call_id="call-1")["verstatValue"] == "Avatar-Validation-Passed"
    assert verdict(site, signed, alice.fingerprint(), call_id="call-1")["verstatValue"] == "Avatar-Validation-Passed"
    failed(site, signed, alice.fingerprint(), 438, "passport-replayed", call_id="call-2")


# --- access tokens (steps e, f) ---

def test_the_same_request_gets_the_same_token(site, alice, signed):
    form = call.token_form(site, signed, alice.token())
    first, second = (call.request_token(site, form) for _ in range(2))
    assert first.status == second.status == 200, first.text
    assert first.json()["access_token"] == second.json()["access_token"]


def test_replayed_for_another_request(site, alice, signed):
    token = alice.token()
    assert call.request_token(site, call.token_form(site, signed, token)).status == 200
    again = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint())))
    refused_token(site, again, token, "ue-token-replayed")


def test_token_of_another_key(site, alice, signed):
    refused_token(site, signed, SoftwareUe(site).token(), "ue-certificate-mismatch")


def test_token_with_anothers_signature(site, alice, signed):
    refused_token(site, signed, jose.ue_token(alice.der, jose.new_key(), int(time.time())), "signature-invalid")


def test_token_for_another_xr_as(site, alice, signed):
    refused_token(site, signed, alice.token(aud=demo_site.XR_AS_2_ID), "ue-token-audience")
    refused_token(site, signed, alice.token(), "ue-token-audience", client="xr-as-2")


def test_token_for_another_avatar_of_the_same_user(site, alice, signed):
    refused_token(site, signed, alice.token(avatar={"app": demo_site.APPLICATION, "id": "urn:avatar:second"}), "ue-token-avatar")


def test_token_for_another_application_of_the_same_user(site, alice, signed):
    refused_token(site, signed, alice.token(avatar={"app": "xr-games", "id": demo_site.AVATAR}), "ue-token-avatar")
    refused_token(site, signed, alice.token(), "application-mismatch", application="xr-games")


def test_application_that_the_xr_as_does_not_serve(site, alice):
    answer = call.sign(site, call.signing_request(alice.fingerprint(), application="xr-games"))
    token = alice.token(avatar={"app": "xr-games", "id": demo_site.AVATAR})
    refused_token(site, call.identity_of(answer), token, "application-not-of-client", "xr-games", error="unauthorized_client")


@pytest.mark.parametrize("offset, changes, reason", [
    (-200, {}, "ue-token-expired"), (60, {}, "ue-token-future"), (0, {"exp": int(time.time()) + 3600}, "ue-token-lifetime")])
def test_token_times(site, alice, signed, offset, changes, reason):
    refused_token(site, signed, alice.token(at=int(time.time()) + offset, **changes), reason)


def test_token_of_anothers_identity(site, alice, signed):
    refused_token(site, signed, alice.token(sub="sip:mallory@a.example"), "ue-certificate-identity")


def test_token_of_a_certificate_from_elsewhere(site, alice):
    """A UE certificate that looks right, from a CA of the attacker's."""
    pki = site.pki
    pki.root("evil-root", "evil")
    pki.issue("evil-ue", "evil-root", "ue", ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                                             "extendedKeyUsage=2.25.181263912817466153470291734926715501337",
                                             f"subjectAltName=URI:{demo_site.ALICE}"])
    der = jose.der_of(jose.load_certificate(pki.pem("evil-ue")))
    fingerprint = "SHA-256 " + hashlib.sha256(der).digest().hex(":").upper()
    identity = call.identity_of(call.sign(site, call.signing_request(fingerprint)))
    token = jose.ue_token(der, jose.load_key(pki.key("evil-ue")), int(time.time()))
    refused_token(site, identity, token, "certificate-untrusted")


def test_revoked_subscription(site, alice, signed):
    dave = "sip:dave@a.example"
    assert call.subscribe(site, dave).status in (200, 201, 204)
    ue = SoftwareUe(site, dave)
    identity = call.identity_of(call.sign(site, call.signing_request(ue.fingerprint(), origin=dave)))
    assert call.unsubscribe(site, dave).status in (200, 204)
    refused_token(site, identity, ue.token(), "avatar-not-subscribed")
    assert call.sign(site, call.signing_request(ue.fingerprint(), origin=dave)).status == 403


@pytest.mark.parametrize("state, reason", [("avatar-rejected", "call-rejected"), ("ended", "call-ended")])
def test_rejected_or_ended_call(site, alice, state, reason):
    origid = str(uuid.uuid4())
    identity = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint(), origid=origid)))
    assert call.tell_call_state(site, origid, "accepted").status in (200, 201, 204)
    assert call.tell_call_state(site, origid, state).status in (200, 201, 204)
    refused_token(site, identity, alice.token(), reason)


def test_form_of_somebody_else(site, alice, signed):
    form = call.token_form(site, signed, alice.token(), client="xr-as-2")
    answer = call.request_token(site, form, "xr-as")
    assert (answer.status, answer.json()["error"]) == (400, "invalid_client"), answer.text


def test_capif_form(site, alice, signed):
    client = curl.client_of(site, "xr-as")
    form = {"grant_type": "client_credentials", "client_id": "xr-as-1", "signed_avatar_id": signed, "ue_token": alice.token(),
            "application_id": demo_site.APPLICATION, "scope": f"3gpp#{demo_site.AEF_ID}:ndac-avatar"}
    answer = client.post("/capif-security/v1/securities/sec-1/token", form=form)
    assert answer.status == 200, answer.text
    assert {"access_token", "token_type", "expires_in"} <= set(answer.json())
    claims = call.claims_of(answer.json()["access_token"])
    assert claims["client_id"] == "xr-as-1" and claims["scope"] == form["scope"]
    assert call.fetch(site, "metadata", answer.json()["access_token"]).status == 200
    wrong = client.post("/capif-security/v1/securities/sec-1/token", form={**form, "client_id": "xr-as-2"})
    assert (wrong.status, wrong.json()["error"]) == (401, "invalid_client"), wrong.text
    assert client.post("/capif-security/v1/securities/sec-2/token", form=form).status in (400, 404)


# --- the DAC (step g) ---

@pytest.fixture
def access_token(site, alice, signed):
    answer = call.request_token(site, call.token_form(site, signed, alice.token()))
    assert answer.status == 200, answer.text
    return answer.json()["access_token"]


def test_access_token_of_another_xr_as(site, access_token):
    answer = call.fetch(site, "content", access_token, client="xr-as-2")
    assert answer.status == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"], answer.text


def test_access_token_for_another_avatar(site, access_token):
    answer = call.fetch(site, "content", access_token, avatar="urn:avatar:second")
    assert answer.status == 403 and 'error="insufficient_scope"' in answer.headers["www-authenticate"], answer.text


def test_no_access_token(site, alice):
    answer = curl.client_of(site, "xr-as").get(f"/dac/v1/avatars/{call.path_segment(demo_site.AVATAR)}/content")
    assert answer.status == 401 and "error=" not in answer.headers["www-authenticate"], answer.text


def test_altered_access_token(site, access_token):
    longer = jose.altered(access_token, lambda claims: claims.update(exp=claims["exp"] + 60))
    assert call.fetch(site, "content", longer).status == 401


def test_self_made_access_token(site, access_token):
    header, claims = jose.parts(access_token)
    assert call.fetch(site, "content", jose.sign(header, claims, jose.new_key())).status == 401


def test_nothing_personal_in_the_ledger(site, alice):
    files = [path for path in site.ledger.rglob("*") if path.is_file()]
    assert site.ledger / "checkpoint" in files
    for path in files:
        data = path.read_bytes()
        assert b"alice" not in data and b"mallory" not in data, path
