"""Hooks of mkdocs: pages that are made of something else, links to them, and formulas without scripts."""

from __future__ import annotations

import html
import re
from pathlib import Path

import yaml
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from website import gallery, notebooks, reference

ROOT = Path(__file__).parents[1]
# Files at the root, which GitHub shows there, and their pages.
OF_ROOT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "citation.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Pages of the files at the root, the gallery, the reference and the notebooks."""
    made: dict[str, str | bytes] = {page: _of_root(name) for name, page in OF_ROOT.items()}
    made |= {"gallery.md": gallery.page(ROOT / "docs"), **reference.pages()}
    made |= notebooks.pages(ROOT / "notebooks")
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links from docs/ to the files at the root and to notebooks lead to their pages."""
    for name, made in OF_ROOT.items():
        markdown = re.sub(rf"\]\((\.\./)+{re.escape(name)}", f"](/{made}", markdown)
    return re.sub(r"\]\((?:\.\./)+notebooks/(\S+)\.ipynb\)", r"](/notebooks/\1.md)", markdown)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """LaTeX becomes MathML, which browsers show by themselves; a prompt is style, and so not copied."""
    content = content.replace('<span class="gp">$ </span>', '<span class="gp"></span>')
    return re.sub(
        r'<span class="arithmatex">\\\((.*?)\\\)</span>',
        lambda found: str(convert(html.unescape(found[1]))),
        content,
        flags=re.DOTALL,
    )


def _of_root(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".cff"):
        return _citation(text)
    for other, made in OF_ROOT.items():
        text = text.replace(f"]({other}", f"]({made}")
    return text.replace("](docs/", "](")


def _citation(text: str) -> str:
    paper = yaml.safe_load(text)["references"][0]
    authors = ", ".join(f"{one['given-names']} {one['family-names']}" for one in paper["authors"])
    return (
        "# Citation\n\nPlease cite groktime, and the paper whose theory it computes:\n\n"
        f"{authors}: [{paper['title']}]({paper['url']}). {paper['collection-title']}, {paper['year']}.\n\n"
        f"As a file, `CITATION.cff`:\n\n```yaml\n{text}```\n"
    )
