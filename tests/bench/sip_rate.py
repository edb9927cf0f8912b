"""Calls a second through both ASs and avseald, and the set-up delay that signing and verifying add. Measures, asserts nothing.

    AVSEAL_BUILD=build/release PYTHONPATH=tools:tests /usr/bin/python3 tests/bench/sip_rate.py [--rates 1,10,100] [--seconds 10] [--most]

Each rate runs once without and once with an avatar, over UDP on loopback; the delay is from INVITE to 200, which the callee sends at once. With
--most the rate then doubles until calls fail, lose their avatar, or fall behind. SIPp and all servers share the machine's cores; "cpu" is
the milliseconds of processor time that both ASs and avseald with its workers spend on a call.
"""

import argparse
import os
import pathlib
import shutil
import tempfile
import time

from demo import call, sip, site as demo_site
from support import sip as line


def caller_steps(headers, body):
    invite = sip.send(sip.request("INVITE", headers), body).replace("<send ", '<send start_rtd="setup" ')
    return [invite, sip.provisional(), sip.receive(200, attributes='rrs="true" rtd="setup"'), sip.send(sip.request("ACK"), retransmit=False),
            sip.pause(100), sip.send(sip.request("BYE", cseq=2)), sip.receive(200)]


def delays(directory):
    """Milliseconds of each call, sorted."""
    found = []
    for path in directory.glob("caller*_rtt.csv"):
        found += [float(row.split(";")[1]) for row in path.read_text().splitlines()[1:]]
        path.unlink()
    return sorted(found)


def cpu_seconds(*roots):
    """Processor time of these processes and their children so far: what it costs, however busy the machine is."""
    total, wanted = 0, {process.pid for process in roots}
    stats = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            stats[int(path.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
        except OSError:
            continue
    for pid, (parent, ticks) in stats.items():
        if pid in wanted or parent in wanted:
            total += ticks
    return total / os.sysconf("SC_CLK_TCK")


def run(directory, site, both, rate, seconds, body):
    servers = (site.running["avseald"], both.originating.process, both.terminating.process)
    calls = max(int(rate * seconds), 5)
    options = ["-r", str(rate), "-l", str(max(rate * 5, 50)), "-trace_rtt", "-rtt_freq", "1"]
    callee = sip.UserAgent(directory, "callee", line.accept(), port=both.callee_port, calls=calls, trace=False)
    caller = sip.UserAgent(directory, "caller", caller_steps([sip.asserted()], body), both.originating.port, calls=calls, options=options, trace=False)
    before = len(both.originating.events()) + len(both.terminating.events())
    spent = cpu_seconds(*servers)
    callee.start()
    started = time.monotonic()
    caller.start()
    caller.finish()
    took = time.monotonic() - started
    spent = cpu_seconds(*servers) - spent
    callee.stop()
    lost = len(both.originating.events()) + len(both.terminating.events()) - before
    times = delays(directory)
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)] if times else float("nan")
    return {"calls": calls, "failed": calls - len(times), "without avatar": lost, "calls/s": len(times) / took, "cpu ms": 1000 * spent / calls, "p50 ms": at(0.5), "p99 ms": at(0.99)}


def measure(directory, site, both, rate, seconds, fingerprint):
    plain = run(directory, site, both, rate, seconds, sip.sdp(fingerprints=[fingerprint]))
    avatar = run(directory, site, both, rate, seconds, sip.sdp(sip.avatar_line(), [fingerprint]))
    print(f"{rate:>6} {avatar['calls']:>6} {avatar['calls/s']:>8.1f} {avatar['failed']:>7} {avatar['without avatar']:>8} "
          f"{plain['p50 ms']:>9.1f} {plain['p99 ms']:>9.1f} {avatar['p50 ms']:>10.1f} {avatar['p99 ms']:>10.1f} {avatar['p50 ms'] - plain['p50 ms']:>9.1f} "
          f"{plain['cpu ms']:>9.2f} {avatar['cpu ms']:>10.2f}", flush=True)
    return avatar


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rates", default="1,10,100")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--most", action="store_true")
    options = parser.parse_args()
    rates = [int(rate) for rate in options.rates.split(",")]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(directory / "site", os.environ["AVSEAL_BUILD"])
    try:
        site.make()
        site.start()
        call.subscribe(site)
        fingerprint = line.CALLEE_PRINT
        with line.network(site, {"node_timeout": 1, "signature_wait_ms": 1500}, {"node_timeout": 1, "signature_wait_ms": 1500}) as both:
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, net.core.wmem_default {pathlib.Path('/proc/sys/net/core/wmem_default').read_text().strip()}")
            print("offered  calls  calls/s  failed no avatar plain p50 plain p99 avatar p50 avatar p99 added p50 plain cpu avatar cpu")
            for rate in rates:
                measure(directory, site, both, rate, options.seconds, fingerprint)
            rate = rates[-1] * 2
            while options.most and rate <= 6400:
                found = measure(directory, site, both, rate, options.seconds, fingerprint)
                if found["failed"] or found["without avatar"] or found["calls/s"] < 0.8 * rate:
                    break
                rate *= 2
    finally:
        site.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
