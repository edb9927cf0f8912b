"""Calls through two avatar ASs between SIPp user agents."""

import contextlib
import time

from demo import processes, sip, site as demo_site

CALLEE_PRINT = "SHA-256 " + ":".join(["AB"] * 32)
SECOND_AVATAR = "urn:avatar:second"


@contextlib.contextmanager
def network(site, originating=(), terminating=(), nodes=(), diverting=()):
    """Both ASs, running; the callee listens on `callee_port`. They have the patience that a busy machine needs. `diverting`: settings
    of a third one between them, of a party whose calls go to others."""
    callee_port = processes.free_port()
    patience = {"signature_wait_ms": 20_000, "node_timeout": 10}
    ends = sip.AvatarAs(site, "terminating", callee_port, nodes, **{**patience, **dict(terminating)})
    between = sip.AvatarAs(site, "terminating", ends.port, **{"nodes": nodes, **patience, **dict(diverting)}) if diverting else None
    begins = sip.AvatarAs(site, "originating", (between or ends).port, nodes, **{**patience, **dict(originating)})
    both = Network(begins, ends, callee_port, between)
    for one in both.servers:
        one.start()
    try:
        yield both
    finally:
        both.stop()


class Network:
    def __init__(self, originating, terminating, callee_port, diverting=None):
        self.originating, self.terminating, self.callee_port, self.diverting = originating, terminating, callee_port, diverting
        self.servers = [one for one in (originating, diverting, terminating) if one]

    def stop(self):
        for one in self.servers:
            assert one.stop() == 0, one.log.read_text(errors="replace")[-4000:]
            assert " core dumped" not in one.log.read_text(errors="replace")

    def play(self, directory, caller, callee, entry=None, transport="u1"):
        """Both scenarios to their ends; gives the user agents, whose messages can be read."""
        port = entry or self.originating.port
        agents = (sip.UserAgent(directory, "callee", callee, port=self.callee_port) if callee else None,
                  sip.UserAgent(directory, "caller", caller, port, transport=transport))
        try:
            for agent in filter(None, agents):
                agent.messages.unlink(missing_ok=True)
                agent.start()
            for agent in filter(None, reversed(agents)):
                assert agent.finish() == 0, f"{agent.name}: {agent.failure()[:3000]}\n{self.logs()}"
        finally:
            for agent in filter(None, agents):
                agent.stop()
        return agents[1], agents[0]

    def logs(self):
        return "\n".join(one.log.read_text(errors="replace")[-3000:] for one in self.servers)


def offer(fingerprint, headers=None, avatar=None, **options):
    """INVITE of a caller that offers an avatar call."""
    headers = [sip.asserted()] if headers is None else headers
    return sip.send(sip.request("INVITE", headers, **options), sip.sdp(sip.avatar_line() if avatar is None else avatar, [fingerprint]))


def talk(milliseconds=100, between=(), cseq=2):
    """What a caller does after its INVITE: the answer, ACK, `between`, BYE."""
    return [sip.provisional(), sip.receive(200, attributes='rrs="true"'), sip.send(sip.request("ACK"), retransmit=False),
            *([settle(), *between] if between else []), sip.pause(milliseconds), sip.send(sip.request("BYE", cseq=cseq)), sip.receive(200)]


def settle():
    """After an ACK: the next request, served by another process of an AS, would overtake it on a busy machine."""
    return sip.pause(700)


def refused(code):
    """What a caller gets whose call is ended."""
    return [sip.provisional(), sip.receive(code), sip.send(sip.request("ACK", uri=demo_site.BOB), retransmit=False)]


def accept(channel_port=52719, contact=sip.CAPABILITY, between=()):
    """A callee that takes the call; channel_port 0 rejects the avatar alone. A BYE may overtake the ACK."""
    return [sip.receive("INVITE", attributes='rrs="true"'), sip.send(sip.answer("200 OK", contact=contact), sip.sdp(fingerprints=[CALLEE_PRINT], channel_port=channel_port)),
            sip.receive("ACK", optional=True), *between, sip.receive("BYE"), sip.send(sip.answer("200 OK", within=True), retransmit=False)]


def decline(status):
    return [sip.receive("INVITE"), sip.send(sip.answer(status)), sip.receive("ACK")]


def has_avatar(message):
    """Whether a request carries a signed avatar and its data channel; asserts that nothing is left of it if not."""
    identities = sip.header(message, "Identity")
    channels = sip.media(message, "application")
    if "a=avatar:" in sip.body(message):
        assert len(identities) == 1 and len(channels) == 1 and channels[0].split()[1] != "0", message
        return True
    assert identities == [], message
    assert all(line.split()[1] == "0" for line in channels), message
    assert sip.media(message, "audio") == ["m=audio 49170 RTP/AVP 0"], message
    return False


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
