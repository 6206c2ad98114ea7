"""The status page: one document with its style and script inside, and nothing from elsewhere."""

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


@cache
def page() -> Page:
    """Put together from the files beside this one."""
    files = resources.files("gossipsub.status")
    style = files.joinpath("page.css").read_text("utf-8")
    script = files.joinpath("page.js").read_text("utf-8")
    frame = files.joinpath("page.html").read_text("utf-8")
    html = frame.replace("/*STYLE*/", style, 1).replace("/*SCRIPT*/", script, 1)
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
