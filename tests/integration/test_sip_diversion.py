"""Calls that a callee's AS sends on to another: a div PASSporT beside the original, verified as a chain where the call ends."""

import re
import time
import uuid

import pytest

from demo import call, processes, sip, site as demo_site
from support import sip as line
from support.software_ue import SoftwareUe

BOB = demo_site.BOB             # to whom the calls go in the end
CAROL = "sip:carol@a.example"   # whose calls go on
ERIN = "sip:erin@a.example"
DAVE = "sip:dave@b.example"     # of a network whose diversions the AS may not sign, nor the certificate
NUMBER = "tel:+17035550009"
DIVERSIONS = {CAROL: BOB, ERIN: BOB, DAVE: BOB, NUMBER: BOB}


@pytest.fixture(scope="module")
def site(stopped_site):
    stopped_site.require_accept()
    stopped_site.start()
    yield stopped_site
    assert stopped_site.stop() == 0


@pytest.fixture(scope="module")
def alice(site):
    assert call.subscribe(site, avatars=((demo_site.AVATAR, demo_site.APPLICATION), (line.SECOND_AVATAR, demo_site.APPLICATION))).status in (200, 201, 204)
    assert call.publish(site, call.sample_avatar(20_000)).status == 201
    return SoftwareUe(site)


@pytest.fixture(scope="module")
def network(site):
    with line.network(site, diverting={"diversions": DIVERSIONS}) as three:
        yield three


def by_ppt(message):
    """The Identity headers of a message: ppt -> values, in order."""
    out = {}
    for value in sip.header(message, "Identity"):
        out.setdefault(re.search(r';ppt="?([a-z]+)', value).group(1), []).append(value)
    return out


def has_avatar(message):
    present = "a=avatar:" in sip.body(message)
    assert present == ("avatar" in by_ppt(message)) == (sip.media(message, "application")[0].split()[1] != "0"), message
    return present


def next_second():
    """A div serves one call of the caller to the party that diverts within a second."""
    time.sleep(1 - time.time() % 1)


def diverted(network, directory, alice, callee=CAROL, headers=None, **options):
    """The INVITE as UE-B gets it, of a call to `callee`."""
    next_second()
    _, agent = network.play(directory, [line.offer(alice.fingerprint(), headers, to=callee, **options), *line.talk()], line.accept())
    return agent.received("INVITE")[0]


# --- through the three ASs ---

@pytest.mark.parametrize("callee, div", [(CAROL, {"uri": CAROL}), (NUMBER, {"tn": "17035550009"}), ("sip:carol@A.example:5060;x=y", {"uri": CAROL})])
def test_diverted_call(alice, network, directory, callee, div):
    """The original stays, the div says who sent the call on and where; To stays, the Request-URI is the new callee's."""
    invite = diverted(network, directory, alice, callee)
    assert has_avatar(invite), network.logs()
    assert invite.startswith(f"INVITE {BOB} ") and f"<{callee}>" in sip.header(invite, "To")[0]
    found = by_ppt(invite)
    assert {ppt: len(values) for ppt, values in found.items()} == {"avatar": 1, "div": 1}
    original, step = (call.claims_of(found[ppt][0]) for ppt in ("avatar", "div"))
    assert original["dest"] == {next(iter(div)): list(div.values())}
    assert step == {"dest": {"uri": [BOB]}, "div": div, "iat": original["iat"], "orig": original["orig"]}


def test_call_that_is_not_diverted(alice, network, directory):
    assert set(by_ppt(diverted(network, directory, alice, BOB))) == {"avatar"}


def test_plain_call_is_diverted_too(network, directory):
    steps = sip.send(sip.request("INVITE", [sip.asserted()], to=CAROL), sip.sdp())
    _, callee = network.play(directory, [steps, *line.talk()], line.accept())
    [invite] = callee.received("INVITE")
    assert invite.startswith(f"INVITE {BOB} ") and by_ppt(invite) == {}


def test_shaken_call_is_diverted_too(site, network, directory):
    """Its next AS verifies it by the div, and says so."""
    request = call.signing_request(line.CALLEE_PRINT)["signingRequest"]
    request = {name: request[name] for name in ("attest", "iat", "origid")} | {"orig": {"tn": "17035550001"}, "dest": {"uri": [CAROL]}}
    headers = [sip.asserted("tel:+17035550001"), f"Identity: {call.identity_of(call.sign(site, {'signingRequest': request}))}"]
    steps = sip.send(sip.request("INVITE", headers, to=CAROL), sip.sdp())
    _, callee = network.play(directory, [steps, *line.talk()], line.accept(), network.diverting.port)
    [invite] = callee.received("INVITE")
    assert set(by_ppt(invite)) == {"shaken", "div"}
    assert "verstat=TN-Validation-Passed" in sip.header(invite, "P-Asserted-Identity")[0]


def test_privacy(alice, network, directory):
    """The next AS needs the PASSporTs; UE-B does not get them."""
    invite = diverted(network, directory, alice, headers=[sip.asserted(), "Privacy: id"])
    assert by_ppt(invite) == {} and sip.avatar_line() in sip.body(invite)


def test_token_for_a_diverted_call(site, alice, network, directory):
    """The XR AS presents the original as ever; the div alone is no signed Avatar-id."""
    next_second()
    caller = sip.UserAgent(directory, "caller", [line.offer(alice.fingerprint(), to=CAROL), *line.talk(3000)], network.originating.port)
    callee = sip.UserAgent(directory, "callee", line.accept(), port=network.callee_port)
    callee.start()
    caller.start()
    assert line.until(lambda: callee.received("ACK")), network.logs()
    found = by_ppt(callee.received("INVITE")[0])

    def token(identity):
        return call.request_token(site, call.token_form(site, identity, alice.token()))

    assert line.until(lambda: token(found["avatar"][0]).status == 200), token(found["avatar"][0]).text
    refused = token(found["div"][0])
    assert refused.status == 400 and refused.json()["error"] == "invalid_grant", refused.text
    assert caller.finish() == 0 and callee.finish() == 0, caller.failure() + callee.failure()
    assert line.until(lambda: "call-ended" in token(found["avatar"][0]).text)


def test_renegotiation(alice, network, directory):
    """A re-INVITE of a diverted call is signed afresh by both."""
    again = [sip.pause(1100), sip.send(sip.request("INVITE", cseq=2, to=CAROL), sip.sdp(sip.avatar_line(line.SECOND_AVATAR), [alice.fingerprint()])),
             sip.provisional(), sip.receive(200), sip.send(sip.request("ACK", cseq=2, to=CAROL), retransmit=False)]
    answers = [sip.receive("INVITE"), sip.send(sip.answer("200 OK", within=True), sip.sdp(fingerprints=[line.CALLEE_PRINT])), sip.receive("ACK")]
    next_second()
    _, callee = network.play(directory, [line.offer(alice.fingerprint(), to=CAROL), *line.talk(between=again, cseq=3)], line.accept(between=answers))
    invites = callee.received("INVITE")
    assert [has_avatar(invite) for invite in invites] == [True, True]
    times = []
    for invite in invites:
        found = by_ppt(invite)
        original, step = (call.claims_of(found[ppt][0]) for ppt in ("avatar", "div"))
        assert original["iat"] == step["iat"] and step["dest"] == {"uri": [BOB]}
        times.append(step["iat"])
    assert times[0] < times[1]


def test_diverted_twice(site, alice, network, directory):
    """Carol's calls come to Erin, whose AS verifies the div of Carol's and adds one of its own."""
    steps = invite_of(alice, [original(site, alice, CAROL), div(site, CAROL, ERIN)], at=ERIN)
    _, callee = network.play(directory, [steps, *line.talk()], line.accept(), network.diverting.port)
    [invite] = callee.received("INVITE")
    assert has_avatar(invite)
    assert [call.claims_of(value)["div"]["uri"] for value in by_ppt(invite)["div"]] == [CAROL, ERIN]


def test_callee_without_avatars(alice, network, directory):
    """Asked again without the avatar, UE-B still gets the diverted call."""
    next_second()
    caller, callee = network.play(directory, [line.offer(alice.fingerprint(), to=CAROL), *line.talk()],
                                  [*line.decline("488 Not Acceptable Here"), *line.accept(channel_port=0)])
    invites = callee.received("INVITE")
    assert [has_avatar(invite) for invite in invites] == [True, False]
    assert all(invite.startswith(f"INVITE {BOB} ") for invite in invites)


def test_party_outside_the_scope(alice, network, directory):
    """The AS may not sign for Dave: his calls are diverted, without avatar."""
    invite = diverted(network, directory, alice, DAVE)
    assert invite.startswith(f"INVITE {BOB} ") and not has_avatar(invite)


def test_service_away(site, alice, directory):
    """The diverting AS gets no verdict: the call goes on to where the callee's calls go, without avatar."""
    dead = f"https://localhost:{processes.free_port()}"
    with line.network(site, diverting={"diversions": DIVERSIONS, "nodes": (dead, dead)}) as three:
        invite = diverted(three, directory, alice)
        assert invite.startswith(f"INVITE {BOB} ") and not has_avatar(invite)


# --- at the terminating AS ---

ISSUED = {"at": 0}


def original(site, alice, callee, same_second=False, **changes):
    """Each of another second, and not of one that the ASs signed in."""
    if not same_second:
        ISSUED["at"] = max(ISSUED["at"] + 1, int(time.time()) + 20)
    answer = call.sign(site, call.signing_request(alice.fingerprint(), destination=callee, issued_at=ISSUED["at"], **changes))
    assert answer.status == 200, answer.text
    return call.identity_of(answer)


def div(site, party, target, client="ims-as", earlier=0, **changes):
    """Of the same second as the last original."""
    answer = call.sign(site, call.diversion_request(party, target, issued_at=ISSUED["at"] - earlier, **changes), client)
    assert answer.status == 200, answer.text
    response = answer.json()["signingResponse"]
    return response.get("identityHeader") or response["identity"]


def forged(header):
    head, claims, rest = header.split(".", 2)
    return f"{head}.{claims}.{'B' if rest[0] == 'A' else 'A'}{rest[1:]}"


def invite_of(alice, identities, at=BOB, to=CAROL):
    headers = [sip.asserted(), *(f"Identity: {value}" for value in identities)]
    return line.offer(alice.fingerprint(), headers, uri=at, to=to)


def arrives(network, directory, alice, identities, **options):
    """Whether the avatar does; if not, why not."""
    caller, callee = network.play(directory, [invite_of(alice, identities, **options), *line.talk()], line.accept(), network.terminating.port)
    if has_avatar(callee.received("INVITE")[0]):
        return True
    assert "div" not in by_ppt(callee.received("INVITE")[0])
    return re.search(r"cause=(\d+)", sip.header(caller.received("SIP/2.0 200")[0], "Reason")[0]).group(1)


def test_chain_in_any_order(site, alice, network, directory):
    for turn in (1, -1):
        chain = [original(site, alice, CAROL), div(site, CAROL, ERIN), div(site, ERIN, BOB)]
        assert arrives(network, directory, alice, chain[::turn]) is True


def test_to_changed_on_the_way(site, alice, network, directory):
    assert arrives(network, directory, alice, [original(site, alice, CAROL), div(site, CAROL, BOB)], to=BOB) is True


def shaken_call(network, directory, identities):
    steps = sip.send(sip.request("INVITE", [sip.asserted(), *(f"Identity: {value}" for value in identities)], uri=BOB, to=CAROL), sip.sdp())
    _, callee = network.play(directory, [steps, *line.talk()], line.accept(), network.terminating.port)
    [invite] = callee.received("INVITE")
    return re.search("verstat=([A-Za-z-]+)", sip.header(invite, "P-Asserted-Identity")[0]).group(1), set(by_ppt(invite))


def test_shaken_without_a_div(site, alice, network, directory):
    """SHAKEN alone is judged by To; with a div the call has to come by it."""
    ISSUED["at"] = max(ISSUED["at"] + 1, int(time.time()) + 20)
    request = {"attest": "A", "iat": ISSUED["at"], "origid": str(uuid.uuid4()), "orig": {"uri": demo_site.ALICE}, "dest": {"uri": [CAROL]}}
    plain = call.identity_of(call.sign(site, {"signingRequest": request}))
    assert shaken_call(network, directory, [plain]) == ("TN-Validation-Passed", {"shaken"})
    request["origid"] = str(uuid.uuid4())
    plain = call.identity_of(call.sign(site, {"signingRequest": request}))
    assert shaken_call(network, directory, [plain, div(site, ERIN, BOB)]) == ("TN-Validation-Failed", set())


def test_div_that_does_not_count_is_taken_out(site, alice, network, directory):
    good = [original(site, alice, CAROL), div(site, CAROL, BOB), div(site, ERIN, DAVE)]
    _, callee = network.play(directory, [invite_of(alice, good), *line.talk()], line.accept(), network.terminating.port)
    [invite] = callee.received("INVITE")
    assert has_avatar(invite) and by_ppt(invite)["div"] == [good[1]]


@pytest.mark.parametrize("divs, code", [
    (lambda site: [], "438"),
    (lambda site: [div(site, CAROL, DAVE)], "438"),
    (lambda site: [div(site, ERIN, BOB)], "438"),
    (lambda site: [div(site, CAROL, BOB, origin="sip:mallory@a.example")], "438"),
    (lambda site: [div(site, CAROL, BOB, earlier=1)], "438"),
    (lambda site: [forged(div(site, CAROL, BOB))], "438"),
    (lambda site: [div(site, CAROL, ERIN), div(site, ERIN, CAROL), div(site, CAROL, BOB)], "438"),
    (lambda site: chain_of_six(site), "438"),
    (lambda site: ["nonsense;ppt=div"], "438")],
    ids=["none", "elsewhere", "unlinked", "another caller", "another call", "forged", "loop", "too long", "nonsense"])
def test_div_that_leads_nowhere(site, alice, network, directory, divs, code):
    """The call goes on, without the avatar."""
    first = original(site, alice, CAROL)
    assert arrives(network, directory, alice, [first, *divs(site)]) == code


def chain_of_six(site):
    parties = [CAROL, *(f"sip:p{n}@a.example" for n in range(5)), BOB]
    return [div(site, party, target) for party, target in zip(parties, parties[1:])]


def test_signer_without_authority_over_the_party(site, alice, network, directory):
    """The AS of b.example may ask for Dave's diversions, but this certificate says nothing about b.example."""
    first = original(site, alice, DAVE)
    assert arrives(network, directory, alice, [first, div(site, DAVE, BOB, client="ims-as-b")], to=DAVE) == "437"


def test_div_alone(site, alice, network, directory):
    original(site, alice, CAROL)
    assert arrives(network, directory, alice, [div(site, CAROL, BOB)]) == "428"


def test_div_pasted_onto_another_call(site, alice, network, directory):
    """Of the same caller to the same party, within the same second: it belongs to the Call-ID that it came with."""
    first = original(site, alice, CAROL)
    step = div(site, CAROL, BOB)
    second = original(site, alice, CAROL, same_second=True, avatar=line.SECOND_AVATAR)
    assert arrives(network, directory, alice, [first, step]) is True
    headers = [sip.asserted(), f"Identity: {second}", f"Identity: {step}"]
    steps = line.offer(alice.fingerprint(), headers, sip.avatar_line(line.SECOND_AVATAR), uri=BOB, to=CAROL)
    _, callee = network.play(directory, [steps, *line.talk()], line.accept(), network.terminating.port)
    assert not has_avatar(callee.received("INVITE")[0])


def test_policy_end(site, alice, directory):
    """The call that is nowhere near its PASSporT ends."""
    with line.network(site, terminating={"on_invalid": "end"}) as both:
        both.play(directory, [invite_of(alice, [original(site, alice, CAROL)]), *line.refused(438)], None, both.terminating.port)
