"""`python -m sinks.dashboards` writes every generated file below `dashboards/`, and removes those no longer made."""

from __future__ import annotations

import sys
from pathlib import Path

from dashboards import folder
from sinks.dashboards.collection import generated_files


def main(root: Path) -> int:
    """Write the files into `root`; return how many changed."""
    files = generated_files()
    stale = {str(path.relative_to(root)) for kind in ("json", "yaml") for path in root.rglob(f"*.{kind}")} - set(files)
    for name in sorted(stale):
        (root / name).unlink()
    changed = len(stale)
    for name, content in files.items():
        path = root / name
        if not path.is_file() or path.read_text("utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
            changed += 1
    return changed


if __name__ == "__main__":
    sys.stdout.write(f"{main(folder())} files changed\n")
