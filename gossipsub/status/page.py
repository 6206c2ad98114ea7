"""The status pages: documents with their style and script inside, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Page:
    html: bytes
    policy: str
    """Its Content-Security-Policy: nothing runs but the script that was shipped."""


_NAVIGATION = """<nav aria-label="Pages">
<a href="./">node</a>
<a href="conversation">conversation</a>
</nav>"""


@cache
def page(name: str, *, has_conversation: bool) -> Page:
    """`page`, the node's, or `conversation`: put together from the files beside this one."""
    files = resources.files("gossipsub.status")

    def read(file: str) -> str:
        return files.joinpath(file).read_text("utf-8")

    style = read("page.css")
    script = read("common.js") + read(f"{name}.js")
    html = read(f"{name}.html").replace("<!--NAV-->", _NAVIGATION if has_conversation else "", 1)
    html = html.replace("/*STYLE*/", style, 1).replace("/*SCRIPT*/", script, 1)
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
