"""What operators do with devices and certificates, and the CRL as openssl reads it."""

import hashlib
import json
import subprocess

import pytest

from demo import call, curl, processes, site as demo_site
from support import jose
from support.ledger import leaves
from support.software_ue import SoftwareUe, request
from support.load import wait_until

SITE_TOKENS = demo_site.TOKENS[:1]


def device(site, command, *arguments, check=True):
    return site.avseal("device", command, *site.operator_options(), *arguments, check=check)


def crl_of(site):
    """The CRL that is served, as PEM, which openssl verified."""
    wait_until(lambda: curl.nobody(site).get("/enrollment/v1/crl").status != 503)  # a node signs its first one right after its start
    answer = curl.nobody(site).get("/enrollment/v1/crl")
    assert answer.status == 200 and answer.headers["content-type"] == "application/pkix-crl", answer.text
    path = site.directory / "served.crl.pem"
    subprocess.run(["openssl", "crl", "-inform", "der", "-out", path], input=answer.body, check=True, capture_output=True)
    verified = subprocess.run(["openssl", "crl", "-in", path, "-noout", "-CAfile", site.pki.pem("ue-ca")], capture_output=True, text=True)
    assert "verify OK" in verified.stderr, verified.stderr
    return path


def number_of(crl):
    text = subprocess.run(["openssl", "crl", "-in", crl, "-noout", "-crlnumber"], check=True, capture_output=True, text=True).stdout
    return int(text.strip().split("=")[1].removeprefix("0x"), 16)


def verify(site, ue, crl):
    """What openssl says of the UE's certificate."""
    leaf = site.directory / "leaf.pem"
    leaf.write_text(ue.certificates[0])
    done = subprocess.run(["openssl", "verify", "-crl_check", "-CRLfile", crl, "-CAfile", site.pki.pem("ue-root"),
                           "-untrusted", site.pki.pem("ue-ca"), leaf], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def wait_for_crl(site, above):
    processes.wait_until(lambda: number_of(crl_of(site)) > above, site.running["avseald"], site.log / "avseald.log", "a CRL", seconds=60)
    return crl_of(site)


def token(site, ue):
    identity = call.identity_of(call.sign(site, call.signing_request(ue.fingerprint())))
    return curl.client_of(site, "xr-as").post("/oauth2/token", form=call.token_form(site, identity, ue.token()))


def test_a_revoked_certificate_is_refused_at_once_and_on_the_crl(site):
    call.subscribe(site)
    call.publish(site, call.sample_avatar(1000))
    good, bad = SoftwareUe(site), SoftwareUe(site)
    first = crl_of(site)
    assert verify(site, bad, first)[0] == 0
    assert token(site, bad).status == 200
    before = number_of(first)
    site.avseal("ue", "revoke", *site.operator_options(), "--x5t", jose.b64url(hashlib.sha256(bad.der).digest()), "--reason", "lost")
    answer = token(site, bad)
    assert answer.status == 400 and "revoked" in answer.text, answer.text
    crl = wait_for_crl(site, before)
    code, text = verify(site, bad, crl)
    assert code != 0 and "certificate revoked" in text, text
    assert verify(site, good, crl)[0] == 0
    issued = [leaf for leaf in leaves(site.ledger) if leaf["event"] == "issue.crl"]
    assert issued[-1]["outcome"] == "released" and issued[-1]["details"]["entries"] == 1


def test_crl_numbers_rise_across_restarts(site):
    before = number_of(crl_of(site))
    assert processes.stop(site.running.pop("avseald")) == 0
    site.start_service()
    assert number_of(wait_for_crl(site, before)) > before


def test_the_simple_form_is_an_exception(site):
    code = call.invite(site, demo_site.BOB)
    answer = curl.nobody(site).post("/enrollment/v1/simple", json_body={"code": code, "csr": request(jose.new_key())})
    assert (answer.status, answer.json()["reason"]) == (403, "enrolment-simple-refused")
    done = site.avseal("ue", "invite", *site.operator_options(), "--impu", demo_site.BOB, "--simple", check=False)
    assert done.returncode != 0 and "--reason" in done.stderr


def test_manifests_rise(site):
    assert "version 1" in call.import_manifest(site).stdout
    assert "version 1" in call.import_manifest(site).stdout, "handed in again"
    site.attestation.write_manifest([("0" * 64, "SN-9", "XR-UE-1", "2026-11")])
    done = device(site, "import-manifest", site.attestation.directory / "manifest.csv", check=False)
    assert done.returncode == 1 and "[document-rolled-back]" in done.stderr, done.stderr
    manifests = json.loads(device(site, "manifests", "--json").stdout)["manifests"]
    assert [(one["maker"], one["version"]) for one in manifests] == [("ExampleMaker", 1)]


@pytest.mark.parametrize("command, said", [
    (("show", "0" * 64), "device-unknown"), (("revoke", "0" * 64, "--reason", "x"), "device-unknown"), (("evidence", "00"), "evidence-unknown")])
def test_what_is_not_there(site, command, said):
    done = device(site, *command, check=False)
    assert done.returncode == 1 and f"[{said}]" in done.stderr, done.stderr


def test_batches_are_revoked_before_a_device_is_seen(site):
    done = device(site, "revoke-batch", "2020-01", "--maker", "ExampleMaker", "--reason", "leaked keys")
    assert "0 certificates" in done.stdout
    listed = json.loads(device(site, "revocations", "--json").stdout)["revocations"]
    assert [(one["batch"], one["scope"], one["reason"]) for one in listed] == [("2020-01", "ExampleMaker", "leaked keys")]
    assert "2020-01" in device(site, "revocations").stdout
    assert json.loads(device(site, "list", "--json").stdout) == []
