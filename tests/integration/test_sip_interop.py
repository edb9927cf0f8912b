"""SHAKEN between avseal and an independent implementation: Debian's secsipidx, and Kamailio's module of it."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import uuid

import pytest

from demo import call, pki, processes, sip, site as demo_site
from support import sip as line
from support.x5u_server import X5uServer

CALLER, CALLED, FORWARDING = "17035550001", "15715550000", "17035550002"


@pytest.fixture(scope="module")
def site():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(directory, os.environ["AVSEAL_BUILD"])
    site.x5u_port = processes.free_port()
    site.x5u_internal_hosts = [f"localhost:{site.x5u_port}"]
    site.make()
    site.pki.issue("other-signer", "stir-ca", "another network", pki.stir_extensions(["other.example"], "17035550000", 10000))
    pki.openssl("ec", "-in", site.pki.key("other-signer"), "-out", site.pki.key("other-sec1"))
    site.start()
    yield site
    assert site.stop() == 0
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def x5u(site):
    server = X5uServer(site.x5u_port, site.pki.pem("server"), site.pki.key("server"))
    server.documents["/other.pem"] = site.pki.pem("other-signer").read_bytes()
    yield server.url("/other.pem")
    server.stop()


@pytest.fixture
def other_network(site, x5u, directory):
    """A function that starts their Kamailio, whose calls go to the port `following`; it gives the port that it listens on."""
    running = []

    def start(following):
        values = {"PORT": processes.free_port(), "CERTIFICATE": site.pki.pem("avatar-id"), "X5U": x5u, "KEY": site.pki.key("other-sec1"),
                  "NEXT": following}
        text = (pathlib.Path(__file__).parents[1] / "support" / "secsipid.cfg").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (directory / "secsipid.cfg").write_text(text)
        log = directory / "secsipid.log"
        running.append(processes.start(["kamailio", "-DD", "-E", "-m", "32", "-M", "8", "-w", directory, "-Y", directory, "-f",
                                        directory / "secsipid.cfg"], log))
        processes.wait_until(lambda: answers(values["PORT"], directory), running[0], log, "kamailio with secsipid")
        return values["PORT"]

    yield start
    for process in running:
        processes.stop(process)


def answers(port, directory):
    probe = sip.UserAgent(directory, "probe", [sip.send(sip.request("INVITE", ["Identity: x"]), sip.sdp()), sip.receive(438)], port).start()
    try:
        return probe.process.wait(2) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        probe.stop()


def ours(site):
    request = {"attest": "A", "iat": int(time.time()), "origid": str(uuid.uuid4()), "orig": {"tn": CALLER}, "dest": {"tn": [CALLED]}}
    answer = call.sign(site, {"signingRequest": request})
    assert answer.status == 200, answer.text
    return call.identity_of(answer)


def altered(identity):
    head, claims, rest = identity.split(".", 2)
    return f"{head}.{claims}.{'B' if rest[0] == 'A' else 'A'}{rest[1:]}"


def secsipidx(*arguments):
    return subprocess.run(["secsipidx", *map(str, arguments)], capture_output=True, text=True)


def test_ours_verified_by_secsipidx(site, directory):
    identity = ours(site)
    for text, good in ((identity, True), (altered(identity), False)):
        (directory / "identity").write_text(text)
        done = secsipidx("-check", "-fidentity", directory / "identity", "-fpubkey", site.pki.pem("avatar-id"), "-expire", 60)
        assert (done.returncode == 0) == good, done.stdout + done.stderr


def test_theirs_verified_by_us(site, x5u):
    done = secsipidx("-sign-full", "-fprvkey", site.pki.key("other-sec1"), "-orig-tn", CALLER, "-dest-tn", CALLED, "-attest", "A", "-x5u", x5u)
    assert done.returncode == 0, done.stderr
    identity = done.stdout.strip()
    for text, verdict in ((identity, "TN-Validation-Passed"), (altered(identity), "TN-Validation-Failed")):
        body = {"identityHeader": text, "from": {"tn": CALLER}, "to": {"tn": CALLED}, "time": int(time.time())}
        answer = call.verify(site, {"verificationRequest": body})
        assert answer.status == 200 and answer.json()["verificationResponse"]["verstatValue"] == verdict, answer.text


def test_their_div_verified_by_us(site, x5u, directory):
    """Our call for a number of theirs, which they send on to another of ours."""
    now = int(time.time())
    request = {"attest": "A", "iat": now, "origid": str(uuid.uuid4()), "orig": {"tn": CALLER}, "dest": {"tn": [FORWARDING]}}
    original = call.identity_of(call.sign(site, {"signingRequest": request}))
    (directory / "header").write_text(json.dumps({"alg": "ES256", "ppt": "div", "typ": "passport", "x5u": x5u}))
    (directory / "payload").write_text(json.dumps({"dest": {"tn": [CALLED]}, "div": {"tn": FORWARDING, "hi": "1.1"}, "iat": now, "orig": {"tn": CALLER}}))
    done = secsipidx("-sign", "-fheader", directory / "header", "-fpayload", directory / "payload", "-fprvkey", site.pki.key("other-sec1"))
    assert done.returncode == 0, done.stderr
    div = f"{done.stdout.strip()};info=<{x5u}>;alg=ES256;ppt=div"
    for text, verdict in ((div, "TN-Validation-Passed"), (altered(div), "TN-Validation-Failed")):
        body = {"identityHeader": original, "identityHeaders": [text], "from": {"tn": CALLER}, "to": {"tn": FORWARDING}, "dest": {"tn": CALLED}, "time": now}
        answer = call.verify(site, {"verificationRequest": body})
        assert answer.status == 200 and answer.json()["verificationResponse"]["verstatValue"] == verdict, answer.text


def test_our_call_to_their_network(site, other_network, directory):
    port = other_network(9)
    identity = ours(site)
    for text, code in ((identity, 486), (altered(identity), 438)):
        steps = [sip.send(sip.request("INVITE", [sip.asserted(f"tel:+{CALLER}"), f"Identity: {text}"], to=f"tel:+{CALLED}"), sip.sdp()), sip.receive(code)]
        caller = sip.UserAgent(directory, f"caller-{code}", steps, port).start()
        assert caller.finish() == 0, caller.failure()


def test_their_call_to_our_network(site, other_network, directory):
    with line.network(site) as both:
        entry = other_network(both.terminating.port)
        steps = sip.send(sip.request("INVITE", [sip.asserted(f"tel:+{CALLER}")], to=f"tel:+{CALLED}"), sip.sdp())
        _, callee = both.play(directory, [steps, *line.talk()], line.accept(), entry)
        [invite] = callee.received("INVITE")
        assert sip.header(invite, "P-Asserted-Identity") == [f"<tel:+{CALLER};verstat=TN-Validation-Passed>"]
        assert len(sip.header(invite, "Identity")) == 1
