"""`avseal-ue enroll`, `renew` and `doctor` over HTTPS, against an enrollment role of the tests' own that fails as it is told."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from demo import tpm as demo_tpm
from support.enrollment_server import EnrollmentServer, LostAnswer, Problem
from support.ue import PROGRAM, Device, Swtpm, segment

IMPU = "sip:alice@a.example"


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="aven-", dir="/tmp")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def golden():
    """A TPM's state with endorsement certificates; each test gets a copy, and no two of one test."""
    path = tempfile.mkdtemp(prefix="aveg-", dir="/tmp")
    demo_tpm.provision(f"{path}/tpm", f"{path}/ca")
    yield f"{path}/tpm/state"
    shutil.rmtree(path)


class EndorsedSwtpm(Swtpm):
    def __init__(self, directory, golden):
        self.golden = golden
        super().__init__(directory)

    def start(self):
        if not os.listdir(f"{self.directory}/state"):
            shutil.copytree(self.golden, f"{self.directory}/state", dirs_exist_ok=True)
        super().start()


@pytest.fixture
def tpm(directory, golden):
    swtpm = EndorsedSwtpm(directory, golden)
    yield swtpm
    swtpm.stop()


@pytest.fixture
def server(directory):
    made = EnrollmentServer(f"{directory}/server")
    yield made
    made.close()


class EnrollingDevice(Device):
    def __init__(self, tpm, state, server):
        super().__init__(tpm, state)
        self.server = server

    def arguments(self, **more):
        given = {"impu": IMPU, "url": self.server.url, "cacert": self.server.cacert, "code": "-", **more}
        return [word for name, value in given.items() if value is not None for word in (f"--{name}", value)]

    def enroll(self, **more):
        return self.ok("enroll", *self.arguments(**more), stdin=self.server.code + "\n")

    def token(self):
        return self.ok("token", "--aud", "x", "--avatar", "a", "--app", "b")

    def state_file(self):
        with open(os.path.join(self.state, "state.json")) as file:
            return json.load(file)

    def doctor(self, code):
        done = self.run("doctor", "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return {(f["id"], f["severity"]): f for f in json.loads(done.stdout)["findings"]}


@pytest.fixture
def device(tpm, server):
    return EnrollingDevice(tpm, os.path.join(tpm.directory, "ue"), server)


def test_enroll_renew_token_status_doctor(device, server):
    assert f"UE certificate of {IMPU}" in device.enroll(serial="SN-7")
    first, second = server.requests
    assert first[1]["code"] == server.code and first[1]["serial"] == "SN-7" and "platformCertificate" in first[1]["ek"]
    assert second[0].startswith("/enrollment/v1/challenges/") and second[0].endswith("/certificate")
    done = device.run("token", "--aud", "x", "--avatar", "a", "--app", "b")
    assert segment(done.stdout.split(".")[1])["sub"] == IMPU
    assert "ms in the queue" in done.stderr and "ms in the TPM" in done.stderr

    assert device.ok("renew", "--if-due").startswith("not due before") and len(server.requests) == 2
    key = device.state_file()["ueKey"]
    device.ok("renew")  # where and whom to believe are kept
    assert device.state_file()["ueKey"]["generation"] == key["generation"] + 1
    assert set(server.requests[2][1]) == {"ak", "device", "impu", "key", "parent"}
    assert "secret" not in server.requests[3][1]
    device.token()

    text = device.ok("status")
    assert device.state_file()["enrollment"]["device"] in text and server.url in text
    assert "hours left" in text and "ms in the queue" in text and "none attested" not in text
    hashes = dict(line.split() for line in device.ok("ek").splitlines())
    assert set(hashes) == {"rsa-2048", "p-384"} and hashes["rsa-2048"] in text
    found = device.doctor(1)  # an emulator, an empty lockout password
    assert {i for i, severity in found if severity != "ok"} == {"tpm-emulated", "tpm-lockout-auth"}
    assert {"ak", "ue-key", "ue-certificate", "enrollment", "ek", "srk", "clock"} <= {i for i, _ in found}
    assert "0 errors" in device.run("doctor").stdout


def test_due_renewals_are_done(device, server):
    server.renew_after = -10
    device.enroll()
    assert ("ue-certificate-old", "warning") in device.doctor(1)
    assert device.ok("renew", "--if-due").startswith("UE key")


def test_operator_that_asks_for_patience_gets_it(device, server):
    server.script = [Problem(503, "keyring-unavailable", "the HSM is away", retry_after=1), Problem(429, "enrolment-rate-limited"), None,
                     Problem(503, "keyring-unavailable", retry_after=1)]
    done = device.run("enroll", *device.arguments(), stdin=server.code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("again in") == 3 and "the HSM is away" in done.stderr
    assert [path for path, _ in server.requests[:3]] == ["/enrollment/v1/challenges"] * 3
    assert server.requests[3][0] == server.requests[4][0], "the same challenge"


def test_patience_has_an_end(device, server):
    device.ok("init")
    server.script = [Problem(503, "keyring-unavailable", "the HSM is away", retry_after=30)]
    said = device.fails("enroll", *device.arguments(wait="5"), stdin=server.code, reason="keyring-unavailable")
    assert "the HSM is away" in said and len(server.requests) == 1


def test_refusals_are_told_in_the_operators_words(device, server):
    device.enroll()
    key = device.state_file()
    server.script = [Problem(403, "device-not-in-manifest", "no manifest has this device;\nask its maker")]
    assert "no manifest has this device; ask its maker (status 403)" in device.fails("renew", reason="device-not-in-manifest")
    server.script = [None, Problem(403, "quote-pcr-unknown", "these PCR values are of no set")]
    device.fails("renew", reason="quote-pcr-unknown")
    server.script = [Problem(403, "A reason; of\x1b[31m nobody", "x")]
    device.fails("renew", reason="refused")
    assert device.state_file() == key
    device.token()


def test_challenge_that_ran_out_is_asked_for_again(device, server):
    server.script = [None, Problem(409, "challenge-expired")]
    device.enroll()
    assert len(server.requests) == 4 and server.requests[2][1]["code"] == server.code


def test_code_is_no_argument(device, server):
    done = device.run("enroll", *device.arguments(code=server.code))
    assert done.returncode == 2 and "standard input" in done.stderr and server.code not in done.stderr
    assert server.requests == []


def test_lost_answer_that_spent_the_code(device, server):
    def lose(path, body):
        server.answer(path, body)
        raise LostAnswer

    server.script = [None, lose]
    device.enroll()
    assert server.code_spent and "code" not in server.requests[2][1]
    device.token()


def test_lost_answer_that_spent_nothing(device, server):
    def lose(path, body):
        raise LostAnswer

    server.script = [None, lose]
    device.enroll()
    assert "code" not in server.requests[2][1] and server.requests[3][1]["code"] == server.code


def test_attestation_key_that_is_too_old_is_replaced(device, server):
    device.enroll()
    ak = device.state_file()["enrollment"]["ak"]
    server.script = [Problem(403, "device-ak-expired")]
    device.ok("renew")
    assert "ek" in server.requests[3][1] and "code" not in server.requests[3][1]
    assert device.state_file()["enrollment"]["ak"] != ak


def test_enrollment_that_is_killed_changes_nothing(device, server):
    device.enroll()
    before, reached, go_on = device.state_file(), threading.Event(), threading.Event()

    def hang(path, body):
        reached.set()
        go_on.wait(60)

    server.script = [None, hang]
    process = subprocess.Popen([PROGRAM, "--tcti", device.tpm.tcti, "--state", device.state, "renew"])
    assert reached.wait(60)
    assert "another process" in device.fails("renew", reason="state-busy")
    process.send_signal(signal.SIGKILL)
    process.wait()
    go_on.set()
    assert device.state_file() == before
    device.token()
    device.tpm.tool("tpm2_flushcontext", "-l")  # what the killed program left; a resource manager would have done it
    device.ok("renew")
    device.token()


def test_only_our_operator_over_tls(device, server, directory):
    device.ok("init")
    other = EnrollmentServer(f"{directory}/other")
    other.close()
    said = device.fails("enroll", *device.arguments(cacert=other.cacert, wait="0"), stdin="x", reason="https-failed")
    assert "--cacert" in said and "clock" in said
    device.fails("enroll", *device.arguments(url=server.url.replace("https", "http")), stdin="x", reason="https-url")
    device.fails("enroll", *device.arguments(url=server.url.replace("localhost", "127.0.0.1"), wait="0"), stdin="x",
                 reason="https-failed")
    assert server.requests == []
    server.name = "https://another.example"
    said = device.fails("enroll", *device.arguments(), stdin=server.code, reason="enrollment-server-mismatch")
    assert "https://another.example" in said and "--server" in said
    server.code_spent = False
    device.ok("enroll", *device.arguments(server=server.name), stdin=server.code)


def test_answers_that_are_none(device, server):
    device.ok("init")
    for answer, reason in ((b"{}", "member-missing"), (b"[", "json-malformed"), (b"x" * 70000, "https-failed")):
        server.answer = lambda path, body, answer=answer: answer
        device.fails("enroll", *device.arguments(wait="0"), stdin=server.code, reason=reason)


def test_nothing_to_renew(device):
    device.ok("init")
    device.fails("renew", reason="operator-unknown")
    device.fails("renew", *device.arguments(impu=None, code=None), reason="device-not-enrolled")


def test_doctor_names_what_is_wrong(device, directory):
    device.enroll()
    device.tpm.tool("sh", "-c", "tpm2_createprimary -Q -C n -c x")
    found = device.doctor(2)
    assert ("tpm-slots", "warning") in found and ("ue-key", "ok") in found and ("tpm-slots-exhausted", "error") in found
    device.tpm.tool("tpm2_flushcontext", "-t")

    def guess(times):
        device.tpm.tool("sh", "-c", "tpm2_createprimary -Q -C o -G ecc -p right -c p; for i in $(seq %d); do tpm2_create -Q -C p -P wrong "
                        "-u u -r r 2>/dev/null; tpm2_flushcontext -t; done" % times)

    guess(1)
    assert ("tpm-lockout-near", "warning") in device.doctor(1)
    guess(3)
    found = device.doctor(2)
    assert "tpm2_dictionarylockout" in found["tpm-lockout", "error"]["action"]
    assert ("ue-key", "ok") in found, "noDA"
    device.tpm.tool("tpm2_dictionarylockout", "-c")

    device.tpm.tool("tpm2_clear", "-Q")
    found = device.doctor(2)
    assert "cleared or replaced" in found["tpm-srk-mismatch", "error"]["found"]
    assert ("ek", "ok") in found and ("srk-absent", "note") in found

    device.tpm.stop()
    found = device.doctor(2)
    assert "/dev/tpmrm0" in found["tpm-transport", "error"]["found"]
    device.tpm.start()


def test_doctor_sees_a_foreign_srk_and_certificate(device, directory):
    device.tpm.tool("sh", "-c", "tpm2_createprimary -Q -C o -G ecc -c p && tpm2_evictcontrol -Q -C o -c p 0x81000001 && tpm2_flushcontext -t")
    device.tpm.tool("sh", "-c", "tpm2_nvread -C o 0x01C00016 >c && tpm2_nvdefine -Q 0x01C0000A -C o -s $(stat -c %s c) -a "
                    "'ownerwrite|ownerread|authread|no_da' && tpm2_nvwrite -Q 0x01C0000A -C o -i c")
    device.ok("init")
    found = device.doctor(2)
    assert "without noDA" in found["srk-foreign", "warning"]["found"]
    assert "another p-256 endorsement key" in found["tpm-ek-mismatch", "error"]["found"]
    assert ("ue-certificate-missing", "error") in found
