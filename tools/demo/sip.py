"""An avatar call over real SIP: Kamailio as the IMS AS of each side, SIPp as the user agents, everything on loopback."""

import pathlib
import re
import subprocess

from . import processes, site as demo_site

INTEGRATION = pathlib.Path(__file__).parents[2] / "integrations" / "kamailio"
CAPABILITY = ";+sip.3gpp-avatar-support"


class AvatarAs:
    """Kamailio with the configuration of integrations/kamailio, for one side."""

    def __init__(self, site, side, next_hop, nodes=(), client="ims-as", node_timeout=1, tls=False, diversions=None, **settings):
        """diversions: URI of a callee -> URI to which its calls go."""
        self.site, self.side, self.next_hop, self.node_timeout = site, side, next_hop, node_timeout
        self.nodes = [*(nodes or (site.url,)), site.url][:2]
        self.client, self.settings, self.diversions = client, settings, diversions
        self.port = processes.free_port()
        self.tls_port = processes.free_port() if tls else None
        self.directory = site.directory / f"as-{self.port}"
        self.log = self.directory / "kamailio.log"
        self.process = None

    def install(self):
        self.directory.mkdir()
        if self.diversions:
            self.write_diversions()
        source = self.directory.with_suffix(".cfg")
        source.write_text(self.configuration())
        done = subprocess.run([INTEGRATION / "install", source, self.directory], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())

    def write_diversions(self):
        """The table, as Kamailio's db_text reads it."""
        rows = ["key_name(string) key_type(int) value_type(int) key_value(string) expires(int)"]
        for callee, target in self.diversions.items():
            rows.append(":".join([callee.replace(":", "\\:"), "0", "0", target.replace(":", "\\:"), "0"]))
        (self.directory / "table").mkdir()
        (self.directory / "table" / "diversions").write_text("\n".join(rows) + "\n")

    def configuration(self):
        pki = self.site.pki
        values = {"TRUSTED": "127.0.0.0/8", "NEXT_HOP": f"sip:127.0.0.1:{self.next_hop};transport=udp",
                  "NODE_ANCHORS": pki.pem("tls-ca"), "CLIENT_CERTIFICATE": pki.pem(self.client), "CLIENT_KEY": pki.key(self.client),
                  "ATTEST": "A"}
        if self.diversions:
            values["DIVERSIONS"] = f"text://{self.directory / 'table'}"
        for number, url in enumerate(self.nodes, 1):
            values[f"NODE_{number}"] = f"node{number}=>{url};timeout={self.node_timeout};maxdatasize=65536"
        lines = [f"#!define {self.side.upper()}", f"listen=udp:127.0.0.1:{self.port}", f"listen=tcp:127.0.0.1:{self.port}"]
        if self.tls_port:
            lines.append(f"listen=tls:127.0.0.1:{self.tls_port}")
            values |= {"SIP_TLS_CERTIFICATE": pki.pem("server"), "SIP_TLS_KEY": pki.key("server"), "SIP_TLS_ANCHORS": pki.pem("tls-ca")}
        lines += [f'#!define {name} "{value}"' for name, value in values.items()]
        for name, value in self.settings.items():
            lines.append(f"#!define {name.upper()} {value}" if isinstance(value, int) else f'#!define {name.upper()} "{value}"')
        return "\n".join(lines) + "\n"

    def start(self):
        if not self.directory.exists():
            self.install()
        self.process = processes.start(["kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-w", self.directory, "-Y", self.directory,
                                        "-f", self.directory / "avatar-as.cfg"], self.log)
        processes.wait_until(lambda: processes.accepts(self.port), self.process, self.log, "kamailio")

    def stop(self):
        return processes.stop(self.process) if self.process else None

    def events(self):
        """What it logged of avatars, in order."""
        return re.findall(r"event=(avatar-\S+) ", self.log.read_text(errors="replace"))


def sdp(avatar="", fingerprints=(), channel_port=52718, extra=()):
    """Audio and, with fingerprints, the data channel of the avatar."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", "m=audio 49170 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"]
    if fingerprints:
        lines += [f"m=application {channel_port} UDP/DTLS/SCTP webrtc-datachannel", "a=max-message-size:65536", "a=sctp-port:5000",
                  "a=setup:actpass", *(f"a=fingerprint:{text}" for text in fingerprints), 'a=dcmap:1000 subprotocol="http"',
                  "a=3gpp-req-app:1 xr-meeting"]
    if avatar:
        lines.append(avatar)
    return "\r\n".join([*lines, *extra]) + "\r\n"


def avatar_line(avatar=demo_site.AVATAR, application=demo_site.APPLICATION, rendering="network"):
    return f"a=avatar:{avatar} app={application} rendering={rendering}"


def send(text, body="", media_type="application/sdp", retransmit=True):
    """One <send> of a SIPp scenario; `text` is the start line and headers. [fold] in it folds a header line."""
    lines = text.splitlines()
    if body:
        lines.append(f"Content-Type: {media_type}")
    message = "\r\n".join([*lines, "Content-Length: [len]", "", body])
    return f'<send{" retrans=" + chr(34) + "500" + chr(34) if retransmit else ""}><![CDATA[\n{message}\n]]></send>\n'


def receive(what, optional=False, attributes=""):
    kind = "response" if str(what).isdigit() else "request"
    return f'<recv {kind}="{what}"{" optional=" + chr(34) + "true" + chr(34) if optional else ""} {attributes}/>\n'


def pause(milliseconds):
    return f'<pause milliseconds="{milliseconds}"/>\n'


def scenario(*parts):
    return f'<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="avatar call">\n{"".join(parts)}</scenario>\n'


def request(method, headers=(), to=demo_site.BOB, caller=demo_site.ALICE, cseq=1, uri=None, from_header=None):
    within = method in ("ACK", "BYE") or cseq > 1
    target = uri or ("[next_url]" if within else to)
    return "\n".join([
        f"{method} {target} SIP/2.0", "Via: SIP/2.0/[transport] 127.0.0.1:[local_port];branch=[branch]", *(["[routes]"] if within else []),
        "Max-Forwards: 70", from_header or f"From: <{caller}>;tag=[pid]a[call_number]", f"To: <{to}>" + ("[peer_tag_param]" if within else ""),
        "Call-ID: [call_id]", f"CSeq: {cseq} {method}", f"Contact: <sip:alice@127.0.0.1:[local_port];transport=[transport]>{CAPABILITY}",
        *headers])


def answer(status, headers=(), contact=CAPABILITY, within=False):
    tag = "" if within else ";tag=[pid]b[call_number]"
    return "\n".join([f"SIP/2.0 {status}", "[last_Via:]", "[last_From:]", f"[last_To:]{tag}", "[last_Call-ID:]",
                      "[last_CSeq:]", "[last_Record-Route:]", f"Contact: <sip:bob@127.0.0.1:[local_port];transport=[transport]>{contact}", *headers])


def provisional():
    return receive(100, True) + receive(180, True) + receive(183, True)


def asserted(caller=demo_site.ALICE):
    return f"P-Asserted-Identity: <{caller}>"


class UserAgent:
    """SIPp running one scenario; its messages are read from its log."""

    def __init__(self, directory, name, steps, remote=None, port=None, calls=1, transport="u1", options=(), trace=True):
        self.port = port or processes.free_port()
        self.name, self.remote, self.calls = name, remote, calls
        self.transport, self.options, self.trace = transport, options, trace
        self.directory = pathlib.Path(directory)
        self.file = self.directory / f"{name}.xml"
        self.messages = self.directory / f"{name}.messages"
        self.log = self.directory / f"{name}.log"
        self.file.write_text(scenario(*steps))
        self.process = None

    def start(self):
        arguments = ["sipp", "-sf", self.file, "-i", "127.0.0.1", "-p", self.port, "-m", self.calls, "-t", self.transport, "-nostdin",
                     *(("-trace_msg", "-message_file", self.messages, "-message_overwrite", "false") if self.trace else ()), "-trace_err", "-error_file", self.log.with_suffix(".err"),
                     "-key", "fold", "\r\n \t", "-timeout", "100", "-timeout_error", *self.options]
        self.process = processes.start([*arguments, f"127.0.0.1:{self.remote or 9}"], self.log, directory=self.directory)
        return self

    def finish(self):
        """Waits for the end; gives the exit code: 0 if the scenario was met."""
        return self.process.wait(120)

    def stop(self):
        if self.process:
            processes.stop(self.process, 2)

    def failure(self):
        errors = self.log.with_suffix(".err")
        return errors.read_text(errors="replace") if errors.exists() else processes.last_line(self.log)

    def received(self, start=""):
        """Messages that came in, as text, whose first line begins with `start`; each once, however often it was sent."""
        if not self.messages.exists():
            return []
        found = re.findall(r"message received \[\d+\] bytes\s*:\s*?\n\n(.*?)(?=\n-{20,} |\Z)", self.messages.read_text(errors="replace"), re.S)
        return [text for text in dict.fromkeys(found) if text.startswith(start)]


def header(message, name):
    """Values of a header, in order."""
    head = re.split(r"\r?\n\r?\n", message, maxsplit=1)[0]
    head = re.sub(r"\r?\n[ \t]+", " ", head)
    return [line.partition(":")[2].strip() for line in head.splitlines()[1:] if line.partition(":")[0].strip().lower() == name.lower()]


def media(message, kind):
    """The m-lines of that kind in the SDP of a message."""
    return re.findall(rf"^m={kind} [^\r\n]*", body(message), re.M)


def body(message):
    return re.split(r"\r?\n\r?\n", message, maxsplit=1)[1]
