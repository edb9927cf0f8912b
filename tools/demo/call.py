"""The pieces of one avatar call, as the UE, the IMS AS, the feeder and the operator do them against a running site."""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import time
import urllib.parse
import uuid

from . import curl, site as demo_site, tpm

SCOPE = "ndac-avatar"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Ue:
    """A UE whose key is in the site's software TPM (or in another one)."""

    def __init__(self, site, state=None, tpm_directory=None, impu=demo_site.ALICE, serial=demo_site.SERIAL):
        self.site, self.impu, self.serial = site, impu, serial
        self.state = pathlib.Path(state or site.ue_state)
        self.tcti = tpm.tcti(tpm_directory or site.tpm)

    def run(self, command, *arguments, check=True, stdin=None):
        done = subprocess.run([self.site.bin / "avseal-ue", "--tcti", self.tcti, "--state", self.state, command, *map(str, arguments)],
                              capture_output=True, text=True, input=stdin)
        if check and done.returncode != 0:
            raise RuntimeError(f"avseal-ue {command} failed: {done.stderr.strip()}")
        return done

    def enroll(self, *arguments, code=None, url=None, check=True):
        """Step a: a code from the operator; the TPM proves that it holds the key; UE certificate."""
        return self.run("enroll", "--url", url or self.site.url, "--cacert", self.site.pki.pem("tls-ca"), "--impu", self.impu, "--serial", self.serial,
                        "--code", "-", *arguments, stdin=f"{code or invite(self.site, self.impu)}\n", check=check)

    def certificate_file(self):
        """The current UE certificate and those above it, PEM."""
        generation = json.loads((self.state / "state.json").read_text())["ueKey"].get("generation", 0)
        return self.state / (f"ue-cert-{generation}.pem" if generation else "ue-cert.pem")

    def chain(self):
        return self.certificate_file().read_text()

    def sdp_fingerprint(self):
        """Step b: "a=fingerprint:SHA-256 AA:BB.."."""
        return self.run("fingerprint").stdout.strip()

    def fingerprint(self):
        return self.sdp_fingerprint().removeprefix("a=fingerprint:")

    def token(self, audience=demo_site.XR_AS_ID, avatar=demo_site.AVATAR, application=demo_site.APPLICATION, lifetime=120):
        """Step e."""
        return self.run("token", "--aud", audience, "--avatar", avatar, "--app", application, "--lifetime", lifetime).stdout.strip()


def import_manifest(site):
    """The operator takes over what the device's maker says."""
    return site.avseal("device", "import-manifest", *site.operator_options(), site.attestation.directory / "manifest.csv")


def invite(site, impu, *arguments):
    done = site.avseal("ue", "invite", *site.operator_options(), "--impu", impu, *arguments)
    return done.stdout.strip().splitlines()[-1].split()[-1]


def path_segment(text):
    return urllib.parse.quote(text, safe="")


def subscribe(site, impu=demo_site.ALICE, avatars=((demo_site.AVATAR, demo_site.APPLICATION),)):
    body = {"avatars": [{"id": avatar, "applications": [application]} for avatar, application in avatars]}
    return curl.client_of(site, "operator").put(f"/subscriptions/v1/{path_segment(impu)}", json_body=body)


def unsubscribe(site, impu=demo_site.ALICE):
    return curl.client_of(site, "operator").delete(f"/subscriptions/v1/{path_segment(impu)}")


def content_digest(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def stage(site, content, avatar=demo_site.AVATAR, client="feeder", media_type="model/gltf-binary", digest=None):
    return curl.client_of(site, client).put(f"/dac/v1/avatars/{path_segment(avatar)}/content", data=content, headers={
        "Content-Type": media_type, "Content-Digest": digest or content_digest(content)})


def publish(site, content, avatar=demo_site.AVATAR, owner=demo_site.ALICE, version=None, client="feeder", members=None,
            media_type="model/gltf-binary"):
    """Stages content and publishes it as the version after `version` (None: the first)."""
    staged = stage(site, content, avatar, client, media_type)
    if staged.status not in (200, 201, 204):
        return staged
    condition = {"If-None-Match": "*"} if version is None else {"If-Match": f'"{version}"'}
    digest = "sha-256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()
    body = {"owner": owner, "contentDigest": digest, "members": members or {}}
    return curl.client_of(site, client).put(f"/dac/v1/avatars/{path_segment(avatar)}", json_body=body, headers=condition)


def signing_request(fingerprint, attest="A", origin=demo_site.ALICE, destination=demo_site.BOB, avatar=demo_site.AVATAR,
                    application=demo_site.APPLICATION, origid=None, issued_at=None):
    return {"signingRequest": {
        "attest": attest, "avatar": {"id": avatar, "app": application}, "dest": {"uri": [destination]},
        "fingerprints": [fingerprint], "iat": int(time.time()) if issued_at is None else issued_at,
        "orig": {"uri": origin}, "origid": origid or str(uuid.uuid4()), "ueFingerprint": fingerprint}}


def verification_request(identity, fingerprint, origin=demo_site.ALICE, destination=demo_site.BOB, call_id=None, at=None):
    return {"verificationRequest": {
        "identityHeader": identity, "from": {"uri": origin}, "to": {"uri": destination}, "fingerprints": [fingerprint],
        "callId": call_id or str(uuid.uuid4()), "time": int(time.time()) if at is None else at}}


def diversion_request(party, destination, origin=demo_site.ALICE, issued_at=None):
    """The call that came for `party` goes to `destination`."""
    return {"signingRequest": {"ppt": "div", "div": {"uri": party}, "dest": {"uri": [destination]}, "orig": {"uri": origin},
                               "iat": int(time.time()) if issued_at is None else issued_at}}


def sign(site, request, client="ims-as"):
    """Step c."""
    return curl.client_of(site, client).post("/stir/v1/signing", json_body=request)


def identity_of(answer):
    return answer.json()["signingResponse"]["identityHeader"]


def verify(site, request, client="ims-as"):
    """Step d."""
    return curl.client_of(site, client).post("/stir/v1/verification", json_body=request)


def tell_call_state(site, origid, state, client="ims-as"):
    return curl.client_of(site, client).put(f"/calls/v1/{origid}", json_body={"state": state})


def token_form(site, identity, ue_token, application=demo_site.APPLICATION, client="xr-as"):
    return {"grant_type": "client_credentials", "nfInstanceId": site.identifier(client), "scope": SCOPE,
            "signed_avatar_id": identity, "ue_token": ue_token, "application_id": application}


def request_token(site, form, client="xr-as"):
    """Step f, TS 29.510 form."""
    return curl.client_of(site, client).post("/oauth2/token", form=form)


def fetch(site, what, access_token, avatar=demo_site.AVATAR, client="xr-as", headers=None):
    """Step g: what is "metadata" or "content"."""
    return curl.client_of(site, client).get(f"/dac/v1/avatars/{path_segment(avatar)}/{what}",
                                            headers={"Authorization": f"Bearer {access_token}", **(headers or {})})


def claims_of(compact):
    part = compact.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def sample_avatar(size=200_000):
    """A binary glTF (a header, an empty scene and a buffer) of about `size` bytes, another one each time."""
    scene = json.dumps({"asset": {"version": "2.0"}, "buffers": [{"byteLength": size}]}).encode()
    scene += b" " * (-len(scene) % 4)
    buffer = os.urandom(size - size % 4)
    chunks = len(scene).to_bytes(4, "little") + b"JSON" + scene + len(buffer).to_bytes(4, "little") + b"BIN\0" + buffer
    return b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunks)).to_bytes(4, "little") + chunks


def receipt(client, index, query="", patience=60):
    """The answer with the receipt of a leaf; asks again while no checkpoint covers it, as on a busy machine."""
    end = time.monotonic() + patience
    while True:
        answer = client.get(f"/ledger/v1/proof/{index}{query}")
        if answer.status != 503 or time.monotonic() > end:
            return answer
