"""The legacy signature policies are still spoken, but not without a warning."""

from __future__ import annotations

import warnings

from gossipsub.router.params import SignaturePolicy


def warn_of_lax_signing(policy: SignaturePolicy | None) -> None:
    """DeprecationWarning where `policy` takes unsigned messages beside signed ones."""
    if policy is not None and policy.is_lax:
        warnings.warn(
            f"the signature policy {policy.value} is a legacy one: anybody can speak in the name "
            f"of others; use StrictSign, or StrictNoSign where messages are anonymous",
            DeprecationWarning,
            stacklevel=3,
        )
