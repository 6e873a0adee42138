"""What a home's known automations say of its other pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from training.synergy.encoded_home import Array, EncodedHome, cosine
from training.synergy.graph import Ints

OVERLAP_FLOOR = 0.02


class KnownPairs:
    """What a home is known to do, ready to be looked up: ``pairs`` is ``[e, 2]`` of (trigger, action)."""

    def __init__(self, home: EncodedHome, pairs: Ints) -> None:
        n = home.graph.size
        self.pairs = np.unique(pairs.reshape(-1, 2), axis=0)
        trigger, action = self.pairs.T
        self.drives = csr_array((np.ones(len(self.pairs), dtype=np.float32), (trigger, action)), shape=(n, n))
        self.sources = np.unique(trigger)
        self.from_source = self.drives[self.sources].tocsc()
        self.times = np.bincount(action, minlength=n)
        # The home's own rates, shrunk to one rate for all.
        kind, kinds = home.home_domain, int(home.home_domain.max(initial=0)) + 1
        self.kinds = csr_array((np.ones(n, dtype=np.float32), (np.arange(n), kind)), shape=(n, kinds))
        seen = np.zeros((kinds, kinds))
        np.add.at(seen, (kind[trigger], kind[action]), 1)
        triggers = np.bincount(kind[self.sources], minlength=kinds)
        actions = np.bincount(kind[home.candidates], minlength=kinds)
        rate = max(len(self.pairs), 1) / max(len(self.sources) * len(home.candidates), 1)
        action_rate = (seen.sum(0) + 2) / (len(self.sources) * actions + 2 / rate)
        pair_rate = (seen + 2) / (np.outer(triggers, actions) + 2 / action_rate)
        self.action_odds, self.pair_odds = np.log(action_rate / rate), np.log(pair_rate / action_rate)

    def features(self, home: EncodedHome, triggers: Ints, actions: Ints) -> dict[str, npt.ArrayLike]:
        """What the known pairs say of ``triggers`` x ``actions``: feature -> values that broadcast to ``[t, a]``.

        There must be at least one.
        """
        times = self.times[actions]
        driving = self.from_source[:, actions].T.tocsr()  # [a, sources]
        others = (triggers[:, None] != self.sources).astype(np.float32)

        def voted(weight: Array) -> Array:
            return np.asarray((driving @ (weight * others).T).T, dtype=np.float32)

        kind = home.home_domain
        own = self.drives[triggers]  # [t, n]
        count = np.maximum(np.asarray(own.sum(1)).ravel(), 1)[:, None].astype(np.float32)
        shared = np.asarray((own @ self.drives[self.sources].T).toarray(), dtype=np.float32)
        likeness = shared / np.maximum(count + self.drives[self.sources].sum(1).ravel() - shared, 1)
        like_driven_name = np.asarray(((own @ home.by_token) @ home.by_token[actions].T).toarray()) / count
        return {
            "driven": np.log1p(times),
            "driven_by_domain": np.log1p(voted((kind[triggers][:, None] == kind[self.sources]).astype(np.float32))),
            "driven_by_namesakes": log_share(voted(cosine(home.by_token, triggers, self.sources) ** 2)),
            "driven_by_lookalikes": log_share(voted(cosine(home.by_letters, triggers, self.sources) ** 2)),
            "like_driven_name": like_driven_name,
            "like_driven_domain": np.asarray((own @ self.kinds).toarray())[:, kind[actions]] / count,
            "driven_together": log_share(voted(likeness)),
            "reverse_known": np.asarray(self.drives[actions][:, triggers].T.toarray()),
            "drives": np.isin(actions, self.sources),
            "home_action_domain": self.action_odds[kind[actions]],
            "home_domain_pair": self.pair_odds[kind[triggers]][:, kind[actions]],
        }


def log_share(share: Array) -> Array:
    """The logarithm of a share, 0 where it is 0."""
    return np.asarray(np.log(share + OVERLAP_FLOOR) - np.log(OVERLAP_FLOOR), dtype=np.float32)
