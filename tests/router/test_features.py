"""Protocol ids and their features."""

from __future__ import annotations

import pytest

from gossipsub.router.features import OFFERED, Features, features_of


@pytest.mark.rule("WIRE-12")
@pytest.mark.parametrize(
    ("protocol", "features"),
    [
        ("/floodsub/1.0.0", Features()),
        ("/meshsub/1.0.0", Features(mesh=True)),
        ("/meshsub/1.1.0", Features(mesh=True, peer_exchange=True)),
        ("/meshsub/1.2.0", Features(mesh=True, peer_exchange=True, idontwant=True)),
        (
            "/meshsub/1.3.0",
            Features(mesh=True, peer_exchange=True, idontwant=True, extensions=True),
        ),
        ("/randomsub/1.0.0", Features(random=True)),
        ("/something/else", Features()),
    ],
)
def test_each_version_adds_its_features(protocol: str, features: Features) -> None:
    assert features_of(protocol) == features


@pytest.mark.rule("WIRE-11")
def test_all_versions_are_offered_best_first() -> None:
    assert OFFERED == (
        "/meshsub/1.3.0",
        "/meshsub/1.2.0",
        "/meshsub/1.1.0",
        "/meshsub/1.0.0",
        "/floodsub/1.0.0",
    )
