"""The life of a key: made, certified, staged, activated under load, retired, destroyed; every act in the ledger."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from datetime import datetime, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from demo import call, curl, pki, processes, site as demo_site
from support import faults, jose, ledger, terminal
from support.tls_client import TlsClient

class Operator:
    """The operator's commands on a site."""

    def __init__(self, site):
        self.site = site
        p = site.pki
        self.node = ("--url", site.url, "--cacert", p.pem("tls-ca"), "--cert", p.pem("operator"), "--key", p.key("operator"))
        self.hsm = ("--module", site.module, "--token", "pkcs11:token=hsm-a", "--pin-file", site.secret("pin"))

    def change(self, command, name, *arguments, check=True):
        return self.site.avseal("key", command, *self.node, "--name", name, *arguments, check=check)

    def refused(self, *arguments):
        done = self.change(*arguments, check=False)
        assert done.returncode == 1 and done.stdout == ""
        return done.stderr

    def states(self):
        answer = curl.client_of(self.site, "operator").get("/operations/v1/keys")
        return {key["name"]: key["state"] for key in answer.json()["keys"]}

    def make(self, label):
        """A key on the first token, and a request for its certificate."""
        record = self.site.own_ledger() if "avseald" not in self.site.running else self.node
        self.site.key_command("generate", "--kind", "avatar-id", "--label", label, *record)
        return self.site.request_of(label, f"{label} signer")

    def certify(self, label, request):
        """Its certificate, in the file that avseald.toml names and on the token."""
        p = self.site.pki
        p.sign_request(f"{label}-issued", request, "stir-ca", pki.stir_extensions(["a.example"], "17035550000", 10000))
        record = self.site.own_ledger() if "avseald" not in self.site.running else self.node
        return self.site.key_command("import-certificate", "--label", label, "--kind", "avatar-id", "--file", p.pem(f"{label}-issued"),
                                     "--out", p.pem(label), *record)

    def configure(self, label, worker=True):
        """Names the key in both configurations, where it does not sign yet."""
        if worker:
            with open(self.site.worker_config("hsm-a"), "a") as out:
                out.write(f'\n[[keys]]\nname = "{label}"\nkind = "avatar-id"\nuri = "pkcs11:object={label}"\n')
        with open(self.site.directory / "avseald.toml", "a") as out:
            out.write(f'\n[[keys]]\nname = "{label}"\nkind = "avatar-id"\ntokens = ["hsm-a"]\nprimary = false\n'
                      f'certificate = "{self.site.pki.pem(label)}"\n')

    def destroy(self, label, typed, record):
        return terminal.run([self.site.bin / "avseal", "key", "destroy", *self.hsm, "--label", label, *record],
                            [("Type its name", typed)], self.site.environment)

    def labels(self):
        return {line.split()[0] for line in self.site.key_command("list").stdout.splitlines()[1:]}


def acts(site):
    return [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"].startswith("act.")]


@pytest.fixture(scope="module")
def operator(stopped_site):
    """A running site whose configuration knows next keys of several qualities."""
    operator = Operator(stopped_site)
    for label in ("next", "third", "weak", "replaced"):
        operator.certify(label, operator.make(label))
        operator.configure(label)
    operator.certify("nowhere", operator.make("nowhere"))
    operator.configure("nowhere", worker=False)
    stopped_site.start()
    return operator


@pytest.fixture(scope="module")
def site(operator):
    yield operator.site
    assert operator.site.stop() == 0, (operator.site.log / "avseald.log").read_text()[-4000:]


def hashes_of(path):
    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()


def signer_of(identity):
    return jose.parts(identity.split(";")[0])[0]["x5u"].rpartition("/")[2].removesuffix(".pem")


class Load:
    """Signs from several threads, each with a connection of its own; remembers when each request began and who signed."""

    def __init__(self, site, ue):
        self.signed, self.failed, self.stopping = [], [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(site, ue)) for _ in range(4)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, site, ue):
        client = TlsClient(site, "ims-as")
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                answer = client.request("POST", "/stir/v1/signing", json_body=call.signing_request(ue.fingerprint()))
            except ConnectionError as error:
                self.failed.append(str(error))
                continue
            if answer.status == 200:
                self.signed.append((began, call.identity_of(answer)))
            else:
                self.failed.append(answer.text)
        client.close()

    def wait_for_more(self, count):
        enough = len(self.signed) + count
        processes.wait_until(lambda: len(self.signed) >= enough or self.failed, None, None, "the load", seconds=60)


def test_list_explains_every_attribute(site, operator):
    keys = {key["label"]: key for key in json.loads(site.key_command("list", "--json").stdout)}
    assert set(keys["next"]) == {
        "label", "id", "class", "type", "sensitive", "always_sensitive", "extractable", "never_extractable", "local", "key_gen_mechanism",
        "modifiable", "private", "token", "copyable", "destroyable", "wrap_with_trusted", "allowed_mechanisms", "usage", "start_date",
        "end_date", "thumbprint"}
    assert keys["next"]["class"] == "private-key" and keys["dac-kek"]["class"] == "secret-key"
    explained = site.key_command("list", "--explain").stdout
    for name in keys["next"]:
        assert f"\n{name} " in "\n" + explained
    assert "CKA_NEVER_EXTRACTABLE" in explained and "! no" not in explained and "! yes" not in explained


def test_acts_while_no_node_ran_are_in_its_ledger(site, operator):
    begun = [leaf for leaf in acts(site) if leaf["event"] == "act.begun" and leaf["details"]["act"] == "key.generate"]
    ended = {leaf["details"]["id"]: leaf for leaf in acts(site) if leaf["event"] == "act.ended"}
    assert {leaf["details"]["object"]["label"] for leaf in begun} >= {*demo_site.KINDS, "next", "third", "weak"}
    for leaf in begun:
        end = ended[leaf["details"]["id"]]
        assert end["outcome"] == "released" and end["index"] > leaf["index"] and end["details"]["result"]["id"]
        who = leaf["details"]["terminal"]
        assert who["uid"] == os.getuid() and who["user"] and who["host"] == os.uname().nodename
        assert leaf["details"]["object"]["token"] == "hsm-a" and "client" not in leaf


def test_activation_is_refused_for_each_reason(site, operator):
    p = site.pki
    assert "only a staged key" in operator.refused("activate", "next")
    assert "no [[keys]]" in operator.refused("activate", "unheard-of")
    assert "activate another key" in operator.refused("retire", "avatar-id")

    assert operator.change("stage", "nowhere").stdout == "key 'nowhere' is staged\n"
    assert "test signature" in operator.refused("activate", "nowhere")

    operator.change("stage", "weak")
    good = p.pem("weak").read_text()
    csr = x509.load_pem_x509_csr((p.directory / "weak.csr").read_bytes())
    now = int(time.time())
    p.pem("weak").write_text(certificate(p, csr, now - 7200, now - 3600))
    assert "expired" in operator.refused("activate", "weak")
    p.pem("weak").write_text(certificate(p, csr, now + 3600, now + 7200))
    assert "valid from" in operator.refused("activate", "weak")
    p.pem("weak").write_text(certificate(p, csr, now - 60, now + 3600, ca=True))
    assert "CA certificate" in operator.refused("activate", "weak")
    p.pem("weak").write_text(certificate(p, csr, now - 60, now + 3600))
    assert "cannot be had" in operator.refused("activate", "weak")  # the node serves the earlier one
    p.pem("weak").write_text(good + p.pem("stir-ca").read_text())
    assert "is not the chain" in operator.refused("activate", "weak")
    p.pem("weak").write_text(good + p.pem("tls-ca").read_text())
    assert "put them in order" in operator.refused("activate", "weak")
    p.pem("weak").write_text("no certificate")
    assert "weak" in operator.refused("activate", "weak")
    p.pem("weak").write_text(good)
    assert operator.states() | {"avatar-id": "active", "weak": "staged", "nowhere": "staged"} == operator.states()
    operator.change("retire", "weak")
    assert "never again" in operator.refused("stage", "weak")


def certificate(p, csr, not_before, not_after, ca=False):
    """By the site's STI CA, with a validity that the openssl command does not give."""
    issuer = x509.load_pem_x509_certificate(p.pem("stir-ca").read_bytes())
    key = serialization.load_pem_private_key(p.key("stir-ca").read_bytes(), None)
    usage = x509.KeyUsage(True, False, False, False, False, ca, False, False, False)
    built = (x509.CertificateBuilder().subject_name(csr.subject).issuer_name(issuer.subject).public_key(csr.public_key())
             .serial_number(x509.random_serial_number()).not_valid_before(datetime.fromtimestamp(not_before, timezone.utc))
             .not_valid_after(datetime.fromtimestamp(not_after, timezone.utc))
             .add_extension(x509.BasicConstraints(ca, None), True).add_extension(usage, True)
             .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), False).sign(key, hashes.SHA256()))
    return built.public_bytes(serialization.Encoding.PEM).decode()


def test_rotation_under_load(site, operator, alice):
    old, new = hashes_of(site.pki.pem("avatar-id")), hashes_of(site.pki.pem("next"))
    nobody = curl.nobody(site)
    operator.change("stage", "next")
    with Load(site, alice) as load:
        load.wait_for_more(40)
        asked = time.monotonic()
        operator.change("activate", "next")
        done = time.monotonic()
        load.wait_for_more(40)
    assert load.failed == []
    before = {signer_of(identity) for began, identity in load.signed if began < asked}
    after = {signer_of(identity) for began, identity in load.signed if began > done}
    assert old in before and after == {new}
    assert {signer_of(identity) for _, identity in load.signed} == {old, new}

    for name, certificate_hash in (("avatar-id", old), ("next", new)):
        served = nobody.get(f"/certs/{certificate_hash}.pem")
        assert served.status == 200 and served.text == site.pki.pem(name).read_text()
    kids = {key["kid"] for key in nobody.get("/.well-known/jwks.json").json()["keys"]}
    listed = {key["name"]: key for key in curl.client_of(site, "auditor").get("/operations/v1/keys").json()["keys"]}
    assert kids >= {listed["avatar-id"]["kid"], listed["next"]["kid"]}
    assert (listed["avatar-id"]["state"], listed["next"]["state"]) == ("verifying", "active")
    assert listed["next"]["actor"] == "operator-1" and listed["avatar-id"]["retireFrom"] > listed["avatar-id"]["since"]

    for signer in (old, new):
        identity = next(identity for _, identity in load.signed if signer_of(identity) == signer)
        verdict = call.verify(site, call.verification_request(identity, alice.fingerprint()))
        assert verdict.json()["verificationResponse"]["verstatValue"] == "Avatar-Validation-Passed", verdict.text

    changes = [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == "key.active"]
    assert [(leaf["client"], leaf["details"]["key"], leaf["outcome"]) for leaf in changes] == [("operator-1", "next", "released")]
    signatures = [use["key"] for leaf in ledger.leaves(site.ledger) if leaf["event"] == "sign.avatar-id" for use in leaf["keys"]]
    assert set(signatures) == {"avatar-id", "next"} and len(signatures) == len(load.signed)


def test_states_survive_a_restart(site, operator, alice):
    site.running["avseald"].kill()
    site.running["avseald"].wait()
    site.start_service()
    assert operator.states()["next"] == "active"
    answer = call.sign(site, call.signing_request(alice.fingerprint()))
    assert signer_of(call.identity_of(answer)) == hashes_of(site.pki.pem("next"))


def test_retiring_waits_for_the_overlap(site, operator, alice):
    old = hashes_of(site.pki.pem("avatar-id"))
    assert "s more; wait" in operator.refused("retire", "avatar-id")
    operator.change("retire", "avatar-id", "--force", "drill: key compromised")
    assert curl.nobody(site).get(f"/certs/{old}.pem").status == 404
    assert operator.states()["avatar-id"] == "retired"
    leaf = [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == "key.retired"][-1]
    assert leaf["details"]["force"] == "drill: key compromised" and leaf["client"] == "operator-1"
    answer = call.sign(site, call.signing_request(alice.fingerprint()))
    assert answer.status == 200


def test_only_operators_change_keys(site):
    body = {"state": "staged"}
    assert curl.client_of(site, "auditor").put("/operations/v1/keys/third", json_body=body).status == 403
    assert curl.client_of(site, "ims-as").get("/operations/v1/keys").status == 403
    assert curl.nobody(site).put("/operations/v1/keys/third", json_body=body).status == 401
    operator = curl.client_of(site, "operator")
    for wrong in ({"state": "verifying"}, {"state": "active", "force": "x"}, {"state": "retired", "force": ""}, {}):
        assert operator.put("/operations/v1/keys/third", json_body=wrong).status == 400
    assert operator.post("/operations/v1/acts", json_body={"act": "Key", "object": {}, "terminal": {}}).status == 400
    assert operator.put("/operations/v1/acts/1", json_body={"act": "key.x", "object": {}, "terminal": {}, "outcome": "done", "result": {}}).status == 400


def test_acts_are_recorded_by_the_running_node(site, operator):
    refused = site.key_command("generate", "--kind", "ledger", "--label", "unrecorded", check=False)
    assert refused.returncode == 1 and "must be recorded" in refused.stderr
    refused = site.key_command("generate", "--kind", "ledger", "--label", "unrecorded", *site.own_ledger(), check=False)
    assert refused.returncode == 1 and "give --url" in refused.stderr
    assert "unrecorded" not in operator.labels()

    operator.make("recorded")
    begun, ended = acts(site)[-2:]
    assert (begun["event"], ended["event"], ended["outcome"]) == ("act.begun", "act.ended", "released")
    assert begun["client"] == ended["client"] == "operator-1" and begun["details"]["id"] == ended["details"]["id"]
    assert begun["details"]["object"]["label"] == "recorded" and begun["details"]["terminal"]["uid"] == os.getuid()

    failed = site.key_command("generate", "--kind", "ledger", "--label", "recorded", *operator.node, check=False)
    assert failed.returncode == 1
    assert (acts(site)[-1]["outcome"], acts(site)[-1]["reason"]) == ("discarded", "key-exists")


def test_a_certificate_must_be_the_keys(site, operator, directory):
    p = site.pki
    arguments = ("import-certificate", "--label", "recorded", "--kind", "avatar-id", "--out", directory / "out.pem", *operator.node)
    before = len(acts(site))

    def refused(file):
        done = site.key_command(*arguments, "--file", file, check=False)
        assert done.returncode == 1 and not (directory / "out.pem").exists()
        return done.stderr

    assert "expected its own certificate" in refused(p.pem("next"))
    csr = x509.load_pem_x509_csr((p.directory / "recorded.csr").read_bytes())
    now = int(time.time())
    bad = directory / "bad.pem"
    for text, reason in ((certificate(p, csr, now - 7200, now - 3600), "expired"), (certificate(p, csr, now - 60, now + 3600, ca=True), "CA certificate"),
                         (certificate(p, csr, now - 60, now + 3600) + p.pem("tls-ca").read_text(), "put them in order"), ("", "bad.pem")):
        bad.write_text(text)
        assert reason in refused(bad)
    assert len(acts(site)) == before, "nothing had begun"

    bad.write_text(certificate(p, csr, now - 60, now + 3600) + p.pem("stir-ca").read_text())
    done = site.key_command(*arguments, "--file", bad)
    assert "token, " in done.stdout and (directory / "out.pem").read_text() == bad.read_text()
    assert acts(site)[-1]["details"]["act"] == "key.import-certificate" and acts(site)[-1]["outcome"] == "released"
    shown = subprocess.run(["pkcs11-tool", "--module", site.module, "--token-label", "hsm-a", "--list-objects", "--type", "cert"],
                           capture_output=True, text=True, env={**os.environ, **site.environment})
    assert "recorded" in shown.stdout, shown.stdout + shown.stderr


def test_destroying_asks_for_the_name(site, operator):
    code, shown = terminal.run([site.bin / "avseal", "key", "destroy", *operator.hsm, "--label", "next", *operator.node], [], site.environment)
    assert code == 1 and "is active: activate another one" in shown
    before = len(acts(site))
    code, shown = operator.destroy("recorded", "record", operator.node)
    assert code == 1 and "nothing was destroyed" in shown
    nobody = site.key_command("destroy", "--label", "recorded", *operator.node, check=False)
    assert nobody.returncode == 1  # a PIN file is no terminal
    assert len(acts(site)) == before and "recorded" in operator.labels()

    code, shown = operator.destroy("recorded", "recorded", operator.node)
    assert code == 0, shown
    assert "recorded" not in operator.labels() and {"next", "third"} <= operator.labels()
    begun, ended = acts(site)[-2:]
    assert begun["details"]["act"] == ended["details"]["act"] == "key.destroy" and ended["outcome"] == "released"
    assert begun["details"]["terminal"]["tty"].startswith("/dev/pts/")

    code, shown = operator.destroy("avatar-id", "avatar-id", operator.node)  # retired above
    assert code == 0, shown


@pytest.mark.parametrize("where", ["node", "own ledger"])
def test_an_interrupted_act_stays_visible(site, operator, directory, where):
    """kill -9 between the beginning and the end, while the module hangs."""
    rules = faults.Faults(directory / "faults")
    if where == "node":
        record, log = operator.node, site.ledger
    else:
        log = directory / "ledger"
        record = ("--ledger", log, "--origin", "a.example/other")
    module = site.bin.parent / "lib" / "avseal-fault-pkcs11.so"
    command = [site.bin / "avseal", "key", "generate", "--module", module, "--token", "pkcs11:token=hsm-a", "--pin-file", site.secret("pin"),
               "--kind", "ledger", "--label", f"interrupted {where}", *record]
    with rules.rule("hang function=C_GenerateKeyPair"):
        process = processes.start(command, directory / "log", {**site.environment, "AVSEAL_FAULTS": str(rules.directory)})
        processes.wait_until(lambda: log.exists() and begun_label(log) == f"interrupted {where}", process, directory / "log", "the act")
        process.send_signal(signal.SIGKILL)
        process.wait()
    shutil.copytree(log, directory / "copy")
    last = [leaf for leaf in ledger.leaves(directory / "copy") if leaf["event"].startswith("act.")][-1]
    assert last["event"] == "act.begun" and last["details"]["object"]["label"] == f"interrupted {where}"
    assert f"interrupted {where}" not in operator.labels()


def begun_label(log):
    """Of the last act in a ledger that may be being written."""
    try:
        leaves = [leaf for leaf in ledger.leaves(log) if leaf["event"] == "act.begun"]
    except (AssertionError, ValueError):
        return None
    return leaves[-1]["details"]["object"]["label"] if leaves else None
