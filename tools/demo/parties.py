"""The reference XR AS and MF of examples/, started beside a demo site."""

import json

from . import processes, site as demo_site


class Parties:
    def __init__(self, site):
        self.site = site
        self.xr_as_port, self.mf_port = processes.free_port(), processes.free_port()
        self.output = site.directory / "rendered.glb"
        self.running = []

    def start(self, min_version, avatar=demo_site.AVATAR, allow_no_ue_certificate=False):
        """The MF learns the expected avatar and version here, from the IMS AS's side; never from the XR AS."""
        pki = self.site.pki
        self.output.unlink(missing_ok=True)
        self.launch("avseal-example-mf", self.mf_port, [
            "--certificate", pki.pem("mf-server"), "--key", pki.key("mf-server"), "--client-anchors", pki.pem("tls-ca"),
            "--xr-as", f"uri:urn:uuid:{self.site.identifier('xr-as')}", "--anchors", pki.pem("operator-ca"),
            "--expect", f"{avatar},{min_version}", "--output", self.output])
        arguments = [
            "--ue-anchors", pki.pem("ue-ca"), "--url", self.site.url, "--mf-url", f"https://localhost:{self.mf_port}",
            "--nf-instance-id", self.site.identifier("xr-as"), "--cacert", pki.pem("tls-ca"), "--certificate", pki.pem("xr-as"),
            "--key", pki.key("xr-as"), "--metadata-anchors", pki.pem("operator-ca"), "--artifacts", self.site.artifacts]
        if allow_no_ue_certificate:
            arguments.append("--allow-no-ue-certificate")
        self.launch("avseal-example-xr-as", self.xr_as_port, arguments)

    def launch(self, program, port, arguments):
        log = self.site.log / f"{program}.log"
        process = processes.start([self.site.bin / program, "--port", port, *arguments], log)
        self.running.append(process)
        processes.wait_until(lambda: processes.accepts(port), process, log, program)

    def stop(self):
        while self.running:
            processes.stop(self.running.pop())

    def session(self, identity, token, avatar=demo_site.AVATAR, application=demo_site.APPLICATION):
        """What the UE, or its DC AS leg, hands to the XR AS."""
        return {"signedAvatarId": identity, "ueToken": token, "application": application, "avatar": avatar}

    def hand_over(self, ue, identity, token):
        """On a connection whose certificate is the UE certificate; gives the XR AS's verdict."""
        done = ue.run("present", "--url", f"https://localhost:{self.xr_as_port}/sessions", "--cacert", self.site.pki.pem("tls-ca"), "-",
                      check=False, stdin=json.dumps(self.session(identity, token)))
        if not done.stdout:
            raise RuntimeError(f"avseal-ue present failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def rendered(self):
        """What the MF's renderer got; empty if nothing was handed to it."""
        return self.output.read_bytes() if self.output.exists() else b""
