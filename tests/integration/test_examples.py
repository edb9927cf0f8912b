"""The reference XR AS and MF as processes, with an authorization role and DAC played by this test: each lie must stop
before the renderer."""

import base64
import ctypes
import hashlib
import http.client
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import uuid

import pytest
from jwcrypto import jwk, jws

BIN = os.path.join(os.environ["AVSEAL_BUILD"], "bin")
UE_EKU = "2.25.181263912817466153470291734926715501337"
AVATAR, APPLICATION, IMPU = "urn:uuid:avatar-1", "xr-meeting", "sip:alice@a.example"
CONTENT = b"glTF of Alice " * 20000


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Pki:
    """CAs and certificates by openssl: NAME.pem and NAME.key in one directory."""

    def __init__(self, directory):
        self.directory = directory
        for ca in ("tls-ca", "ue-ca", "metadata-ca"):
            self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                         f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2")
        self.issue("avseald", "tls-ca", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth")
        for name in ("xr-as", "mf"):
            self.issue(name, "tls-ca", f"subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:{name}.example\n"
                                       "extendedKeyUsage=serverAuth,clientAuth")
        self.issue("stranger", "tls-ca", "subjectAltName=DNS:stranger.example\nextendedKeyUsage=clientAuth")
        for name in ("ue", "ue-2"):
            self.issue(name, "ue-ca", f"subjectAltName=URI:{IMPU}\nextendedKeyUsage={UE_EKU}")
        self.issue("dac", "metadata-ca", "")

    def issue(self, name, ca, extensions):
        with open(self.path("ext"), "w") as out:
            out.write(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n{extensions}\n")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                     f"/CN={name}", "-keyout", f"{name}.key", "-out", "csr")
        self.openssl("x509", "-req", "-in", "csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-days", "1", "-extfile",
                     "ext", "-out", f"{name}.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, capture_output=True, check=True, timeout=60)

    def path(self, name):
        return os.path.join(self.directory, name)

    def der(self, name):
        with open(self.path(f"{name}.pem")) as pem:
            return ssl.PEM_cert_to_DER_cert(pem.read())

    def sign(self, name, header, claims):
        with open(self.path(f"{name}.key"), "rb") as pem:
            key = jwk.JWK.from_pem(pem.read())
        token = jws.JWS(json.dumps(claims, separators=(",", ":"), sort_keys=True))
        header = {"alg": "ES256", **header}
        if header.pop("kid", None):
            header["kid"] = key.thumbprint()
        token.add_signature(key, None, json.dumps(header, separators=(",", ":"), sort_keys=True))
        return token.serialize(compact=True)


class Operator:
    """What avseald would answer; a test changes its members to lie."""

    def __init__(self, pki):
        self.pki = pki
        self.grant_status = 200
        self.version = 3
        self.content = CONTENT
        self.metadata_id = AVATAR
        self.metadata_version = 3
        self.metadata_age = 0
        self.metadata_signer = "dac"
        self.forms = []
        operator = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                operator.forms.append(dict(urllib.parse.parse_qsl(body, strict_parsing=True)))
                if operator.grant_status != 200:
                    return self.answer(operator.grant_status, "application/json", b'{"error":"invalid_grant"}')
                self.answer(200, "application/json", json.dumps(
                    {"access_token": operator.access_token(), "token_type": "Bearer", "expires_in": 300}).encode())

            def do_GET(self):
                if not self.headers.get("Authorization", "").startswith("Bearer "):
                    return self.answer(401, "text/plain", b"")
                base = "/dac/v1/avatars/" + urllib.parse.quote(AVATAR, safe="")
                if self.path == base + "/metadata":
                    return self.answer(200, "application/jose", operator.metadata().encode())
                if self.path == base + "/content":
                    return self.answer(200, "model/gltf-binary", operator.content)
                self.answer(404, "text/plain", self.path.encode())

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(pki.path("avseald.pem"), pki.path("avseald.key"))
        context.load_verify_locations(pki.path("tls-ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def access_token(self):
        now = int(time.time())
        dac = str(uuid.uuid4())
        return self.pki.sign("dac", {"typ": "at+jwt", "kid": True}, {
            "aud": [dac], "avatar": {"app": APPLICATION, "dac": dac, "id": AVATAR, "ops": ["read"], "ver": self.version},
            "client_id": "xr-as-1", "cnf": {"x5t#S256": b64(hashlib.sha256(self.pki.der("xr-as")).digest())},
            "exp": now + 300, "iat": now, "iss": str(uuid.uuid4()), "jti": b64(os.urandom(16)), "scope": "ndac-avatar",
            "sub": str(uuid.uuid4())})

    def metadata(self):
        now = int(time.time()) - self.metadata_age
        digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
        return self.pki.sign(self.metadata_signer,
                             {"typ": "avatar-metadata+jwt", "kid": True,
                              "x5c": [base64.b64encode(self.pki.der(self.metadata_signer)).decode()]},
                             {"avatar": {"content": {"digest": "sha-256-" + digest, "size": len(CONTENT),
                                                     "type": "model/gltf-binary"},
                                         "id": self.metadata_id, "owner": IMPU, "version": self.metadata_version},
                              "exp": now + 600, "iat": now, "iss": str(uuid.uuid4())})


class Program:
    def __init__(self, *command):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL))
        first = self.process.stdout.readline()
        assert "listening on https://" in first, first
        self.port = int(first.rsplit(":", 1)[1])
        self.url = f"https://localhost:{self.port}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rest, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, rest
        return rest


def tls_client(pki, name):
    context = ssl.create_default_context(cafile=pki.path("tls-ca.pem"))
    if name:
        context.load_cert_chain(pki.path(f"{name}.pem"), pki.path(f"{name}.key"))
    return context


def send(pki, port, client, method, path, kind, body):
    connection = http.client.HTTPSConnection("localhost", port, context=tls_client(pki, client), timeout=30)
    try:
        connection.request(method, path, body=body, headers={"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


class Site:
    def __init__(self, directory, pki, expect=f"{AVATAR},3"):
        self.pki = pki
        self.operator = Operator(pki)
        self.rendered = os.path.join(directory, "rendered.bin")
        self.artifacts = os.path.join(directory, "artifacts")
        os.mkdir(self.artifacts)
        self.expect_file = os.path.join(directory, "expect.json")
        self.expect(AVATAR, 3)
        self.mf = Program(os.path.join(BIN, "avseal-example-mf"), "--certificate", pki.path("mf.pem"), "--key",
                          pki.path("mf.key"), "--client-anchors", pki.path("tls-ca.pem"), "--xr-as",
                          "dns:xr-as.example", "--anchors", pki.path("metadata-ca.pem"), "--expect-file",
                          self.expect_file, "--output", self.rendered)
        self.call_options = ["--url", self.operator.url, "--mf-url", self.mf.url, "--nf-instance-id", str(uuid.uuid4()),
                             "--cacert", pki.path("tls-ca.pem"), "--certificate", pki.path("xr-as.pem"), "--key",
                             pki.path("xr-as.key"), "--metadata-anchors", pki.path("metadata-ca.pem"), "--artifacts",
                             self.artifacts]
        self.xr_as = None
        self.serve()

    def serve(self, *more):
        if self.xr_as:
            self.xr_as.stop()
        self.xr_as = Program(os.path.join(BIN, "avseal-example-xr-as"), *self.call_options, "--ue-anchors",
                             self.pki.path("ue-ca.pem"), *more)

    def expect(self, avatar, version):
        with open(self.expect_file, "w") as out:
            json.dump({"s1": {"avatar": avatar, "version": version}}, out)

    def stop(self):
        self.xr_as.stop()
        self.mf.stop()
        self.operator.stop()

    def ue_token(self, name="ue", avatar=AVATAR):
        now = int(time.time())
        der = self.pki.der(name)
        return self.pki.sign(name, {"typ": "avatar-ue+jwt", "x5c": [base64.b64encode(der).decode()],
                                    "x5t#S256": b64(hashlib.sha256(der).digest())},
                             {"aud": "xr-as-1", "avatar": {"app": APPLICATION, "id": avatar}, "exp": now + 60,
                              "iat": now, "jti": b64(os.urandom(16)), "sub": IMPU})

    def call(self, client="ue", **changes):
        body = {"signedAvatarId": "aa.bb.cc;info=<https://x/>", "ueToken": self.ue_token(), "application": APPLICATION,
                "avatar": AVATAR, "session": "s1", **changes}
        return send(self.pki, self.xr_as.port, client, "POST", "/sessions", "application/json", json.dumps(body))

    def refused(self, step, words, **more):
        status, verdict = self.call(**more)
        assert status >= 400 and verdict["verdict"] == "refused", verdict
        last = verdict["steps"][-1]
        assert last["step"] == step and not last["passed"] and words in last["detail"], verdict
        assert all(s["passed"] for s in verdict["steps"][:-1])
        assert not os.path.exists(self.rendered), "the renderer saw it"


@pytest.fixture(scope="module")
def pki():
    path = tempfile.mkdtemp(prefix="avex-", dir="/tmp")
    yield Pki(path)
    shutil.rmtree(path)


@pytest.fixture
def site(pki):
    path = tempfile.mkdtemp(prefix="avex-", dir="/tmp")
    made = Site(path, pki)
    yield made
    made.stop()
    shutil.rmtree(path)


def test_call_with_every_step(site):
    status, verdict = site.call()
    assert status == 200 and verdict["verdict"] == "accepted", verdict
    assert [s["step"] for s in verdict["steps"]] == ["UE token", "access token", "avatar metadata", "avatar content",
                                                     "media function"]
    with open(site.rendered, "rb") as rendered:
        assert rendered.read() == CONTENT
    assert sorted(os.listdir(site.artifacts)) == ["access-token.jwt", "avatar-content.bin", "avatar-metadata.jwt"]
    form = site.operator.forms[0]
    assert form["grant_type"] == "client_credentials" and form["scope"] == "ndac-avatar"
    assert form["signed_avatar_id"] == "aa.bb.cc;info=<https://x/>" and form["application_id"] == APPLICATION


def test_ue_token_belongs_to_the_connection(site):
    site.refused("UE token", "ue-certificate-mismatch", client="ue-2")
    site.refused("UE token", "ue-certificate-missing", client=None)
    assert site.operator.forms == []
    site.serve("--allow-no-ue-certificate")
    assert site.call(client=None)[0] == 200
    os.unlink(site.rendered)
    site.refused("UE token", "ue-certificate-mismatch", client="ue-2")


def test_ue_token_for_another_avatar(site):
    site.refused("UE token", "ue-token-other-avatar", ueToken=site.ue_token(avatar="other"))


def test_refused_grant(site):
    site.operator.grant_status = 400
    site.refused("access token", "invalid_grant")


@pytest.mark.parametrize("lie, step, words", [
    ({"metadata_id": "avatar-of-bob"}, "avatar metadata", "metadata-other-avatar"),
    ({"metadata_version": 2}, "avatar metadata", "metadata-old-version"),
    ({"metadata_age": 3600}, "avatar metadata", "metadata-expired"),
    ({"metadata_signer": "avseald"}, "avatar metadata", "certificate-untrusted"),
    ({"content": CONTENT[:-1] + b"!"}, "avatar content", "content-mismatch"),
    ({"content": CONTENT[:-1]}, "avatar content", "content-mismatch"),
])
def test_lies_of_the_dac(site, lie, step, words):
    for name, value in lie.items():
        setattr(site.operator, name, value)
    site.refused(step, words)


def test_mf_decides_for_itself(site):
    site.expect("avatar-of-bob", 1)
    site.refused("media function", "metadata-other-avatar")
    site.expect(AVATAR, 4)
    site.refused("media function", "metadata-old-version")
    site.refused("media function", "session-unknown", session="s2")
    site.expect(AVATAR, 2)
    assert site.call()[0] == 200


def test_mf_takes_avatars_from_its_xr_as_only(site):
    metadata = site.operator.metadata()
    for client, status in (("stranger", 403), (None, 401)):
        answer, problem = send(site.pki, site.mf.port, client, "PUT", "/media/s1/metadata", "application/jose", metadata)
        assert answer == status, problem
    answer, problem = send(site.pki, site.mf.port, "xr-as", "PUT", "/media/s1/content", "application/octet-stream", CONTENT)
    assert answer == 409 and problem["reason"] == "metadata-missing"
    assert send(site.pki, site.mf.port, "xr-as", "PUT", "/media/s1/metadata", "application/jose", metadata)[0] == 204
    answer, problem = send(site.pki, site.mf.port, "xr-as", "PUT", "/media/s1/content", "application/octet-stream",
                           CONTENT[:-1] + b"!")
    assert answer >= 400 and problem["reason"] == "content-mismatch"
    assert not os.path.exists(site.rendered)


def test_malformed_requests(site):
    for body in ("", "[]", '{"a":1,"a":2}', "{}"):
        assert send(site.pki, site.xr_as.port, "ue", "POST", "/sessions", "application/json", body)[0] in (400, 422)
    assert send(site.pki, site.xr_as.port, "ue", "POST", "/sessions", "text/plain", "{}")[0] == 415
    assert send(site.pki, site.xr_as.port, "ue", "GET", "/sessions", "application/json", None)[0] == 405


def test_once(site):
    files = {}
    for name, text in (("identity", "aa.bb.cc;info=<https://x/>"), ("token", site.ue_token())):
        files[name] = os.path.join(site.artifacts, name)
        with open(files[name], "w") as out:
            out.write(text + "\n")
    command = [os.path.join(BIN, "avseal-example-xr-as"), *site.call_options, "--once", "--signed-avatar-id",
               files["identity"], "--ue-token", files["token"], "--application", APPLICATION, "--avatar", AVATAR,
               "--session", "s1"]
    played = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert played.returncode == 0 and played.stdout.count("xr-as: passed") == 5, played.stdout + played.stderr
    site.operator.metadata_version = 2
    played = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert played.returncode == 1 and "REFUSED  avatar metadata" in played.stdout
