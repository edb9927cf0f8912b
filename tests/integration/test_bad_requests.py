"""Bad requests of every kind to every route that changes or signs something: the documented answer over both HTTP versions, and no state changed."""

import json
import subprocess
import urllib.parse
import uuid

import pytest

from demo import call, curl, site as demo_site
from support import jose
from support.ledger import leaves
from support.software_ue import SoftwareUe, request

AVATAR = call.path_segment(demo_site.AVATAR)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
CONTENT = call.sample_avatar(1000)


class Route:
    def __init__(self, role, method, path, media, good, headers=None):
        self.role, self.method, self.path, self.media, self.good, self.headers = role, method, path, media, good, headers or {}

    def __repr__(self):
        return f"{self.method} {self.path.split('/')[1]}"


@pytest.fixture(scope="module")
def site(stopped_site):
    path = stopped_site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("[enrollment]\n", "[enrollment]\nattempts_per_minute = 10000\n"))
    stopped_site.start()
    yield stopped_site
    assert stopped_site.stop() == 0


@pytest.fixture(scope="module")
def ue(site):
    assert call.subscribe(site).status == 201
    assert call.stage(site, CONTENT).status == 201
    return SoftwareUe(site)


@pytest.fixture(scope="module")
def routes(site, ue):
    return routes_of(site, ue)


def routes_of(site, ue):
    """Each with a body that would be taken now."""
    identity = call.identity_of(call.sign(site, call.signing_request(ue.fingerprint())))
    form = call.token_form(site, identity, ue.token())
    capif = {"grant_type": "client_credentials", "client_id": "xr-as-1", "signed_avatar_id": identity, "ue_token": ue.token(),
             "application_id": demo_site.APPLICATION}
    code = call.invite(site, demo_site.ALICE, "--simple", "--reason", "a UE without a TPM")
    return [
        Route("operator", "PUT", f"/subscriptions/v1/{call.path_segment(demo_site.BOB)}", JSON, {"avatars": []}),
        Route("ims-as", "PUT", f"/calls/v1/{uuid.uuid4()}", JSON, {"state": "ended"}),
        Route("ims-as", "POST", "/stir/v1/signing", JSON, call.signing_request(ue.fingerprint())),
        Route("ims-as", "POST", "/stir/v1/verification", JSON, call.verification_request(identity, ue.fingerprint())),
        Route("feeder", "PUT", f"/dac/v1/avatars/{AVATAR}", JSON,
              {"owner": demo_site.ALICE, "contentDigest": "sha-256-" + call.content_digest(CONTENT)[9:-1]}, {"If-None-Match": "*"}),
        Route("operator", "POST", "/enrollment/v1/codes", JSON, {"impu": demo_site.BOB}),
        Route(None, "POST", "/enrollment/v1/simple", JSON, {"code": code, "csr": request(jose.new_key())}),
        Route("xr-as", "POST", "/oauth2/token", FORM, form),
        Route("xr-as", "POST", "/capif-security/v1/securities/sec-1/token", FORM, capif),
    ]


def encode(route, body):
    return json.dumps(body) if route.media == JSON else urllib.parse.urlencode(body)


def duplicated(route):
    """The good body with its first member twice."""
    text = encode(route, route.good)
    if route.media == FORM:
        return text + "&" + text.split("&")[0]
    name, value = next(iter(route.good.items()))
    return "{" + f"{json.dumps(name)}:{json.dumps(value)}," + text[1:]


def send(site, route, client, body, media=None, http="--http2"):
    speaker = curl.nobody(site) if client is None else curl.client_of(site, client, http)
    return speaker.request(route.method, route.path, data=body.encode(), headers={"Content-Type": media or route.media, **route.headers})


def state(site):
    """What the store holds, and the leaves that are no refusals."""
    tables = subprocess.run(["sqlite3", "-readonly", site.directory / "store.sqlite", ".dump"], capture_output=True, text=True, check=True)
    rows = [line for line in tables.stdout.splitlines() if not line.startswith("INSERT INTO ledger_head")]  # grows with refusals too
    return rows, [leaf for leaf in leaves(site.ledger) if leaf["outcome"] != "refused"]


@pytest.fixture
def unchanged(site, routes):
    before = state(site)
    yield
    assert state(site) == before


def problem(answer):
    """The reason, in whichever form the interface has."""
    body = answer.json()
    if answer.headers["content-type"] == "application/problem+json":
        assert body["status"] == answer.status and body["title"] and body["detail"]
        return body["reason"]
    assert answer.headers["content-type"].startswith("application/json")
    assert "error" in body or "requestError" in body, body
    return json.dumps(body)


VERSIONS = pytest.mark.parametrize("http", ["--http2", "--http1.1"])


@VERSIONS
def test_malformed_body(site, routes, unchanged, http):
    for route in routes:
        for body in ("", "{", "[]", "nonsense", '{"a":1}x', "\x00", "{'a':1}", '{"a":01}', "[" * 200):
            answer = send(site, route, route.role, body, http=http)
            assert answer.status == 400, (route, body, answer.status, answer.text)
            assert problem(answer)


@VERSIONS
def test_duplicate_members(site, routes, unchanged, http):
    for route in routes:
        answer = send(site, route, route.role, duplicated(route), http=http)
        assert answer.status == 400, (route, answer.status, answer.text)
        assert problem(answer)


@VERSIONS
def test_oversized_body(site, routes, unchanged, http):
    for route in routes:
        answer = send(site, route, route.role, encode(route, route.good) + " " * 70_000, http=http)
        assert answer.status == 413, (route, answer.status, answer.text)
        assert problem(answer)


@VERSIONS
def test_wrong_content_type(site, routes, unchanged, http):
    for route in routes:
        for media in ("text/plain", FORM if route.media == JSON else JSON, "application/json; charset=utf-16", ";"):
            answer = send(site, route, route.role, encode(route, route.good), media, http)
            assert answer.status == 415, (route, media, answer.status, answer.text)
            assert problem(answer)


@VERSIONS
def test_unknown_routes_and_methods(site, routes, unchanged, http):
    operator = curl.client_of(site, "operator", http)
    for path in ("/", "/stir", "/stir/v1", "/stir/v2/signing", "/dac/v1/avatars", f"/calls/v1/{uuid.uuid4()}/x"):
        answer = operator.get(path)
        assert answer.status == 404 and problem(answer) == "route-unknown", (path, answer.status, answer.text)
    for route in routes:
        answer = operator.request("PATCH", route.path)
        assert answer.status == 405 and route.method in answer.headers["allow"], (route, answer.text)


def test_missing_unlisted_and_foreign_certificates(site, routes, unchanged):
    site.pki.issue_client("unlisted", "tls-ca", "DNS:unlisted.a.example")
    site.pki.root("foreign-ca", "foreign CA")
    site.pki.issue_client("foreign", "foreign-ca", "DNS:operator.a.example")
    site.pki.issue_client("expired-client", "tls-ca", "DNS:operator.a.example", days=-1)
    for route in routes:
        body = encode(route, route.good)
        for client in ("foreign", "expired-client"):
            with pytest.raises(ConnectionError):
                send(site, route, client, body)
        if route.role is None:
            continue
        for client, status, reason in ((None, 401, "client-certificate-missing"), ("unlisted", 403, "client-unknown"),
                                       ("auditor", 403, "client-role")):
            answer = send(site, route, client, body)
            # TS 29.510 and RFC 6749 have 400 for what a token request is refused for, and CAPIF 401 for an unknown client.
            if route.media == FORM and not (status == 401 and "capif" in route.path):
                status = 400
            assert answer.status == status, (route, client, answer.status, answer.text)
            assert reason in problem(answer) or "stir" in route.path, (route, client, answer.text)


def test_the_good_ones_are_taken(site, ue):
    """So what the other tests refused was refused for their reasons."""
    for route in routes_of(site, ue):
        answer = send(site, route, route.role, encode(route, route.good))
        assert answer.status in (200, 201, 204), (route, answer.status, answer.text)
