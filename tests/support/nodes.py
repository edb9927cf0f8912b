"""A second node of a site: another avseald with workers, ledger and origin of its own, on the same store."""

from demo import curl, processes, site as demo_site

ORIGIN = "a.example/second"


class SecondNode:
    """Prepare it before the site starts, start it after."""

    def __init__(self, site):
        self.site, self.port = site, processes.free_port()
        self.url = f"https://localhost:{self.port}"
        self.log = site.log / "avseald-second.log"
        self.process = None
        directory = site.directory
        text = (directory / "avseald.toml").read_text()
        changes = {f"port = {site.port}\n": f"port = {self.port}\n", f'"{directory}/sockets"': f'"{directory}/sockets-second"',
                   f'"{directory}/ledger"': f'"{directory}/ledger-second"', f'"{demo_site.ORIGIN}"': f'"{ORIGIN}"'}
        for token in site.tokens:
            worker = site.worker_config(token)
            second = worker.with_name(f"second-{worker.name}")
            second.write_text(worker.read_text().replace(f'"{demo_site.ORIGIN}"', f'"{ORIGIN}"'))
            changes[f'"{worker}"'] = f'"{second}"'
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.configuration = directory / "avseald-second.toml"
        self.configuration.write_text(text)

    def start(self):
        (self.site.directory / "sockets-second").mkdir(mode=0o700)
        self.process = processes.start([self.site.bin / "avseald", "--config", self.configuration], self.log, self.site.environment)
        processes.wait_until(lambda: processes.accepts(self.port), self.process, self.log, "the second avseald")

    def stop(self):
        return processes.stop(self.process) if self.process else None

    def client(self, name):
        pki = self.site.pki
        return curl.Curl(self.url, pki.pem("tls-ca"), pki.pem(name), pki.key(name))
