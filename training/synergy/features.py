"""The features of a pair (trigger, action): their table, and how those of a block of pairs are read.

The network starts from the weighted sum of the features and learns a correction to it. Features are read a block at a
time, some triggers by some actions of one home, so that no loop runs over the pairs of a home. The log-odds of a
training pair never come from the pair itself: they are counted on the other folds (``training_homes``).

Files and ``Suggestion`` call a feature an evidence, as the code once did: ``evidence_weight``, ``evidence_mean``,
``evidence_scale`` and ``from_evidence`` in a state dict, ``evidence`` in the card of the pretrained model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.synergy.encoded_home import Array, EncodedHome, cosine
from training.synergy.graph import Ints
from training.synergy.known_pairs import KnownPairs, log_share
from training.synergy.pair_statistics import LogOdds

# Feature -> the weight that training starts from and that its L2 penalty draws to. Log-odds are relative to the next
# coarser ones, so their plain sum is the log-odds of the finest. That sum with the overlap of names is the strongest
# baseline.
STARTING_WEIGHTS: dict[str, float] = {
    # How often training homes act on such an entity, and on such a trigger.
    "action_domain": 1.0,
    "domain_pair": 1.0,
    "class_pair": 0.5,
    "class_domain": 0.3,  # class of the trigger, domain of the action
    "trigger_words": 0.2,  # words of the trigger, domain of the action
    "trigger_meaning": 1.0,  # the vector of the trigger's name, weighted by the action's domain
    "action_words": 0.2,  # domain of the trigger, words of the action
    "target_words": 0.2,  # domain and words of the action
    "overlap_of_domains": 0.5,  # domain pair and bin of name overlap
    # How often training homes have such an entity trigger anything. It is the same for all actions of a trigger.
    "starts_domain": 1.0,
    "starts_class": 1.0,  # relative to its domain
    "starts_words": 0.0,  # sum over the words of its name
    "starts_word": 0.0,  # the most telling of them
    # What trigger and action have in common.
    "name_overlap": 1.0,  # cosine of the rarest words
    "log_name_overlap": 0.5,
    "token_overlap": 0.0,  # cosine of all words and numbers
    "letter_overlap": 1.0,  # cosine of sequences of three letters
    "same_name": 0.0,
    "meaning": 0.3,  # cosine of the vectors of both names
    # Both are in one area; where areas are not known, both names tell the same place, such as the kitchen.
    "same_place": 0.5,
    "other_place": -0.5,  # different areas; else each name tells a place that the other does not
    "same_area": 0.5,  # beside what the place says: 1 in the same area, -1 in different ones
    "same_floor": 0.2,  # of different areas: 1 where these are on one floor, -1 where they are on different ones
    "shared_labels": 0.5,  # 0 for none, to 1 for rare ones
    "same_platform": 0.0,  # of two devices: 1 where one integration brings both, less its share of the devices
    "same_device": 1.0,  # what the names of one device share counts for nothing
    "same_domain": 0.0,
    # How much the action's name stands out in its home.
    "domain_crowd": 0.0,  # log of the share of entities of its domain
    "name_crowd": 0.0,  # log of the number of entities whose id begins alike
    "name_length": 0.0,  # log of the number of words
    "name_commonness": 0.0,  # mean cosine with the letters of all that can act
    # The same of the trigger's name.
    "trigger_domain_crowd": 0.0,
    "trigger_name_crowd": 0.0,
    "trigger_name_length": 0.0,
    "trigger_name_commonness": 0.0,
    "trigger_can_act": 0.0,
    # Whether it is hidden, or a setting or diagnostic of its device (``HomeGraph.internal``).
    "internal": -2.0,
    "trigger_internal": -2.0,
    # The home's known pairs; all 0 where none is known.
    "driven": 0.0,  # how many triggers drive the action
    "driven_by_domain": 0.2,  # how many of the trigger's domain do
    "driven_by_namesakes": 0.1,  # how many do, weighted by the likeness of their words to the trigger's
    "driven_by_lookalikes": 0.1,  # the same by letters
    "like_driven_name": 0.5,  # likeness of words to what the trigger drives
    "like_driven_domain": 0.5,  # share of the action's domain in what the trigger drives
    "driven_together": 0.2,  # whether triggers that drive the same as this one drive the action
    "reverse_known": 0.0,  # whether the action drives the trigger
    "drives": 0.0,  # whether the action drives anything
    "home_action_domain": 0.3,  # log-odds of the action's domain in this home
    "home_domain_pair": 0.3,  # log-odds of the domain pair in this home, relative to that
    "home_class_pair": 0.0,  # log-odds of the pair of classes and the bin of name overlap in this home
    "trigger_drives": 0.0,  # how many actions the trigger drives
    "trigger_driven": 0.0,  # how many triggers drive the trigger
    "home_starts_domain": 0.0,  # log of how often entities of the trigger's domain trigger anything in this home
    "home_starts_class": 0.0,  # the same of its class
    "home_acts_class": 0.0,  # the same of entities of the action's class, as actions
    "like_trigger": 0.0,  # likeness of words to the most similar trigger of its domain
    "like_action": 0.0,  # likeness of words to the most similar action of its domain
    "repeats_known": 0.0,  # how many known pairs become this one if words are exchanged (``repeated_pairs``)
    "of_sibling_trigger": 0.0,  # how many triggers whose ids differ in one word drive the action
    "of_sibling_action": 0.0,  # how many actions whose ids differ in one word the trigger drives
}
FEATURES = tuple(STARTING_WEIGHTS)  # their order is that of the columns of every block and of the weights in files
KNOWN_FEATURES = FEATURES[FEATURES.index("driven") :]  # the features of ``KnownPairs``
_COLUMN = {name: column for column, name in enumerate(FEATURES)}


def pair_features(log_odds: LogOdds, home: EncodedHome, known: KnownPairs, triggers: Ints, actions: Ints) -> Tensor:
    """The features of ``triggers`` x ``actions`` of one home.

    Args:
        log_odds: What the training data says of domains, classes and words.
        home: The home.
        known: The home's known pairs.
        triggers: ``[t]`` entity indexes.
        actions: ``[a]`` entity indexes.

    Returns:
        ``[t, a, f]`` float32, a column for each of ``FEATURES``.
    """
    overlap = home.name_overlap(triggers, actions)
    nothing_known = dict.fromkeys(KNOWN_FEATURES, 0.0)
    return stack_features(
        (len(triggers), len(actions)),
        log_odds.features(home, overlap, triggers, actions),
        _home_features(home, overlap, triggers, actions),
        known.features(home, overlap, triggers, actions) if len(known.pairs) else nothing_known,
    )


def _home_features(home: EncodedHome, overlap: Array, triggers: Ints, actions: Ints) -> dict[str, npt.ArrayLike]:
    """What trigger and action have in common, and how much the action's name stands out."""
    area, other_area = home.graph.area[triggers][:, None], home.graph.area[actions]
    floor, other_floor = home.graph.floor[triggers][:, None], home.graph.floor[actions]
    device = home.same_device(triggers, actions)
    names = home.name_vectors
    both_areas_known = (area >= 0) & (other_area >= 0)
    both_floors_known = (floor >= 0) & (other_floor >= 0) & (area != other_area)
    same_place, other_place = home.compare_places(triggers, actions)
    return {
        "name_overlap": overlap,
        "log_name_overlap": log_share(overlap),
        "token_overlap": cosine(home.token_vectors, triggers, actions) * ~device,
        "letter_overlap": cosine(home.ngram_vectors, triggers, actions) * ~device,
        "same_name": overlap > 0.999,
        "meaning": 0.0 if names is None else names.standardized_cosine(triggers, actions) * ~device,
        "same_place": same_place,
        "other_place": other_place,
        "same_area": ((area == other_area) & both_areas_known) * 1.0 - (both_areas_known & (area != other_area)),
        "same_floor": ((floor == other_floor) & both_floors_known) * 1.0 - (both_floors_known & (floor != other_floor)),
        "shared_labels": cosine(home.label_vectors, triggers, actions) * ~device,
        "same_platform": home.same_platform(triggers, actions),
        "same_device": device,
        "same_domain": home.home_domain[triggers][:, None] == home.home_domain[actions],
        **{name: values[actions] for name, values in home.prominence.items()},
        **{f"trigger_{name}": values[triggers][:, None] for name, values in home.prominence.items()},
        "trigger_can_act": home.can_act[triggers][:, None],
        "internal": home.graph.internal[actions],
        "trigger_internal": home.graph.internal[triggers][:, None],
    }


def column(features: Tensor, name: str) -> Tensor:
    """One feature of a block ``[..., f]``, as a view ``[...]``."""
    return features[..., _COLUMN[name]]


def stack_features(shape: tuple[int, int], *groups: Mapping[str, npt.ArrayLike]) -> Tensor:
    """One block of features out of named columns.

    Args:
        shape: Number of triggers and of actions.
        groups: Feature -> its values, which numpy can broadcast to ``shape``: ``[t, a]``, ``[a]``, ``[t, 1]`` or one
            number.

    Returns:
        ``[t, a, f]`` float32, a column for each of ``FEATURES``.

    Raises:
        ValueError: A feature is missing, is not in the table, or is given by two groups; the message names it.
    """
    given = Counter(name for group in groups for name in group)
    if given != dict.fromkeys(FEATURES, 1):
        raise ValueError(f"features of a block: {_difference(given)}")
    # Writing whole columns and transposing once is twice as fast as writing a number in every row.
    columns = np.empty((len(FEATURES), *shape), dtype=np.float32)
    for group in groups:
        for name, values in group.items():
            columns[_COLUMN[name]] = values
    return torch.from_numpy(np.ascontiguousarray(columns.transpose(1, 2, 0)))


def _difference(given: Counter[str]) -> str:
    wrong = {
        "missing": [name for name in FEATURES if name not in given],
        "unknown": [name for name in given if name not in _COLUMN],
        "given twice": [name for name, times in given.items() if times > 1],
    }
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in wrong.items() if names)
