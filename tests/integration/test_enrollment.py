"""UE certificates for keys that provably live in our devices' TPMs: avseal-ue, avseald and swtpm, each a process."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import uuid

import pytest

from demo import call, curl, processes, site as demo_site, tpm
from demo.attestation import PROFILE, pcr_sets
from support import endorsement, jose, ledger, relay

KINDS = ("rsa-2048", "p-256", "p-384")


class Phone:
    """A device with a TPM of its own, in the maker's manifest."""

    made = 0

    def __init__(self, site, name, batch="2026-11", listed=True, p256=False):
        Phone.made += 1
        self.site, self.name, self.batch = site, name, batch
        self.tpm = site.directory / f"p{Phone.made}"
        tpm.provision(self.tpm, site.directory / "tpm-authority")
        self.process = tpm.start(self.tpm)
        if p256:
            endorsement.add_p256(self.tpm)
        self.impu = f"sip:{name}@a.example"
        self.ue = call.Ue(site, state=site.directory / f"ue-{name}", tpm_directory=self.tpm, impu=self.impu, serial=name)
        if listed:
            manifest.list(tpm.manifest_entries(self.tpm, name, batch=batch))

    def restart(self, state=None):
        """As after a power loss; with another state of the TPM, if given."""
        self.process.kill()
        self.process.wait()
        if state is not None:
            shutil.rmtree(self.tpm / "state")
            shutil.copytree(state, self.tpm / "state")
        self.process = tpm.start(self.tpm)

    def copy_state(self, name):
        return shutil.copytree(self.tpm / "state", self.tpm / name)

    def refused(self, reason, *arguments, **options):
        done = self.ue.enroll(*arguments, check=False, **options)
        assert done.returncode == 1 and f"[{reason}]" in done.stderr, done.stdout + done.stderr

    def stop(self):
        processes.stop(self.process)


class Manifest:
    """The maker's manifest, which grows; each version is handed in by the operator."""

    def __init__(self):
        self.site, self.entries, self.version = None, [], 0

    def list(self, entries):
        self.entries += entries
        self.hand_in()

    def hand_in(self):
        self.version += 1
        self.site.attestation.write_manifest(self.entries, version=self.version)
        call.import_manifest(self.site)


manifest = Manifest()


@pytest.fixture(scope="module")
def stopped_site(stopped_site):
    """A site that takes any rate of enrolments from one address: all phones are on this machine."""
    configuration = stopped_site.directory / "avseald.toml"
    configuration.write_text(configuration.read_text().replace("[enrollment]\n", "[enrollment]\nattempts_per_minute = 1000000\n"))
    return stopped_site


@pytest.fixture(scope="module")
def phones(site):
    made = []
    manifest.site, manifest.entries, manifest.version = site, [], 0

    def make(name, **options):
        made.append(Phone(site, name, **options))
        return made[-1]

    yield make
    for phone in made:
        phone.stop()


def device_command(site, *arguments, check=True):
    return site.avseal("device", *arguments[:1], *site.operator_options(), *arguments[1:], check=check)


def devices(site):
    return json.loads(device_command(site, "list", "--json").stdout)


def device_of(phone):
    """The id that the last certificate's answer named."""
    return json.loads((phone.ue.state / "state.json").read_text())["enrollment"]["device"]


def reload(site, ok=True):
    before = (site.log / "avseald.log").read_text()
    os.kill(site.running["avseald"].pid, signal.SIGHUP)
    wanted = "event=configuration-reloaded" if ok else "event=configuration-refused"
    processes.wait_until(lambda: wanted in (site.log / "avseald.log").read_text()[len(before):], site.running["avseald"], site.log / "avseald.log", "avseald")


def leaves(site, event):
    return [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == event]


# --- the protocol, for each kind of endorsement key ---

@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_endorsement_key(site, phones, kind):
    phone = phones(f"of-{kind}", p256=kind == "p-256")
    phone.ue.enroll("--ek", kind)
    leaf = phone.ue.chain()
    path = site.directory / f"{kind}.pem"
    path.write_text(leaf)
    text = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-text"], check=True, capture_output=True, text=True).stdout
    assert f"URI:{phone.impu}" in text
    verified = subprocess.run(["openssl", "verify", "-CAfile", site.pki.pem("ue-root"), "-untrusted", site.pki.pem("ue-ca"), path], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stderr
    shown = json.loads(device_command(site, "show", device_of(phone), "--json").stdout)
    assert shown["state"] == "active" and phone.impu in json.dumps(shown)


def test_renewal_is_a_new_key_under_the_same_attestation_key(site, phones):
    phone = phones("renews")
    phone.ue.enroll()
    before = phone.ue.chain(), phone.ue.fingerprint()
    phone.ue.run("renew")
    assert phone.ue.chain() != before[0] and phone.ue.fingerprint() != before[1]
    assert phone.ue.token()
    assert "renew" in json.dumps(leaves(site, "issue.ue-certificate")[-1])


# --- which devices ---

def test_a_genuine_tpm_is_not_yet_our_device(site, phones):
    phones("stranger", listed=False).refused("device-not-in-manifest")


def test_the_serial_must_be_the_manifests(site, phones):
    phone = phones("serial")
    phone.ue.serial = "another"
    phone.refused("device-serial-mismatch")


def test_a_manifest_must_be_the_makers_and_newer(site, phones):
    path = site.attestation.directory / "manifest.csv"
    phones("listed")
    text = path.read_text()
    path.write_text(text.replace("listed", "altered"))
    done = call_import(site)
    assert done.returncode == 1 and "[document-signature]" in done.stderr
    path.write_text(text)
    assert call_import(site).returncode == 0, "handed in again"
    site.attestation.write_manifest(manifest.entries, version=manifest.version - 1)
    done = call_import(site)
    assert done.returncode == 1 and "[document-rolled-back]" in done.stderr


def call_import(site):
    return device_command(site, "import-manifest", site.attestation.directory / "manifest.csv", check=False)


def test_another_device_for_an_impu_waits_for_the_operator(site, phones):
    first, second = phones("first"), phones("second")
    first.ue.enroll()
    second.ue.impu = first.impu
    code = call.invite(site, first.impu)
    second.refused("device-approval-pending", code=code)
    pending = [device["id"] for device in devices(site) if device["state"] == "pending"]
    assert len(pending) == 1
    device_command(site, "approve", pending[0])
    second.ue.enroll(code=code)
    assert second.ue.token()


def test_software_tpms_are_for_test_profiles(site, phones):
    phone = phones("production")
    profile = site.attestation.directory / "profile.toml"
    profile.write_text(PROFILE.replace("test = true", "test = false"))
    reload(site)
    try:
        phone.refused("ek-vendor-refused")
    finally:
        profile.write_text(PROFILE)
        reload(site)
    phone.ue.enroll()


def test_changed_pcrs_and_the_next_golden_values(site, phones):
    phone = phones("updated")
    phone.ue.enroll()
    value = "11" * 32
    subprocess.run(["tpm2_pcrextend", f"4:sha256={value}"], check=True, capture_output=True, env={**os.environ, "TPM2TOOLS_TCTI": tpm.tcti(phone.tpm)})
    done = phone.ue.run("renew", check=False)
    assert done.returncode == 1 and "[quote-pcr-unknown]" in done.stderr, done.stderr
    extended = hashlib.sha256(bytes(32) + bytes.fromhex(value)).hexdigest()
    zero = {index: "00" * 32 for index in range(8)}
    site.attestation.write("pcr-sets.json", pcr_sets(version=2, **{"as-made": zero, "updated": {**zero, 4: extended}}))
    reload(site)
    phone.ue.run("renew")
    site.attestation.write("pcr-sets.json", pcr_sets(version=1))
    reload(site, ok=False)
    phone.ue.run("renew")


# --- revocation ---

def give_avatar(site, phone):
    """An avatar of its user's own."""
    phone.avatar = f"urn:uuid:{uuid.uuid4()}"
    assert call.subscribe(site, phone.impu, avatars=((phone.avatar, demo_site.APPLICATION),)).status in (200, 201, 204)
    assert call.publish(site, b"an avatar", avatar=phone.avatar, owner=phone.impu).status == 201


def token_of(site, phone):
    request = call.signing_request(phone.ue.fingerprint(), origin=phone.impu, avatar=phone.avatar)
    identity = call.identity_of(call.sign(site, request))
    return curl.client_of(site, "xr-as").post("/oauth2/token", form=call.token_form(site, identity, phone.ue.token(avatar=phone.avatar)))


def revoked_serials(site):
    """What openssl reads in the CRL."""
    der = curl.nobody(site).get("/enrollment/v1/crl").body
    path = site.directory / "crl.pem"
    done = subprocess.run(["openssl", "crl", "-inform", "der", "-text", "-out", path], input=der, capture_output=True)
    assert done.returncode == 0, done.stderr
    verified = subprocess.run(["openssl", "crl", "-in", path, "-CAfile", site.pki.pem("ue-ca"), "-noout"], capture_output=True, text=True)
    assert "verify OK" in verified.stderr, verified.stderr
    return re.findall(r"Serial Number: ([0-9A-F]+)", path.read_text())


def serial_of(phone):
    return subprocess.run(["openssl", "x509", "-in", phone.ue.certificate_file(), "-noout", "-serial"], check=True, capture_output=True, text=True).stdout.strip().split("=")[1]


@pytest.mark.parametrize("how", ["device", "batch"])
def test_revocation_reaches_tokens_at_once_and_the_crl(site, phones, how):
    phone = phones(f"revoked-{how}", batch=f"batch-{how}")
    phone.ue.enroll()
    give_avatar(site, phone)
    granted = token_of(site, phone)
    assert granted.status == 200, granted.text
    if how == "device":
        device_command(site, "revoke", device_of(phone), "--reason", "stolen")
    else:
        device_command(site, "revoke-batch", f"batch-{how}", "--reason", "leaked")
    answer = token_of(site, phone)
    assert answer.status in (400, 401, 403) and "revoked" in answer.text, answer.text
    serial = serial_of(phone)
    processes.wait_until(lambda: serial in revoked_serials(site), site.running["avseald"], site.log / "avseald.log", "the CRL", seconds=60)
    phone.refused("device-revoked" if how == "device" else "device-batch-revoked")
    done = phone.ue.run("renew", check=False)
    assert done.returncode == 1 and "revoked]" in done.stderr


# --- somebody in between ---

def through(site, phone, change, code=None):
    with relay.Relay(site, change) as between:
        done = phone.ue.enroll("--server", site.url, url=between.url, code=code, check=False)
    return done, between


def changed(member):
    """Flips a bit of a member of leg 2, given by its path."""
    def change(path, body):
        if path.endswith("/certificate"):
            where = body
            for name in member[:-1]:
                where = where[name]
            data = bytearray(jose.unb64url(where[member[-1]]))
            data[-1] ^= 1
            where[member[-1]] = jose.b64url(bytes(data))
        return body
    return change


@pytest.mark.parametrize("member, reason", [
    (("secret",), "credential-mismatch"), (("certify", "attest"), "attest-signature"), (("certify", "signature"), "attest-signature"),
    (("quote", "attest"), "attest-signature")])
def test_altered_evidence(site, phones, member, reason):
    phone = phones("altered-" + "-".join(member))
    done, _ = through(site, phone, changed(member))
    assert done.returncode == 1 and f"[{reason}]" in done.stderr, done.stderr


def test_evidence_counts_once_and_for_its_challenge_only(site, phones):
    phone, other = phones("replayed"), phones("replayer")
    done, between = through(site, phone, lambda path, body: body)
    assert done.returncode == 0, done.stderr
    path, sent, status, _ = between.seen[-1]
    assert path.endswith("/certificate") and status == 201
    again = curl.nobody(site).post(path, json_body=sent)
    assert (again.status, again.json()["reason"]) == (409, "challenge-used"), again.text
    unknown = curl.nobody(site).post("/enrollment/v1/challenges/" + "A" * 22 + "/certificate", json_body=sent)
    assert (unknown.status, unknown.json()["reason"]) == (404, "challenge-unknown"), unknown.text

    def first_phones_evidence(path, body):
        return {**body, "certify": sent["certify"], "quote": sent["quote"]} if path.endswith("/certificate") else body

    done, _ = through(site, other, first_phones_evidence)
    assert done.returncode == 1 and "[attest-signature]" in done.stderr, done.stderr


def test_requests_cannot_be_swapped_between_devices(site, phones):
    one, two = phones("swap-one"), phones("swap-two")
    done, between = through(site, one, lambda path, body: body)
    assert done.returncode == 0, done.stderr
    csr = between.bodies("/certificate")[0]["csr"]
    done, _ = through(site, two, lambda path, body: {**body, "csr": csr} if path.endswith("/certificate") else body)
    assert done.returncode == 1 and "[csr-key-mismatch]" in done.stderr, done.stderr


def test_evidence_is_for_one_server(site, phones):
    phone = phones("elsewhere")
    phone.refused("enrollment-server-mismatch", "--server", "https://other.example")


def test_a_relayed_tpm_gets_no_certificate_for_somebody_else(site, phones):
    """An attacker's own genuine TPM, in our manifest, with a code for his own IMPU: the IMPU is the code's."""
    phone = phones("attacker")
    code = call.invite(site, phone.impu)
    phone.ue.impu = demo_site.BOB
    phone.refused("enrolment-code-identity", code=code)


# --- lines of life ---

def test_an_older_copy_and_then_the_newer_one(site, phones):
    """A TPM's state goes back: refused. When the newer line of life goes on, there are two: an operator must look at them."""
    phone = phones("copied")
    older = phone.copy_state("older")
    for _ in range(3):
        phone.restart()
    phone.ue.enroll()
    newer = phone.copy_state("newer")
    phone.restart(older)
    assert refusal_of_renewal(phone) == "device-rolled-back"
    phone.restart(newer)
    assert refusal_of_renewal(phone) == "device-cloned"
    assert refusal_of_renewal(phone) == "device-cloned"
    metrics = curl.client_of(site, "operator").get("/metrics").text
    for kind in ("device-rolled-back", "device-cloned"):
        assert f'avseal_device_alarms_total{{kind="{kind}"}} 1' in metrics
        assert any(kind in json.dumps(leaf) for leaf in ledger.leaves(site.ledger))
    device_command(site, "approve", device_of(phone), "--reason", "the copy was destroyed")
    phone.ue.run("renew")


def refusal_of_renewal(phone):
    done = phone.ue.run("renew", check=False)
    assert done.returncode == 1, done.stdout
    return re.findall(r"\[([a-z-]+)\]$", done.stderr.strip())[0]


def test_a_cleared_tpm_is_the_same_device_after_a_look(site, phones):
    phone = phones("cleared")
    phone.ue.enroll()
    before = device_of(phone)
    subprocess.run(["tpm2_clear", "-Q"], check=True, env={**os.environ, "TPM2TOOLS_TCTI": phone.ue.tcti})
    lost = phone.ue.run("renew", check=False)
    assert lost.returncode == 1 and "[tpm-srk-mismatch]" in lost.stderr and "cleared or replaced" in lost.stderr
    phone.ue.state.rename(phone.ue.state.with_suffix(".lost"))
    phone.refused("device-rolled-back")  # TPM2_Clear sets the counters back, as those of a copy are
    device_command(site, "approve", before, "--reason", "cleared at the bench")
    phone.ue.enroll()
    assert device_of(phone) == before and phone.ue.token()


def test_nothing_personal_outside_the_archive(site, phones):
    phone = phones("private-serial-7")
    phone.ue.enroll()
    certificate = next((phone.tpm / "certs").glob("ek-rsa*.crt")).read_bytes()
    kept = [path for path in site.directory.rglob("*") if path.is_file() and not path.is_relative_to(phone.tpm) and "tpm-authority" not in path.parts]
    for path in kept:
        data = path.read_bytes()
        if path.parent == site.attestation.directory or path.is_relative_to(phone.ue.state):
            continue
        assert certificate not in data, path
        assert b"private-serial-7" not in data.replace(b"sip:private-serial-7@a.example", b""), path
    assert list((site.attestation.directory / "evidence").iterdir())
