"""Which entity a few words of a request name: every word of theirs has to fit it, and few of its own may be left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from home_assistant.household_words import places_of
from home_assistant.request_words import THING_DOMAINS, tokens_said
from training.automations.home_index import Name, NamedEntity
from training.automations.request_items import DROPPED, Item

EXACT = 1.0  # a cost below it: the noun says every word of the name
# Words for a light of any kind; a lamp or a spot is one of several in the room.
_GENERAL_LIGHTS = (
    "light",
    "lights",
    "licht",
    "lichter",
    "lichten",
    "lumière",
    "lumières",
    "luz",
    "luces",
    "luzes",
    "luce",
    "luci",
    "ljus",
    "ljuset",
    "lampan",
    "свет",
    "світло",
    "verlichting",
    "beleuchtung",
)
_IMPLIED = frozenset(("sensor", "detector", "contact", "state", "status", "room", "reed", "device", "smart"))


@dataclass
class Noun:
    """What a part of a request names: its words, and whether all such things are meant."""

    tokens: list[str] = field(default_factory=list)
    raw: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    every: bool = False
    plural: bool = False


def cost_of(noun: Noun, entity: NamedEntity, *, classed: bool) -> float | None:
    """How many words of the entity's name the noun does not say; None where the noun says a word too many.

    A fraction of one for what tells two names apart that are the same but for spelling or domain.
    """
    best: float | None = None
    for name in entity.names:
        own = set(name.tokens)
        missing = [t for t in noun.tokens if t not in own and t not in entity.area and not _implied(t, entity)]
        if missing:
            continue
        said = set(noun.tokens)
        left = [t for t in own - said if t not in _IMPLIED and not _implied(t, entity)]
        if places_of(said) and places_of(left):
            continue  # the light of the children's bedroom is not that of the bedroom
        if any(token.isdigit() for token in left) and not (noun.every or noun.plural):
            continue  # which of several, the noun does not say
        if left and not classed and not noun.every and not _says_kind(noun, name):
            continue
        as_typed = len(set(name.words) - noun.raw)
        of_kind = all(entity.domain in THING_DOMAINS[t] for t in noun.tokens if t in THING_DOMAINS)
        cost = len(left) + (0 if of_kind else 0.5) + 0.4 * as_typed / (1 + len(name.words))
        best = cost if best is None else min(best, cost)
    return best


def _says_kind(noun: Noun, name: Name) -> bool:
    """Whether the noun says a kind of thing in a word that fits the name, so that it need not say the whole name."""
    kinds = [token for token in noun.tokens if token in THING_DOMAINS]
    lights = [word for word in noun.raw if tokens_said(word)[-1:] == ["light"]]
    return bool(kinds) and all(word.endswith(_GENERAL_LIGHTS) or word in name.words for word in lights)


def _implied(word: str, entity: NamedEntity) -> bool:
    """Whether the kind of the entity says the word already."""
    if word in _IMPLIED:
        return entity.domain in ("binary_sensor", "sensor", "event") or word in ("room", "device", "smart")
    own = {t for name in entity.names for t in name.tokens}
    device_class = entity.device_class or ""
    if word == "garage":
        return device_class in ("garage", "garage_door")
    if entity.domain not in THING_DOMAINS.get(word, ()):
        return word in device_class.split("_") and entity.domain in ("binary_sensor", "sensor")
    if word in ("tv", "ac"):
        return device_class == word
    if word in ("speaker", "radio", "music"):
        return device_class != "tv" and "tv" not in own
    if word in ("door", "gate"):
        if entity.domain == "cover":
            return device_class in ("door", "garage", "gate") or not own.isdisjoint(("garage", "gate", "door"))
        return entity.domain == "lock" or device_class in ("door", "garage_door", "opening")
    if word == "window":
        return device_class in ("window", "opening")
    if word in ("blind", "shade", "awning", "cover"):
        return device_class in ("awning", "blind", "curtain", "shade", "shutter") or (
            not device_class and own.isdisjoint(("garage", "gate", "door"))
        )
    if word == "doorbell":
        return device_class in ("doorbell",)
    return True


def noun_of(items: Sequence[Item]) -> Noun:
    """What some items of a request name."""
    noun = Noun()
    for item in items:
        if item.means("all"):
            noun.every = True
        elif item.ids:
            noun.named.update(item.ids)
            noun.tokens += tokens_said(item.text)
            noun.raw.update(re.findall(r"[^\W_]+", item.text))
        elif item.meanings and item.meanings <= DROPPED:
            continue
        elif item.text and item.text != ",":
            noun.tokens += tokens_said(item.text)
            noun.raw.update(re.findall(r"[^\W_]+", item.text))
            noun.plural = noun.plural or _is_plural(item.text)
    noun.tokens = [word for word in noun.tokens if word != "room"]
    return noun


_PLURALS = frozenset(
    "licht lumière lumiere luz luce ljus ljuset світло "
    "lights lamps blinds shutters curtains bulbs spots lichter lampen rollläden rolläden jalousien lampen lichten "
    "gordijnen rolluiken lumières lampes volets luci lampade tapparelle luces lámparas persianas luzes lâmpadas "
    "estores lampor ljusen lamporna switches plugs fans speakers doors locks covers heaters thermostats "
    "fenster windows свет шторы лампы".split()
)


def _is_plural(word: str) -> bool:
    return any(part in _PLURALS for part in word.split())
