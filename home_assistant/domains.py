"""Home Assistant's domains and device classes: which can act, which only report, and what a name tells of them.

The tables were read from Home Assistant 2026.11.0: its entity platforms (``homeassistant/generated/entity_platforms``),
the integrations that have entities of their own domain (``automation``, ``sun``, the helpers), the entity services that
each of them registers, and its device classes (``BinarySensorDeviceClass``, ``CoverDeviceClass``,
``SensorDeviceClass``). Domains that older versions had are kept, because the automations of a home may still name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HOME_ASSISTANT_VERSION = "2026.11.0"


@dataclass(frozen=True)
class Domain:
    """One domain of entities.

    Attributes:
        name: What stands before the dot of an entity id.
        reports_only: Its entities are triggers and conditions, never what acts. Trained models depend on this flag:
            a few domains have it whose services do act (``update.install``), and the two that transmit have it not.
        own_targets: Its services, as in ``light.turn_on``, act on entities of this domain and on no other. Not so where
            anybody may define services (``script``, ``notify``, ``tts``) or where they act on other domains.
        senses: Its device classes say what it measures.
        tracks_people: Its state says where somebody is.
        current: Home Assistant still has entities of it.
    """

    name: str
    reports_only: bool = False
    own_targets: bool = False
    senses: bool = False
    tracks_people: bool = False
    current: bool = True


DOMAIN_TABLE = (
    Domain("ai_task", own_targets=True),
    Domain("air_quality", reports_only=True),
    Domain("alarm_control_panel", own_targets=True),
    Domain("alert", own_targets=True),
    Domain("assist_satellite", own_targets=True),
    Domain("automation", own_targets=True),
    Domain("binary_sensor", reports_only=True, senses=True),
    Domain("button", own_targets=True),
    Domain("calendar", reports_only=True, own_targets=True),
    Domain("camera", own_targets=True),
    Domain("climate", own_targets=True),
    Domain("conversation", reports_only=True),
    Domain("counter", own_targets=True),
    Domain("cover", own_targets=True),
    Domain("date", own_targets=True),
    Domain("datetime", own_targets=True),
    Domain("device_tracker", reports_only=True, tracks_people=True),
    Domain("event", reports_only=True),
    Domain("fan", own_targets=True),
    Domain("geo_location", reports_only=True),
    Domain("group"),
    Domain("humidifier", own_targets=True),
    Domain("image", reports_only=True, own_targets=True),
    Domain("image_processing", reports_only=True, own_targets=True),
    Domain("infrared"),
    Domain("input_boolean", own_targets=True),
    Domain("input_button", own_targets=True),
    Domain("input_datetime", own_targets=True),
    Domain("input_number", own_targets=True),
    Domain("input_select", own_targets=True),
    Domain("input_text", own_targets=True),
    Domain("lawn_mower", own_targets=True),
    Domain("light", own_targets=True),
    Domain("lock", own_targets=True),
    Domain("media_player", own_targets=True),
    Domain("notify"),
    Domain("number", own_targets=True),
    Domain("person", reports_only=True, tracks_people=True),
    Domain("plant", reports_only=True),
    Domain("proximity", current=False),
    Domain("radio_frequency"),
    Domain("remote", own_targets=True),
    Domain("scene", own_targets=True),
    Domain("schedule", reports_only=True, own_targets=True),
    Domain("script"),
    Domain("select", own_targets=True),
    Domain("sensor", reports_only=True, senses=True),
    Domain("siren", own_targets=True),
    Domain("stt", reports_only=True),
    Domain("sun", reports_only=True),
    Domain("switch", own_targets=True),
    Domain("tag", reports_only=True),
    Domain("text", own_targets=True),
    Domain("time", own_targets=True),
    Domain("timer", own_targets=True),
    Domain("todo", own_targets=True),
    Domain("tts"),
    Domain("update", reports_only=True, own_targets=True),
    Domain("utility_meter", current=False),
    Domain("vacuum", own_targets=True),
    Domain("valve", own_targets=True),
    Domain("wake_word", reports_only=True),
    Domain("water_heater", own_targets=True),
    Domain("weather", reports_only=True, own_targets=True),
    Domain("zone", reports_only=True),
    Domain("zwave", current=False),
)


def _names(domains: Iterable[Domain]) -> frozenset[str]:
    return frozenset(domain.name for domain in domains)


DOMAINS = _names(DOMAIN_TABLE)
READ_ONLY_DOMAINS = _names(d for d in DOMAIN_TABLE if d.reports_only)
OWN_TARGET_DOMAINS = _names(d for d in DOMAIN_TABLE if d.own_targets)
SENSOR_DOMAINS = _names(d for d in DOMAIN_TABLE if d.senses)
PRESENCE_DOMAINS = _names(d for d in DOMAIN_TABLE if d.tracks_people)
OLD_DOMAINS = _names(d for d in DOMAIN_TABLE if not d.current)
ENTITIES_IN_EVERY_HOME = frozenset(("sun.sun", "zone.home"))

# -- Device classes ----------------------------------------------------------------------------------------------------

# Those of the domains whose classes this project reads.
DEVICE_CLASSES = {
    "binary_sensor": frozenset(
        "battery battery_charging carbon_monoxide cold connectivity door garage_door gas glass_break heat light lock "
        "moisture motion moving occupancy opening plug power presence problem running safety smoke sound tamper "
        "update vibration window".split()
    ),
    "cover": frozenset("awning blind curtain damper door garage gate shade shutter window".split()),
    "sensor": frozenset(
        "absolute_humidity apparent_power aqi area atmospheric_pressure battery blood_glucose_concentration "
        "carbon_dioxide carbon_monoxide conductivity current data_rate data_size date distance duration energy "
        "energy_distance energy_storage enum frequency gas humidity illuminance irradiance moisture monetary "
        "nitrogen_dioxide nitrogen_monoxide nitrous_oxide ozone ph pm1 pm10 pm25 pm4 power power_factor precipitation "
        "precipitation_intensity pressure radon reactive_energy reactive_power signal_strength sound_pressure speed "
        "sulphur_dioxide temperature temperature_delta timestamp uptime volatile_organic_compounds "
        "volatile_organic_compounds_parts voltage volume volume_flow_rate volume_storage water weight wind_direction "
        "wind_speed".split()
    ),
}

# Words of names that tell what an entity measures where it has no device class -> that device class.
CLASS_OF_WORD = {
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


def _any_of(endings: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:^|_)(?:{'|'.join(endings)})(?:_\d+)?$")  # Home Assistant numbers equal ids from _2 on


def class_of(domain: str, device_class: str | None, words: Sequence[str]) -> str:
    """``domain:device_class``; without a device class, the last of ``words`` that tells one stands in for it."""
    told = (CLASS_OF_WORD[word] for word in reversed(words) if word in CLASS_OF_WORD)
    return f"{domain}:{device_class or next(told, '')}"


# How the ids of devices' own settings and diagnostics end, where no registry tells their category: zigbee2mqtt, ZHA,
# ESPHome and Shelly name them so. Of 198 such entities in 53 real homes, 3 are in an automation.
SETTING_ENDINGS = (
    "auto_lock calibration child_lock identify indicator indicator_light indicator_mode led_disable led_indicator "
    "motion_reversal occupancy_timeout permit_join power_on_behavior power_on_behaviour power_on_state "
    "power_outage_memory selftest self_test sensitivity status_led temperature_offset valve_detection window_detection"
).split()
DIAGNOSTIC_ENDINGS = (
    "battery_voltage bssid firmware firmware_version ip_address last_boot last_restart last_seen link_quality "
    "linkquality mac_address rssi signal_strength ssid tamper update_available uptime wifi_signal"
).split()
_ENDINGS = {
    **dict.fromkeys(("button", "light", "number", "select", "switch"), _any_of(SETTING_ENDINGS)),
    **dict.fromkeys(("binary_sensor", "sensor"), _any_of(DIAGNOSTIC_ENDINGS)),
}


def is_internal(entity_id: str) -> bool:
    """Whether an entity is by its name a setting or a diagnostic of its device, as ``switch.plug_child_lock`` is."""
    domain, _, own_id = entity_id.partition(".")
    endings = _ENDINGS.get(domain)
    return endings is not None and endings.search(own_id) is not None
