"""Home Assistant's domains and device classes: which can act, which only report, and what a name tells of them."""

from __future__ import annotations

from collections.abc import Sequence

DOMAINS = frozenset(
    "ai_task air_quality alarm_control_panel alert assist_satellite automation binary_sensor button calendar camera "
    "climate conversation counter cover date datetime device_tracker event fan geo_location group humidifier image "
    "image_processing input_boolean input_button input_datetime input_number input_select input_text lawn_mower light "
    "lock media_player number person plant proximity remote scene schedule script select sensor siren stt sun switch "
    "text time timer todo tts update utility_meter vacuum valve wake_word water_heater weather zone zwave".split()
)
# Their services act on entities of the same domain, and do nothing to any other.
ACT_ON_THEIR_OWN = frozenset(
    "alarm_control_panel automation button climate cover fan humidifier input_boolean input_button input_datetime "
    "input_number input_select input_text lawn_mower light lock media_player number scene select siren switch timer "
    "vacuum valve water_heater".split()
)

# Domains whose entities report and take no action of their own (Home Assistant's entity platforms and helpers).
READ_ONLY_DOMAINS = frozenset(
    "air_quality binary_sensor calendar conversation device_tracker event geo_location image image_processing "
    "person plant schedule sensor stt sun tag update wake_word weather zone".split()
)

# Words in names that tell what an entity measures where no device_class is given -> Home Assistant's device_class.
_CLASS_OF_WORD = {
    word: device_class
    for device_class, words in {
        "battery": "battery",
        "carbon_dioxide": "co2",
        "connectivity": "connectivity online connected",
        "door": "door doors",
        "energy": "energy kwh",
        "garage_door": "garage",
        "humidity": "humidity humid",
        "illuminance": "illuminance lux brightness",
        "lock": "lock locked",
        "moisture": "moisture leak flood water",
        "motion": "motion pir movement",
        "occupancy": "occupancy occupied",
        "power": "power watt",
        "presence": "presence present home away",
        "smoke": "smoke",
        "sound": "sound noise",
        "temperature": "temperature temp thermometer",
        "vibration": "vibration",
        "window": "window windows",
    }.items()
    for word in words.split()
}


def class_of(domain: str, device_class: str | None, words: Sequence[str]) -> str:
    """``domain:device_class``; the last of ``words`` that tells it stands in for a device class that is not given."""
    told = (_CLASS_OF_WORD[word] for word in reversed(words) if word in _CLASS_OF_WORD)
    return f"{domain}:{device_class or next(told, '')}"
