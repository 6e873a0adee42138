"""What Home Assistant's registries hold beside the entities that a person automates.

A real registry is for the most part of a kind that no automation names: the settings and diagnostics of each device,
helpers that only hold a value, groups and templates that show other entities again.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from simulation.catalogue import FLOORS, LANGUAGES, ROOMS, UPSTAIRS_ROOMS, WORDS
from simulation.homes import shuffled, slug

Row = dict[str, Any]


class Extra(NamedTuple):
    """One more entity of a device: its domain, device class, ``entity_category`` and name by language."""

    domain: str
    device_class: str | None
    category: str | None
    names: tuple[str, str, str, str]


BATTERY = Extra("sensor", "battery", "diagnostic", WORDS["battery"])
SIGNAL = Extra("sensor", "signal_strength", "diagnostic", WORDS["signal"])
FIRMWARE = Extra("update", "firmware", "config", ("Firmware", "Firmware", "Micrologiciel", "Firmware"))
IDENTIFY = Extra("button", "identify", "diagnostic", ("Identify", "Identifizieren", "Identifier", "Identificeren"))
LAST_SEEN = Extra("sensor", "timestamp", "diagnostic", ("Last Seen", "Zuletzt gesehen", "Vu", "Laatst gezien"))
SENSITIVITY = Extra("select", None, "config", ("Sensitivity", "Empfindlichkeit", "Sensibilité", "Gevoeligheid"))
TIMEOUT = Extra("number", None, "config", ("Timeout", "Nachlaufzeit", "Délai", "Nalooptijd"))
POWER_ON = Extra("select", None, "config", ("Power-on Behavior", "Einschaltverhalten", "Au démarrage", "Inschakelen"))
CHILD_LOCK = Extra("switch", "switch", "config", ("Child Lock", "Kindersicherung", "Sécurité enfant", "Kinderslot"))
INDICATOR = Extra("select", None, "config", ("Indicator Mode", "Anzeigemodus", "Voyant", "Indicatormodus"))
VOLTAGE = Extra("sensor", "voltage", None, ("Voltage", "Spannung", "Tension", "Spanning"))
CURRENT = Extra("sensor", "current", None, ("Current", "Strom", "Courant", "Stroom"))
WINDOW_DETECTION = Extra(
    "switch", "switch", "config", ("Window Detection", "Fenstererkennung", "Détection fenêtre", "Raamdetectie")
)
OFFSET = Extra("number", "temperature", "config", ("Temperature Offset", "Temperaturabgleich", "Décalage", "Correctie"))
VALVE = Extra("sensor", None, "diagnostic", ("Valve Position", "Ventilstellung", "Ouverture", "Klepstand"))
AUTO_LOCK = Extra("switch", "switch", "config", ("Auto Lock", "Automatisch verriegeln", "Auto", "Automatisch slot"))
CALIBRATE = Extra("button", None, "config", ("Calibrate", "Kalibrieren", "Calibrer", "Kalibreren"))
RESTART = Extra("button", "restart", "config", ("Restart", "Neustart", "Redémarrer", "Herstarten"))
UPTIME = Extra("sensor", "timestamp", "diagnostic", ("Uptime", "Betriebszeit", "Marche", "Looptijd"))
NIGHT_VISION = Extra("select", None, "config", ("Night Vision", "Nachtsicht", "Vision nocturne", "Nachtzicht"))
RECORDING = Extra("switch", "switch", "config", ("Recording", "Aufnahme", "Enregistrement", "Opname"))
CLEANED_AREA = Extra("sensor", "area", None, ("Cleaned Area", "Gereinigte Fläche", "Surface", "Oppervlakte"))
FILTER_LEFT = Extra("sensor", "duration", "diagnostic", ("Filter Left", "Filterrest", "Filtre", "Filter over"))
PHONE_STATE = Extra("sensor", None, None, ("Battery State", "Akkustatus", "État batterie", "Accustatus"))
PHONE_CHARGING = Extra("binary_sensor", "battery_charging", "diagnostic", ("Charging", "Lädt", "En charge", "Laadt"))
STEPS = Extra("sensor", None, None, ("Steps", "Schritte", "Pas", "Stappen"))

EVERYWHERE = ((FIRMWARE, 0.7), (SIGNAL, 0.6), (IDENTIFY, 0.4), (LAST_SEEN, 0.25))  # with its chance
BY_BATTERY = ((BATTERY, 0.8),)
METERED = ((VOLTAGE, 0.7), (CURRENT, 0.6), (CHILD_LOCK, 0.6), (INDICATOR, 0.5), (POWER_ON, 0.7))
# Domain of a device's first entity -> what such a device has beside.
BY_DOMAIN: dict[str, tuple[tuple[Extra, float], ...]] = {
    "binary_sensor": (*BY_BATTERY, (SENSITIVITY, 0.4), (TIMEOUT, 0.4)),
    "sensor": BY_BATTERY,
    "event": BY_BATTERY,
    "light": ((POWER_ON, 0.8),),
    "switch": METERED,
    "climate": (*BY_BATTERY, (CHILD_LOCK, 0.8), (WINDOW_DETECTION, 0.7), (OFFSET, 0.7), (VALVE, 0.6)),
    "cover": ((CALIBRATE, 0.7),),
    "lock": (*BY_BATTERY, (AUTO_LOCK, 0.8)),
    "camera": ((NIGHT_VISION, 0.8), (RECORDING, 0.8), (RESTART, 0.6)),
    "vacuum": ((CLEANED_AREA, 0.9), (FILTER_LEFT, 0.9), (RECORDING, 0.1)),
    "media_player": ((RESTART, 0.4), (UPTIME, 0.4)),
    "fan": ((FILTER_LEFT, 0.5), (CHILD_LOCK, 0.4)),
    "humidifier": ((FILTER_LEFT, 0.6), (CHILD_LOCK, 0.5)),
}
PHONE = ((BATTERY, 1.0), (PHONE_STATE, 0.9), (PHONE_CHARGING, 0.6), (STEPS, 0.6), (LAST_SEEN, 0.4))
PHONE_NAME = ("Phone", "Handy", "Téléphone", "Telefoon")
# Helpers that hold a value, and scripts and scenes that people start by hand: domain, name, chance.
HELPERS = (
    ("input_number", ("Target Brightness", "Zielhelligkeit", "Luminosité cible", "Doelhelderheid"), 0.5),
    ("input_number", ("Comfort Temperature", "Wohlfühltemperatur", "Température confort", "Comforttemperatuur"), 0.6),
    ("input_select", ("House Mode", "Hausmodus", "Mode maison", "Huismodus"), 0.5),
    ("input_datetime", ("Wake Up", "Wecker", "Réveil", "Wekker"), 0.6),
    ("input_text", ("Last Message", "Letzte Nachricht", "Dernier message", "Laatste bericht"), 0.3),
    ("counter", ("Washing Cycles", "Waschgänge", "Lessives", "Wasbeurten"), 0.3),
    ("schedule", ("Heating Plan", "Heizplan", "Plan chauffage", "Stookschema"), 0.4),
    ("script", ("Announce", "Ansage", "Annonce", "Omroepen"), 0.5),
    ("script", ("Leave Home", "Haus verlassen", "Départ", "Vertrek"), 0.5),
    ("scene", ("Dinner", "Abendessen", "Dîner", "Avondeten"), 0.4),
    ("sensor", ("Processor Use", "Prozessorlast", "Processeur", "Processorgebruik"), 0.6),
    ("sensor", ("Disk Use", "Plattennutzung", "Disque", "Schijfgebruik"), 0.6),
    ("update", ("Home Assistant Core Update", "Kern Update", "Mise à jour du noyau", "Kern update"), 0.9),
)
# Integrations that bring the devices of a domain. One of the bridges brings most of a home's devices.
BRIDGES = ("hue", "mqtt", "zha", "zwave_js")
BRANDS: dict[str, tuple[str, ...]] = {
    "binary_sensor": BRIDGES,
    "sensor": BRIDGES,
    "event": BRIDGES,
    "light": (*BRIDGES, "shelly", "wled"),
    "switch": (*BRIDGES[1:], "shelly", "tplink"),
    "cover": (*BRIDGES[1:], "overkiz", "shelly"),
    "climate": (*BRIDGES[1:], "tado"),
    "lock": (*BRIDGES[2:], "nuki"),
    "camera": ("reolink", "unifiprotect"),
    "vacuum": ("ecovacs", "roborock"),
    "media_player": ("cast", "sonos"),
    "fan": ("mqtt", "tuya"),
    "humidifier": ("tuya", "xiaomi_miio"),
}
# Integrations of what is no device; the others are of the integration that their domain is.
PLATFORMS = {"scene": "homeassistant", "sensor": "systemmonitor", "update": "hassio", "weather": "met"}
BY_BRIDGE, BY_BRAND = 0.7, 0.8  # devices of the bridge where it can bring them; others of the home's own brand
HAS_FLOORS, HAS_LABELS = 0.6, 0.4  # homes
LABELS = ("evening", "guests", "holiday", "kids", "outside", "security")
LABELLED, LEFT_UNLABELLED = 0.25, 0.15  # automations whose entities have a label together, and entities forgotten
MAINTENANCE, FAVOURITE = 0.5, 0.08  # homes that label what has batteries; entities called favourites
GROUP_OF_LIGHTS = 0.5  # rooms with two lights that have a group of them
ANY_MOTION = ("Any Motion", "Bewegung irgendwo", "Mouvement", "Beweging ergens")
HIDDEN_METER = 0.3  # power sensors that the owner has hidden


def add_registry(home: Row, seed: int) -> Row:
    """The same home with everything else that its registries would hold.

    No pair is added and none goes; the entities that were there come first. Areas lie on floors, entities are of an
    integration, and some have labels. Names are composed as Home Assistant does
    for an entity that ``has_entity_name``: that of the device, then that of the entity.

    Args:
        home: A home of ``simulate_home``.
        seed: Settles all random numbers.
    """
    rng = Random(f"{seed}:{home['home_id']}:registry")
    entities: list[Row] = [dict(entity) for entity in home["entities"]]
    devices: list[Row] = list(home["devices"])
    taken = {entity["entity_id"] for entity in entities}
    language = _language(entities)
    automated = {synergy[end] for synergy in home["synergies"] for end in ("entity_1", "entity_2")}

    def add(domain: str, name: str, **more: Any) -> None:
        entity_id = f"{domain}.{slug(name)}"
        if entity_id not in taken:
            taken.add(entity_id)
            entities.append({"entity_id": entity_id, "name": name, **more})

    def furnish(device: Row, extras: tuple[tuple[Extra, float], ...]) -> None:
        for extra, chance in extras:
            if rng.random() < chance:
                told = {"device_class": extra.device_class, "entity_category": extra.category}
                told = {key: value for key, value in told.items() if value is not None}
                name = f"{device['name']} {extra.names[language]}"
                add(extra.domain, name, **told, device_id=device["device_id"])

    first: dict[str, str] = {}
    for entity in entities:
        domain = entity["entity_id"].partition(".")[0]
        if "device_id" in entity:
            first.setdefault(entity["device_id"], domain)
        if entity["entity_id"] in automated:
            continue
        if domain == "update" or entity.get("device_class") in ("battery", "signal_strength"):
            entity["entity_category"] = "config" if domain == "update" else "diagnostic"
        elif entity.get("device_class") == "power" and rng.random() < HIDDEN_METER:
            entity["hidden"] = True
    for device in home["devices"]:
        furnish(device, (*EVERYWHERE, *BY_DOMAIN.get(first.get(device["device_id"], ""), ())))
    for person in [e for e in home["entities"] if e["entity_id"].startswith("person.")]:
        phone = {"device_id": f"phone_{slug(person['name'])}", "name": f"{person['name']} {PHONE_NAME[language]}"}
        devices.append(phone)
        add("device_tracker", phone["name"], device_id=phone["device_id"])
        furnish(phone, PHONE)
    for domain, names, chance in HELPERS:
        if rng.random() < chance:
            add(domain, names[language])
    for name, members in _groups(home, rng, language):
        add(members[0].partition(".")[0], name, mirrors=members)
    areas = _on_floors(home["areas"], Random(f"{seed}:{home['home_id']}:floors"))
    _bring(entities, Random(f"{seed}:{home['home_id']}:integrations"))
    _label(entities, home["synergies"], Random(f"{seed}:{home['home_id']}:labels"))
    return {**home, "areas": areas, "devices": devices, "entities": entities}


def _on_floors(areas: list[Row], rng: Random) -> list[Row]:
    """The areas with the floors on which they lie, in homes that have floors."""
    if rng.random() >= HAS_FLOORS:
        return areas
    high = tuple(name for kind in UPSTAIRS_ROOMS for names in ROOMS[kind].names for name in names)
    found = []
    for area in areas:
        upstairs = area["name"].startswith(FLOORS) or (area["name"] in high and rng.random() < 0.8)
        found.append({**area, "floor_id": "upstairs" if upstairs else "ground"})
    return found


def _bring(entities: list[Row], rng: Random) -> None:
    """Say of each entity which integration it is of; all of one device are of one."""
    bridge = rng.choice(BRIDGES)
    own = {domain: rng.choice(brands) for domain, brands in BRANDS.items()}
    of_device: dict[str, str] = {}
    for entity in entities:
        domain = entity["entity_id"].partition(".")[0]
        device_id = entity.get("device_id")
        if device_id is None:
            entity["platform"] = "group" if "mirrors" in entity else PLATFORMS.get(domain, domain)
            continue
        if device_id not in of_device:
            brands = BRANDS.get(domain, BRIDGES)
            brand = own.get(domain, bridge) if rng.random() < BY_BRAND else rng.choice(brands)
            of_device[device_id] = bridge if bridge in brands and rng.random() < BY_BRIDGE else brand
        is_phone = device_id.startswith("phone_")
        entity["platform"] = "mobile_app" if is_phone else of_device[device_id]


def _label(entities: list[Row], synergies: list[Row], rng: Random) -> None:
    """Label what some automations join, and things that nothing joins, in homes that have labels."""
    if rng.random() >= HAS_LABELS:
        return
    labels: dict[str, set[str]] = {entity["entity_id"]: set() for entity in entities}
    joined: dict[str, set[str]] = {}
    for synergy in synergies:
        joined.setdefault(synergy["automation_id"], set()).update((synergy["entity_1"], synergy["entity_2"]))
    names = shuffled(rng, LABELS)
    for members in joined.values():
        if rng.random() < LABELLED:
            name = rng.choice(names[:3])
            for entity_id in sorted(members):
                if rng.random() >= LEFT_UNLABELLED:
                    labels[entity_id].add(name)
    maintained = rng.random() < MAINTENANCE
    for entity in entities:
        own = labels[entity["entity_id"]]
        if maintained and entity.get("device_class") == "battery":
            own.add("maintenance")
        if rng.random() < FAVOURITE:
            own.add("favourites")
        if own:
            entity["labels"] = sorted(own)


def _language(entities: list[Row]) -> int:
    """The language in ``LANGUAGES`` whose words the names use most."""
    names = " ".join(entity["name"] for entity in entities)
    return max(range(len(LANGUAGES)), key=lambda language: sum(word[language] in names for word in WORDS.values()))


def _groups(home: Row, rng: Random, language: int) -> list[tuple[str, list[str]]]:
    """Name and members of entities that only show others: the lights of a room, and motion anywhere."""
    area_of = {device["device_id"]: device.get("area_id") for device in home["devices"]}
    names = {area["area_id"]: area["name"] for area in home["areas"]}
    lights: dict[str, list[str]] = {}
    for entity in home["entities"]:
        area = entity.get("area_id") or area_of.get(entity.get("device_id", ""))
        if area is not None and area in names and entity["entity_id"].startswith("light."):
            lights.setdefault(area, []).append(entity["entity_id"])
    lamp = WORDS["lamp"][language]
    rooms = [(area, members) for area, members in lights.items() if len(members) > 1]
    found = [(f"{names[area]} {lamp} Group", members) for area, members in rooms if rng.random() < GROUP_OF_LIGHTS]
    motions = [entity["entity_id"] for entity in home["entities"] if entity.get("device_class") == "motion"]
    return [*found, (ANY_MOTION[language], motions)] if len(motions) > 1 else found
