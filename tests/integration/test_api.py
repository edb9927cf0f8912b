"""docs/api/openapi.yaml against real requests and answers: every operation is called, and everything said is in the description."""

import base64
import hashlib
import pathlib
import time
import uuid

import jsonschema
import pytest
import yaml

from demo import call, curl, site as demo_site
from support.software_ue import SoftwareUe, request
from support import jose

DOCUMENT = yaml.safe_load((pathlib.Path(__file__).parents[2] / "docs" / "api" / "openapi.yaml").read_text())
SEEN = set()


def operation(method, template):
    found = DOCUMENT["paths"][template][method.lower()]
    SEEN.add(found["operationId"])
    return found


def resolve(node):
    while isinstance(node, dict) and "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def conforms(value, schema):
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def check(client, method, template, path, status, json_body=None, form=None, **options):
    described = operation(method, template)
    if json_body is not None or form is not None:
        media = "application/json" if form is None else "application/x-www-form-urlencoded"
        conforms(json_body if form is None else form, resolve(described["requestBody"])["content"][media]["schema"])
    answer = client.request(method, path, json_body=json_body, form=form, **options)
    assert answer.status == status, f"{method} {path}: {answer.status} {answer.text}"
    responses = described["responses"]
    response = resolve(responses.get(str(answer.status), responses.get("default")))
    assert response is not None, f"{method} {template} describes no {answer.status}"
    if "content" in response:
        media = answer.headers["content-type"].split(";")[0].strip()
        content = response["content"].get(media, response["content"].get("*/*"))
        assert content is not None, f"{method} {template}: {media} is not described for {answer.status}"
        if "schema" in content:
            conforms(answer.json(), content["schema"])
    else:
        assert answer.body == b""
    assert answer.headers["x-request-id"]
    return answer


@pytest.fixture(scope="module")
def clients(site):
    return {name: curl.client_of(site, name) for name in demo_site.CLIENTS} | {"nobody": curl.nobody(site)}


def manifest_of(site):
    file = site.attestation.directory / "manifest.csv"
    return {"document": file.read_text(), "signature": jose.b64url(pathlib.Path(f"{file}.sig").read_bytes())}


def check_devices(site, clients):
    """What needs a TPM is called with one that proves nothing."""
    operator, nobody = clients["operator"], clients["nobody"]
    wish = {"impu": demo_site.ALICE, "code": "0" * 32, "serial": "SN-1", "ek": {"certificate": "AA"}, "ak": "AA", "key": "AA", "parent": "AA"}
    challenges = ("/enrollment/v1/challenges", "/enrollment/v1/challenges")
    check(nobody, "POST", *challenges, 403, json_body=wish)
    renewal = {"impu": demo_site.ALICE, "device": "0" * 64, "ak": "AA", "key": "AA", "parent": "AA"}
    check(nobody, "POST", *challenges, 403, json_body=renewal)
    check(nobody, "POST", "/enrollment/v1/challenges/{id}/certificate", f"/enrollment/v1/challenges/{'A' * 22}/certificate", 404, json_body={"csr": "AA"})
    check(nobody, "GET", "/enrollment/v1/crl", "/enrollment/v1/crl", 200)
    manifests = ("/enrollment/v1/manifests", "/enrollment/v1/manifests")
    check(operator, "POST", *manifests, 201, json_body=manifest_of(site))
    check(operator, "POST", *manifests, 201, json_body=manifest_of(site))
    site.attestation.write_manifest([("0" * 64, "SN-9", "XR-UE-1", "2026-11")])
    check(operator, "POST", *manifests, 409, json_body=manifest_of(site))
    check(operator, "GET", *manifests, 200)
    check(operator, "GET", "/enrollment/v1/devices", "/enrollment/v1/devices?state=active&limit=5", 200)
    device = f"/enrollment/v1/devices/{'0' * 64}"
    check(operator, "GET", "/enrollment/v1/devices/{id}", device, 404)
    check(operator, "POST", "/enrollment/v1/devices/{id}/approve", f"{device}/approve", 404, json_body={})
    check(operator, "POST", "/enrollment/v1/devices/{id}/revoke", f"{device}/revoke", 404, json_body={"reason": "a test"})
    revocations = ("/enrollment/v1/device-revocations", "/enrollment/v1/device-revocations")
    check(operator, "POST", *revocations, 201, json_body={"batch": "bad", "scope": "ExampleMaker", "reason": "a test"})
    check(operator, "GET", *revocations, 200)
    check(operator, "GET", "/enrollment/v1/evidence/{serial}", "/enrollment/v1/evidence/00", 404)
    check(nobody, "GET", "/enrollment/v1/devices", "/enrollment/v1/devices", 401)


def check_ledger(site, clients):
    operator, ims_as, nobody = clients["operator"], clients["ims-as"], clients["nobody"]
    at = "/ledger/v1"
    proof = check(operator, "GET", f"{at}/proof/{{index}}", f"{at}/proof/0", 200)
    check(operator, "GET", f"{at}/proof/{{index}}", f"{at}/proof/00", 400)
    check(ims_as, "GET", f"{at}/proof/{{index}}", f"{at}/proof/0", 403)
    checkpoint = check(nobody, "GET", f"{at}/checkpoint", f"{at}/checkpoint", 200)
    origin, size, root = checkpoint.body.decode().split("\n")[:3]
    assert proof.body.decode().startswith("c2sp.org/tlog-proof@v1\n") and origin.startswith(demo_site.ORIGIN)
    size = int(size)
    check(nobody, "GET", f"{at}/tile/{{path}}", f"{at}/tile/0/000" + (f".p/{size}" if size < 256 else ""), 200)
    check(nobody, "GET", f"{at}/tile/{{path}}", f"{at}/tile/0/x999/999", 404)
    bundle = f"{at}/tile/entries/000" + (f".p/{size}" if size < 256 else "")
    check(operator, "GET", f"{at}/tile/entries/{{path}}", bundle, 200)
    check(nobody, "GET", f"{at}/tile/entries/{{path}}", bundle, 401)
    closed = f"{at}/closed/{{year}}"
    check(nobody, "GET", f"{closed}/checkpoint", f"{at}/closed/1999/checkpoint", 404)
    check(nobody, "GET", f"{closed}/tile/{{path}}", f"{at}/closed/1999/tile/0/000", 404)
    check(operator, "GET", f"{closed}/tile/entries/{{path}}", f"{at}/closed/1999/tile/entries/000", 404)
    check(clients["auditor"], "GET", f"{at}/events", f"{at}/events?event=ledger.start", 200)
    check(clients["auditor"], "GET", f"{at}/events", f"{at}/events?subject=sip:nobody%40a.example", 200)
    check(clients["auditor"], "GET", f"{at}/events", f"{at}/events?format=csv", 200)
    check(clients["auditor"], "GET", f"{at}/events", f"{at}/events?limit=0", 400)
    person = f"{at}/subjects/{call.path_segment(demo_site.BOB)}"
    check(operator, "DELETE", f"{at}/subjects/{{impu}}", f"{person}?reason=case-1", 204)
    check(operator, "DELETE", f"{at}/subjects/{{impu}}", f"{person}?reason=case-1", 404)
    check(operator, "DELETE", f"{at}/subjects/{{impu}}", person, 400)
    text = f"{origin}/export\nrange 0 {size}\ncheckpoint {size} {root}\n{'0' * 64}  README\n"
    check(operator, "POST", f"{at}/manifests", f"{at}/manifests", 200, json_body={"manifest": text})
    check(operator, "POST", f"{at}/manifests", f"{at}/manifests", 400, json_body={"manifest": "x"})


def test_every_operation(site, clients):
    impu, avatar = call.path_segment(demo_site.ALICE), call.path_segment(demo_site.AVATAR)
    operator, ims_as, feeder, xr_as, nobody = (clients[name] for name in ("operator", "ims-as", "feeder", "xr-as", "nobody"))

    document = {"avatars": [{"applications": [demo_site.APPLICATION], "id": demo_site.AVATAR}]}
    at = ("/subscriptions/v1/{impu}", f"/subscriptions/v1/{impu}")
    check(operator, "GET", *at, 404)
    check(operator, "PUT", *at, 201, json_body=document)
    check(operator, "PUT", *at, 200, json_body=document)
    check(ims_as, "GET", *at, 200)
    check(ims_as, "GET", "/subscriptions/v1/{impu}/avatars", f"/subscriptions/v1/{impu}/avatars?app={demo_site.APPLICATION}", 200)
    check(feeder, "GET", *at, 403)

    content = call.sample_avatar(1000)
    digest = {"Content-Type": "model/gltf-binary", "Content-Digest": call.content_digest(content)}
    at_content = ("/dac/v1/avatars/{avatarId}/content", f"/dac/v1/avatars/{avatar}/content")
    check(feeder, "PUT", *at_content, 201, data=content, headers=digest)
    check(feeder, "PUT", *at_content, 200, data=content, headers=digest)
    at_avatar = ("/dac/v1/avatars/{avatarId}", f"/dac/v1/avatars/{avatar}")

    publication = {"owner": demo_site.ALICE, "contentDigest": "sha-256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()}
    check(feeder, "GET", *at_avatar, 404)
    check(feeder, "PUT", *at_avatar, 428, json_body=publication)
    check(feeder, "PUT", *at_avatar, 201, json_body=publication, headers={"If-None-Match": "*"})
    check(feeder, "PUT", *at_avatar, 412, json_body=publication, headers={"If-None-Match": "*"})
    assert check(feeder, "GET", *at_avatar, 200).headers["etag"] == '"1"'
    check(clients["feeder-b"], "GET", *at_avatar, 403)

    code = check(operator, "POST", "/enrollment/v1/codes", "/enrollment/v1/codes", 201,
                 json_body={"impu": demo_site.ALICE, "simple": True, "reason": "a test"}).json()["code"]
    simple = ("/enrollment/v1/simple", "/enrollment/v1/simple")
    check(nobody, "POST", *simple, 201, json_body={"code": code, "csr": request(jose.new_key())})
    check(nobody, "POST", *simple, 401, json_body={"code": code, "csr": request(jose.new_key())})
    check(nobody, "GET", "/.well-known/est/cacerts", "/.well-known/est/cacerts", 200)
    check_devices(site, clients)

    ue = SoftwareUe(site)
    sign = ("/stir/v1/signing", "/stir/v1/signing")
    wish = call.signing_request(ue.fingerprint())
    identity = call.identity_of(check(ims_as, "POST", *sign, 200, json_body=wish, headers={"Idempotency-Key": '"1"'}))
    check(ims_as, "POST", *sign, 422, json_body=call.signing_request(ue.fingerprint()), headers={"Idempotency-Key": '"1"'})
    check(ims_as, "POST", *sign, 400, json_body=wish, headers={"Idempotency-Key": "1"})
    check(ims_as, "POST", *sign, 400, data=b"{", headers={"Content-Type": "application/json"})
    check(ims_as, "POST", *sign, 415, data=b"{}", headers={"Content-Type": "text/plain"})
    check(xr_as, "POST", *sign, 403, json_body=wish)
    check(nobody, "POST", *sign, 401, json_body=wish)
    verify = ("/stir/v1/verification", "/stir/v1/verification")
    check(ims_as, "POST", *verify, 200, json_body=call.verification_request(identity, ue.fingerprint()))
    check(ims_as, "POST", *verify, 200, json_body=call.verification_request(identity, ue.fingerprint(), origin="sip:eve@a.example"))
    wish = call.signing_request(ue.fingerprint(), destination="sip:bob@a.example")
    original = call.identity_of(check(ims_as, "POST", *sign, 200, json_body=wish))
    step = call.diversion_request("sip:bob@a.example", demo_site.BOB, issued_at=wish["signingRequest"]["iat"])
    div = call.identity_of(check(ims_as, "POST", *sign, 200, json_body=step))
    check(ims_as, "POST", *sign, 403, json_body=call.diversion_request(demo_site.BOB, "sip:carol@c.example"))
    diverted = call.verification_request(original, ue.fingerprint())
    diverted["verificationRequest"] |= {"identityHeaders": [div, "nonsense"], "dest": {"uri": demo_site.BOB}, "to": {"uri": "sip:bob@a.example"}}
    answer = check(ims_as, "POST", *verify, 200, json_body=diverted).json()["verificationResponse"]
    assert answer["verstatValue"] == "Avatar-Validation-Passed" and answer["divResult"] == [["sip:bob@a.example", "TN-Validation-Passed"]]
    assert [each["verifyResult"]["status"] for each in answer["verifyResults"]] == ["pass", "pass", "fail"]
    check(ims_as, "PUT", "/calls/v1/{origid}", f"/calls/v1/{uuid.uuid4()}", 204, json_body={"state": "accepted"})
    check(ims_as, "POST", "/calls/v1/{origid}", f"/calls/v1/{uuid.uuid4()}", 204, json_body={"state": "accepted"})

    token_at = ("/oauth2/token", "/oauth2/token")
    form = call.token_form(site, identity, ue.token())
    access_token = check(xr_as, "POST", *token_at, 200, form=form).json()["access_token"]
    check(xr_as, "POST", *token_at, 400, form={**form, "scope": "other"})
    capif_at = ("/capif-security/v1/securities/{securityId}/token", "/capif-security/v1/securities/sec-1/token")
    capif = {"grant_type": "client_credentials", "client_id": "xr-as-1", "signed_avatar_id": identity, "ue_token": ue.token(iat=int(time.time()) - 1),
             "application_id": demo_site.APPLICATION}
    check(xr_as, "POST", *capif_at, 200, form=capif)
    check(xr_as, "POST", *capif_at, 401, form={**capif, "client_id": "somebody"})

    bearer = {"Authorization": f"Bearer {access_token}"}
    check(xr_as, "GET", "/dac/v1/avatars/{avatarId}/metadata", f"/dac/v1/avatars/{avatar}/metadata", 200, headers=bearer)
    check(xr_as, "GET", *at_content, 200, headers=bearer)
    check(xr_as, "GET", *at_content, 206, headers={**bearer, "Range": "bytes=0-9"})
    check(xr_as, "GET", *at_content, 416, headers={**bearer, "Range": "bytes=100000-"})
    check(xr_as, "GET", *at_content, 401)

    device = jose.b64url(hashlib.sha256(ue.der).digest())
    check(operator, "POST", "/enrollment/v1/certificates/{x5t}/revoke", f"/enrollment/v1/certificates/{device}/revoke", 204, json_body={"reason": "a test"})
    check(feeder, "DELETE", *at_avatar, 204, headers={"If-Match": '"1"'})
    check(operator, "DELETE", *at, 204)

    jwks = check(nobody, "GET", "/.well-known/jwks.json", "/.well-known/jwks.json", 200).json()["keys"]
    assert {key["kid"] for key in jwks} >= {jose.parts(access_token)[0]["kid"]}
    certificate = jose.parts(identity.split(";")[0])[0]["x5u"].rpartition("/")[2]
    assert jose.b64url(bytes.fromhex(certificate.removesuffix(".pem"))) in [key.get("x5t#S256") for key in jwks]
    check(nobody, "GET", "/certs/{sha256}.pem", f"/certs/{certificate}", 200)
    check(nobody, "GET", "/certs/{sha256}.pem", "/certs/00.pem", 404)
    check(nobody, "GET", "/livez", "/livez", 200)
    check(operator, "GET", "/readyz", "/readyz", 200)
    deep = check(operator, "GET", "/readyz", "/readyz?deep=true", 200).json()
    assert all(key["ready"] for key in deep["keys"]) and len(deep["tokens"]) == len(demo_site.TOKENS)
    check(operator, "GET", "/readyz", "/readyz?deep=maybe", 400)
    check(operator, "GET", "/operations/v1/clock", "/operations/v1/clock", 200)
    check(operator, "GET", "/operations/v1/tokens", "/operations/v1/tokens", 200)
    token = ("/operations/v1/tokens/{name}", f"/operations/v1/tokens/{demo_site.TOKENS[1]}")
    check(operator, "PUT", *token, 204, json_body={"state": "drained"})
    check(operator, "PUT", *token, 204, json_body={"state": "active"})
    check(ims_as, "PUT", *token, 403, json_body={"state": "drained"})
    accept = ("/operations/v1/clock/acceptance", "/operations/v1/clock/acceptance")
    check(operator, "POST", *accept, 204, json_body={"time": int(time.time())})
    check(operator, "POST", *accept, 409, json_body={"time": int(time.time()) - 60})
    check(feeder, "POST", *accept, 403, json_body={"time": int(time.time())})
    check(clients["auditor"], "GET", "/operations/v1/keys", "/operations/v1/keys", 200)
    key = ("/operations/v1/keys/{name}", "/operations/v1/keys/ledger")
    check(operator, "PUT", *key, 204, json_body={"state": "active"})
    check(operator, "PUT", *key, 409, json_body={"state": "staged"})
    check(operator, "PUT", "/operations/v1/keys/{name}", "/operations/v1/keys/unknown", 404, json_body={"state": "staged"})
    act = {"act": "key.generate", "object": {"label": "k"}, "terminal": {"uid": 0, "user": "root"}}
    begun = check(operator, "POST", "/operations/v1/acts", "/operations/v1/acts", 201, json_body=act).json()
    end = ("/operations/v1/acts/{id}", f"/operations/v1/acts/{begun['id']}")
    check(operator, "PUT", *end, 204, json_body={**act, "outcome": "done", "result": {"id": "01"}})
    check(operator, "PUT", *end, 204, json_body={**act, "outcome": "failed", "reason": "hsm-error"})
    check_ledger(site, clients)
    check(clients["auditor"], "GET", "/metrics", "/metrics", 200)
    check(nobody, "GET", "/metrics", "/metrics", 401)

    described = {op["operationId"] for path in DOCUMENT["paths"].values() for method, op in path.items() if method != "parameters"}
    assert described == SEEN


def test_unknown_route_and_method(clients):
    assert clients["operator"].get("/nothing").status == 404
    answer = clients["operator"].delete("/livez")
    assert answer.status == 405 and "GET" in answer.headers["allow"]


def test_wrong_method_on_ms_has_its_form(clients):
    answer = clients["ims-as"].delete("/stir/v1/signing")
    assert answer.status == 405 and answer.json()["requestError"]["policyException"]["messageId"] == "POL4050", answer.text


def test_http11_answers_the_same(site):
    old = curl.client_of(site, "operator", http="--http1.1")
    assert old.get("/readyz").status == 200
