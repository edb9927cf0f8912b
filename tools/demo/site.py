"""A demo site: two SoftHSM tokens with the same keys, software TPM, CAs, certificates, configuration; and its processes.

The quickstart keeps one under run/; each integration test makes one of its own in a temporary directory.
"""

import os
import pathlib
import secrets
import shlex
import subprocess
import uuid

from . import pki, processes, softhsm, tpm
from .attestation import Attestation

TOKENS = ("hsm-a", "hsm-b")  # labels; the second is a replica of the first
KINDS = ("avatar-id", "avatar-metadata", "access-token", "ue-ca", "ledger", "dac-kek")
CLIENTS = ("ims-as", "ims-as-b", "xr-as", "xr-as-2", "feeder", "feeder-b", "operator", "auditor")

ALICE = "sip:alice@a.example"
BOB = "sip:bob@b.example"
AVATAR = "urn:uuid:6f9c1d9e-6f0e-4d0b-9a53-2f6f3b0f7a11"
APPLICATION = "xr-meeting"
XR_AS_ID = "xr-as.a.example"
XR_AS_2_ID = "xr-as-2.a.example"
AEF_ID = "aef-dac-1"
ORIGIN = "a.example/demo"
SERIAL = "SN-0001"  # of the UE
FORM = "4\n"  # of a site's directory; one of another form is made anew


def token_uri(label):
    return f"pkcs11:token={label}"


def toml_list(texts):
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


class Site:
    def __init__(self, directory, build, tokens=TOKENS, faults=False):
        """With `faults`, the workers' module is the one that the directory `faults` can disturb, for drills and tests."""
        self.directory = pathlib.Path(directory).resolve()
        self.bin = pathlib.Path(build).resolve() / "bin"
        self.avseald = self.bin / "avseald"
        self.tokens = tokens
        self.module = self.workers_module = softhsm.find_module()
        self.pki = pki.Pki(self.directory / "pki")
        self.secrets = self.directory / "secrets"
        self.log = self.directory / "log"
        self.artifacts = self.directory / "artifacts"
        self.ledger = self.directory / "ledger"
        self.ue_state = self.directory / "ue"
        self.tpm = self.directory / "tpm"
        self.attestation = Attestation(self.directory / "attestation", self.pki)
        self.environment = {"SOFTHSM2_CONF": str(self.directory / "softhsm2.conf")}
        self.faults = self.directory / "faults"
        if faults:
            self.workers_module = self.bin.parent / "lib" / "avseal-fault-pkcs11.so"
            self.environment["AVSEAL_FAULTS"] = str(self.faults)
        self.running = {}
        self.x5u_hosts = []           # public hosts whose certificates may be fetched
        self.x5u_internal_hosts = []  # hosts that may be on this machine

    # What is chosen at random once, and read again by later runs.
    @property
    def port(self):
        return int((self.directory / "port").read_text())

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def identifier(self, name):
        """A UUID of this site by name, made on first use."""
        path = self.directory / "ids" / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_text(str(uuid.uuid4()))
        return path.read_text()

    def exists(self):
        """Whether it is made, in this program's form and with the tokens asked for."""
        complete = self.directory / "complete"
        return complete.exists() and complete.read_text() == FORM and all(self.worker_config(token).exists() for token in self.tokens)

    # --- making it ---

    def make(self, say=lambda text: None, port=None):
        for path in (self.directory, self.pki.directory, self.secrets, self.log, self.artifacts, self.directory / "tokens", self.faults):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.directory / "port").write_text(str(port or processes.free_port()))
        say(f"tokens: SoftHSM with six keys on {' and the same on '.join(self.tokens)}")
        self.make_tokens()
        say("certificates: five CAs, signers, servers, clients")
        self.make_certificates()
        say("TPM: swtpm with endorsement certificates")
        tpm.provision(self.tpm, self.directory / "tpm-authority")
        say("attestation: anchors for the TPM's vendor, PCR values, the device maker's manifest, each signed")
        self.attestation.make(self.directory / "tpm-authority")
        self.attestation.write_manifest(tpm.manifest_entries(self.tpm, SERIAL))
        self.write_configuration()
        self.write_environment()
        (self.directory / "complete").write_text(FORM)

    def secret(self, name):
        """A file of mode 0600 with a random secret."""
        path = self.secrets / name
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(secrets.token_hex(8))
        return path

    def avseal(self, *arguments, check=True):
        done = subprocess.run([self.bin / "avseal", *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise RuntimeError(f"avseal {arguments[0]} {arguments[1]} failed: {done.stderr.strip()}")
        return done

    def operator_options(self):
        """What `avseal` needs to speak with the running service as its operator."""
        return ("--url", self.url, "--cacert", self.pki.pem("tls-ca"), "--cert", self.pki.pem("operator"), "--key", self.pki.key("operator"))

    def key_command(self, command, *arguments, token=TOKENS[0], check=True):
        return self.avseal("key", command, "--module", self.module, "--token", token_uri(token), "--pin-file", self.secret("pin"),
                           *arguments, check=check)

    def own_ledger(self):
        """Where an act on the HSM is recorded while no avseald runs."""
        return ("--ledger", self.ledger, "--origin", ORIGIN)

    def make_tokens(self):
        template = (pathlib.Path(__file__).parents[2] / "pkcs11-config" / "softhsm2.conf").read_text()
        (self.directory / "softhsm2.conf").write_text(template.replace("@TOKENDIR@", str(self.directory / "tokens")))
        self.avseal("token", "init", "--module", self.module, "--label", self.tokens[0], "--pin-file", self.secret("pin"),
                    "--so-pin-file", self.secret("so-pin"))
        for kind in KINDS:
            self.key_command("generate", "--kind", kind, "--label", kind, *self.own_ledger())
        for replica in self.tokens[1:]:
            softhsm.clone(self.directory / "tokens", self.tokens[0], replica)

    def request_of(self, label, common_name):
        path = self.pki.directory / f"{label}.csr"
        path.write_text(self.key_command("csr", "--label", label, "--subject", common_name).stdout)
        return path

    def make_certificates(self):
        p = self.pki
        p.root("tls-ca", "avseal demo TLS CA")
        p.root("stir-ca", "avseal demo STI CA")
        p.root("operator-ca", "avseal demo operator CA")
        p.root("ue-root", "avseal demo UE root CA")
        p.issue_server("server", "tls-ca")
        p.issue_server("mf-server", "tls-ca")
        for client in CLIENTS:
            if client.startswith("xr-as"):
                p.issue_node(client, "tls-ca", f"URI:urn:uuid:{self.identifier(client)}")
            else:
                p.issue_client(client, "tls-ca", f"DNS:{client}.a.example")
        p.sign_request("avatar-id", self.request_of("avatar-id", "avatar-id signer"), "stir-ca",
                       pki.stir_extensions(["a.example"], "17035550000", 10000))
        for label in ("avatar-metadata", "access-token", "ledger"):
            p.sign_request(label, self.request_of(label, f"{label} signer"), "operator-ca", pki.SIGNER_EXTENSIONS)
        p.sign_request("ue-ca-leaf", self.request_of("ue-ca", "avseal demo UE CA"), "ue-root",
                       ["basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign"], days=1825)
        p.certificate_file("ue-ca", "ue-ca-leaf", "ue-root")

    def worker_config(self, token):
        return self.directory / f"tokend-{token}.toml"

    def write_worker_configuration(self, token):
        d, p = self.directory, self.pki
        worker = [f'module = "{self.workers_module}"', f'token = "{token_uri(token)}"', f'pin_file = "{self.secret("pin")}"',
                  f'state_directory = "{d / "state"}"', 'profile = "softhsm2"',
                  f'profile_directory = "{pathlib.Path(__file__).parents[2] / "pkcs11-config" / "profiles"}"', ""]
        for kind in KINDS:
            worker += ["[[keys]]", f'name = "{kind}"', f'kind = "{kind}"', f'uri = "pkcs11:object={kind}"']
            if kind == "ue-ca":
                worker += [f'issuer_certificate = "{p.pem("ue-ca-leaf")}"', "max_validity_days = 31"]
            if kind == "ledger":
                worker += [f'origin = "{ORIGIN}"']
            worker.append("")
        self.worker_config(token).write_text("\n".join(worker))

    def write_configuration(self):
        d, p = self.directory, self.pki
        for token in self.tokens:
            self.write_worker_configuration(token)
        keys = []
        for kind in KINDS:
            keys += ["[[keys]]", f'name = "{kind}"', f'kind = "{kind}"', f'tokens = {toml_list(self.tokens)}']
            if kind != "dac-kek":
                keys += [f'certificate = "{p.pem(kind)}"']
            keys.append("")
        (d / "avseald.toml").write_text(AVSEALD.format(
            port=self.port, url=self.url, pki=p.directory, directory=d, keys="\n".join(keys),
            attestation=self.attestation.configuration(),
            tokens="\n".join(TOKEN.format(name=token, config=self.worker_config(token)) for token in self.tokens),
            sockets=d / "sockets", authorization=self.identifier("authorization"), dac=self.identifier("dac"), aef=AEF_ID,
            xr_as=self.identifier("xr-as"), xr_as_2=self.identifier("xr-as-2"), xr_as_id=XR_AS_ID, xr_as_2_id=XR_AS_2_ID,
            application=APPLICATION, x5u_hosts=toml_list(self.x5u_hosts),
            x5u_internal_hosts=toml_list([f"localhost:{self.port}", *self.x5u_internal_hosts])))
        (d / "policy.toml").write_text(POLICY.format(application=APPLICATION))

    def require_accept(self):
        """Nothing is granted before the IMS AS told that UE-B accepted."""
        path, section = self.directory / "avseald.toml", "[authorization]\n"
        text = path.read_text()
        if "require_accept" not in text:
            path.write_text(text.replace(section, section + "require_accept = true\n"))

    def variables(self):
        """What site.env holds."""
        values = {"AVSEAL_URL": self.url, "AVSEAL_CACERT": self.pki.pem("tls-ca")}
        for name in ("ims-as", "xr-as", "feeder", "operator", "auditor"):
            variable = "AVSEAL_" + name.upper().replace("-", "_")
            values[f"{variable}_CERT"] = self.pki.pem(name)
            values[f"{variable}_KEY"] = self.pki.key(name)
        values["SOFTHSM2_CONF"] = self.environment["SOFTHSM2_CONF"]
        values["TPM2TOOLS_TCTI"] = tpm.tcti(self.tpm)
        return values

    def write_environment(self):
        lines = [f"export {name}={shlex.quote(str(value))}" for name, value in self.variables().items()]
        lines.append(f'export PATH={shlex.quote(str(self.bin))}:"$PATH"')
        (self.directory / "site.env").write_text("\n".join(lines) + "\n")

    # --- its processes ---

    def start(self, detached=False):
        self.start_tpm(detached)
        self.start_service(detached)

    def start_tpm(self, detached=False):
        self.running["swtpm"] = tpm.start(self.tpm, detached)
        self.remember_pid("swtpm")

    def start_service(self, detached=False):
        for name in ("sockets", "state"):
            (self.directory / name).mkdir(mode=0o700, exist_ok=True)
        log = self.log / "avseald.log"
        process = processes.start([self.avseald, "--config", self.directory / "avseald.toml"], log, self.environment, detached)
        self.running["avseald"] = process
        self.remember_pid("avseald")
        processes.wait_until(lambda: processes.accepts(self.port), process, log, "avseald")

    def remember_pid(self, name):
        (self.directory / f"{name}.pid").write_text(str(self.running[name].pid))

    def stop(self):
        """Ends what this object started, the service first; gives avseald's exit code, if it ran."""
        code = None
        for name in ("avseald", "swtpm"):
            process = self.running.pop(name, None)
            if process is not None:
                ended = processes.stop(process)
                code = ended if name == "avseald" else code
                (self.directory / f"{name}.pid").unlink(missing_ok=True)
        return code

    def stop_detached(self):
        """Ends what an earlier run left; gives the names of what it found."""
        found = []
        for name in ("avseald", "swtpm"):
            pid_file = self.directory / f"{name}.pid"
            if pid_file.exists():
                processes.stop_pid(int(pid_file.read_text()), name)
                pid_file.unlink()
                found.append(name)
        return found


AVSEALD = """\
# A demo site on one machine: avseald starts its own workers, so they are not separated from it. docs/operations.md has
# the production form.
[server]
address = "127.0.0.1"
port = {port}
certificate = "{pki}/server.pem"
private_key = "{pki}/server.key"
client_anchors = "{pki}/tls-ca.pem"
public_url = "{url}"
threads = 2

[log]
target = "stderr"
level = "info"

{tokens}
[keyring]
socket_directory = "{sockets}"
verify_after_sign = 1

{keys}
[clock]
source = "trusted"

[ledger]
directory = "{directory}/ledger"
origin = "a.example/demo"

[store]
file = "{directory}/store.sqlite"
row_key = "{directory}/store.key"

[signing]
stir_anchors = "{pki}/stir-ca.pem"
x5u_tls_anchors = "{pki}/tls-ca.pem"
x5u_hosts = {x5u_hosts}
x5u_internal_hosts = {x5u_internal_hosts}

[authorization]
instance_id = "{authorization}"
dac_instance_id = "{dac}"
capif_aef_id = "{aef}"
ue_anchors = "{pki}/ue-ca.pem"
accepted_issuers = ["a.example"]
policy = "{directory}/policy.toml"

[dac]
instance_id = "{dac}"
directory = "{directory}/dac"
scopes = ["ndac-avatar", "3gpp#{aef}:ndac-avatar"]

[[dac.issuers]]
instance_id = "{authorization}"
certificates = "{pki}/access-token.pem"

[enrollment]
certificate_lifetime_days = 30
{attestation}
[[clients]]
id = "ims-as-1"
role = "ims-as"
san_dns = "ims-as.a.example"
domains = ["a.example"]
numbers = ["17035550000-17035559999"]
max_attest = "A"

[[clients]]
id = "ims-as-b"
role = "ims-as"
san_dns = "ims-as-b.a.example"
domains = ["b.example"]
dialect = "atis1000082"

[[clients]]
id = "xr-as-1"
role = "xr-as"
san_uri = "urn:uuid:{xr_as}"
nf_instance_id = "{xr_as}"
xr_as_id = "{xr_as_id}"
applications = ["{application}"]
capif_security_id = "sec-1"

[[clients]]
id = "xr-as-2"
role = "xr-as"
san_uri = "urn:uuid:{xr_as_2}"
nf_instance_id = "{xr_as_2}"
xr_as_id = "{xr_as_2_id}"
applications = ["{application}"]

[[clients]]
id = "feeder-1"
role = "feeder"
san_dns = "feeder.a.example"
owner_domains = ["a.example"]

[[clients]]
id = "feeder-b"
role = "feeder"
san_dns = "feeder-b.a.example"
owner_domains = ["b.example"]

[[clients]]
id = "operator-1"
role = "operator"
san_dns = "operator.a.example"

[[clients]]
id = "auditor-1"
role = "auditor"
san_dns = "auditor.a.example"
"""

TOKEN = """\
[[tokens]]
name = "{name}"
spawn = 1
worker_config = "{config}"
"""

POLICY = """\
# Who may be granted avatars. A matching deny refuses, else a matching allow grants, else nothing is granted.
version = 1

[[rule]]
name = "own subscribers in meetings"
effect = "allow"
domains = ["a.example", "tel"]
applications = ["{application}"]
"""
