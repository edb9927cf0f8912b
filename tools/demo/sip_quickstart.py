"""tools/quickstart --sip: the avatar call with two Kamailio instances and two SIPp user agents, and its ladder."""

import shutil
import sys
import time

from . import call, ladder, processes, quickstart, screen, sip, site as demo_site
from .quickstart import StepFailed, check

TALK_MS = 10_000  # how long UE-A stays in the call; the XR AS and the MF do their part meanwhile


def poll(condition, expectation, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise StepFailed(f"expected {expectation} within {seconds} s")
        time.sleep(0.05)


class SipQuickstart(quickstart.Quickstart):
    require_accept = True

    def __init__(self, site):
        super().__init__(site)
        callee_port = processes.free_port()
        self.terminating = sip.AvatarAs(site, "terminating", callee_port, log_level=2)
        self.originating = sip.AvatarAs(site, "originating", self.terminating.port, log_level=2)
        self.callee_port = callee_port
        self.running = []

    def steps(self):
        return (self.enroll, self.start, self.call, self.hand_over, self.grant, self.fetch, self.render, self.hang_up, self.reject)

    def start(self):
        """Operator: subscription and avatar; the IMS AS of either side, on Kamailio"""
        check(call.subscribe(self.site).status in (200, 201), "the operator's subscription to be taken", "another answer")
        self.version = self.publish()
        self.terminating.start()
        self.originating.start()
        self.capture()
        return f"originating AS on 127.0.0.1:{self.originating.port}, terminating AS on 127.0.0.1:{self.terminating.port}"

    def capture(self):
        """Into artifacts/sip.pcap, where tshark is installed."""
        if shutil.which("tshark"):
            ports = " or ".join(f"udp port {port}" for port in (self.originating.port, self.terminating.port))
            self.tshark = processes.start(["tshark", "-q", "-i", "lo", "-f", ports, "-w", self.site.artifacts / "sip.pcap"], self.site.log / "tshark.log")
            self.running.append(self.tshark)

    def agents(self, name, channel_port, talk_ms):
        caller = [sip.send(sip.request("INVITE", [sip.asserted()]), sip.sdp(sip.avatar_line(), [self.ue.fingerprint()])), sip.provisional(),
                  sip.receive(200, attributes='rrs="true"'), sip.send(sip.request("ACK"), retransmit=False), sip.pause(talk_ms),
                  sip.send(sip.request("BYE", cseq=2)), sip.receive(200)]
        answer = sip.sdp(fingerprints=["SHA-256 " + ":".join(["AB"] * 32)], channel_port=channel_port)
        callee = [sip.receive("INVITE", attributes='rrs="true"'), sip.send(sip.answer("180 Ringing"), retransmit=False), sip.pause(200),
                  sip.send(sip.answer("200 OK"), answer), sip.receive("ACK"), sip.receive("BYE"),
                  sip.send(sip.answer("200 OK", within=True), retransmit=False)]
        self.callee = sip.UserAgent(self.site.log, f"{name}-ue-b", callee, port=self.callee_port)
        self.caller = sip.UserAgent(self.site.log, f"{name}-ue-a", caller, self.originating.port)
        self.running += [self.callee, self.caller]
        for agent in (self.callee, self.caller):
            agent.messages.unlink(missing_ok=True)
            agent.start()
        poll(lambda: self.callee.received("ACK"), "UE-B to take the call")

    def invite_at_callee(self):
        [invite] = self.callee.received("INVITE")
        values = sip.header(invite, "Identity")
        check(len(values) == 1, "one Identity header at UE-B", f"{len(values)}; the AS say {self.originating.events() + self.terminating.events()}")
        return invite, values[0]

    def call(self):
        """UE-A calls UE-B: the originating AS has the Avatar-id signed, the terminating AS has it verified, UE-B accepts"""
        self.agents("call", 52719, TALK_MS)
        invite, self.identity = self.invite_at_callee()
        self.artifact("signed-avatar-id.txt", self.identity)
        screen.wire("UE-B got", sip.avatar_line())
        screen.wire("UE-B got", f"Identity: {self.identity}")
        check(sip.avatar_line() in sip.body(invite), "the verified Avatar-id in UE-B's SDP", "none")
        return "UE-B has a verified Avatar-id"

    def hand_over(self):
        """UE → XR AS: UE token, signed by the TPM, and the Identity header of the call, over TLS"""
        return super().hand_over()

    def hang_up(self):
        """UE-A hangs up: the originating AS tells avseald that the call ended, and nothing more is granted for it"""
        self.end_of(self.caller, self.callee)
        self.refused("call-ended")
        for text in ladder.draw(ladder.events(self.caller, self.originating, self.terminating, self.callee)):
            print("   " + text)
        return "a new UE token for the same Identity header gets call-ended"

    def reject(self):
        """UE-B takes a second call but rejects the avatar alone: it is granted to nobody"""
        self.agents("reject", 0, 2500)
        _, self.identity = self.invite_at_callee()
        self.refused("call-rejected")
        self.end_of(self.caller, self.callee)
        [answer] = self.caller.received("SIP/2.0 200 OK")[:1]
        check(sip.media(answer, "application")[0].split()[1] == "0", "port 0 for the data channel at UE-A", answer)
        return "audio goes on, the data channel is at port 0, the XR AS gets call-rejected"

    def end_of(self, *agents):
        for agent in agents:
            check(agent.finish() == 0, f"the scenario of {agent.name} to end well", agent.failure())

    def refused(self, reason):
        def told():
            answer = call.request_token(self.site, call.token_form(self.site, self.identity, self.ue.token()))
            return answer.json().get("error_description", "").startswith(reason + ":")

        poll(told, f"the access token to be refused with {reason}")

    def finish(self):
        super().finish()
        for one in (*reversed(self.running), self.originating, self.terminating):
            processes.stop(one) if hasattr(one, "poll") else one.stop()
        for one in (self.originating, self.terminating):
            shutil.rmtree(one.directory, ignore_errors=True)
            one.directory.with_suffix(".cfg").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(quickstart.main(["--once"], SipQuickstart))
