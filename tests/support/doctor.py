"""`avseal doctor` on a demo site or a copy of it, and what it found."""

import json
import os
import pathlib
import shutil
import subprocess

from demo import processes, site as demo_site

GUIDE = (pathlib.Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def copy_of(made, path, faults=False):
    """A copy of a made site that a test may break; nothing of it runs."""
    shutil.copytree(made.directory, path, ignore=shutil.ignore_patterns("*.sock"))
    for file in (*path.glob("*.toml"), path / "softhsm2.conf"):
        file.write_text(file.read_text().replace(str(made.directory), str(path)))
    copy = demo_site.Site(path, os.environ["AVSEAL_BUILD"], tokens=made.tokens, faults=faults)
    edit(copy, "avseald.toml", f"port = {made.port}", f"port = {processes.free_port()}")
    return copy


def edit(site, name, old, new):
    path = site.directory / name
    text = path.read_text()
    assert old in text, (old, text)
    path.write_text(text.replace(old, new, 1))


def doctor(site, *arguments, environment=None, preexec=None):
    """Exit code and the JSON report, checked for its form."""
    done = subprocess.run([site.bin / "avseal", "doctor", "--config", site.directory / "avseald.toml", "--json", *map(str, arguments)],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=280, preexec_fn=preexec,
                          env={**os.environ, **site.environment, **(environment or {})})
    assert done.stderr == "", done.stderr
    assert site.secret("pin").read_text() not in done.stdout
    report = json.loads(done.stdout)
    assert json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" == done.stdout
    findings = report["findings"]
    counts = {severity: sum(f["severity"] == severity for f in findings) for severity in ("ok", "note", "warning", "error")}
    worst = next(s for s in ("error", "warning", "note", "ok") if counts[s])
    assert (report["version"], report["summary"], report["severity"]) == (1, counts, worst)
    assert done.returncode == {"ok": 0, "note": 0, "warning": 1, "error": 2}[worst]
    for finding in findings:
        if finding["severity"] in ("warning", "error"):
            assert finding["expected"] and finding["action"], finding
            assert f"`{finding['id']}`" in GUIDE, f"docs/operations.md does not explain {finding['id']}"
        assert finding["found"] and finding["subject"], finding
    return report


def problems(report, directory):
    """What is not well, by id and subject, whatever the site's directory."""
    return {(f["id"], f["subject"].replace(str(directory), "")): f for f in report["findings"] if f["severity"] in ("warning", "error")}


def found(copy, healthy, *arguments, **options):
    """The findings that the healthy site has not: id to severity."""
    fresh = problems(doctor(copy, *arguments, **options), copy.directory)
    return {id: f["severity"] for (id, subject), f in fresh.items() if (id, subject) not in healthy}
