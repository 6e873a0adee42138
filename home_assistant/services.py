"""What an entity has to support for a service to act on it, read from the services of Home Assistant 2026.11.0."""

from __future__ import annotations

from collections.abc import Mapping

# Service -> sets of bits of ``supported_features``; the entity needs all bits of one set. Others need none.
_FEATURES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "alarm_control_panel": {
        "alarm_arm_away": (2,),
        "alarm_arm_custom_bypass": (16,),
        "alarm_arm_home": (1,),
        "alarm_arm_night": (4,),
        "alarm_arm_vacation": (32,),
        "alarm_trigger": (8,),
    },
    "assist_satellite": {"announce": (1,), "start_conversation": (2,)},
    "calendar": {"create_event": (1,)},
    "climate": {
        "set_fan_mode": (8,),
        "set_humidity": (4,),
        "set_preset_mode": (16,),
        "set_swing_horizontal_mode": (512,),
        "set_swing_mode": (32,),
        "set_temperature": (1, 2),
        "toggle": (128, 256),
        "turn_off": (128,),
        "turn_on": (256,),
    },
    "cover": {
        "close_cover": (2,),
        "close_cover_tilt": (32,),
        "open_cover": (1,),
        "open_cover_tilt": (16,),
        "set_cover_position": (4,),
        "set_cover_tilt_position": (128,),
        "stop_cover": (8,),
        "stop_cover_tilt": (64,),
        "toggle": (3,),
        "toggle_cover_tilt": (48,),
    },
    "fan": {
        "decrease_speed": (1,),
        "increase_speed": (1,),
        "oscillate": (2,),
        "set_direction": (4,),
        "set_percentage": (1,),
        "set_preset_mode": (8,),
        "turn_off": (16,),
        "turn_on": (32,),
    },
    "humidifier": {"set_mode": (1,)},
    "lawn_mower": {"dock": (4,), "pause": (2,), "start_mowing": (1,), "stop": (8,)},
    "lock": {"open": (1,)},
    "media_player": {
        "clear_playlist": (8192,),
        "join": (524288,),
        "media_next_track": (32,),
        "media_pause": (1,),
        "media_play": (16384,),
        "media_play_pause": (16385,),
        "media_previous_track": (16,),
        "media_seek": (2,),
        "media_stop": (4096,),
        "play_media": (512,),
        "repeat_set": (262144,),
        "select_sound_mode": (65536,),
        "select_source": (2048,),
        "shuffle_set": (32768,),
        "toggle": (384,),
        "turn_off": (256,),
        "turn_on": (128,),
        "unjoin": (524288,),
        "volume_down": (4, 1024),
        "volume_mute": (8,),
        "volume_set": (4,),
        "volume_up": (4, 1024),
    },
    "siren": {"toggle": (3,), "turn_off": (2,), "turn_on": (1,)},
    "todo": {"add_item": (1,), "remove_completed_items": (2,), "remove_item": (2,), "update_item": (4,)},
    "vacuum": {
        "clean_area": (16384,),
        "locate": (512,),
        "pause": (4,),
        "return_to_base": (16,),
        "start": (8192,),
        "stop": (8,),
    },
    "valve": {
        "close_valve": (2,),
        "open_valve": (1,),
        "set_valve_position": (4,),
        "stop_valve": (8,),
        "toggle": (3,),
    },
}
REQUIRED_FEATURES = {
    f"{domain}.{service}": features for domain, services in _FEATURES.items() for service, features in services.items()
}


def supports(service: str, supported_features: int) -> bool:
    """Whether an entity with these ``supported_features`` can do what ``service`` asks for."""
    needed = REQUIRED_FEATURES.get(service)
    return needed is None or any(supported_features & features == features for features in needed)
