"""What counting says of pairs: smoothed log-odds of domains, classes and words, what two names share, and what the
home's known automations suggest.

The network starts from these and learns a correction. Statistics of a pair never come from the pair itself: in
training they are fitted on the other folds (``training.synergy.model`` does that). Evidence is read a block at a
time, some triggers by some actions of one home, so that a home is scored without a loop over its pairs.
"""

from __future__ import annotations

# Evidence -> the weight it starts from and is pulled to. Log-odds are relative to the next coarser one, so that their
# plain sum is the log-odds of the finest; together with the overlap of names that is the strongest cheap baseline.
EVIDENCE: dict[str, float] = {
    # How often this data acts on such an entity, on such a trigger.
    "action_domain": 1.0,
    "domain_pair": 1.0,
    "class_pair": 0.5,
    "class_domain": 0.3,
    "trigger_words": 0.2,
    "trigger_meaning": 1.0,  # the vector of the trigger's name against the action's domain
    "action_words": 0.2,
    "target_words": 0.2,
    "overlap_of_domains": 0.5,
    # What the two share.
    "name_overlap": 1.0,
    "log_name_overlap": 0.5,
    "token_overlap": 0.0,
    "letter_overlap": 1.0,
    "same_name": 0.0,
    "meaning": 0.3,  # of the names, by their vectors
    "same_place": 0.5,  # as the words of their names say: both in the kitchen
    "other_place": -0.5,  # each of a place that the other is not of: master bedroom, guest bedroom
    "same_area": 1.0,
    "same_device": 1.0,
    "same_domain": 0.0,
    # How much the action's name stands out in its home.
    "domain_crowd": 0.0,
    "name_crowd": 0.0,
    "name_length": 0.0,
    "name_commonness": 0.0,
    # The home's known automations; all 0 where none is known.
    "driven": 0.0,
    "driven_by_domain": 0.2,
    "driven_by_namesakes": 0.1,
    "driven_by_lookalikes": 0.1,
    "like_driven_name": 0.5,
    "like_driven_domain": 0.5,
    "driven_together": 0.2,
    "reverse_known": 0.0,
    "drives": 0.0,
    "home_action_domain": 0.3,
    "home_domain_pair": 0.3,
}
NAMES = tuple(EVIDENCE)
STARTING_WEIGHTS = tuple(EVIDENCE.values())
FIRST_KNOWN = NAMES.index("driven")  # the evidences from here on come from known automations
TRIGGER_MEANING = NAMES.index("trigger_meaning")
