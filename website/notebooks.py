"""The notebooks as pages: their text, code, what it printed and drew."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any


def pages(folder: Path) -> dict[str, str | bytes]:
    """Markdown and pictures by name, relative to docs/."""
    made: dict[str, str | bytes] = {}
    for file in sorted(folder.glob("*.ipynb")):
        blocks: list[str] = []
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            blocks.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
            for output in cell.get("outputs", ()):
                name = f"{file.stem}-{len(blocks)}.png"
                if picture := _picture(output):
                    made[f"notebooks/{name}"] = picture
                    blocks.append(f"![What the cell draws]({name})")
                elif text := "".join(output.get("text", ())).rstrip():
                    blocks.append(f"```text\n{text}\n```")
        page = "\n\n".join(blocks).replace("](../docs/", "](../")
        made[f"notebooks/{file.stem}.md"] = page + f"\n\nAs a notebook: `notebooks/{file.name}`.\n"
    return made


def _picture(output: dict[str, Any]) -> bytes:
    return base64.b64decode("".join(output.get("data", {}).get("image/png", "")))
