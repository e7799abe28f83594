"""Asks which locked packages have known holes: `python .ci/audit.py requirements.lock`.

Exit code 1: some have. Where nobody can be asked, as on a machine that reaches a mirror of the index only, it says
that nothing was audited and exits with 0: a missing answer is no all-clear, and no fault of the change that is being
checked. An answer holds for a day. The package index is asked, or an OSV service whose address stands in TCAP_OSV_URL.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

IGNORED: dict[str, str] = {}
"""Holes that do not concern this house: the id, and why. An entry whose package was upgraded is removed."""

_PROBE = "msgspec"
_DAY_S = 24 * 3600
_PATIENCE_S = 300


def main(lock: Path, folder: Path) -> int:
    """The exit code; what was answered is kept in the folder."""
    kept = folder / f".audited-{hashlib.sha256(lock.read_bytes() + repr(IGNORED).encode()).hexdigest()[:16]}"
    if kept.exists() and time.time() - kept.stat().st_mtime < _DAY_S:
        print(kept.read_text("utf-8"), end="")
        return 0
    first = _asked(_probe(lock.read_text("utf-8")))
    if _unanswered(first):
        print(f"audit: NOT DONE, the service of known holes cannot be asked here ({_why(first)})")
        return 0
    found = _asked(lock.read_text("utf-8"))
    holes, silent = _holes(found), _unanswered(found)
    for line in holes:
        print(f"audit: {line}")
    said = f"audit: {len(holes)} known holes in {len(found) - len(silent)} locked packages"
    said += f"; {len(silent)} NOT AUDITED: {', '.join(silent[:10])}\n" if silent else "\n"
    print(said, end="")
    if not holes:
        kept.write_text(said, "utf-8")
    return 1 if holes else 0


def _probe(lock: str) -> str:
    """The lines of one package: whether anybody answers is known after one question instead of two hundred."""
    lines = lock.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{_PROBE}=="))
    end = next(number for number, line in enumerate(lines[start:], start) if not line.endswith("\\"))
    return "\n".join(lines[start : end + 1]) + "\n"


def _asked(lock: str) -> list[dict[str, Any]]:
    """What is said of each package; where the question failed, one entry that says why."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, answer = Path(folder) / "wanted.txt", Path(folder) / "answer.json"
        wanted.write_text(lock, "utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(wanted), "--disable-pip", "--require-hashes"]
        command += ["--format", "json", "--output", str(answer), "--progress-spinner", "off", "--timeout", "10"]
        if os.environ.get("TCAP_OSV_URL"):
            command += ["--vulnerability-service", "osv", "--osv-url", os.environ["TCAP_OSV_URL"]]
        command += [part for hole in IGNORED for part in ("--ignore-vuln", hole)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            return [{"name": "everything", "skip_reason": f"no answer within {_PATIENCE_S} s"}]
        if not answer.exists():
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            return [{"name": "everything", "skip_reason": said[:200]}]
        told: list[dict[str, Any]] = json.loads(answer.read_text("utf-8"))["dependencies"]
        return told


def _unanswered(found: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in found if "skip_reason" in one]


def _why(found: list[dict[str, Any]]) -> str:
    return "; ".join(one["skip_reason"] for one in found if "skip_reason" in one)


def _holes(found: list[dict[str, Any]]) -> list[str]:
    return [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no release yet'}"
        for one in found
        for hole in one.get("vulns", ())
    ]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.prefix)))
