"""Signed Avatar-ids of other networks: their certificates are fetched, and each thing that may be wrong with them is refused."""

import os
import pathlib
import shutil
import tempfile
import time
import uuid

import pytest

from demo import call, pki, processes, site as demo_site
from support import jose
from support.software_ue import SoftwareUe
from support.x5u_server import X5uServer

FINGERPRINT = "SHA-256 " + ":".join(["AB"] * 32)


@pytest.fixture(scope="module")
def site():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(directory, os.environ["AVSEAL_BUILD"])
    site.x5u_port, site.public_port = processes.free_port(), processes.free_port()
    site.x5u_internal_hosts = [f"localhost:{site.x5u_port}"]
    site.x5u_hosts = [f"localhost:{site.public_port}"]
    site.make()
    site.pki.root("other-stir-ca", "another STI CA")
    good = pki.stir_extensions(["a.example"])
    for name, ca, extensions, days in (
            ("good", "stir-ca", good, 30), ("denied", "stir-ca", good, 30), ("other-domain", "stir-ca", pki.stir_extensions(["b.example"]), 30),
            ("expired", "stir-ca", good, -1), ("other-ca", "other-stir-ca", good, 30), ("no-usage", "stir-ca", ["subjectAltName=DNS:a.example"], 30),
            ("a-ca", "stir-ca", ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature", "subjectAltName=DNS:a.example"], 30)):
        site.pki.issue(f"signer-{name}", ca, name, extensions, days)
    denied = jose.load_certificate(site.pki.pem("signer-denied"))
    (directory / "denied").write_text(jose.hashlib.sha256(jose.der_of(denied)).hexdigest() + "\n")
    configuration = directory / "avseald.toml"
    configuration.write_text(configuration.read_text().replace("[signing]\n", f'[signing]\ndeny_list = "{directory}/denied"\n'))
    site.start()
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


def header_by(site, server, signer="good", at=None, x5u=None, info=None, ppt="avatar", key=None, **claims):
    x5u = x5u or server.url(f"/signer-{signer}.pem")
    passport = jose.sign({"alg": "ES256", "ppt": "avatar", "typ": "passport", "x5u": x5u},
                         jose.avatar_claims(FINGERPRINT, int(time.time()) if at is None else at, **claims),
                         key or jose.load_key(site.pki.key(f"signer-{signer}")))
    return jose.identity_header(passport, info or x5u, ppt)


def verdict(site, header):
    answer = call.verify(site, call.verification_request(header, FINGERPRINT))
    assert answer.status == 200, answer.text
    return answer.json()["verificationResponse"]


def failed(site, header, code, reason):
    response = verdict(site, header)
    assert response["verstatValue"] == "Avatar-Validation-Failed", response
    result = response["verifyResults"][0]["verifyResult"]
    assert (result["reasonCode"], result["reason"]) == (code, reason), result


def test_a_genuine_one_passes_and_is_fetched_once(site, server):
    for _ in range(3):
        response = verdict(site, header_by(site, server, origid=str(uuid.uuid4())))
        assert response["verstatValue"] == "Avatar-Validation-Passed", response
    assert server.requests["/signer-good.pem"] == 1


@pytest.mark.parametrize("offset, reason", [(-65, "iat-stale"), (65, "iat-future"), (-86400, "iat-stale")])
def test_stale_or_from_the_future(site, server, offset, reason):
    failed(site, header_by(site, server, at=int(time.time()) + offset), 403, reason)


def test_iat_as_text(site, server):
    answer = call.verify(site, call.verification_request(header_by(site, server, iat=str(int(time.time()))), FINGERPRINT))
    assert answer.json()["verificationResponse"]["verstatValue"] == "Avatar-Validation-Failed", answer.text


def test_info_is_not_x5u(site, server):
    failed(site, header_by(site, server, info=server.url("/signer-denied.pem")), 436, "x5u-info-mismatch")


def test_ppt_parameter_is_not_that_of_the_passport(site, server):
    response = verdict(site, header_by(site, server, ppt="shaken"))
    assert response["verstatValue"] == "TN-Validation-Failed"
    assert response["verifyResults"][0]["verifyResult"]["reason"] == "ppt-mismatch"


@pytest.mark.parametrize("signer, code, reason", [
    ("denied", 437, "certificate-denied"), ("other-domain", 437, "certificate-not-authoritative"), ("expired", 437, "certificate-expired"),
    ("other-ca", 437, "certificate-untrusted"), ("no-usage", 437, "certificate-key-usage"), ("a-ca", 437, "certificate-is-ca")])
def test_signer_that_may_not(site, server, signer, code, reason):
    failed(site, header_by(site, server, signer), code, reason)


def test_ue_certificate_as_signer(site, server):
    ue = SoftwareUe(site)
    server.documents["/ue.pem"] = "".join(ue.certificates).encode()
    failed(site, header_by(site, server, x5u=server.url("/ue.pem"), key=ue.key), 437, "certificate-is-ue")


def test_signature_of_another_key(site, server):
    failed(site, header_by(site, server, key=jose.new_key()), 438, "signature-invalid")


@pytest.mark.parametrize("path, reason", [
    ("/redirect.pem", "x5u-status"), ("/slow.pem", "x5u-unreachable"), ("/huge.pem", "x5u-unreachable"), ("/nothing.pem", "x5u-status")])
def test_misbehaving_server(site, server, path, reason):
    server.documents["/good.pem"] = site.pki.pem("signer-good").read_bytes()
    failed(site, header_by(site, server, x5u=server.url(path)), 436, reason)
    assert "/good.pem" not in server.requests


@pytest.mark.parametrize("url, reason", [
    ("http://localhost:{port}/signer-good.pem", "x5u-invalid"), ("https://127.0.0.1:{port}/signer-good.pem", "x5u-malformed"),
    ("https://user@localhost:{port}/signer-good.pem", "x5u-malformed"), ("https://localhost:{port}/signer-good.pem?a=b", "x5u-malformed"),
    ("https://elsewhere.example/c.pem", "x5u-host-not-allowed"), ("https://localhost:1/c.pem", "x5u-host-not-allowed")])
def test_url_that_is_not_fetched(site, server, url, reason):
    before = dict(server.requests)
    failed(site, header_by(site, server, x5u=url.format(port=site.x5u_port)), 436, reason)
    assert server.requests == before


def test_public_host_with_an_internal_address(site, server):
    inside = X5uServer(site.public_port, site.pki.pem("server"), site.pki.key("server"))
    try:
        inside.documents["/c.pem"] = site.pki.pem("signer-good").read_bytes()
        failed(site, header_by(site, server, x5u=inside.url("/c.pem")), 436, "x5u-unreachable")
        assert inside.requests == {}
    finally:
        inside.stop()
