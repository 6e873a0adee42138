"""Words of entity names, and one spelling for household words of several languages."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable
from typing import Any

_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_WORD = re.compile(r"[^\W\d_]{2,}")

# One spelling -> what people call the same thing in English, German, Dutch, French, Italian, Spanish, Portuguese,
# Swedish, and in Russian and Ukrainian, transliterated or not. Only words for rooms and devices: no names of people.
_PLACE_WORDS = {
    "attic": "attico cherdak dachboden desvan grenier loft soffitta sotao speicher vind zolder чердак",
    "balcony": "balcao balcon balcone balkon balkong балкон",
    "basement": "cantina cellar kallare källare keller kelder podval sotano sousol подвал",
    "bathroom": "bad badezimmer badkamer badrum bagno banheiro bano baño bath doccia douche dusche ensuite guestwc klo "
    "lavatory restroom salle shower toilet toilette vannaia vannaya wc ванная ванной туалет",
    "bedroom": "bedrooms chambre dormitorio quarto schlafzimmer slaapkamer sovrum spalnia spalnya спальне спальня",
    "children": "baby babyroom babyzimmer barnrum cameretta child detskaia detskaya enfants kid kids kinder "
    "kinderkamer kinderzimmer nursery playroom детская",
    "dining": "comedor diningroom eetkamer esstisch esszimmer jantar matsal pranzo столовая",
    "downstairs": "beneden erdgeschoss lower unten",
    "driveway": "auffahrt einfahrt oprit",
    "front": "",
    "garage": "carport garagem garaje гараж",
    "guest": "gast gastenkamer gastezimmer gäste gästezimmer guestroom invite ospiti",
    "gym": "",
    "hall": "corridor corridoio couloir diele entrance entree flur foyer gang hal hallway koridor pasillo prikhozhaia "
    "vestibule vorraum коридор прихожая",
    "kitchen": "cocina cozinha cucina cuisine keuken kok kök kuche küche kueche kukhnia kukhnya kuhnya кухне кухня",
    "laundry": "bijkeuken buanderie laundryroom lavanderia tvattstuga utility washroom waschkuche waschküche",
    "living": "family familyroom gostinaia gostinaya livingroom lounge salon salotto soggiorno stue vardagsrum "
    "wohnzimmer woonkamer гостиная гостиной",
    "master": "",
    "office": "arbeitszimmer bureau buro büro den despacho kabinet kantoor kontor study studio ufficio workroom "
    "кабинет",
    "outdoor": "backyard exterieur exterior garden garten giardino hof jardin outside tuin ulitsa yard двор улица",
    "pool": "piscina piscine schwimmbad zwembad",
    "rear": "back",
    "stairs": "escalier landing scala staircase stairway trap trappa treppe treppenhaus",
    "storage": "abstellraum berging closet cupboard dressing garderobe pantry schrank speisekammer wardrobe",
    "terrace": "altan deck patio porch terras terrassa terrasse terraza terrazza veranda",
    "theater": "cinema theatre",
    "upstairs": "boven oben obergeschoss upper verdieping",
    "workshop": "atelier schuppen schuur shed werkplaats werkstatt",
}
_THING_WORDS = {
    "blind": "blinds cortina curtain curtains gordijn jalousie persiana rollladen rolladen rollo rolluik shutter "
    "shutters shtora tapparella volet",
    "door": "deur dörr dorr doors dver porta porte puerta tur tür дверь",
    "dryer": "droger secadora trockner tumbler",
    "heating": "heater heizung kachel radiator riscaldamento termostato thermostat verwarming varme värme "
    "chauffage climate hvac calefaccion",
    "humidity": "feuchte feuchtigkeit humedad humid humidite humidité luftfeuchtigkeit umidita vochtigheid vlazhnost",
    "light": "bulb beleuchtung lamp lampa lampada lampe lampen lampor lamps licht lichter lights luce luci "
    "lumiere lumière luz ljus osveshchenie podsvetka spot spots svet svitlo verlichting лампа свет споты",
    "motion": "bewegung bewegungsmelder beweging dvizhenie movement movimento movimiento mouvement pir rorelse "
    "rörelse движение",
    "occupancy": "aanwezig anwesenheit occupied presence praesenz präsenz prisutstvie",
    "socket": "outlet plug prise presa rozetka steckdose stopcontact розетка",
    "speaker": "altavoz lautsprecher speakers",
    "switch": "interruptor interruttore schakelaar schalter",
    "temperature": "temp temperatur temperatura temperatuur température thermometer температура",
    "tv": "fernseher tele televisie television televisor",
    "vacuum": "aspirador aspirateur pylesos robovac roborock saugroboter staubsauger stofzuiger",
    "washer": "lave lavadora lavatrice stiralka tvatt tvätt waschmaschine washing wasmachine",
    "window": "fenetre fenêtre fenster finestra fonster fönster okno raam ventana windows окно",
}
_SPELLING = {word: meaning for meaning, words in (_PLACE_WORDS | _THING_WORDS).items() for word in words.split()}
_PLACE_BIT = {place: 1 << i for i, place in enumerate(_PLACE_WORDS)}


def words_of(text: str) -> list[str]:
    """The words of a name or entity id, in order, in lower case: two letters or more, of any script."""
    return _WORD.findall(text.lower())


def tokens_of(text: str) -> list[str]:
    """The words and numbers of a name or entity id, in order, each word by ``canonical_word``."""
    return [canonical_word(token) for token in _TOKEN.findall(text.lower())]


def canonical_word(word: str) -> str:
    """The one spelling of a household word (``licht`` -> ``light``); any other word as it is. Takes lower case."""
    return _SPELLING.get(word, word)


def places_of(tokens: Iterable[str]) -> int:
    """The places that canonical words name, as a bit set."""
    return functools.reduce(operator.or_, (_PLACE_BIT.get(token, 0) for token in tokens), 0)


def in_different_places(one: Any, other: Any) -> Any:
    """Whether each names a place that the other does not, as two bedrooms do. Takes values of ``places_of``, or arrays.

    An entity that names no place, or only places that the other names too, may be in the same one.
    """
    return ((one & ~other) != 0) & ((other & ~one) != 0)
