"""What user agents and networks send: every form that the standards allow is understood, every other has a documented result."""

import random
import re
import socket
import time
import uuid

import pytest

from demo import call, processes, sip, site as demo_site
from support import sip as line
from support.software_ue import SoftwareUe

TEL = "tel:+17035550001"
OTHER_PRINT = "SHA-256 " + ":".join(["CD"] * 32)
LONG_PRINT = "sha-512 " + ":".join(["EF"] * 64)
WEAK = ["SHA-1 " + ":".join(["AB"] * 20), "md5 " + ":".join(["AB"] * 16)]


@pytest.fixture(scope="module")
def alice(site):
    for impu in (demo_site.ALICE, TEL):
        assert call.subscribe(site, impu).status in (200, 201, 204)
    return SoftwareUe(site)


@pytest.fixture(scope="module")
def network(site):
    with line.network(site) as both:
        yield both


def identity(site, request):
    answer = call.sign(site, request)
    assert answer.status == 200, answer.text
    return call.identity_of(answer)


def shaken(site, origin="17035550001", destination="15715550000"):
    request = call.signing_request(line.CALLEE_PRINT)["signingRequest"]
    kept = {name: request[name] for name in ("attest", "iat", "origid")}
    return identity(site, {"signingRequest": {**kept, "orig": {"tn": origin}, "dest": {"tn": [destination]}}})


def deliver(network, directory, steps, entry=None):
    """The INVITE as the callee gets it."""
    _, callee = network.play(directory, [steps, *line.talk()], line.accept(), entry)
    [invite] = callee.received("INVITE")
    return invite


def claims(invite):
    [value] = sip.header(invite, "Identity")
    return call.claims_of(value)


# --- identities ---

@pytest.mark.parametrize("asserted, orig", [
    ("<sip:Alice@A.EXAMPLE:5060;transport=udp>", None), ('"Алиса 阿丽丝 \\"x\\"" <sip:alice@a.example>', {"uri": "sip:alice@a.example"}),
    (f"<{TEL}>", {"tn": "17035550001"}), ("<sip:+1-703-555-0001@a.example;user=phone>", {"tn": "17035550001"}),
    (f"<{demo_site.ALICE}>, <{TEL}>", {"uri": "sip:alice@a.example"})], ids=["other case", "UTF-8", "tel", "phone", "two"])
def test_asserted_identity(alice, network, directory, asserted, orig):
    """SIP and tel identities in all spellings; the user part of a SIP URI is compared as it is, and Alice is not alice."""
    steps = line.offer(alice.fingerprint(), [f"P-Asserted-Identity: {asserted}"], from_header='From: "Анна" <sip:anonymous@anonymous.invalid>;tag=[pid]a[call_number]')
    invite = deliver(network, directory, steps)
    assert line.has_avatar(invite) == (orig is not None)
    if orig:
        assert claims(invite)["orig"] == orig


def test_two_identity_lines(alice, network, directory):
    headers = [f"P-Asserted-Identity: <{demo_site.ALICE}>", f"P-Asserted-Identity: <{TEL}>"]
    assert claims(deliver(network, directory, line.offer(alice.fingerprint(), headers)))["orig"] == {"uri": demo_site.ALICE}


def test_telephone_call(site, alice, network, directory):
    invite = deliver(network, directory, line.offer(alice.fingerprint(), [sip.asserted(TEL)], to="tel:+15715550000"))
    assert claims(invite)["dest"] == {"tn": ["15715550000"]}
    assert "verstat" not in invite


def test_privacy(site, alice, network, directory):
    """Who hides the identity from the callee hides the PASSporT too, which has it in clear; the avatar is verified and shown."""
    invite = deliver(network, directory, line.offer(alice.fingerprint(), [sip.asserted(), "Privacy: id"]))
    assert sip.header(invite, "Identity") == []
    assert sip.avatar_line() in sip.body(invite) and sip.media(invite, "application")[0].split()[1] != "0"


@pytest.mark.parametrize("privacy, hidden", [("id;critical", True), ("user;id", True), ("none", False), ("user", False), ("identity", False)])
def test_privacy_values(site, alice, network, directory, privacy, hidden):
    """Only `id` hides the asserted identity (RFC 3325)."""
    invite = deliver(network, directory, line.offer(alice.fingerprint(), [sip.asserted(), f"Privacy: {privacy}"]))
    assert (sip.header(invite, "Identity") == []) == hidden
    assert sip.avatar_line() in sip.body(invite)


# --- forms of RFC 3261, 7.3: each request is the same one ---

COMPACT = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Type": "c", "Content-Length": "l"}


def deliver_raw(network, call_id, lines, content):
    """The INVITE as the callee gets it, of one that SIPp cannot write, or whose echo in an answer it cannot read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee:
        callee.bind(("127.0.0.1", network.callee_port))
        callee.settimeout(60)
        sender.sendto("\r\n".join([f"INVITE {demo_site.BOB} SIP/2.0", *lines, "", content]).encode(), ("127.0.0.1", network.originating.port))
        message = ""
        while not (message.startswith("INVITE ") and call_id in message):
            data, peer = callee.recvfrom(65536)
            message = data.decode()
        answer_busy(callee, peer, message)
        return message


@pytest.mark.parametrize("change", [
    lambda name, value: f"{COMPACT.get(name, name)}: {value}",
    lambda name, value: f"{name.lower()}:{value}",
    lambda name, value: f"{name.upper()} \t:   {value}",
    lambda name, value: f"{name}:\r\n \t" + value.replace(";", "\r\n ;"),
    lambda name, value: f"{name}: {value}".replace("sip:alice@", "sip:%61lice@") if name == "P-Asserted-Identity" else f"{name}: {value}",
    lambda name, value: f"{name}: {value}".replace("<", ' "a\\"; <b>, c" <') if name in ("From", "To", "P-Asserted-Identity") else f"{name}: {value}"],
    ids=["compact names", "lower case", "capitals and spaces", "folded", "escaped", "quoted names"])
def test_form_of_the_request(alice, network, change):
    content = sip.sdp(sip.avatar_line(), [alice.fingerprint()])
    call_id = str(uuid.uuid4())
    headers = [("Via", f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{call_id}"), ("Max-Forwards", "70"), ("From", f"<{demo_site.ALICE}>;tag=1"),
               ("To", f"<{demo_site.BOB}>"), ("Call-ID", call_id), ("CSeq", "1 INVITE"), ("Contact", "<sip:alice@127.0.0.1:9>"),
               ("P-Asserted-Identity", f"<{demo_site.ALICE}>"), ("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())),
               ("Content-Type", "application/sdp"), ("Content-Length", str(len(content)))]
    # CSeq as usual: Kamailio 5.6 makes an ACK without number of one in another form.
    invite = deliver_raw(network, call_id, [change(*each) if each[0] != "CSeq" else "CSeq: 1 INVITE" for each in headers], content)
    assert line.has_avatar(invite)
    assert claims(invite)["orig"] == {"uri": demo_site.ALICE} and claims(invite)["dest"] == {"uri": [demo_site.BOB]}


@pytest.mark.parametrize("header, size", [("P-Asserted-Identity", 20_000), ("To", 4_000)])
def test_oversized_identity(alice, network, directory, header, size):
    """An identity that is none binds nothing."""
    uri = f"sip:{'x' * size}@b.example"
    asserted, to = (uri, demo_site.BOB) if header == "P-Asserted-Identity" else (demo_site.ALICE, uri)
    assert not line.has_avatar(deliver(network, directory, line.offer(alice.fingerprint(), [sip.asserted(asserted)], to=to)))


# --- delayed offer: the callee offers in its answer, the caller answers in ACK ---

def test_delayed_offer(alice, network, directory):
    """An INVITE without SDP offers no avatar: what comes in 200 and ACK is taken out. The caller may offer it in a re-INVITE."""
    body = sip.sdp(sip.avatar_line(), [alice.fingerprint()])
    again = [sip.send(sip.request("INVITE", cseq=2), body), sip.provisional(), sip.receive(200), sip.send(sip.request("ACK", cseq=2), retransmit=False)]
    caller = [sip.send(sip.request("INVITE", [sip.asserted()])), sip.provisional(), sip.receive(200, attributes='rrs="true"'),
              sip.send(sip.request("ACK"), body, retransmit=False), line.settle(), *again, line.settle(), sip.send(sip.request("BYE", cseq=3)), sip.receive(200)]
    callee = [sip.receive("INVITE", attributes='rrs="true"'), sip.send(sip.answer("200 OK"), sip.sdp(sip.avatar_line(), [line.CALLEE_PRINT])), sip.receive("ACK"),
              sip.receive("INVITE"), sip.send(sip.answer("200 OK", within=True), sip.sdp(fingerprints=[line.CALLEE_PRINT])), sip.receive("ACK"),
              sip.receive("BYE"), sip.send(sip.answer("200 OK", within=True), retransmit=False)]
    caller, callee = network.play(directory, caller, callee)
    first, second = callee.received("INVITE")
    assert sip.body(first) == "" and sip.header(first, "Identity") == []
    assert "a=avatar" not in sip.body(caller.received("SIP/2.0 200")[0])
    ack = callee.received("ACK")[0]
    assert "a=avatar" not in sip.body(ack) and sip.media(ack, "application")[0].split()[1] == "0"
    assert line.has_avatar(second)


def test_identity_in_a_delayed_offer(site, alice, network, directory):
    """A signed Avatar-id without an offer in the INVITE is not the call's: the callee does not get it."""
    steps = sip.send(sip.request("INVITE", [sip.asserted(), f"Identity: {identity(site, call.signing_request(alice.fingerprint()))}"]))
    callee = [sip.receive("INVITE", attributes='rrs="true"'), sip.send(sip.answer("200 OK"), sip.sdp(fingerprints=[line.CALLEE_PRINT])), *line.accept()[2:]]
    _, callee = network.play(directory, [steps, *line.talk()], callee, network.terminating.port)
    assert sip.header(callee.received("INVITE")[0], "Identity") == []


def test_avatar_in_answers(alice, network, directory):
    """An answer has no avatar line, whatever was offered."""
    for offered in (sip.avatar_line(), ""):
        answer = sip.send(sip.answer("200 OK"), sip.sdp(sip.avatar_line(), [line.CALLEE_PRINT]))
        caller, _ = network.play(directory, [line.offer(alice.fingerprint(), avatar=offered), *line.talk()], [line.accept()[0], answer, *line.accept()[2:]])
        assert "a=avatar" not in sip.body(caller.received("SIP/2.0 200")[0])


# --- SDP ---

def test_several_fingerprints(alice, network, directory):
    """All strong ones are signed, the data channel's first SHA-256 names the UE; weak ones are not forwarded."""
    prints = [*WEAK, LONG_PRINT, alice.fingerprint(), OTHER_PRINT]
    invite = deliver(network, directory, sip.send(sip.request("INVITE", [sip.asserted()]), sip.sdp(sip.avatar_line(), prints)))
    assert line.has_avatar(invite)
    assert {each["alg"] for each in claims(invite)["mky"]} == {"sha-256", "sha-512"} and len(claims(invite)["mky"]) == 3
    assert not re.search("fingerprint:(sha-1|md5) ", sip.body(invite), re.I)
    assert claims(invite)["avatar"]["ue"] == call.b64url(bytes.fromhex(alice.fingerprint()[8:].replace(":", "")))


def test_fingerprints_of_the_session_and_of_another_medium(alice, network, directory):
    """One of the session is the data channel's when it has none of its own; one of another medium is signed but is not the UE's."""
    body = sip.sdp(sip.avatar_line(), [alice.fingerprint()]).replace(f"a=fingerprint:{alice.fingerprint()}\r\n", "")
    body = body.replace("t=0 0\r\n", f"t=0 0\r\na=fingerprint:{alice.fingerprint()}\r\n")
    body = body.replace("a=rtpmap:0", f"a=fingerprint:{OTHER_PRINT}\r\na=rtpmap:0")
    invite = deliver(network, directory, sip.send(sip.request("INVITE", [sip.asserted()]), body))
    assert line.has_avatar(invite) and len(claims(invite)["mky"]) == 2
    assert claims(invite)["avatar"]["ue"] == call.b64url(bytes.fromhex(alice.fingerprint()[8:].replace(":", "")))


def test_fingerprint_of_another_medium_alone(network, directory):
    """It is not that of the data channel: nothing to bind the avatar to."""
    body = sip.sdp(sip.avatar_line(), [OTHER_PRINT]).replace(f"a=fingerprint:{OTHER_PRINT}\r\n", "")
    body = body.replace("a=rtpmap:0", f"a=fingerprint:{OTHER_PRINT}\r\na=rtpmap:0")
    assert not line.has_avatar(deliver(network, directory, sip.send(sip.request("INVITE", [sip.asserted()]), body)))


def test_unsigned_second_certificate(site, alice, network, directory):
    """A fingerprint added on the way is not among the signed ones."""
    header = f"Identity: {identity(site, call.signing_request(alice.fingerprint()))}"
    body = sip.sdp(sip.avatar_line(), [alice.fingerprint(), OTHER_PRINT])
    steps = sip.send(sip.request("INVITE", [sip.asserted(), header]), body)
    assert not line.has_avatar(deliver(network, directory, steps, network.terminating.port))


@pytest.mark.parametrize("avatar", [sip.avatar_line(), sip.avatar_line("urn:avatar:bobs")], ids=["allowed", "refused"])
def test_multipart(alice, network, directory, avatar):
    """The SDP in one part; the other part is passed on as it is."""
    other = "--x\r\nContent-Type: text/plain\r\n\r\nm=application 1 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    body = f"{other}--x\r\nContent-Type: application/sdp\r\n\r\n{sip.sdp(avatar, [alice.fingerprint()])}\r\n--x--\r\n"
    invite = deliver(network, directory, sip.send(sip.request("INVITE", [sip.asserted()]), body, "multipart/mixed;boundary=x"))
    allowed = avatar == sip.avatar_line()
    assert (avatar in sip.body(invite)) == allowed == bool(sip.header(invite, "Identity"))
    assert [channel.split()[1] != "0" for channel in sip.media(invite, "application")] == [True, allowed]
    assert invite.rstrip().endswith("--x--")


@pytest.mark.parametrize("media_type", ["multipart/mixed;boundary=x", "application/sdpx", "text/plain"])
def test_avatar_outside_the_sdp(alice, network, directory, media_type):
    """In a second SDP, or a body of another type, it is read by nobody here, so it is not forwarded."""
    part = f"--x\r\nContent-Type: application/sdp\r\n\r\n{sip.sdp(sip.avatar_line(), [alice.fingerprint()])}\r\n"
    body = f"{part}{part}--x--\r\n" if "multipart" in media_type else sip.sdp(sip.avatar_line(), [alice.fingerprint()])
    for entry in (network.originating.port, network.terminating.port):
        network.play(directory, [sip.send(sip.request("INVITE", [sip.asserted()]), body, media_type), *line.refused(415)], None, entry)


@pytest.mark.parametrize("change", ["endings", "case", "blank"])
def test_spelling_of_sdp(alice, network, directory, change):
    """Bare line feeds, a hash function and digits in other case, blank lines at the end."""
    body = sip.sdp(sip.avatar_line(), [alice.fingerprint()])
    body = {"endings": body.replace("\r\n", "\n"), "case": body.replace("SHA-256", "sha-256"), "blank": body + "\r\n\r\n"}[change]
    assert line.has_avatar(deliver(network, directory, sip.send(sip.request("INVITE", [sip.asserted()]), body)))


@pytest.mark.parametrize("lines", [500, 1500])
def test_long_sdp(alice, network, directory, lines):
    """More lines than any call needs are not read, so not forwarded."""
    body = sip.sdp(sip.avatar_line(), [alice.fingerprint()], extra=[f"a=x:{n}" for n in range(lines)])
    network.play(directory, [sip.send(sip.request("INVITE", [sip.asserted()]), body), *line.refused(413)], None)


# --- Identity headers, at the terminating side ---

def signed_with(site, alice, wanted=lambda value: True):
    for _ in range(200):
        value = identity(site, call.signing_request(alice.fingerprint()))
        if wanted(value):
            return value
    raise AssertionError("no such signature in 200")


def arrives(network, directory, alice, *headers):
    steps = line.offer(alice.fingerprint(), [sip.asserted(), *headers])
    return line.has_avatar(deliver(network, directory, steps, network.terminating.port))


@pytest.mark.parametrize("write", [
    lambda value: f"Identity: {value}", lambda value: f"IDENTITY  :   {value}", lambda value: f"y: {value}",
    lambda value: "Identity: " + value.replace(";", " ;[fold]"), lambda value: f"Identity:[fold]{value}",
    lambda value: "Identity: " + value.replace('ppt="avatar"', "ppt=avatar"),
    lambda value: "Identity: " + value.replace(";alg=ES256", ""), lambda value: f"Identity: {value};unknown=1"],
    ids=["plain", "case", "compact name", "folded", "folded first", "bare ppt", "no alg", "unknown parameter"])
def test_form_of_identity(site, alice, network, directory, write):
    assert arrives(network, directory, alice, write(signed_with(site, alice)))


def test_base64url(site, alice, network, directory):
    """Both characters that the grammar of RFC 8224 forgets."""
    value = signed_with(site, alice, lambda text: "-" in text.split(";")[0] and "_" in text.split(";")[0])
    assert arrives(network, directory, alice, f"Identity: {value}")


@pytest.mark.parametrize("write", [
    lambda value: ".." + value.split(".", 2)[2], lambda value: "x" * 20_000, lambda value: value.replace("ppt=\"avatar\"", "ppt=\"shaken\""),
    lambda value: value.replace("info=<https", "info=<http"), lambda value: value.split(";")[0], lambda value: "", lambda value: "=,;<>",
    lambda value: value + value], ids=["compact form", "oversized", "another ppt", "http", "no info", "empty", "nonsense", "twice"])
def test_identity_that_says_nothing(site, alice, network, directory, write):
    assert not arrives(network, directory, alice, f"Identity: {write(signed_with(site, alice))}")


def test_one_good_identity_among_bad_ones(site, alice, network, directory):
    """It is enough, and the callee gets it alone."""
    good, stranger = signed_with(site, alice), signed_with(site, alice)
    bad = stranger.replace(";info=<", ";info=<https://evil.example/>;x=<")
    assert arrives(network, directory, alice, f"Identity: {bad}", "Identity: nonsense", f"Identity: {good}")
    again = signed_with(site, alice)
    assert not arrives(network, directory, alice, *["Identity: nonsense"] * 4, f"Identity: {again}")  # no more than four are looked at


# --- plain SHAKEN ---

def plain(network, directory, *headers, caller=TEL):
    steps = sip.send(sip.request("INVITE", [*headers], to="tel:+15715550000"), sip.sdp())
    return deliver(network, directory, steps, network.terminating.port)


@pytest.mark.parametrize("asserted, marked", [
    (f"<{TEL}>", f"<{TEL};verstat=TN-Validation-Passed>"),
    ('"A" <sip:+17035550001@a.example;user=phone>', '"A" <sip:+17035550001;verstat=TN-Validation-Passed@a.example;user=phone>')])
def test_shaken(site, network, directory, asserted, marked):
    invite = plain(network, directory, f"P-Asserted-Identity: {asserted}", f"Identity: {shaken(site)}")
    assert sip.header(invite, "P-Asserted-Identity") == [marked]
    assert len(sip.header(invite, "Identity")) == 1


def test_shaken_that_fails(site, network, directory):
    """The call goes on, marked, without the header."""
    invite = plain(network, directory, f"P-Asserted-Identity: <{TEL}>", f"Identity: {shaken(site, destination='15715550009')}")
    assert sip.header(invite, "P-Asserted-Identity") == [f"<{TEL};verstat=TN-Validation-Failed>"]
    assert sip.header(invite, "Identity") == []


def test_verstat_of_others(network, directory):
    """Only this AS sets it."""
    invite = plain(network, directory, f"P-Asserted-Identity: <{TEL};verstat=TN-Validation-Passed>")
    assert sip.header(invite, "P-Asserted-Identity") == [f"<{TEL}>"]


def test_shaken_and_avatar(site, alice, network, directory):
    """Both in one call: each is judged by itself."""
    headers = [sip.asserted(TEL), f"Identity: {identity(site, call.signing_request(alice.fingerprint(), origin=TEL, destination='tel:+15715550000'))}",
               f"Identity: {shaken(site)}"]
    invite = deliver(network, directory, line.offer(alice.fingerprint(), headers, to="tel:+15715550000"), network.terminating.port)
    assert len(sip.header(invite, "Identity")) == 2 and "a=avatar:" in sip.body(invite)
    assert "verstat=TN-Validation-Passed" in sip.header(invite, "P-Asserted-Identity")[0]


# --- anything ---

def mutated(message, chance):
    """A few bytes changed, cut out, doubled or replaced by what parsers dislike."""
    text = bytearray(message)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text))
        kind = chance.randrange(4)
        if kind == 0:
            text[at] = chance.randrange(256)
        elif kind == 1:
            del text[at:at + chance.randint(1, 40)]
        elif kind == 2:
            text[at:at] = text[at:at + chance.randint(1, 60)]
        else:
            text[at:at] = chance.choice([b"\0", b"\r\n", b"\r\n\r\n", b";" * 50, b"\xff\xfe", b"%n%s", b"a=avatar:x app=y rendering=ue\r\n",
                                         b"$var(x)", b'"', b"m=application 1 UDP/DTLS/SCTP webrtc-datachannel\r\n", b"A" * 9000])
    return bytes(text)


def test_mutated_requests(site, alice, network):
    """Whatever comes in: the AS lives, and an avatar that gets through is signed for the very SDP it came with."""
    chance = random.Random(5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee:
        callee.bind(("127.0.0.1", network.callee_port))
        callee.settimeout(0.02)
        body = sip.sdp(sip.avatar_line(), [alice.fingerprint()]).encode()
        passed = 0
        for number in range(300):
            head = [f"INVITE {demo_site.BOB} SIP/2.0", f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKm{number}", "Max-Forwards: 70",
                    f"From: <{demo_site.ALICE}>;tag=m{number}", f"To: <{demo_site.BOB}>", f"Call-ID: m{number}", "CSeq: 1 INVITE",
                    "Contact: <sip:alice@127.0.0.1:9>", sip.asserted(), "Content-Type: application/sdp"]
            if number % 2:
                content = mutated(body, chance)
                message = "\r\n".join([*head, f"Content-Length: {len(content)}", "", ""]).encode() + content
            else:
                message = mutated("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body, chance)
            entry = network.originating.port if number % 3 else network.terminating.port
            sender.sendto(message[:60_000], ("127.0.0.1", entry))
            passed += absorb(callee)
        assert line.until(lambda: absorb(callee) == 0)
    assert passed > 20
    for one in (network.originating, network.terminating):
        assert one.process.poll() is None
        assert not re.search("child process .* exited|signal", one.log.read_text(errors="replace"))
    assert call.sign(site, call.signing_request(alice.fingerprint())).status == 200


def absorb(callee):
    """Answers what comes to the callee and checks it; gives how many requests that were."""
    count = 0
    while True:
        try:
            data, peer = callee.recvfrom(65536)
        except TimeoutError:
            return count
        message = data.decode(errors="replace")
        if not message.startswith("INVITE "):
            continue
        count += 1
        if any(text.startswith("a=avatar:") for text in sip.body(message).splitlines()):
            assert sip.header(message, "Identity"), message
            signed = claims(message)
            assert signed["avatar"]["id"] in sip.body(message)
            digests = {each["dig"] for each in signed["mky"]}
            for found in re.findall(r"a=fingerprint:\s*\S+ ([0-9A-Fa-f:]+)", sip.body(message)):
                assert found.replace(":", "").upper() in digests
        answer_busy(callee, peer, message)


def answer_busy(callee, peer, message):
    names = ("Via", "From", "To", "Call-ID", "CSeq")
    answer = [f"{name}: {value}" for name in names for value in sip.header(message, name) + sip.header(message, COMPACT.get(name, "-"))]
    callee.sendto("\r\n".join(["SIP/2.0 486 Busy Here", *answer, "Content-Length: 0", "", ""]).encode(errors="replace"), peer)
