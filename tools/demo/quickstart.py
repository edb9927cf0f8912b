"""tools/quickstart after packages and build: the demo site, one call step by step, and what to try next."""

import json
import pathlib
import shutil
import sys
import time

from . import call, curl, screen, site as demo_site
from .parties import Parties

ROOT = pathlib.Path(__file__).parents[2]


class StepFailed(Exception):
    pass


def check(condition, expectation, found):
    if not condition:
        raise StepFailed(f"expected {expectation}; found {found}")


class Quickstart:
    require_accept = False  # of the site: whether nothing is granted before UE-B accepted

    def __init__(self, site):
        self.site = site
        self.parties = Parties(site)
        self.ue = call.Ue(site)
        self.content = call.sample_avatar()

    def artifact(self, name, text):
        (self.site.artifacts / name).write_text(text if text.endswith("\n") else text + "\n")

    def steps(self):
        return (self.enroll, self.offer, self.sign, self.verify, self.hand_over, self.grant, self.fetch, self.render)

    def play(self):
        """Plays the call; gives how many steps failed."""
        steps = self.steps()
        for number, step in enumerate(steps):
            letter, text = "abcdefghijk"[number], step.__doc__
            screen.step(letter, text)
            try:
                screen.passed(step())
            except (StepFailed, RuntimeError, ConnectionError, KeyError, ValueError) as problem:
                screen.failed(str(problem))
                return len(steps) - number
        return 0

    def enroll(self):
        """UE: makes a key in its TPM, proves it to enrollment, and gets a UE certificate for its IMPU"""
        call.import_manifest(self.site)
        screen.wire("operator → enrollment", "POST /enrollment/v1/manifests: the device maker's list of the TPMs in its devices, signed")
        self.ue.enroll()
        screen.wire("UE → enrollment", "POST /enrollment/v1/challenges {code, IMPU, EK certificate, attestation key, UE key}")
        screen.wire("UE ← enrollment", "201 {nonce, a secret that only this TPM can decrypt}")
        screen.wire("UE → enrollment", "POST .../certificate {secret, certificate request, TPM2_Certify and TPM2_Quote by the attestation key}")
        screen.wire("UE ← enrollment", "201 UE certificate, signed by ue-ca in the HSM")
        chain = self.ue.chain()
        leaf, _, rest = chain.partition("-----END CERTIFICATE-----\n")
        self.artifact("ue.pem", leaf + "-----END CERTIFICATE-----\n")
        return f"UE certificate for {self.ue.impu}; the key is in the TPM of {demo_site.SERIAL}, which its maker made, and never leaves it"

    def offer(self):
        """UE → IMS AS: offers the avatar call"""
        self.fingerprint = self.ue.fingerprint()
        screen.wire("SDP", self.ue.sdp_fingerprint())
        return "the SDP carries the fingerprint of the UE certificate"

    def sign(self):
        """IMS AS → signing: may this IMPU use this Avatar-id in this application? Then sign"""
        subscribed = call.subscribe(self.site)
        check(subscribed.status in (200, 201, 204), "the operator's subscription to be taken", subscribed.text)
        self.version = self.publish()
        self.request = call.signing_request(self.fingerprint)
        self.origid = self.request["signingRequest"]["origid"]
        screen.wire("IMS AS → signing", "POST /stir/v1/signing " + json.dumps(self.request))
        answer = call.sign(self.site, self.request)
        screen.wire("IMS AS ← signing", f"{answer.status} {answer.text}")
        check(answer.status == 200, "200", answer.status)
        self.identity = call.identity_of(answer)
        self.artifact("signed-avatar-id.txt", self.identity)
        self.keep_receipt(answer.headers["avseal-ledger-index"], answer.headers["avseal-ledger-origin"])
        return "signed Avatar-id, an Identity header; its event is in the ledger, and the receipt proves it"

    def keep_receipt(self, index, origin):
        screen.wire("IMS AS → ledger", f"GET /ledger/v1/proof/{index}")
        receipt = call.receipt(curl.client_of(self.site, "ims-as"), index)
        check(receipt.status == 200, "a receipt", receipt.text)
        self.artifact("receipt.tlog-proof", receipt.text)
        self.artifact("ledger.vkey", self.site.avseal("ledger", "vkey", "--cert", self.site.pki.pem("ledger"), "--origin", origin).stdout)

    def publish(self):
        """The feeder puts the avatar into the DAC; a repeated run publishes the next version."""
        described = curl.client_of(self.site, "feeder").get(f"/dac/v1/avatars/{call.path_segment(demo_site.AVATAR)}")
        version = int(described.headers["etag"].strip('"')) if described.status == 200 else None
        answer = call.publish(self.site, self.content, version=version)
        check(answer.status in (200, 201), "the avatar to be published", answer.text)
        return int(answer.headers["etag"].strip('"'))

    def verify(self):
        """Terminating IMS → signing: verify, then forward the Avatar-id to UE-B; tell the call's state"""
        request = call.verification_request(self.identity, self.fingerprint)
        screen.wire("IMS B → signing", "POST /stir/v1/verification " + json.dumps(request))
        answer = call.verify(self.site, request)
        screen.wire("IMS B ← signing", f"{answer.status} {answer.text}")
        verdict = answer.json()["verificationResponse"]["verstatValue"]
        check(verdict == "Avatar-Validation-Passed", "Avatar-Validation-Passed", verdict)
        state = call.tell_call_state(self.site, self.origid, "accepted")
        check(state.status in (200, 201, 204), "the call's state to be taken", state.text)
        return "Avatar-Validation-Passed; UE-B accepted the call"

    def hand_over(self):
        """UE → XR AS: UE token, signed by the TPM, over TLS"""
        self.parties.start(self.version)
        self.token = self.ue.token()
        self.artifact("ue-token.jwt", self.token)
        screen.wire("UE → XR AS", self.token)
        self.outcome = self.parties.hand_over(self.ue, self.identity, self.token)
        self.expect_steps("UE token")
        return f"for {demo_site.XR_AS_ID} only, two minutes, on a connection whose certificate is the UE certificate"

    def finish(self):
        self.parties.stop()

    def expect_steps(self, *names):
        """Each named step of the XR AS's verdict passed."""
        for step in self.outcome["steps"]:
            if step["step"] in names:
                screen.wire(f"XR AS {step['step']}", step["detail"])
                check(step["passed"], f"the step {step['step']} to pass", step["detail"])
        seen = {step["step"] for step in self.outcome["steps"]}
        check(set(names) <= seen, f"the steps {', '.join(names)}", ", ".join(sorted(seen)) or "none")

    def grant(self):
        """XR AS → authorization: signed Avatar-id + UE token + application id; gets an access token"""
        self.expect_steps("access token")
        return "granted for this XR AS's certificate, this avatar, reading, five minutes"

    def fetch(self):
        """XR AS → DAC: access token; gets content and signed avatar metadata"""
        self.expect_steps("avatar metadata", "avatar content")
        return "metadata signed in the HSM; content decrypted segment by segment, each verified before it left"

    def render(self):
        """XR AS, then MF: each verifies signature, digest, expiry, avatar and version, before it uses it"""
        self.expect_steps("media function")
        rendered = self.parties.rendered()
        check(rendered == self.content, "the MF to hand the published avatar to its renderer", f"{len(rendered)} other bytes")
        return "the MF verified for itself and handed the avatar to its renderer"

    def keep_certificates(self):
        for name in ("avatar-id", "access-token", "avatar-metadata", "ue-ca", "tls-ca"):
            shutil.copy(self.site.pki.pem(name), self.site.artifacts / f"{name}.pem")


def begin(site, detached, require_accept=False):
    site.stop_detached()
    if site.exists():
        screen.heading(f"site: using {site.directory}")
        for token in site.tokens:
            site.write_worker_configuration(token)
    else:
        screen.heading(f"site: making {site.directory}")
        shutil.rmtree(site.directory, ignore_errors=True)
        site.make(screen.progress)
    if require_accept:
        site.require_accept()
    screen.heading("starting swtpm, avseal-tokend workers and avseald")
    site.start(detached)
    screen.progress(f"listening on {site.url}")


def what_next(site):
    print(f"""
The site goes on running ({site.url}); tools/quickstart stop ends it. Five things to try:

  . run/site.env; curl --cacert $AVSEAL_CACERT --cert $AVSEAL_OPERATOR_CERT --key $AVSEAL_OPERATOR_KEY $AVSEAL_URL/readyz
  build/release/bin/avseal inspect @run/artifacts/access-token.jwt --key run/artifacts/access-token.pem
  build/release/bin/avseal ledger verify run/ledger --vkey run/artifacts/ledger.vkey
  . run/site.env; build/release/bin/avseal bench --url $AVSEAL_URL --cacert $AVSEAL_CACERT --cert $AVSEAL_IMS_AS_CERT \\
      --key $AVSEAL_IMS_AS_KEY --signing run/signing-request.json --seconds 5
  pkill -KILL -o -P $(cat run/avseald.pid) avseal-tokend     ends one of the two HSM workers; do it during the command before
""")


def write_template(site, fingerprint):
    request = call.signing_request(fingerprint)
    text = json.dumps(request).replace(request["signingRequest"]["origid"], "{{uuid}}")
    text = text.replace(str(request["signingRequest"]["iat"]), "{{now}}", 1)
    (site.directory / "signing-request.json").write_text(text + "\n")


def main(arguments, kind=Quickstart):
    site = demo_site.Site(ROOT / "run", ROOT / "build" / "release", faults=arguments == ["--faults"])
    if arguments == ["stop"]:
        found = site.stop_detached()
        print(f"stopped {' and '.join(found)}" if found else "no site is running")
        return 0
    once = arguments == ["--once"]
    failures = 1
    started = time.monotonic()
    quickstart = None
    try:
        begin(site, detached=not once, require_accept=kind.require_accept)
        quickstart = kind(site)
        failures = quickstart.play()
        quickstart.keep_certificates()
        if failures == 0:
            write_template(site, quickstart.ue.fingerprint())
    except RuntimeError as problem:
        screen.failed(str(problem))
    finally:
        if quickstart:
            quickstart.finish()
        if once or failures:
            site.stop()
    print()
    if failures:
        screen.failed(f"the call did not complete; logs are in {site.log}")
        return 1
    screen.passed(f"all steps of the call in {time.monotonic() - started:.1f} s; its objects are in {site.artifacts}")
    if not once:
        what_next(site)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
