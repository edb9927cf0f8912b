"""An avatar call over SIP: SIPp, the originating AS, the terminating AS, SIPp; avseald behind both."""

import time

import pytest

from demo import call, processes, sip, site as demo_site
from support import sip as line
from support.software_ue import SoftwareUe


@pytest.fixture(scope="module")
def site(stopped_site):
    """Nothing is granted before UE-B accepted."""
    stopped_site.require_accept()
    stopped_site.start()
    yield stopped_site
    assert stopped_site.stop() == 0


@pytest.fixture(scope="module")
def alice(site):
    avatars = ((demo_site.AVATAR, demo_site.APPLICATION), (line.SECOND_AVATAR, demo_site.APPLICATION))
    assert call.subscribe(site, avatars=avatars).status in (200, 201, 204)
    assert call.publish(site, call.sample_avatar(20_000)).status == 201
    return SoftwareUe(site)


@pytest.fixture(scope="module")
def network(site):
    with line.network(site) as both:
        yield both


def token(site, alice, identity):
    return call.request_token(site, call.token_form(site, identity, alice.token()))


def refused_as(site, alice, identity, reason):
    return token(site, alice, identity).json().get("error_description", "").startswith(reason + ":")


def identity_of(invite):
    [identity] = sip.header(invite, "Identity")
    return identity


def test_call(site, alice, network, directory):
    """The callee gets the avatar; while the call lasts the XR AS is granted it, with the very Identity header of the call."""
    caller = sip.UserAgent(directory, "caller", [line.offer(alice.fingerprint()), *line.talk(3000)], network.originating.port)
    callee = sip.UserAgent(directory, "callee", line.accept(), port=network.callee_port)
    callee.start()
    caller.start()
    assert line.until(lambda: callee.received("ACK")), network.logs()
    [invite] = callee.received("INVITE")
    assert line.has_avatar(invite)
    assert sip.avatar_line() in sip.body(invite)
    assert sip.header(invite, "Date")
    identity = identity_of(invite)
    assert call.claims_of(identity)["avatar"]["id"] == demo_site.AVATAR
    assert line.until(lambda: token(site, alice, identity).status == 200), token(site, alice, identity).text
    assert caller.finish() == 0, caller.failure()
    assert callee.finish() == 0, callee.failure()
    assert line.until(lambda: refused_as(site, alice, identity, "call-ended")), token(site, alice, identity).text
    assert "a=avatar" not in sip.body(caller.received("SIP/2.0 200")[0])


def test_end_of_a_call_while_the_service_is_away(site, alice, network, directory):
    """The state is kept by the AS and told when avseald is back."""
    caller = sip.UserAgent(directory, "caller", [line.offer(alice.fingerprint()), *line.talk(4000)], network.originating.port)
    callee = sip.UserAgent(directory, "callee", line.accept(), port=network.callee_port)
    callee.start()
    caller.start()
    assert line.until(lambda: callee.received("ACK")), network.logs()
    identity = identity_of(callee.received("INVITE")[0])
    assert line.until(lambda: token(site, alice, identity).status == 200)
    assert processes.stop(site.running.pop("avseald")) == 0
    assert caller.finish() == 0 and callee.finish() == 0, caller.failure() + callee.failure()
    site.start_service()
    assert line.until(lambda: refused_as(site, alice, identity, "call-ended")), network.logs()


def test_callee_rejects_the_avatar_alone(site, alice, network, directory):
    """Port 0 in the answer reaches the caller, the call goes on, and the avatar is granted to nobody."""
    caller, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.talk(1500)], line.accept(channel_port=0))
    [invite] = callee.received("INVITE")
    assert line.has_avatar(invite)
    ok = caller.received("SIP/2.0 200")[0]
    assert sip.media(ok, "application")[0].split()[1] == "0" and sip.media(ok, "audio")[0].split()[1] != "0"
    assert refused_as(site, alice, identity_of(invite), "call-ended")


def test_rejected_avatar_is_not_granted(site, alice, network, directory):
    caller = sip.UserAgent(directory, "caller", [line.offer(alice.fingerprint()), *line.talk(3000)], network.originating.port)
    callee = sip.UserAgent(directory, "callee", line.accept(channel_port=0), port=network.callee_port)
    callee.start()
    caller.start()
    assert line.until(lambda: callee.received("ACK"))
    identity = identity_of(callee.received("INVITE")[0])
    assert line.until(lambda: refused_as(site, alice, identity, "call-rejected")), token(site, alice, identity).text
    assert caller.finish() == 0 and callee.finish() == 0


def test_callee_without_the_capability(site, alice, network, directory):
    """It took the data channel but does not say that it can show avatars: the caller is told that the avatar is rejected."""
    caller, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.talk()], line.accept(contact=""))
    assert line.has_avatar(callee.received("INVITE")[0])
    assert sip.media(caller.received("SIP/2.0 200")[0], "application")[0].split()[1] == "0"


def test_callee_declines_the_call(site, alice, network, directory):
    _, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.refused(603)], line.decline("603 Decline"))
    identity = identity_of(callee.received("INVITE")[0])
    assert line.until(lambda: refused_as(site, alice, identity, "call-ended")), token(site, alice, identity).text


def test_caller_cancels(site, alice, network, directory):
    cancel = sip.send("\n".join(["CANCEL sip:bob@b.example SIP/2.0", "[last_Via:]", "[last_From:]", f"To: <{demo_site.BOB}>", "[last_Call-ID:]",
                                 "CSeq: 1 CANCEL", "Max-Forwards: 70"]))
    caller = [line.offer(alice.fingerprint()), sip.receive(100, True), sip.receive(180), cancel, sip.receive(200), sip.receive(487),
              sip.send(sip.request("ACK", uri=demo_site.BOB), retransmit=False)]
    # The answer to the INVITE needs that request's three Via headers; the last message is the CANCEL then.
    remember = "".join(f'<ereg regexp=".*" search_in="hdr" header="Via:" occurrence="{n}" assign_to="via{n}" />' for n in (1, 2, 3))
    terminated = ["SIP/2.0 487 Request Terminated", *(f"Via:[$via{n}]" for n in (1, 2, 3)), "[last_From:]",
                  "[last_To:];tag=[pid]b[call_number]", "[last_Call-ID:]", "CSeq: 1 INVITE"]
    callee = [f'<recv request="INVITE" rrs="true"><action>{remember}</action></recv>\n', sip.send(sip.answer("180 Ringing"), retransmit=False),
              sip.receive("CANCEL"), sip.send(sip.answer("200 OK", within=True), retransmit=False), sip.send("\n".join(terminated)), sip.receive("ACK")]
    _, callee = network.play(directory, caller, callee)
    identity = identity_of(callee.received("INVITE")[0])
    assert line.until(lambda: refused_as(site, alice, identity, "call-ended")), token(site, alice, identity).text


@pytest.mark.parametrize("name", ["Identity", "identity", "y"])
def test_identity_of_the_ue_is_taken_out(site, alice, network, directory, name):
    """Whatever Identity a UE makes up: the callee gets the AS's own alone."""
    made_up = [sip.asserted(), f"{name}: e30.e30.AAAA;info=<https://evil.example/c.pem>;alg=ES256;ppt=avatar"]
    _, callee = network.play(directory, [line.offer(alice.fingerprint(), made_up), *line.talk()], line.accept())
    [invite] = callee.received("INVITE")
    assert line.has_avatar(invite) and "evil" not in invite


def test_avatar_of_the_ue_where_none_is_offered(site, alice, network, directory):
    """An Identity header without an offer, and avatar lines that belong to no data channel, do not get through."""
    made_up = [sip.asserted(), "Identity: e30.e30.AAAA;info=<https://evil.example/c.pem>;alg=ES256;ppt=avatar"]
    stray = sip.sdp(extra=[sip.avatar_line()]).replace("t=0 0\r\n", f"t=0 0\r\n{sip.avatar_line()}\r\n")
    caller = [sip.send(sip.request("INVITE", made_up), stray), *line.talk()]
    _, callee = network.play(directory, caller, line.accept())
    [invite] = callee.received("INVITE")
    assert not line.has_avatar(invite) and "evil" not in invite


def test_renegotiation(site, alice, network, directory):
    """Each re-INVITE is authorised and signed afresh, with the call's origid; another Avatar-id is another authorisation."""
    def again(cseq, avatar):
        return [sip.pause(1100), sip.send(sip.request("INVITE", cseq=cseq), sip.sdp(avatar, [alice.fingerprint()])), sip.provisional(),
                sip.receive(200), sip.send(sip.request("ACK", cseq=cseq), retransmit=False)]

    between = [*again(2, sip.avatar_line()), *again(3, sip.avatar_line(line.SECOND_AVATAR)), *again(4, sip.avatar_line("urn:avatar:bobs"))]
    answers = []
    for _ in range(3):
        answers += [sip.receive("INVITE"), sip.send(sip.answer("200 OK", within=True), sip.sdp(fingerprints=[line.CALLEE_PRINT])), sip.receive("ACK")]
    _, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.talk(between=between, cseq=5)], line.accept(between=answers))
    invites = callee.received("INVITE")
    assert [line.has_avatar(invite) for invite in invites] == [True, True, True, False]
    claims = [call.claims_of(identity_of(invite)) for invite in invites[:3]]
    assert len({each["origid"] for each in claims}) == 1
    assert claims[0]["iat"] < claims[1]["iat"] < claims[2]["iat"]
    assert [each["avatar"]["id"] for each in claims] == [demo_site.AVATAR, demo_site.AVATAR, line.SECOND_AVATAR]


def test_update(site, alice, network, directory):
    """An UPDATE offers an avatar like an INVITE; what INFO carries of one is taken out."""
    def within(method, cseq, avatar):
        return sip.send(sip.request(method, cseq=cseq), sip.sdp(avatar, [alice.fingerprint()]))

    between = [within("UPDATE", 2, sip.avatar_line(line.SECOND_AVATAR)), sip.receive(100, True), sip.receive(200),
               within("UPDATE", 3, sip.avatar_line("urn:avatar:bobs")), sip.receive(100, True), sip.receive(200),
               within("INFO", 4, sip.avatar_line()), sip.receive(100, True), sip.receive(200)]
    answers = []
    for method in ("UPDATE", "UPDATE", "INFO"):
        body = sip.sdp(sip.avatar_line(), [line.CALLEE_PRINT])
        answers += [sip.receive(method), sip.send(sip.answer("200 OK", within=True), body, retransmit=False)]
    caller, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.talk(between=between, cseq=5)], line.accept(between=answers))
    allowed, refused = callee.received("UPDATE")
    assert line.has_avatar(allowed) and not line.has_avatar(refused)
    assert call.claims_of(identity_of(allowed))["origid"] == call.claims_of(identity_of(callee.received("INVITE")[0]))["origid"]
    [info] = callee.received("INFO")
    assert not line.has_avatar(info)
    assert not any("a=avatar" in message for message in caller.received("SIP/2.0 200"))


def test_callee_hangs_up(site, alice, network, directory):
    """UE-B ends the session: its BYE ends the call for avseald too."""
    caller = [line.offer(alice.fingerprint()), sip.provisional(), sip.receive(200, attributes='rrs="true"'), sip.send(sip.request("ACK"), retransmit=False),
              sip.receive("BYE"), sip.send(sip.answer("200 OK", within=True), retransmit=False)]
    invite = '<recv request="INVITE" rrs="true"><action><ereg regexp="tag=[^;]*" search_in="hdr" header="From:" assign_to="peer"/></action></recv>\n'
    bye = "\n".join(["BYE [next_url] SIP/2.0", "Via: SIP/2.0/[transport] 127.0.0.1:[local_port];branch=[branch]", "[routes]", "Max-Forwards: 70",
                     f"From: <{demo_site.BOB}>;tag=[pid]b[call_number]", f"To: <{demo_site.ALICE}>;[$peer]", "Call-ID: [call_id]", "CSeq: 1 BYE"])
    caller, callee = network.play(directory, caller, [invite, line.accept()[1], sip.receive("ACK"), sip.send(bye), sip.receive(200)])
    identity = identity_of(callee.received("INVITE")[0])
    assert line.until(lambda: refused_as(site, alice, identity, "call-ended")), token(site, alice, identity).text


def test_rendering_preference(alice, network, directory):
    """It goes to the callee as it is."""
    preferred = sip.avatar_line(rendering="ue")
    _, callee = network.play(directory, [line.offer(alice.fingerprint(), avatar=preferred), *line.talk()], line.accept())
    [invite] = callee.received("INVITE")
    assert line.has_avatar(invite) and preferred in sip.body(invite)


def test_captured_identity_in_another_call(site, alice, network, directory):
    """The same header and SDP within a minute in another call, straight to the terminating side."""
    _, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.talk()], line.accept())
    captured = identity_of(callee.received("INVITE")[0])
    for fingerprint in (alice.fingerprint(), line.CALLEE_PRINT):
        thief = [line.offer(fingerprint, [sip.asserted(), f"Identity: {captured}"]), *line.talk()]
        caller, callee = network.play(directory, thief, line.accept(channel_port=0), network.terminating.port)
        assert not line.has_avatar(callee.received("INVITE")[0])
        assert 'cause=438;text="Invalid Identity Header"' in sip.header(caller.received("SIP/2.0 200")[0], "Reason")[0]


def test_avatar_altered_on_the_way(site, alice, network, directory):
    """A signed Avatar-id says nothing for another avatar in the SDP."""
    answer = call.sign(site, call.signing_request(alice.fingerprint()))
    changed = line.offer(alice.fingerprint(), [sip.asserted(), f"Identity: {call.identity_of(answer)}"], sip.avatar_line(line.SECOND_AVATAR))
    _, callee = network.play(directory, [changed, *line.talk()], line.accept(channel_port=0), network.terminating.port)
    assert not line.has_avatar(callee.received("INVITE")[0])
