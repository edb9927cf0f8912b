"""Avatar calls towards the AS over TCP and TLS; SIPp has no TLS in Debian, so stunnel4 stands before it."""

import contextlib

import pytest

from demo import call, processes, sip, site as demo_site
from support import sip as line
from support.software_ue import SoftwareUe


@pytest.fixture(scope="module")
def alice(site):
    assert call.subscribe(site).status in (200, 201, 204)
    return SoftwareUe(site)


@pytest.fixture(scope="module")
def network(site):
    with line.network(site, {"tls": True}, {"tls": True}) as both:
        yield both


@contextlib.contextmanager
def stunnel(site, directory, port, certificate="ims-as"):
    """A loopback port that leads to `port` over TLS."""
    entry, log = processes.free_port(), directory / "stunnel.log"
    (directory / "stunnel.conf").write_text("\n".join([
        "foreground = yes", "pid =", "[sip]", "client = yes", f"accept = 127.0.0.1:{entry}", f"connect = 127.0.0.1:{port}", "verifyChain = yes",
        f"CAfile = {site.pki.pem('tls-ca')}", *([f"cert = {site.pki.pem(certificate)}", f"key = {site.pki.key(certificate)}"] if certificate else []), ""]))
    process = processes.start(["stunnel4", directory / "stunnel.conf"], log)
    try:
        processes.wait_until(lambda: processes.accepts(entry), process, log, "stunnel4")
        yield entry
    finally:
        processes.stop(process)


@contextlib.contextmanager
def way_in(site, directory, transport, one):
    if transport == "tcp":
        yield one.port
    else:
        with stunnel(site, directory, one.tls_port) as entry:
            yield entry


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_call(site, alice, network, directory, transport):
    with way_in(site, directory, transport, network.originating) as entry:
        _, callee = network.play(directory, [line.offer(alice.fingerprint()), *line.talk()], line.accept(), entry, "t1")
    assert line.has_avatar(callee.received("INVITE")[0])


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_refusal(site, alice, network, directory, transport):
    with way_in(site, directory, transport, network.originating) as entry:
        steps = [line.offer(alice.fingerprint(), avatar=sip.avatar_line("urn:avatar:bobs")), *line.talk()]
        caller, callee = network.play(directory, steps, line.accept(channel_port=0), entry, "t1")
    assert not line.has_avatar(callee.received("INVITE")[0])
    assert "cause=403" in sip.header(caller.received("SIP/2.0 200")[0], "Reason")[0]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("good", [True, False])
def test_from_another_network(site, alice, network, directory, transport, good):
    """At the terminating side: a good Identity header of 16 KiB less a little passes over a stream, a forged one does not."""
    identity = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint())))
    fingerprint = alice.fingerprint() if good else line.CALLEE_PRINT
    padded = f"{identity};padding={'x' * 14_000}"
    with way_in(site, directory, transport, network.terminating) as entry:
        steps = [line.offer(fingerprint, [sip.asserted(), f"Identity: {padded}"]), *line.talk()]
        _, callee = network.play(directory, steps, line.accept(), entry, "t1")
    assert line.has_avatar(callee.received("INVITE")[0]) == good


def test_tls_without_a_certificate(site, network, directory):
    """The AS takes no connection from a stranger: not even an OPTIONS is answered."""
    options = sip.send(sip.request("OPTIONS", uri=f"sip:127.0.0.1:{network.originating.tls_port}"))
    with stunnel(site, directory, network.originating.tls_port, None) as entry:
        stranger = sip.UserAgent(directory, "stranger", [options, sip.receive(200)], entry, transport="t1", options=["-max_reconnect", "0"]).start()
        assert stranger.finish() != 0
    with stunnel(site, directory, network.originating.tls_port) as entry:
        known = sip.UserAgent(directory, "known", [options, sip.receive(200)], entry, transport="t1").start()
        assert known.finish() == 0, known.failure()
