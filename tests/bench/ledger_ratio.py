"""Signed Avatar-ids a second over mTLS HTTP/2 with the ledger, publisher included, divided by those without one. Measures, asserts nothing.

    AVSEAL_BUILD=build/bench PYTHONPATH=tools:tests /usr/bin/python3 tests/bench/ledger_ratio.py [--rounds 5] [--seconds 5] [--streams 32] [--network-hsm]

Both kinds of avseald use one site in turn, so that what else the machine does meets both. The load generator and the workers' SoftHSM share the
machine's cores, so this is the ratio of processor time; with --network-hsm each token takes 5 ms a signature, 16 at once, as an HSM elsewhere does.
"""

import argparse
import json
import os
import pathlib
import statistics
import tempfile

from demo import quickstart, site as demo_site


def rate(site, service, options):
    site.avseald = service
    site.start_service()
    try:
        done = site.avseal("bench", "--url", site.url, "--cacert", site.pki.pem("tls-ca"), "--cert", site.pki.pem("ims-as"), "--key", site.pki.key("ims-as"),
                           "--signing", site.directory / "signing-request.json", "--seconds", options.seconds, "--streams", options.streams, "--json")
        result = json.loads(done.stdout)
        assert result["statuses"] == {"200": result["requests"]}, result
        return result["rate"]
    finally:
        assert site.stop() == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=32, help="requests in flight on each of the 8 connections")
    parser.add_argument("--network-hsm", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avseal-") as directory:
        site = demo_site.Site(pathlib.Path(directory) / "site", os.environ.get("AVSEAL_BUILD", "build/bench"), faults=options.network_hsm)
        site.make()
        if options.network_hsm:
            for token in site.tokens:
                configuration = site.directory / f"tokend-{token}.toml"
                configuration.write_text("sessions = 16\n" + configuration.read_text())
            (site.faults / "rules").write_text("network latency function=C_Sign ms=5 parallel=16\n")
        site.start()
        one = quickstart.Quickstart(site)
        assert one.play() == 0
        quickstart.write_template(site, one.ue.fingerprint())
        assert site.stop() == 0
        pairs = []
        for number in range(options.rounds):
            without = rate(site, site.bin / "bench_avseald_without_ledger", options)
            with_it = rate(site, site.bin / "avseald", options)
            pairs.append((with_it, without))
            print(f"round {number + 1}: {with_it:.0f} with, {without:.0f} without: {with_it / without:.3f}")
        print(f"median of the ratios: {statistics.median(a / b for a, b in pairs):.3f}")


if __name__ == "__main__":
    main()
