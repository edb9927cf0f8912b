"""What becomes of a call over SIP whose avatar cannot be had: by policy it goes on without, or ends with the right code."""

import contextlib
import os
import signal
import socket
import time

import pytest

from demo import call, processes, sip, site as demo_site
from support import sip as line
from support.software_ue import SoftwareUe

END = {f"on_{name}": "end" for name in ("refused", "unavailable", "malformed", "stale", "missing", "invalid", "unsupported")}
TWO_LINES = sip.avatar_line() + "\r\n" + sip.avatar_line(line.SECOND_AVATAR)


@pytest.fixture(scope="module")
def alice(site):
    assert call.subscribe(site).status in (200, 201, 204)
    return SoftwareUe(site)


@pytest.fixture(scope="module", params=["continue", "end"])
def network(request, site):
    settings = END if request.param == "end" else {}
    with line.network(site, settings, settings) as both:
        both.policy = request.param
        yield both


def play(network, directory, steps, code, text, entry=None):
    """Policy "continue": without avatar media, with audio; "end": the code. Either way a Reason tells why."""
    if network.policy == "end":
        caller, _ = network.play(directory, [steps, *line.refused(code)], None, entry)
        [answer] = caller.received(f"SIP/2.0 {code}")
    else:
        caller, callee = network.play(directory, [steps, *line.talk()], line.accept(channel_port=0), entry)
        [invite] = callee.received("INVITE")
        assert not line.has_avatar(invite)
        answer = caller.received("SIP/2.0 200")[0]
    assert sip.header(answer, "Reason") == [f'SIP;cause={code};text="{text}"']


def signed(site, alice, **changes):
    answer = call.sign(site, call.signing_request(alice.fingerprint(), **changes))
    assert answer.status == 200, answer.text
    return [sip.asserted(), f"Identity: {call.identity_of(answer)}"]


def forged(header):
    """The same with another signature."""
    head, claims, rest = header.split(".", 2)
    return f"{head}.{claims}.{'B' if rest[0] == 'A' else 'A'}{rest[1:]}"


def date(seconds):
    return "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))


# --- the originating side ---

def test_not_subscribed(alice, network, directory):
    play(network, directory, line.offer(alice.fingerprint(), avatar=sip.avatar_line("urn:avatar:bobs")), 403, "Avatar Not Allowed")


@pytest.mark.parametrize("headers", [[], ["P-Asserted-Identity: nonsense"], [sip.asserted("sip:mallory@b.example")]],
                         ids=["none", "malformed", "out of scope"])
def test_identity_not_asserted(alice, network, directory, headers):
    play(network, directory, line.offer(alice.fingerprint(), headers), 403, "Avatar Not Allowed")


@pytest.mark.parametrize("seconds", [-300, 300])
def test_date_of_the_caller_is_stale(alice, network, directory, seconds):
    play(network, directory, line.offer(alice.fingerprint(), [sip.asserted(), date(seconds)]), 403, "Stale Date")


@pytest.mark.parametrize("avatar", ["a=avatar:", "a=avatar:x", "a=avatar:x app=y", "a=avatar:x app=y rendering=moon", TWO_LINES, "a=avatar:x\" app=y rendering=ue"])
def test_malformed_avatar(alice, network, directory, avatar):
    play(network, directory, line.offer(alice.fingerprint(), avatar=avatar), 400, "Bad Avatar Offer")


@pytest.mark.parametrize("function", ["SHA-1", "MD5", "md2", "sha-224", "TOKEN"])
def test_weak_fingerprint_binds_nothing(network, directory, function):
    play(network, directory, line.offer(function + " " + ":".join(["AB"] * 20)), 400, "Bad Avatar Offer")


def test_fingerprint_of_the_wrong_length(network, directory):
    play(network, directory, line.offer("SHA-256 " + ":".join(["AB"] * 20)), 400, "Bad Avatar Offer")


# --- the terminating side ---

def test_no_identity(alice, network, directory):
    play(network, directory, line.offer(alice.fingerprint()), 428, "Use Identity Header", network.terminating.port)


def test_forged_signature(site, alice, network, directory):
    headers = signed(site, alice)
    headers[1] = forged(headers[1])
    play(network, directory, line.offer(alice.fingerprint(), headers), 438, "Invalid Identity Header", network.terminating.port)


def test_another_certificate(site, alice, network, directory):
    play(network, directory, line.offer(line.CALLEE_PRINT, signed(site, alice)), 438, "Invalid Identity Header", network.terminating.port)


def test_another_callee(site, alice, network, directory):
    headers = signed(site, alice, destination="sip:carol@b.example")
    play(network, directory, line.offer(alice.fingerprint(), headers), 438, "Invalid Identity Header", network.terminating.port)


def test_unreachable_certificate(site, alice, network, directory):
    header = signed(site, alice)[1]
    compact = header.removeprefix("Identity: ").split(";")[0]
    foreign = call.b64url(b'{"alg":"ES256","ppt":"avatar","typ":"passport","x5u":"https://b.example/c.pem"}')
    header = f"Identity: {foreign}.{compact.split('.', 1)[1]};info=<https://b.example/c.pem>;alg=ES256;ppt=avatar"
    play(network, directory, line.offer(alice.fingerprint(), [sip.asserted(), header]), 436, "Bad Identity Info", network.terminating.port)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_date_and_iat_apart(site, alice, network, directory, seconds):
    headers = [*signed(site, alice), date(seconds)]
    play(network, directory, line.offer(alice.fingerprint(), headers), 403, "Stale Date", network.terminating.port)


@pytest.mark.parametrize("status", ["488 Not Acceptable Here", "415 Unsupported Media Type", "420 Bad Extension", "606 Not Acceptable"])
def test_callee_cannot_take_an_avatar(alice, network, directory, status):
    """Its AS asks it again, without the avatar."""
    code = int(status[:3])
    if network.policy == "end":
        network.play(directory, [line.offer(alice.fingerprint()), *line.refused(code)], line.decline(status))
        return
    caller, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.talk()],
                                  [*line.decline(status), *line.accept(channel_port=0)])
    assert [line.has_avatar(invite) for invite in callee.received("INVITE")] == [True, False]
    assert sip.header(caller.received("SIP/2.0 200")[0], "Reason") == ['SIP;cause=488;text="No Avatar Support"']


# --- avseald away ---

def test_service_away(site, alice, directory):
    """Nothing listens at either node."""
    dead = [f"https://localhost:{processes.free_port()}", f"https://localhost:{processes.free_port()}"]
    for policy, settings in (("continue", {}), ("end", END)):
        with line.network(site, settings, nodes=dead) as both:
            both.policy = policy
            play(both, directory, line.offer(alice.fingerprint()), 503, "Avatar Service Unavailable")


@pytest.mark.parametrize("policy", ["continue", "end"])
def test_service_hangs(site, alice, directory, policy):
    """avseald takes connections and does not answer: the call waits no longer than its bound, and its late answer changes nothing."""
    pid = site.running["avseald"].pid
    with line.network(site, {**(END if policy == "end" else {}), "signature_wait_ms": 300, "node_timeout": 1}) as both:
        both.policy = policy
        os.kill(pid, signal.SIGSTOP)
        try:
            play(both, directory, line.offer(alice.fingerprint()), 503, "Avatar Service Unavailable")
        finally:
            os.kill(pid, signal.SIGCONT)
        def comes_through():
            _, callee = both.play(directory, [line.offer(alice.fingerprint()), *line.talk()], line.accept())
            return line.has_avatar(callee.received("INVITE")[0])

        if policy == "continue":
            assert line.until(comes_through), both.logs()


def length_of_queue():
    """Of Kamailio's asynchronous workers: what a pair of datagram sockets takes."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while one.send(bytes(8)):
                count += 1
    return count


def test_queue_full(site, alice, directory):
    """avseald does not answer, one worker asks it, and the queue before that worker is full: further calls go on at once, without
    avatar; those that wait get theirs when avseald is back."""
    calls = length_of_queue() + 30
    patience = {"signature_wait_ms": 100_000, "node_timeout": 90, "async_workers": 1}
    pid = site.running["avseald"].pid
    with line.network(site, patience) as both:
        callee = sip.UserAgent(directory, "callee", line.decline("486 Busy Here"), port=both.callee_port, calls=calls)
        caller = sip.UserAgent(directory, "caller", [line.offer(alice.fingerprint()), *line.refused(486)], both.originating.port, calls=calls, options=["-r", "100", "-l", calls])
        os.kill(pid, signal.SIGSTOP)
        try:
            callee.start()
            caller.start()
            assert line.until(lambda: len(callee.received("INVITE")) >= 10), both.logs()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert caller.finish() == 0, caller.failure()[:2000] + both.logs()
        assert callee.finish() == 0, callee.failure()[:2000] + both.logs()
        invites = callee.received("INVITE")
        assert len({sip.header(invite, "Call-ID")[0] for invite in invites}) == calls
        without = [invite for invite in invites if not line.has_avatar(invite)]
        assert 10 <= len(without) < calls
        assert both.originating.events() == ["avatar-unavailable"] * len(without)
