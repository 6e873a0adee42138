"""Words of entity names, and household words of several languages folded onto one spelling."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_WORD = re.compile(r"[^\W\d_]{2,}")

# What people call the same thing in English, German, Dutch, French, Italian, Spanish, Portuguese, Swedish and
# transliterated Russian and Ukrainian. Only words of houses and devices: no names.
_FOLDED = {
    word: meaning
    for meaning, words in {
        "bathroom": "bad badezimmer badkamer badrum bagno banheiro bano baño bath lavatory restroom salle toilet "
        "toilette vannaia vannaya wc",
        "bedroom": "bedrooms chambre dormitorio quarto schlafzimmer slaapkamer sovrum spalnia spalnya",
        "blind": "blinds cortina curtain curtains gordijn jalousie persiana rollladen rolladen rollo rolluik shutter "
        "shutters shtora tapparella volet",
        "door": "deur dörr dorr doors dver porta porte puerta tur tür",
        "dryer": "droger secadora trockner tumbler",
        "hall": "corridor corridoio couloir entrance entree flur gang hallway koridor pasillo prikhozhaia",
        "heating": "heater heizung kachel radiator riscaldamento termostato thermostat verwarming varme värme "
        "chauffage climate hvac calefaccion",
        "humidity": "feuchte feuchtigkeit humedad humid humidite humidité luftfeuchtigkeit umidita vochtigheid "
        "vlazhnost",
        "kitchen": "cocina cozinha cucina cuisine keuken kok kök kuche küche kueche kukhnia kukhnya kuhnya",
        "light": "bulb beleuchtung lamp lampa lampada lampe lampen lampor lamps licht lichter lights luce luci "
        "lumiere lumière luz ljus osveshchenie podsvetka svet svitlo verlichting",
        "living": "gostinaia gostinaya livingroom lounge salon soggiorno vardagsrum wohnzimmer woonkamer",
        "motion": "bewegung bewegungsmelder beweging dvizhenie movement movimento movimiento mouvement pir rorelse "
        "rörelse",
        "occupancy": "aanwezig anwesenheit occupied presence praesenz präsenz prisutstvie",
        "office": "arbeitszimmer bureau buro büro despacho kantoor kabinet kontor study studio ufficio",
        "outdoor": "backyard exterior garden garten giardino jardin outside tuin ulitsa yard",
        "socket": "outlet plug prise presa rozetka steckdose stopcontact",
        "speaker": "altavoz lautsprecher speakers",
        "switch": "interruptor interruttore schakelaar schalter",
        "temperature": "temp temperatur temperatura temperatuur température thermometer",
        "tv": "fernseher tele televisie television televisor",
        "vacuum": "aspirador aspirateur pylesos robovac roborock saugroboter staubsauger stofzuiger",
        "washer": "lave laundry lavadora lavatrice stiralka tvatt tvätt waschmaschine washing wasmachine",
        "window": "fenetre fenêtre fenster finestra fonster fönster okno raam ventana windows",
    }.items()
    for word in words.split()
}


def words_of(text: str) -> list[str]:
    """The words of a name or entity id, in order: letters of any script, two or more, lower case."""
    return _WORD.findall(text.lower())


def tokens_of(text: str) -> list[str]:
    """Words and numbers in order, lower case, words folded."""
    return [fold(token) for token in _TOKEN.findall(text.lower())]


def fold(word: str) -> str:
    """The one spelling of a household word (``Licht`` -> ``light``); any other word as it is."""
    return _FOLDED.get(word, word)
