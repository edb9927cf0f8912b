"""The commands of README "End one worker by hand and watch nothing happen", typed as they stand there."""

import pathlib
import re
import subprocess

from demo import call, quickstart
from support.load import wait_until
from support.processes import worker_pids
from support.software_ue import SoftwareUe

ROOT = pathlib.Path(__file__).parents[2]


def commands(site):
    section = (ROOT / "README.md").read_text().split("## End one worker by hand")[1]
    block = re.search(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL).group(1)
    return block.replace("build/release/bin", str(site.bin)).replace("run/", f"{site.directory}/")


def test_readme(site):
    assert call.subscribe(site).status == 201
    quickstart.write_template(site, SoftwareUe(site).fingerprint())
    before = set(worker_pids(site))
    done = subprocess.run(["sh", "-eu", "-c", commands(site)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "errors   none" in done.stdout
    assert set(re.findall(r"^status   (\d+):", done.stdout, re.MULTILINE)) == {"200"}, done.stdout
    assert "ended by signal 9; it is started again" in done.stdout
    wait_until(lambda: len(worker_pids(site)) == 2)
    assert len(before & set(worker_pids(site))) == 1
