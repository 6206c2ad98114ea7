"""Score parameters of known networks, by name, to be held to what they should promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gossipsub.router.params import GossipParams
from gossipsub.router.presets import ethereum
from gossipsub.router.presets.filecoin import filecoin
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePreset:
    """What decides over scores, of one network or client."""

    source: str
    """Where the numbers come from, in a few words."""
    score: PeerScoreParams | None
    """None: peers are not scored."""
    thresholds: PeerScoreThresholds
    heartbeat_interval: float
    """Seconds."""


def _of_params(source: str, params: GossipParams) -> ScorePreset:
    return ScorePreset(
        source=source,
        score=params.score,
        thresholds=params.thresholds,
        heartbeat_interval=params.heartbeat_interval,
    )


def _of_ethereum(source: str, score: PeerScoreParams) -> ScorePreset:
    return ScorePreset(
        source=source,
        score=score,
        thresholds=ethereum.THRESHOLDS,
        heartbeat_interval=0.7,
    )


SCORE_PRESETS: Mapping[str, Callable[[], ScorePreset]] = {
    "default": lambda: _of_params(
        "this library's defaults: no scoring until topics are given parameters", GossipParams()
    ),
    "filecoin": lambda: _of_params(
        "Filecoin's lotus, with one drand chain", filecoin(drand_chains=("CHAIN",))
    ),
    "ethereum": lambda: _of_ethereum(
        "Ethereum's Lighthouse, a million validators", ethereum.lighthouse_score()
    ),
    "ethereum-full-p3": lambda: _of_ethereum(
        "Lighthouse with mesh deliveries scored as in the research it started from",
        ethereum.lighthouse_score(silence_costs_all=True),
    ),
    "ethereum-prysm": lambda: _of_ethereum(
        "Ethereum's Prysm, a million validators", ethereum.prysm_score()
    ),
    "ethereum-prysm-p3": lambda: _of_ethereum(
        "Prysm with mesh deliveries scored, which it has switched off",
        ethereum.prysm_score(mesh_deliveries_count=True),
    ),
    "ethereum-model": lambda: _of_ethereum(
        "Ethereum as in the formal model (arXiv 2212.05197), three subnets",
        ethereum.formal_model_score(),
    ),
}
"""Presets for `score_check`, by name; the functions above have their variants."""


def score_preset(name: str) -> ScorePreset:
    """ValueError names those there are."""
    build = SCORE_PRESETS.get(name)
    if build is None:
        raise ValueError(f"no such preset: {name} (there are {', '.join(SCORE_PRESETS)})")
    return build()
