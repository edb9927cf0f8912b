"""`avseal doctor`: certificates, names, files, the machine and a running node; each thing broken in a copy gives exactly its own finding."""

import datetime
import fcntl
import http.server
import json
import os
import re
import resource
import shutil
import ssl
import threading

import pytest

from demo import pki, site as demo_site
from support import jose
from support.doctor import copy_of, doctor, edit, found, problems

A, B = demo_site.TOKENS


@pytest.fixture(scope="module")
def made(stopped_site):
    for name in ("sockets", "state"):
        (stopped_site.directory / name).mkdir(mode=0o700, exist_ok=True)
    return stopped_site


@pytest.fixture
def copy(made, directory):
    return copy_of(made, directory / "s")


@pytest.fixture(scope="module")
def healthy(made):
    return problems(doctor(made), made.directory)


# --- certificates ---

def certificate(copy, name, extensions=pki.SIGNER_EXTENSIONS, ca="operator-ca", days=365):
    """Another certificate for the key on the token."""
    return copy.pki.sign_request(name, copy.pki.directory / f"{name}.csr", ca, extensions, days)


AVATAR_ID = pki.stir_extensions(["a.example"], "17035550000", 10000)


def test_certificate_of_another_key(copy, healthy):
    copy.pki.issue("avatar-id", "stir-ca", "other", AVATAR_ID)
    assert found(copy, healthy) == {"certificate-key-mismatch": "error"}


@pytest.mark.parametrize("days, expected", [
    (-1, {"certificate-expired": "error"}), (30, {"certificate-expires-soon": "warning"}), (32, {})])
def test_certificate_that_ends(copy, healthy, days, expected):
    certificate(copy, "access-token", days=days)
    assert found(copy, healthy) == expected


def test_certificate_that_begins_later(copy, healthy):
    pem = copy.pki.pem("access-token")
    later = jose.antedated(jose.load_certificate(pem), jose.load_certificate(copy.pki.pem("operator-ca")),
                           jose.load_key(copy.pki.key("operator-ca")), datetime.timedelta(days=-1))
    pem.write_bytes(later.public_bytes(jose.serialization.Encoding.PEM))
    assert found(copy, healthy) == {"certificate-not-yet-valid": "error"}


def test_certificate_without_its_usage(copy, healthy):
    certificate(copy, "avatar-metadata", ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,keyAgreement"])
    assert found(copy, healthy) == {"certificate-usage": "error"}


def test_chain_in_the_wrong_order(copy, healthy):
    pem = copy.pki.pem("access-token")
    pem.write_text(pem.read_text() + copy.pki.pem("tls-ca").read_text())
    assert found(copy, healthy) == {"certificate-chain-broken": "error"}


def test_certificate_of_another_ca(copy, healthy):
    certificate(copy, "avatar-id", AVATAR_ID, "operator-ca")
    assert found(copy, healthy) == {"certificate-untrusted": "error"}


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_certificate_that_is_none(copy, healthy, text):
    copy.pki.pem("access-token").write_text(text)
    edit(copy, "avseald.toml", f'certificates = "{copy.pki.pem("access-token")}"', f'certificates = "{copy.pki.pem("ledger")}"')
    assert found(copy, healthy) == {"certificate-unreadable": "error"}


def test_numbers_that_the_certificate_does_not_have(copy, healthy):
    edit(copy, "avseald.toml", "17035550000-17035559999", "17035550000-17035560000")
    report = doctor(copy)
    (finding,) = [f for f in report["findings"] if f["id"] == "names-number"]
    assert (finding["severity"], finding["subject"]) == ("warning", "ims-as-1") and "17035560000" in finding["found"]
    assert found(copy, healthy) == {"names-number": "warning"}


def test_domains_that_the_certificate_does_not_have(copy, healthy):
    edit(copy, "avseald.toml", 'domains = ["a.example"]', 'domains = ["a.example", "c.example"]')
    assert found(copy, healthy) == {"names-domain": "warning"}


# --- the listener ---

SERVER = ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth"]


@pytest.mark.parametrize("days, name, expected", [
    (-1, "localhost", {"tls-certificate-expired": "error"}), (10, "localhost", {"tls-certificate-expires-soon": "warning"}),
    (365, "elsewhere.example", {"tls-name-missing": "error"})])
def test_listener_certificate(copy, healthy, days, name, expected):
    copy.pki.issue("server", "tls-ca", "localhost", [*SERVER, f"subjectAltName=DNS:{name}"], days)
    assert found(copy, healthy) == expected


def test_listener_certificate_that_begins_later(copy, healthy):
    pem = copy.pki.pem("server")
    later = jose.antedated(jose.load_certificate(pem), jose.load_certificate(copy.pki.pem("tls-ca")), jose.load_key(copy.pki.key("tls-ca")),
                           datetime.timedelta(days=-1))
    pem.write_bytes(later.public_bytes(jose.serialization.Encoding.PEM))
    assert found(copy, healthy) == {"tls-certificate-not-yet-valid": "error"}


def test_listener_key_of_another_certificate(copy, healthy):
    copy.pki.make_key("server")
    assert found(copy, healthy) == {"tls-key-mismatch": "error"}


@pytest.mark.parametrize("file, expected", [("server.key", "tls-key-unreadable"), ("server.pem", "tls-certificate-unreadable")])
def test_listener_files_that_are_none(copy, healthy, file, expected):
    (copy.pki.directory / file).write_text("nothing\n")
    assert found(copy, healthy) == {expected: "error"}


@pytest.mark.parametrize("url", ["https://127.0.0.1:8443", "https://[::1]"])
def test_public_url_without_a_name(copy, healthy, url):
    edit(copy, "avseald.toml", f'public_url = "https://localhost:{copy.port}"', f'public_url = "{url}"')
    assert found(copy, healthy) == {"public-url-host": "error"}


# --- files ---

@pytest.mark.parametrize("name, mode, expected, severity", [
    ("pki/server.key", 0o604, "private-key-mode", "error"), ("pki/server.key", 0o640, "private-key-mode", "warning"),
    ("avseald.toml", 0o646, "configuration-mode", "error"), (f"tokend-{A}.toml", 0o664, "configuration-mode", "warning"),
    ("state", 0o755, "state-directory-mode", "error"), ("sockets", 0o750, "socket-directory-mode", "warning"),
    ("ledger", 0o705, "ledger-mode", "error"), ("store.sqlite", 0o644, "store-mode", "error"), ("store.key", 0o604, "store-mode", "error"),
    ("dac", 0o755, "content-mode", "error"), ("pki/stir-ca.pem", 0o666, "anchors-mode", "error"), ("pki/tls-ca.pem", 0o664, "anchors-mode", "warning"),
    ("pki/avatar-id.pem", 0o646, "certificate-mode", "error")])
def test_modes(copy, healthy, name, mode, expected, severity):
    path = copy.directory / name
    if not path.exists():
        path.touch() if "." in name else path.mkdir(mode=0o700)
    path.chmod(mode)
    assert found(copy, healthy) == {expected: severity}


def test_module_that_everybody_may_write(copy, healthy):
    module = copy.directory / "libsofthsm2.so"
    shutil.copy(copy.module, module)
    module.chmod(0o757)
    edit(copy, f"tokend-{A}.toml", copy.module, str(module))
    assert found(copy, healthy) == {"module-mode": "error"}


def separated(copy):
    """The production form: sockets of workers that avseald does not start."""
    for token in copy.tokens:
        edit(copy, "avseald.toml", f'spawn = 1\nworker_config = "{copy.worker_config(token)}"', f'sockets = ["{copy.directory}/sockets/{token}"]')


def with_workers(copy):
    return [part for token in copy.tokens for part in ("--worker", copy.worker_config(token))]


def test_separated_workers(copy, healthy):
    separated(copy)
    assert found(copy, healthy) == {"token-not-examined": "warning", "socket-missing": "warning"}
    report = doctor(copy, *with_workers(copy))
    ids = {(f["id"], f["severity"]) for f in report["findings"]}
    assert ("workers-separated", "ok") in ids and ("workers-not-separated", "warning") not in ids
    assert ("replica", "ok") in ids and ("key-test", "ok") in ids and ("token-not-examined", "warning") not in ids


def test_open_socket(copy, healthy):
    separated(copy)
    for token in copy.tokens:
        path = copy.directory / "sockets" / token
        path.touch()
        path.chmod(0o666)
    assert found(copy, healthy, *with_workers(copy)) == {"socket-mode": "error"}


# --- the machine ---

def test_no_room_for_the_ledger(copy, healthy):
    free = shutil.disk_usage(copy.directory).free >> 20
    edit(copy, "avseald.toml", 'origin = "a.example/demo"\n', f'origin = "a.example/demo"\nreserve_mib = {min(2 * free, 1 << 20)}\n')
    assert found(copy, healthy) == {"ledger-disk-full": "error"}


def test_little_room_for_the_ledger(copy, healthy):
    free = shutil.disk_usage(copy.directory).free >> 20
    edit(copy, "avseald.toml", 'origin = "a.example/demo"\n', f'origin = "a.example/demo"\nreserve_mib = {free // 2}\n')
    assert found(copy, healthy) == {"ledger-disk-low": "warning"}


def limited(which, soft):
    return lambda: resource.setrlimit(which, (soft, resource.getrlimit(which)[1]))


def test_limits_of_the_shell(copy, healthy):
    few = found(copy, {key: f for key, f in healthy.items() if key[0] != "limit-open-files"}, preexec=limited(resource.RLIMIT_NOFILE, 512))
    assert few == {"limit-open-files": "warning"}
    little = found(copy, {key: f for key, f in healthy.items() if key[0] != "limit-locked-memory"}, preexec=limited(resource.RLIMIT_MEMLOCK, 4096))
    assert little == {"limit-locked-memory": "warning"}


def test_core_dumps_of_the_service(copy, healthy):
    """Whoever holds the ledger is the service."""
    descriptor = os.open(copy.directory / "ledger", os.O_RDONLY)
    before = resource.getrlimit(resource.RLIMIT_CORE)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        ids = set(found(copy, {key: f for key, f in healthy.items() if not key[0].startswith("limit")}))
        assert ids - {"limit-open-files"} == ({"limit-core"} if before[1] != 0 else set())
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        os.close(descriptor)


# --- the clock ---

def with_chrony(copy, tracking):
    """chronyc says this."""
    program = copy.directory / "chronyc"
    program.write_text(f"#!/bin/sh\necho '{tracking}'\n")
    program.chmod(0o755)
    text = (copy.directory / "avseald.toml").read_text()
    text = re.sub(r"\[clock\]\n(?:\w.*\n)*", f'[clock]\nsource = "chrony"\nchronyc = "{program}"\n', text)
    (copy.directory / "avseald.toml").write_text(text)


def test_clock_that_chrony_keeps(copy, healthy):
    with_chrony(copy, "A9FEA97B,169.254.169.123,3,1763930000.1,0.000001,-0.000002,0.00001,-5.1,0.001,0.02,0.0004,0.0003,64.2,Normal")
    report = doctor(copy)
    about = {f["id"]: f["severity"] for f in report["findings"] if f["id"].startswith("clock-")}
    assert about == {"clock-synchronised": "ok"}


def test_clock_that_chrony_lost(copy, healthy):
    with_chrony(copy, "00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised")
    fresh = problems(doctor(copy), copy.directory)
    assert fresh["clock-unsynchronised", "clock"]["severity"] == "error" and ("clock-trusted", "clock") not in fresh


# --- a running node ---

@pytest.fixture(scope="module")
def running(made):
    made.start_service()
    yield made
    assert made.stop() == 0


def as_operator(site):
    return ("--cert", site.pki.pem("operator"), "--key", site.pki.key("operator"))


def test_running(running, healthy):
    report = doctor(running, *as_operator(running))
    assert report["summary"]["error"] == 0
    fine = {f["id"] for f in report["findings"] if f["severity"] == "ok"}
    assert {"x5u", "readyz", "key-test", "login"} <= fine
    assert not any(f["id"] == "not-running" for f in report["findings"])
    (limits,) = [f for f in report["findings"] if f["id"] == "limit-core"]
    assert limits["subject"] == f"avseald, process {running.running['avseald'].pid}" and limits["severity"] == "ok"


@pytest.fixture
def beside(running, copy):
    """A copy whose configuration claims to be that of the running node."""
    text = (copy.directory / "avseald.toml").read_text()
    (copy.directory / "avseald.toml").write_text(re.sub(r"\nport = \d+", f"\nport = {running.port}", text))
    return copy


def test_certificate_that_the_node_does_not_serve(beside, healthy):
    certificate(beside, "avatar-id", AVATAR_ID, "stir-ca")
    assert found(beside, healthy) == {"x5u-unreachable": "error"}


def test_node_serves_another_chain(beside, healthy):
    pem = beside.pki.pem("avatar-id")
    pem.write_text(pem.read_text() + beside.pki.pem("stir-ca").read_text())
    assert found(beside, healthy) == {"x5u-differs": "error"}


def test_node_of_another_ca(beside, healthy):
    assert found(beside, healthy, "--cacert", beside.pki.pem("stir-ca")) == {"x5u-unreachable": "error"}


def test_client_that_may_not_ask(beside, healthy):
    assert found(beside, healthy, "--cert", beside.pki.pem("xr-as"), "--key", beside.pki.key("xr-as")) == {"readyz-unreachable": "error"}


def test_drained_token(running, healthy):
    name = demo_site.TOKENS[1]
    site = (*as_operator(running), "--url", running.url, "--cacert", running.pki.pem("tls-ca"))
    assert running.avseal("token", "drain", name, *site).returncode == 0
    try:
        assert found(running, healthy, *as_operator(running)) == {"token-drained": "warning"}
    finally:
        assert running.avseal("token", "resume", name, *site).returncode == 0


def test_node_that_is_not_ready(beside, healthy):
    answer = {"keys": [{"name": "ledger", "kind": "ledger", "ready": False, "why": "no worker"}, {"name": "dac-kek", "ready": True, "why": "hsm-b: lost"}],
              "tokens": [{"name": "hsm-a", "state": "drained", "connected": True}, {"name": "hsm-b", "state": "active", "connected": False}],
              "ledger": {"ready": True}, "store": {"ready": False, "why": "disk"}, "draining": False, "ready": False}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(answer).encode()
            self.send_response(503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(beside.pki.pem("server"), beside.pki.key("server"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"https://localhost:{server.server_port}"
        report = doctor(beside, "--url", url, *as_operator(beside))
        assert [(f["subject"], f["found"]) for f in report["findings"] if f["id"] == "not-ready"] == [("key ledger", "no worker"), ("store", "disk")]
        told = {"not-ready": "error", "not-ready-everywhere": "warning", "token-drained": "warning", "token-disconnected": "warning"}
        assert found(beside, healthy, "--url", url, *as_operator(beside)) == told
    finally:
        server.shutdown()
        server.server_close()


def test_no_anchors_for_the_node(beside, healthy):
    edit(beside, "avseald.toml", f'x5u_tls_anchors = "{beside.pki.pem("tls-ca")}"\n', "")
    report = doctor(beside)
    assert any(f["id"] == "running-unverified" and f["action"] for f in report["findings"])
    assert found(beside, healthy) == {}
