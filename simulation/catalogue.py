"""What simulated homes are made of: languages, rooms, devices with their entities, helpers and habits. Data only."""

from __future__ import annotations

from typing import Literal, NamedTuple

Taste = Literal["light", "climate", "security", "media", "cover", "comfort"]
TASTES: tuple[Taste, ...] = ("light", "climate", "security", "media", "cover", "comfort")
LANGUAGES = ("en", "de", "fr", "nl")


class Part(NamedTuple):
    """One entity of a device: its domain, device class and the word that names it in ``WORDS``."""

    domain: str
    device_class: str | None
    word: str


class Kind(NamedTuple):
    """A kind of device. Where ``plain``, its first entity bears the device's own name."""

    word: str
    roles: tuple[str, ...]
    models: tuple[str, ...]
    plain: bool = True


class Room(NamedTuple):
    """A kind of room: names by language, how often motion switches its light, and the chance of each device."""

    names: tuple[tuple[str, ...], ...]
    motion: float
    kinds: dict[str, float]


class Habit(NamedTuple):
    """A way to automate: entities of the ``triggers`` roles act on those of the first role in ``actions`` there is.

    ``scope`` says where the actions are looked for: in the trigger's own room or in the whole house.
    ``most`` bounds the entities acted on, ``rooms`` the rooms whose triggers count, ``condition`` names a role that
    is asked before acting.
    """

    name: str
    triggers: tuple[str, ...]
    actions: tuple[str, ...]
    chance: float
    taste: Taste
    scope: Literal["room", "house"] = "room"
    most: int = 1
    rooms: tuple[str, ...] = ()
    condition: str = ""
    mutual: bool = False


# Role -> entity. A role is what habits speak of: two lights of one room have different ones.
PARTS = {
    "motion": Part("binary_sensor", "motion", "motion"),
    "occupancy": Part("binary_sensor", "occupancy", "occupancy"),
    "door": Part("binary_sensor", "door", "door"),
    "window": Part("binary_sensor", "window", "window"),
    "smoke": Part("binary_sensor", "smoke", "smoke"),
    "leak": Part("binary_sensor", "moisture", "leak"),
    "camera_motion": Part("binary_sensor", "motion", "motion"),
    "temperature": Part("sensor", "temperature", "temperature"),
    "humidity": Part("sensor", "humidity", "humidity"),
    "illuminance": Part("sensor", "illuminance", "illuminance"),
    "co2": Part("sensor", "carbon_dioxide", "co2"),
    "battery": Part("sensor", "battery", "battery"),
    "power": Part("sensor", "power", "power"),
    "appliance_power": Part("sensor", "power", "power"),
    "energy": Part("sensor", "energy", "energy"),
    "signal": Part("sensor", "signal_strength", "signal"),
    "update": Part("update", "firmware", "update"),
    "ceiling": Part("light", None, "ceiling_light"),
    "lamp": Part("light", None, "lamp"),
    "bedside": Part("light", None, "bedside_lamp"),
    "strip": Part("light", None, "led_strip"),
    "outdoor": Part("light", None, "outdoor_light"),
    "light_switch": Part("switch", "switch", "light_switch"),
    "outlet": Part("switch", "outlet", "plug"),
    "appliance": Part("switch", "outlet", "plug"),
    "irrigation": Part("switch", "switch", "irrigation"),
    "heater": Part("switch", "outlet", "heater"),
    "button": Part("event", "button", "button"),
    "doorbell": Part("event", "doorbell", "doorbell"),
    "climate": Part("climate", None, "thermostat"),
    "fan": Part("fan", None, "fan"),
    "exhaust": Part("fan", None, "exhaust_fan"),
    "purifier": Part("fan", None, "air_purifier"),
    "dehumidifier": Part("humidifier", "dehumidifier", "dehumidifier"),
    "blind": Part("cover", "blind", "blind"),
    "garage_door": Part("cover", "garage", "garage_door"),
    "tv": Part("media_player", "tv", "tv"),
    "speaker": Part("media_player", "speaker", "speaker"),
    "lock": Part("lock", None, "lock"),
    "siren": Part("siren", None, "siren"),
    "camera": Part("camera", None, "camera"),
    "valve": Part("valve", "water", "water_valve"),
    "vacuum": Part("vacuum", None, "vacuum"),
}

# Word -> English, German, French, Dutch.
WORDS = {
    "motion": ("Motion", "Bewegung", "Mouvement", "Beweging"),
    "occupancy": ("Occupancy", "Anwesenheit", "Présence", "Aanwezigheid"),
    "door": ("Door", "Tür", "Porte", "Deur"),
    "window": ("Window", "Fenster", "Fenêtre", "Raam"),
    "smoke": ("Smoke", "Rauch", "Fumée", "Rook"),
    "leak": ("Leak", "Wasserleck", "Fuite", "Lekkage"),
    "temperature": ("Temperature", "Temperatur", "Température", "Temperatuur"),
    "humidity": ("Humidity", "Feuchtigkeit", "Humidité", "Vochtigheid"),
    "illuminance": ("Illuminance", "Helligkeit", "Luminosité", "Lichtsterkte"),
    "co2": ("CO2", "CO2", "CO2", "CO2"),
    "battery": ("Battery", "Batterie", "Batterie", "Batterij"),
    "power": ("Power", "Leistung", "Puissance", "Vermogen"),
    "energy": ("Energy", "Energie", "Énergie", "Energie"),
    "signal": ("Signal Strength", "Signalstärke", "Signal", "Signaalsterkte"),
    "update": ("Update", "Update", "Mise à jour", "Update"),
    "motion_sensor": ("Motion Sensor", "Bewegungsmelder", "Détecteur", "Bewegingsmelder"),
    "multisensor": ("Multisensor", "Multisensor", "Multicapteur", "Multisensor"),
    "presence_sensor": ("Presence Sensor", "Präsenzmelder", "Capteur de présence", "Aanwezigheidssensor"),
    "climate_sensor": ("Climate", "Klima", "Climat", "Klimaat"),
    "air_sensor": ("Air", "Luft", "Air", "Lucht"),
    "ceiling_light": ("Ceiling Light", "Deckenlampe", "Plafonnier", "Plafondlamp"),
    "lamp": ("Lamp", "Stehlampe", "Lampe", "Lamp"),
    "bedside_lamp": ("Bedside Lamp", "Nachttischlampe", "Lampe de chevet", "Bedlamp"),
    "led_strip": ("LED Strip", "LED Streifen", "Ruban LED", "Ledstrip"),
    "outdoor_light": ("Outdoor Light", "Außenlicht", "Lumière extérieure", "Buitenlamp"),
    "light_switch": ("Light Switch", "Lichtschalter", "Interrupteur", "Lichtschakelaar"),
    "plug": ("Plug", "Steckdose", "Prise", "Stekker"),
    "irrigation": ("Irrigation", "Bewässerung", "Arrosage", "Irrigatie"),
    "heater": ("Towel Heater", "Handtuchheizung", "Sèche-serviettes", "Handdoekradiator"),
    "button": ("Button", "Taster", "Bouton", "Knop"),
    "doorbell": ("Doorbell", "Klingel", "Sonnette", "Deurbel"),
    "thermostat": ("Thermostat", "Thermostat", "Thermostat", "Thermostaat"),
    "fan": ("Fan", "Ventilator", "Ventilateur", "Ventilator"),
    "exhaust_fan": ("Exhaust Fan", "Lüfter", "Extracteur", "Afzuiger"),
    "air_purifier": ("Air Purifier", "Luftreiniger", "Purificateur", "Luchtreiniger"),
    "dehumidifier": ("Dehumidifier", "Entfeuchter", "Déshumidificateur", "Ontvochtiger"),
    "blind": ("Blind", "Rollladen", "Volet", "Rolluik"),
    "garage_door": ("Garage Door", "Garagentor", "Porte de garage", "Garagedeur"),
    "tv": ("TV", "Fernseher", "Télé", "TV"),
    "speaker": ("Speaker", "Lautsprecher", "Enceinte", "Speaker"),
    "lock": ("Lock", "Schloss", "Serrure", "Slot"),
    "siren": ("Siren", "Sirene", "Sirène", "Sirene"),
    "camera": ("Camera", "Kamera", "Caméra", "Camera"),
    "water_valve": ("Water Valve", "Wasserventil", "Vanne d'eau", "Waterklep"),
    "vacuum": ("Vacuum", "Saugroboter", "Aspirateur", "Stofzuiger"),
    "washer": ("Washing Machine", "Waschmaschine", "Lave-linge", "Wasmachine"),
    "dryer": ("Dryer", "Trockner", "Sèche-linge", "Droger"),
    "dishwasher": ("Dishwasher", "Spülmaschine", "Lave-vaisselle", "Vaatwasser"),
    "night_mode": ("Night Mode", "Nachtmodus", "Mode nuit", "Nachtmodus"),
    "guest_mode": ("Guest Mode", "Gästemodus", "Mode invités", "Gastmodus"),
    "holiday": ("Holiday", "Urlaub", "Vacances", "Vakantie"),
    "alarm": ("Alarm", "Alarmanlage", "Alarme", "Alarm"),
    "movie": ("Movie Night", "Filmabend", "Soirée film", "Filmavond"),
    "good_night": ("Good Night", "Gute Nacht", "Bonne nuit", "Welterusten"),
    "shower_timer": ("Shower Timer", "Duschtimer", "Minuteur douche", "Douchetimer"),
    "home": ("Home", "Zuhause", "Maison", "Thuis"),
    "sun": ("Sun", "Sonne", "Soleil", "Zon"),
}

KINDS = {
    "motion_sensor": Kind("motion_sensor", ("motion", "battery"), ("SNZB-03", "Aqara P1", "Tradfri motion")),
    "multisensor": Kind(
        "multisensor",
        ("motion", "temperature", "illuminance", "battery"),
        ("Hue motion sensor", "MultiSensor 6"),
        plain=False,
    ),
    "presence_sensor": Kind("presence_sensor", ("occupancy", "illuminance"), ("Aqara FP2", "LD2410"), plain=False),
    "door_sensor": Kind("door", ("door", "battery"), ("SNZB-04", "Aqara MCCGQ11LM")),
    "window_sensor": Kind("window", ("window", "battery"), ("Eve Window", "SNZB-04 W")),
    "climate_sensor": Kind(
        "climate_sensor", ("temperature", "humidity", "battery"), ("Aqara WSDCGQ11LM", "Shelly H&T"), plain=False
    ),
    "air_sensor": Kind("air_sensor", ("co2", "temperature", "humidity"), ("Netatmo", "Airthings"), plain=False),
    "smoke_detector": Kind("smoke", ("smoke", "battery"), ("Nest Protect", "Heiman HS1SA")),
    "leak_sensor": Kind("leak", ("leak", "battery"), ("Aqara SJCGQ11LM", "Flood 7")),
    "ceiling_light": Kind("ceiling_light", ("ceiling",), ("Hue White", "Shelly 1L", "Dimmer 2")),
    "lamp": Kind("lamp", ("lamp",), ("Hue Color", "Lifx A19", "Tradfri bulb")),
    "smart_lamp": Kind("lamp", ("lamp", "signal", "update"), ("Wiz bulb", "Yeelight")),
    "bedside_lamp": Kind("bedside_lamp", ("bedside",), ("Hue Go", "Yeelight bedside")),
    "led_strip": Kind("led_strip", ("strip",), ("WLED", "Govee", "Lightstrip plus")),
    "outdoor_light": Kind("outdoor_light", ("outdoor",), ("Hue Calla", "Shelly Flood")),
    "light_switch": Kind("light_switch", ("light_switch",), ("Shelly 2PM", "Sonoff Mini")),
    "plug": Kind("plug", ("outlet", "power", "energy"), ("Shelly Plug S", "Kasa HS110")),
    "washer": Kind("washer", ("appliance", "appliance_power", "energy"), ("Fritz DECT 200", "Bosch Serie 6")),
    "dryer": Kind("dryer", ("appliance", "appliance_power"), ("Nous A1T", "Miele T1")),
    "dishwasher": Kind("dishwasher", ("appliance", "appliance_power"), ("Eve Energy", "Siemens IQ500")),
    "irrigation": Kind("irrigation", ("irrigation",), ("Gardena", "Rain Bird")),
    "heater": Kind("heater", ("heater",), ("Sonoff TH", "Tapo P100")),
    "button": Kind("button", ("button", "battery"), ("Styrbar", "Hue Dimmer", "Flic")),
    "doorbell": Kind("doorbell", ("doorbell", "camera", "camera_motion"), ("Reolink", "Ring Pro")),
    "thermostat": Kind("thermostat", ("climate", "temperature"), ("Tado", "Eurotronic", "Ecobee")),
    "radiator": Kind("thermostat", ("climate", "battery"), ("Danfoss Ally", "Homematic TRV")),
    "fan": Kind("fan", ("fan",), ("Dyson", "Hunter")),
    "exhaust_fan": Kind("exhaust_fan", ("exhaust",), ("Shelly 1 fan", "Helios")),
    "air_purifier": Kind("air_purifier", ("purifier",), ("Xiaomi Air", "Starkvind")),
    "dehumidifier": Kind("dehumidifier", ("dehumidifier",), ("Midea Cube", "DeLonghi")),
    "blind": Kind("blind", ("blind",), ("Somfy IO", "Fyrtur", "Shelly 2.5")),
    "garage_door": Kind("garage_door", ("garage_door",), ("Meross MSG100", "Hormann")),
    "tv": Kind("tv", ("tv",), ("LG webOS", "Bravia", "Apple TV")),
    "speaker": Kind("speaker", ("speaker",), ("Sonos One", "Nest Mini", "Echo Dot")),
    "lock": Kind("lock", ("lock", "battery"), ("Nuki", "Yale Linus")),
    "siren": Kind("siren", ("siren",), ("Heiman WD", "Neo Coolcam")),
    "camera": Kind("camera", ("camera", "camera_motion"), ("Unifi G4", "Tapo C200")),
    "water_valve": Kind("water_valve", ("valve",), ("Grohe Sense", "Zigbee valve")),
    "vacuum": Kind("vacuum", ("vacuum", "battery"), ("Roborock S7", "Roomba")),
}

ROOMS = {
    "living_room": Room(
        (("Living Room", "Lounge", "Family Room"), ("Wohnzimmer",), ("Salon", "Séjour"), ("Woonkamer",)),
        0.5,
        {
            "multisensor": 0.42, "motion_sensor": 0.25, "ceiling_light": 0.84, "lamp": 0.8, "led_strip": 0.54,
            "tv": 0.8, "speaker": 0.4, "thermostat": 0.6, "blind": 0.56, "window_sensor": 0.52, "button": 0.45,
            "plug": 0.3, "vacuum": 0.2, "air_sensor": 0.26, "smart_lamp": 0.25, "presence_sensor": 0.21,
        },
    ),
    "kitchen": Room(
        (("Kitchen",), ("Küche",), ("Cuisine",), ("Keuken",)),
        0.85,
        {
            "motion_sensor": 0.62, "ceiling_light": 0.95, "led_strip": 0.36, "plug": 0.35, "dishwasher": 0.3,
            "smoke_detector": 0.5, "window_sensor": 0.45, "speaker": 0.35, "climate_sensor": 0.3,
            "exhaust_fan": 0.26, "leak_sensor": 0.3, "presence_sensor": 0.21, "radiator": 0.3,
        },
    ),
    "bedroom": Room(
        (
            ("Bedroom", "Master Bedroom", "Main Bedroom"), ("Schlafzimmer",), ("Chambre", "Chambre parents"),
            ("Slaapkamer",),
        ),
        0.4,
        {
            "ceiling_light": 0.73, "bedside_lamp": 0.8, "motion_sensor": 0.44, "window_sensor": 0.59,
            "radiator": 0.6, "blind": 0.62, "button": 0.6, "climate_sensor": 0.42, "fan": 0.33, "tv": 0.2,
            "air_purifier": 0.2, "led_strip": 0.18,
        },
    ),
    "bathroom": Room(
        (("Bathroom", "Main Bathroom"), ("Badezimmer", "Bad"), ("Salle de bain",), ("Badkamer",)),
        0.95,
        {
            "motion_sensor": 0.75, "ceiling_light": 0.97, "exhaust_fan": 0.78, "climate_sensor": 0.72,
            "heater": 0.25, "leak_sensor": 0.35, "window_sensor": 0.33, "radiator": 0.38, "led_strip": 0.18,
        },
    ),
    "hall": Room(
        (("Hall", "Hallway", "Entrance"), ("Flur", "Diele"), ("Entrée", "Couloir"), ("Gang", "Hal")),
        1.0,
        {
            "motion_sensor": 0.88, "ceiling_light": 0.95, "door_sensor": 0.75, "lock": 0.4, "doorbell": 0.35,
            "light_switch": 0.39, "smoke_detector": 0.4, "siren": 0.2, "lamp": 0.17, "button": 0.22,
        },
    ),
    "office": Room(
        (("Office", "Study"), ("Büro", "Arbeitszimmer"), ("Bureau",), ("Kantoor", "Werkkamer")),
        0.6,
        {
            "presence_sensor": 0.49, "ceiling_light": 0.73, "lamp": 0.57, "plug": 0.6, "air_sensor": 0.45,
            "thermostat": 0.42, "fan": 0.33, "blind": 0.44, "window_sensor": 0.45, "speaker": 0.2, "button": 0.38,
        },
    ),
    "kids_room": Room(
        (("Kids Room", "Nursery", "Emma's Room"), ("Kinderzimmer",), ("Chambre enfants",), ("Kinderkamer",)),
        0.35,
        {
            "ceiling_light": 0.84, "bedside_lamp": 0.57, "window_sensor": 0.52, "radiator": 0.6, "motion_sensor": 0.38,
            "climate_sensor": 0.48, "blind": 0.56, "speaker": 0.25, "air_purifier": 0.2,
        },
    ),
    "dining_room": Room(
        (("Dining Room",), ("Esszimmer",), ("Salle à manger",), ("Eetkamer",)),
        0.6,
        {"ceiling_light": 0.95, "lamp": 0.46, "motion_sensor": 0.38, "blind": 0.4, "light_switch": 0.5},
    ),
    "laundry": Room(
        (("Laundry", "Utility Room"), ("Waschküche",), ("Buanderie",), ("Washok", "Bijkeuken")),
        0.9,
        {
            "washer": 0.8, "dryer": 0.4, "ceiling_light": 0.84, "motion_sensor": 0.62, "leak_sensor": 0.5,
            "climate_sensor": 0.36, "dehumidifier": 0.3, "water_valve": 0.35, "door_sensor": 0.25,
        },
    ),
    "garage": Room(
        (("Garage",), ("Garage",), ("Garage",), ("Garage",)),
        0.9,
        {
            "garage_door": 0.8, "ceiling_light": 0.89, "motion_sensor": 0.62, "door_sensor": 0.4, "plug": 0.4,
            "smoke_detector": 0.3, "camera": 0.3,
        },
    ),
    "garden": Room(
        (("Garden", "Backyard", "Patio"), ("Garten", "Terrasse"), ("Jardin", "Terrasse"), ("Tuin",)),
        0.8,
        {"outdoor_light": 0.9, "camera": 0.5, "irrigation": 0.4, "motion_sensor": 0.44, "plug": 0.3, "speaker": 0.1},
    ),
    "basement": Room(
        (("Basement", "Cellar"), ("Keller",), ("Cave", "Sous-sol"), ("Kelder",)),
        0.9,
        {
            "ceiling_light": 0.84, "motion_sensor": 0.69, "leak_sensor": 0.4, "dehumidifier": 0.4,
            "climate_sensor": 0.42, "door_sensor": 0.3, "water_valve": 0.2,
        },
    ),
    "stairs": Room(
        (("Stairs", "Landing"), ("Treppe",), ("Escalier",), ("Trap", "Overloop")),
        1.0,
        {"motion_sensor": 0.97, "ceiling_light": 0.73, "led_strip": 0.48, "light_switch": 0.39},
    ),
    "toilet": Room(
        (("Toilet", "Powder Room"), ("Gäste WC",), ("Toilettes",), ("Wc", "Toilet")),
        1.0,
        {"motion_sensor": 0.88, "ceiling_light": 0.97, "exhaust_fan": 0.52, "window_sensor": 0.26},
    ),
    "guest_room": Room(
        (("Guest Room", "Spare Room"), ("Gästezimmer",), ("Chambre d'amis",), ("Logeerkamer",)),
        0.35,
        {"ceiling_light": 0.84, "bedside_lamp": 0.46, "radiator": 0.75, "window_sensor": 0.5, "blind": 0.4},
    ),
}  # fmt: skip
CORE_ROOMS = ("living_room", "kitchen", "bedroom", "hall", "bathroom")
UPSTAIRS_ROOMS = ("bedroom", "kids_room", "bathroom", "office", "guest_room", "stairs")
FLOORS = ("Upstairs", "Obergeschoss", "Étage", "Boven")

# A floor of a hotel or an office building, and what such a room is called there.
FLOOR_ROOMS = ("hall", *("bedroom", "bathroom") * 6, *("office",) * 5, "kitchen", "living_room", "laundry", "stairs")
NUMBERED = ("Room", "Zimmer", "Chambre", "Kamer")

# Helpers of a house: role -> (entity id's domain, word, chance). The rest of a large building has those of a floor.
HELPERS = {
    "sun": ("sun", "sun", 0.9),
    "night_mode": ("input_boolean", "night_mode", 0.6),
    "guest_mode": ("input_boolean", "guest_mode", 0.35),
    "holiday": ("input_boolean", "holiday", 0.3),
    "alarm": ("alarm_control_panel", "alarm", 0.35),
    "timer": ("timer", "shower_timer", 0.2),
    "scene_movie": ("scene", "movie", 0.35),
    "script_night": ("script", "good_night", 0.3),
    "weather": ("weather", "home", 0.5),
}
FLOOR_HELPERS = ("night_mode", "holiday")
PEOPLE = ("Anna", "Ben", "Chris", "Emma", "Jonas", "Lea", "Marie", "Mark", "Nina", "Paul", "Sarah", "Tom")

BATTERY = 0.5  # devices whose battery entity is enabled
# Entities nobody automates with.
DIAGNOSTIC_ROLES = frozenset(("battery", "signal", "update", "energy", "power", "weather", "camera"))
LIGHTS = ("ceiling", "lamp", "strip", "bedside")
NIGHT_LIGHTS = ("bedside", "lamp", "strip", "ceiling")
ACTING_ROLES = (
    *LIGHTS, "outdoor", "light_switch", "outlet", "appliance", "irrigation", "heater", "climate", "fan", "exhaust",
    "purifier", "dehumidifier", "blind", "garage_door", "tv", "speaker", "lock", "siren", "valve", "vacuum", "alarm",
    "scene_movie", "script_night",
)  # fmt: skip

HABITS = (
    Habit("motion_light", ("motion",), LIGHTS, 1.0, "light", most=2, condition="illuminance"),
    Habit("occupancy_light", ("occupancy",), ("lamp", "ceiling", "strip"), 0.85, "light", most=2, condition="sun"),
    Habit("occupancy_climate", ("occupancy",), ("climate", "fan"), 0.6, "climate"),
    Habit("motion_outdoor", ("motion", "camera_motion"), ("outdoor",), 0.8, "security", condition="sun"),
    Habit("door_light", ("door",), ("ceiling", "lamp"), 0.6, "light", rooms=("hall", "garage", "basement", "laundry")),
    Habit("door_lock", ("door",), ("lock",), 0.7, "security"),
    Habit("lock_light", ("lock",), ("ceiling", "lamp"), 0.3, "light"),
    Habit("garage_light", ("garage_door",), ("ceiling",), 0.75, "light"),
    Habit("window_climate", ("window",), ("climate",), 0.85, "climate"),
    Habit("window_heater", ("window",), ("heater",), 0.4, "climate"),
    Habit("humidity_fan", ("humidity",), ("exhaust", "dehumidifier"), 0.9, "comfort"),
    Habit("motion_fan", ("motion",), ("exhaust",), 0.2, "comfort", rooms=("toilet", "bathroom")),
    Habit("temperature_climate", ("temperature",), ("climate",), 0.65, "climate", condition="occupancy"),
    Habit("temperature_fan", ("temperature",), ("fan",), 0.8, "comfort"),
    Habit("temperature_blind", ("temperature",), ("blind",), 0.25, "cover", condition="sun"),
    Habit("air_purifier", ("co2",), ("purifier", "fan"), 0.8, "comfort"),
    Habit("illuminance_light", ("illuminance",), ("lamp", "strip", "ceiling"), 0.5, "light"),
    Habit("illuminance_blind", ("illuminance",), ("blind",), 0.6, "cover"),
    Habit("button_light", ("button",), NIGHT_LIGHTS, 0.85, "light", most=2),
    Habit("button_media", ("button",), ("speaker", "tv"), 0.2, "media"),
    Habit("button_scene", ("button",), ("scene_movie", "script_night"), 0.25, "light", "house", rooms=("living_room",)),
    Habit("media_dim", ("tv",), ("strip", "lamp", "ceiling"), 0.75, "media", most=2, condition="sun"),
    Habit("media_blind", ("tv",), ("blind",), 0.35, "media"),
    Habit("media_outlet", ("tv",), ("outlet",), 0.4, "media"),
    Habit("switch_lamp", ("light_switch",), ("lamp", "strip", "ceiling"), 0.6, "light", most=2),
    Habit("appliance_done", ("appliance_power",), ("speaker",), 0.8, "comfort", "house"),
    Habit("smoke_siren", ("smoke",), ("siren",), 0.8, "security", "house"),
    Habit("smoke_light", ("smoke",), ("ceiling",), 0.55, "security", "house", most=4),
    Habit("leak_valve", ("leak",), ("valve", "siren"), 0.8, "security", "house"),
    Habit("doorbell_media", ("doorbell",), ("speaker", "tv"), 0.75, "comfort", "house", most=2),
    Habit("doorbell_light", ("doorbell",), ("ceiling", "lamp"), 0.6, "light", condition="sun"),
    Habit("leave_light", ("person",), ("ceiling", "lamp"), 0.3, "light", "house", most=3),
    Habit("leave_lock", ("person",), ("lock", "garage_door"), 0.5, "security", "house"),
    Habit("leave_alarm", ("person",), ("alarm",), 0.7, "security", "house"),
    Habit("leave_climate", ("person",), ("climate",), 0.45, "climate", "house", most=3),
    Habit("leave_vacuum", ("person",), ("vacuum",), 0.6, "comfort", "house"),
    Habit("sun_light", ("sun",), ("outdoor", "lamp", "strip"), 0.7, "light", "house", most=2),
    Habit("sun_blind", ("sun",), ("blind",), 0.75, "cover", "house", most=4),
    Habit("sun_irrigation", ("sun",), ("irrigation",), 0.7, "comfort", "house"),
    Habit("night_light", ("night_mode",), NIGHT_LIGHTS, 0.85, "light", "house", most=5),
    Habit("night_lock", ("night_mode",), ("lock",), 0.6, "security", "house"),
    Habit("night_media", ("night_mode",), ("tv", "speaker"), 0.45, "media", "house", most=2),
    Habit("night_blind", ("night_mode",), ("blind",), 0.4, "cover", "house", most=3),
    Habit("guest_climate", ("guest_mode",), ("climate",), 0.6, "climate", "house"),
    Habit("holiday_climate", ("holiday",), ("climate",), 0.7, "climate", "house", most=3),
    Habit("alarm_light", ("alarm",), ("outdoor", "ceiling"), 0.6, "security", "house", most=3),
    Habit("alarm_siren", ("alarm",), ("siren",), 0.8, "security", "house"),
    Habit("timer_fan", ("timer",), ("exhaust", "heater"), 0.8, "comfort", "house"),
    Habit("light_group", ("ceiling",), ("strip", "lamp", "bedside"), 0.5, "light", mutual=True),
    Habit("lamp_group", ("lamp",), ("strip", "bedside"), 0.55, "light", mutual=True),
    Habit("outlet_group", ("outlet",), ("light_switch", "heater", "appliance"), 0.5, "comfort", mutual=True),
    Habit("bedside_group", ("bedside",), ("strip", "lamp", "ceiling"), 0.35, "light", mutual=True),
)
