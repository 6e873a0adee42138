"""Features that a home's known pairs give to its other pairs.

Some are about one of the two entities: whether it triggers something already, and how many of its class do. They are
the same for all actions of a trigger, or for all triggers of an action, and order the pairs of a whole home.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from training.synergy.encoded_home import BINS, Array, EncodedHome, cosine, overlap_bin
from training.synergy.graph import Floats, Ints
from training.synergy.repeated_pairs import RepeatedPairs

SHARE_FLOOR = 0.02  # added to a share before its logarithm is taken
SOURCE_PAIRS = 1_000_000  # pairs of a source and an action that are counted at a time
OF_ACTIONS = ("home_acts_class", "like_action")  # features of the action alone, among those of one entity
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
        actions = np.bincount(domain[home.usual_candidates], minlength=domains)
        rate = max(len(self.pairs), 1) / max(len(self._sources) * len(home.usual_candidates), 1)
        action_rate = (known.sum(0) + PSEUDO_PAIRS) / (len(self._sources) * actions + PSEUDO_PAIRS / rate)
        pair_rate = (known + PSEUDO_PAIRS) / (np.outer(triggers, actions) + PSEUDO_PAIRS / action_rate)
        self._action_odds, self._pair_odds = np.log(action_rate / rate), np.log(pair_rate / action_rate)
        if len(self.pairs):  # else no feature is read off it
            self._class_pair_odds = self._of_class_pairs(home)
            self._of_entities = self._about_entities(home)
            self._repeated = RepeatedPairs(home.graph, self.pairs)

    def _of_class_pairs(self, home: EncodedHome) -> Floats:
        """``[classes * classes, BINS]``: log-odds of the pairs of a source, by classes and bin of name overlap.

        They are shrunk towards those of the classes, and these towards the rate of all pairs of a source.
        """
        classes, sources, candidates = int(home.home_class.max(initial=0)) + 1, self._sources, home.usual_candidates
        counts = np.zeros((2, classes * classes * BINS))
        step = max(1, SOURCE_PAIRS // max(1, len(candidates)))
        for start in range(0, len(sources), step):
            rows = sources[start : start + step]
            cell = self._class_cells(home, rows, candidates, home.name_overlap(rows, candidates))
            other = rows[:, None] != candidates
            driven = self._drives[rows][:, candidates].toarray() > 0
            for kind, mask in enumerate((driven & other, other)):
                counts[kind] += np.bincount(cell[mask], minlength=classes * classes * BINS)
        positives, all_pairs = counts.reshape(2, classes * classes, BINS)
        rate = (positives.sum() + 0.1) / (all_pairs.sum() + 10)
        of_classes = (positives.sum(1) + PSEUDO_PAIRS * rate) / (all_pairs.sum(1) + PSEUDO_PAIRS)
        return np.asarray(np.log((positives + of_classes[:, None]) / (all_pairs + 1) / rate), dtype=np.float32)

    def _class_cells(self, home: EncodedHome, triggers: Ints, actions: Ints, overlap: Array) -> Ints:
        """``[t, a]`` indexes into the flattened ``_class_pair_odds``."""
        classes = int(home.home_class.max(initial=0)) + 1
        pair = home.home_class[triggers][:, None] * classes + home.home_class[actions]
        return np.asarray(pair * BINS + overlap_bin(overlap))

    def _about_entities(self, home: EncodedHome) -> dict[str, Floats]:
        """Feature -> ``[n]`` values of each entity; none of them counts the entity itself."""
        n = home.graph.size
        starts, acts = np.zeros(n), np.zeros(n)
        starts[self._sources], acts[self.pairs[:, 1]] = 1, 1

        def rate_of(kind: Ints, found: npt.NDArray[np.float64]) -> Floats:
            """Log of the share of the others of its kind that are found, relative to that of all entities."""
            found = found * home.counted
            rate = max(float(found.sum() / home.counted.sum()), 1e-3) if n else 1e-3
            of_kind = np.bincount(kind, weights=found)[kind] - found
            all_of_kind = np.bincount(kind, weights=home.counted)[kind] - home.counted
            share = (of_kind + PSEUDO_PAIRS * rate) / (all_of_kind + PSEUDO_PAIRS)
            return np.asarray(np.log(share / rate), dtype=np.float32)

        def likeness_to(others: Ints) -> Floats:
            """Cosine of words with the most similar of ``others`` in its domain."""
            most = np.zeros(n, dtype=np.float32)
            step = max(1, SOURCE_PAIRS // max(1, n))
            for start in range(0, len(others), step):
                rows = others[start : start + step]
                alike = (home.token_vectors @ home.token_vectors[rows].T).tocoo()
                entity, column = alike.coords
                same = (home.home_domain[entity] == home.home_domain[rows[column]]) & (entity != rows[column])
                np.maximum.at(most, entity[same], alike.data[same])
            return most

        return {
            "trigger_drives": np.log1p(np.bincount(self.pairs[:, 0], minlength=n)).astype(np.float32),
            "trigger_driven": np.log1p(self._times_driven).astype(np.float32),
            "home_starts_domain": rate_of(home.home_domain, starts),
            "home_starts_class": rate_of(home.home_class, starts),
            "home_acts_class": rate_of(home.home_class, acts),
            "like_trigger": likeness_to(self._sources),
            "like_action": likeness_to(np.unique(self.pairs[:, 1])),
        }

    def features(self, home: EncodedHome, overlap: Array, triggers: Ints, actions: Ints) -> dict[str, npt.ArrayLike]:
        """Feature -> values of the block triggers x actions, in shapes that broadcast to ``[t, a]``.

        ``overlap`` is ``home.name_overlap(triggers, actions)``. At least one pair must be known, and no pair that is to
        be scored may be among the known ones.
        """
        domain, sources, repeated = home.home_domain, self._sources, self._repeated
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
            "home_class_pair": self._class_pair_odds.ravel()[self._class_cells(home, triggers, actions, overlap)],
            **{
                name: values[actions] if name in OF_ACTIONS else values[triggers][:, None]
                for name, values in self._of_entities.items()
            },
            "repeats_known": np.log1p(repeated.repeats[triggers][:, actions].toarray()),
            "of_sibling_trigger": np.log1p(repeated.of_sibling_trigger[triggers][:, actions].toarray()),
            "of_sibling_action": np.log1p(repeated.of_sibling_action[triggers][:, actions].toarray()),
        }


def log_share(share: Array) -> Array:
    """The logarithm of a share, moved so that it is 0 where the share is 0."""
    return np.asarray(np.log(share + SHARE_FLOOR) - np.log(SHARE_FLOOR), dtype=np.float32)
