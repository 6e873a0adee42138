"""Features that a home's known pairs give to its other pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from training.synergy.encoded_home import Array, EncodedHome, cosine
from training.synergy.graph import Ints

SHARE_FLOOR = 0.02  # added to a share before its logarithm is taken
PSEUDO_PAIRS = 2  # by which the home's own rates of domains are shrunk towards coarser rates


class KnownPairs:
    """The known pairs of a home of ``n`` entities, ready to be read as features.

    A known pair's trigger is called a source here.

    Args:
        home: The home.
        pairs: ``[e, 2]`` known pairs (trigger, action).

    Attributes:
        pairs: The distinct pairs in ascending order.
    """

    def __init__(self, home: EncodedHome, pairs: Ints) -> None:
        n = home.graph.size
        self.pairs = np.unique(pairs.reshape(-1, 2), axis=0)
        trigger, action = self.pairs.T
        self._drives = csr_array((np.ones(len(self.pairs), dtype=np.float32), (trigger, action)), shape=(n, n))
        self._sources = np.unique(trigger)
        self._drives_of_sources = self._drives[self._sources].tocsc()
        self._times_driven = np.bincount(action, minlength=n)
        domain, domains = home.home_domain, int(home.home_domain.max(initial=0)) + 1
        self._one_hot_domain = csr_array((np.ones(n, dtype=np.float32), (np.arange(n), domain)), shape=(n, domains))
        # Log-odds of the home's own rates: action domains over all pairs, domain pairs over action domains.
        known = np.zeros((domains, domains))
        np.add.at(known, (domain[trigger], domain[action]), 1)
        triggers = np.bincount(domain[self._sources], minlength=domains)
        actions = np.bincount(domain[home.candidates], minlength=domains)
        rate = max(len(self.pairs), 1) / max(len(self._sources) * len(home.candidates), 1)
        action_rate = (known.sum(0) + PSEUDO_PAIRS) / (len(self._sources) * actions + PSEUDO_PAIRS / rate)
        pair_rate = (known + PSEUDO_PAIRS) / (np.outer(triggers, actions) + PSEUDO_PAIRS / action_rate)
        self._action_odds, self._pair_odds = np.log(action_rate / rate), np.log(pair_rate / action_rate)

    def features(self, home: EncodedHome, triggers: Ints, actions: Ints) -> dict[str, npt.ArrayLike]:
        """Feature -> values of the block triggers x actions, in shapes that broadcast to ``[t, a]``.

        At least one pair must be known, and no pair that is to be scored may be among the known ones.
        """
        domain, sources = home.home_domain, self._sources
        sources_of_action = self._drives_of_sources[:, actions].T.tocsr()  # [a, sources]
        other_source = (triggers[:, None] != sources).astype(np.float32)

        def votes(weight: Array) -> Array:
            """``[t, a]`` sums of ``[t, sources]`` weights over the sources that drive the action."""
            return np.asarray((sources_of_action @ (weight * other_source).T).T, dtype=np.float32)

        driven = self._drives[triggers]  # [t, n]
        count = np.maximum(np.asarray(driven.sum(1)).ravel(), 1)[:, None].astype(np.float32)
        shared = np.asarray((driven @ self._drives[sources].T).toarray(), dtype=np.float32)
        jaccard = shared / np.maximum(count + self._drives[sources].sum(1).ravel() - shared, 1)
        tokens = home.token_vectors
        return {
            "driven": np.log1p(self._times_driven[actions]),
            "driven_by_domain": np.log1p(votes((domain[triggers][:, None] == domain[sources]).astype(np.float32))),
            "driven_by_namesakes": log_share(votes(cosine(tokens, triggers, sources) ** 2)),
            "driven_by_lookalikes": log_share(votes(cosine(home.ngram_vectors, triggers, sources) ** 2)),
            "like_driven_name": np.asarray(((driven @ tokens) @ tokens[actions].T).toarray()) / count,
            "like_driven_domain": np.asarray((driven @ self._one_hot_domain).toarray())[:, domain[actions]] / count,
            "driven_together": log_share(votes(jaccard)),
            "reverse_known": np.asarray(self._drives[actions][:, triggers].T.toarray()),
            "drives": np.isin(actions, sources),
            "home_action_domain": self._action_odds[domain[actions]],
            "home_domain_pair": self._pair_odds[domain[triggers]][:, domain[actions]],
        }


def log_share(share: Array) -> Array:
    """The logarithm of a share, moved so that it is 0 where the share is 0."""
    return np.asarray(np.log(share + SHARE_FLOOR) - np.log(SHARE_FLOOR), dtype=np.float32)
