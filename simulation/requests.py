"""Simulated requests in plain words, each with the automation it asks for in plain words."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple


class Phrase(NamedTuple):
    """One meaning: how it is answered, asked for, and noted down in a few words; ``{slots}`` are filled alike."""

    answer: str
    requests: tuple[str, ...]
    short: str
    then: str = ""  # keys of ACTIONS that follow such a trigger


class Action(NamedTuple):
    """What is to be done: the kind of automation and the phrase."""

    automation_type: str
    phrase: Phrase


ROOMS = (
    "kitchen", "living room", "bedroom", "bathroom", "hallway", "office", "garage", "basement", "nursery",
    "dining room", "laundry room", "guest room",
)  # fmt: skip
SLOTS: dict[str, tuple[str, ...]] = {
    "light": ("ceiling light", "floor lamp", "LED strip", "desk lamp", "wall light", "lights"),
    "degrees": ("17", "18", "19", "20", "21", "22", "23"),
    "hot": ("24", "25", "26", "27", "28"),
    "cold": ("15", "16", "17", "18"),
    "percent": ("60", "65", "70", "75"),
    "level": ("10", "20", "30", "40", "50", "80"),
    "minutes": ("2", "3", "5", "10", "15", "20"),
    "hour": ("6", "7", "8", "9", "18", "19", "20", "21", "22", "23"),
    "minute": ("00", "15", "30", "45"),
    "person": ("Anna", "Ben", "Marie", "Paul", "Sarah", "Tom"),
    "color": ("red", "blue", "green", "warm white"),
    "appliance": ("washing machine", "dryer", "dishwasher"),
}

_LIGHTING = "light_on light_on light_dim light_color"
TRIGGERS = (
    Phrase(
        "When motion is detected in the {room}",
        (
            "when someone walks into the {room}", "if there is motion in the {room}", "whenever I enter the {room}",
            "as soon as somebody moves in the {room}", "when the {room} motion sensor goes off",
        ),
        "{room} motion",
        _LIGHTING,
    ),
    Phrase(
        "When no motion is detected in the {room} for {minutes} minutes",
        (
            "when nobody has moved in the {room} for {minutes} minutes", "if the {room} is empty for {minutes} min",
            "after {minutes} minutes without motion in the {room}",
        ),
        "{room} no motion {minutes} min",
        "light_off light_off fan_off climate_off media_off",
    ),
    Phrase(
        "When the {room} door opens",
        ("when the {room} door opens", "if somebody opens the door of the {room}", "every time the {room} door opens"),
        "{room} door opens",
        "light_on light_dim notify media_say",
    ),
    Phrase(
        "When a window in the {room} is open for {minutes} minutes",
        (
            "when the {room} window stays open for {minutes} minutes", "if the {room} window is open {minutes} min",
            "when I leave the {room} window open longer than {minutes} minutes",
        ),
        "{room} window open {minutes} min",
        "climate_off climate_off notify",
    ),
    Phrase(
        "When the temperature in the {room} rises above {hot} °C",
        (
            "when it gets hotter than {hot} degrees in the {room}", "if the {room} is above {hot}°C",
            "once the {room} temperature goes over {hot} degrees",
        ),
        "{room} > {hot} degrees",
        "fan_on fan_on blinds_close notify",
    ),
    Phrase(
        "When the temperature in the {room} falls below {cold} °C",
        (
            "when it is colder than {cold} degrees in the {room}", "if the {room} drops under {cold}°C",
            "once the {room} temperature falls below {cold} degrees",
        ),
        "{room} < {cold} degrees",
        "climate_set climate_set notify",
    ),
    Phrase(
        "When the humidity in the {room} rises above {percent} %",
        (
            "when the {room} gets too humid, above {percent}%,", "if humidity in the {room} is over {percent} percent",
            "when the {room} humidity climbs past {percent}%",
        ),
        "{room} humidity > {percent}%",
        "fan_on fan_on notify",
    ),
    Phrase(
        "When the television in the {room} starts playing",
        ("when I start a movie in the {room}", "when the {room} tv is playing", "if we watch TV in the {room}"),
        "{room} tv playing",
        "light_dim light_dim light_off blinds_close",
    ),
    Phrase(
        "When the button in the {room} is pressed",
        ("when I press the button in the {room}", "if the {room} button is pushed", "on a click of the {room} button"),
        "{room} button",
        "light_on light_off light_color media_play blinds_open fan_on",
    ),
    Phrase(
        "At sunset",
        ("at sunset", "when the sun goes down", "every evening when it gets dark", "at dusk"),
        "sunset",
        "light_on light_on light_dim blinds_close",
    ),
    Phrase(
        "At sunrise",
        ("at sunrise", "when the sun comes up", "every morning when it gets light", "at dawn"),
        "sunrise",
        "light_off blinds_open blinds_open",
    ),
    Phrase(
        "At {hour}:{minute}",
        ("at {hour}:{minute}", "each day at {hour}:{minute}", "when it is {hour}:{minute}", "daily at {hour}.{minute}"),
        "{hour}:{minute}",
        "light_on light_off blinds_open blinds_close climate_set media_play vacuum lock",
    ),
    Phrase(
        "When {person} leaves home",
        ("when {person} leaves", "if {person} goes out", "as soon as {person} has left the house"),
        "{person} leaves",
        "light_off climate_off lock vacuum alarm media_off",
    ),
    Phrase(
        "When {person} arrives home",
        ("when {person} comes home", "if {person} gets home", "as soon as {person} is back"),
        "{person} home",
        "light_on climate_set media_play unlock",
    ),
    Phrase(
        "When night mode is turned on",
        ("when night mode starts", "if I turn on night mode", "when we go to bed", "at bedtime"),
        "night mode",
        "light_off media_off lock blinds_close climate_set",
    ),
    Phrase(
        "When the {appliance} finishes",
        ("when the {appliance} is done", "once the {appliance} has finished", "if the {appliance} stops"),
        "{appliance} done",
        "notify media_say light_color",
    ),
    Phrase(
        "When smoke is detected in the {room}",
        ("when there is smoke in the {room}", "if the {room} smoke detector goes off", "on smoke in the {room}"),
        "{room} smoke",
        "siren light_on notify",
    ),
)  # fmt: skip
ACTIONS = {
    "light_on": Action(
        "lighting",
        Phrase(
            "turn on the {light} in the {place}",
            ("turn on the {light}", "switch on the {light}", "put the {light} on", "turn the {light} on"),
            "{light} on",
        ),
    ),
    "light_off": Action(
        "lighting",
        Phrase(
            "turn off the {light} in the {place}",
            ("turn off the {light}", "switch the {light} off", "kill the {light}", "turn the {light} off"),
            "{light} off",
        ),
    ),
    "light_dim": Action(
        "lighting",
        Phrase(
            "set the {light} in the {place} to {level} % brightness",
            ("dim the {light} to {level}%", "set the {light} to {level} percent", "put the {light} at {level}%"),
            "{light} {level}%",
        ),
    ),
    "light_color": Action(
        "lighting",
        Phrase(
            "set the {light} in the {place} to {color}",
            ("make the {light} {color}", "turn the {light} {color}", "change the {light} to {color}"),
            "{light} {color}",
        ),
    ),
    "climate_set": Action(
        "climate",
        Phrase(
            "set the thermostat in the {place} to {degrees} °C",
            ("set the heating to {degrees} degrees", "heat to {degrees}°C", "put the thermostat on {degrees}"),
            "heating {degrees}",
        ),
    ),
    "climate_off": Action(
        "climate",
        Phrase(
            "turn off the thermostat in the {place}",
            ("turn off the heating", "stop heating", "switch the thermostat off"),
            "heating off",
        ),
    ),
    "fan_on": Action(
        "climate",
        Phrase("turn on the fan in the {place}", ("turn on the fan", "start the fan", "run the fan"), "fan on"),
    ),
    "fan_off": Action(
        "climate",
        Phrase("turn off the fan in the {place}", ("turn off the fan", "stop the fan"), "fan off"),
    ),
    "blinds_open": Action(
        "covers",
        Phrase("open the blinds in the {place}", ("open the blinds", "raise the blinds", "blinds up"), "blinds up"),
    ),
    "blinds_close": Action(
        "covers",
        Phrase("close the blinds in the {place}", ("close the blinds", "lower the blinds"), "blinds down"),
    ),
    "media_play": Action(
        "media",
        Phrase("play music on the speaker in the {place}", ("play music", "start some music"), "music on"),
    ),
    "media_off": Action(
        "media",
        Phrase("turn off the television in the {place}", ("turn off the tv", "switch the television off"), "tv off"),
    ),
    "media_say": Action(
        "media",
        Phrase("announce it on the speaker in the {place}", ("announce it on the speaker", "say so"), "announce"),
    ),
    "notify": Action(
        "notification",
        Phrase("send a notification to your phone", ("let me know", "send me a message", "notify me"), "notify"),
    ),
    "lock": Action("security", Phrase("lock the front door", ("lock the front door", "lock up"), "lock")),
    "unlock": Action("security", Phrase("unlock the front door", ("unlock the front door",), "unlock")),
    "alarm": Action("security", Phrase("arm the alarm", ("arm the alarm", "activate the alarm"), "alarm on")),
    "siren": Action("security", Phrase("sound the siren", ("sound the siren", "set off the siren"), "siren")),
    "vacuum": Action("appliance", Phrase("start the vacuum", ("start the vacuum", "let the robot clean"), "vacuum")),
}
CONDITIONS = (
    Phrase("after sunset", ("but only after sunset", "only when it is dark", "if it is dark outside"), "dark only"),
    Phrase("on weekdays", ("but only on weekdays", "Monday to Friday", "on work days"), "weekdays"),
    Phrase("on weekends", ("but only on weekends", "on Saturday and Sunday", "at the weekend"), "weekends"),
    Phrase("if somebody is home", ("but only if somebody is home", "when we are at home"), "if home"),
    Phrase("if nobody is home", ("but only when nobody is home", "while we are away"), "if away"),
    Phrase("between 22:00 and 06:00", ("but only at night", "between 22:00 and 6:00"), "at night"),
)
FORMS = (
    "{trigger}, {action}", "{action} {trigger}", "please {action} {trigger}", "can you {action} {trigger}?",
    "I would like you to {action} {trigger}", "{trigger} please {action}", "could you {action} {trigger} please?",
    "make an automation: {trigger} {action}", "hey, {trigger} {action}", "I want the house to {action} {trigger}",
)  # fmt: skip
SHORT_FORMS = ("{trigger} -> {action}", "{trigger}: {action}", "{trigger} = {action}")

SHORT = 0.12  # requests noted down in a few words
REPEATED = 0.2  # requests that ask for something asked before, in other words
CONDITIONAL = 0.3
FOLLOWED_UP = 0.35  # lights by motion that are to go off again
ELSEWHERE = 0.1  # actions in another room than the trigger's
TYPO = 0.07


class Wish(NamedTuple):
    """What somebody wants: phrases and the values of their slots."""

    trigger: Phrase
    action: Action
    condition: Phrase | None
    follow_up: bool
    values: dict[str, str]

    @property
    def description(self) -> str:
        """The automation in plain words, a function of the wish alone."""
        condition = f", but only {self.condition.answer}" if self.condition else ""
        text = f"{self.trigger.answer}, {self.action.phrase.answer}{condition}."
        if self.follow_up:
            text += " Turn it off again after {minutes} minutes."
        return text.format_map(self.values | {"hour": self.values["hour"].zfill(2)})

    @property
    def title(self) -> str:
        """A short name."""
        text = f"{self.action.phrase.short}: {self.trigger.short}".format_map(self.values)
        return text[0].upper() + text[1:]


def simulate_requests(seed: int, count: int) -> list[dict[str, Any]]:
    """``count`` rows of ``soft_prompt`` data, no two with the same query."""
    rng = Random(f"{seed}:requests")
    wishes: list[Wish] = []
    rows: dict[str, dict[str, Any]] = {}
    while len(rows) < count:
        if wishes and rng.random() < REPEATED:
            wish = rng.choice(wishes)
        else:
            wish = _wish(rng)
            wishes.append(wish)
        query = _query(rng, wish)
        rows.setdefault(
            query,
            {
                "query": query,
                "automation_type": wish.action.automation_type,
                "quality_score": round(1.0 - 0.35 * rng.random() ** 2, 2),
                "response": {"text": {"title": wish.title, "description": wish.description}},
            },
        )
    return list(rows.values())


def _wish(rng: Random) -> Wish:
    trigger = rng.choice(TRIGGERS)
    key = rng.choice(trigger.then.split())
    action = ACTIONS[key]
    values = {slot: rng.choice(choices) for slot, choices in SLOTS.items()}
    values["room"] = values["place"] = rng.choice(ROOMS)
    if "{room}" not in trigger.answer or rng.random() < ELSEWHERE:
        values["place"] = rng.choice(ROOMS)
    return Wish(
        trigger,
        action,
        rng.choice(CONDITIONS) if rng.random() < CONDITIONAL else None,
        key == "light_on" and "{minutes}" not in trigger.answer and rng.random() < FOLLOWED_UP,
        values,
    )


def _query(rng: Random, wish: Wish) -> str:
    values, phrase = wish.values, wish.action.phrase
    # A room that the trigger names already is not named again.
    unsaid = "{place}" not in phrase.answer or ("{room}" in wish.trigger.answer and values["room"] == values["place"])
    if rng.random() < SHORT:
        where = "" if unsaid else "{place} "
        text = rng.choice(SHORT_FORMS).format(trigger=wish.trigger.short, action=where + phrase.short)
        text += f", {wish.condition.short}" if wish.condition else ""
        text += ", {minutes} min" if wish.follow_up else ""
        return _mistyped(rng, text.format_map(values))
    where = "" if unsaid else " in the {place}"
    action = rng.choice(phrase.requests) + where
    text = rng.choice(FORMS).format(trigger=rng.choice(wish.trigger.requests), action=action)
    question = text.endswith("?")
    text = text.rstrip("?")
    if wish.follow_up:
        text += rng.choice((" and off again after {minutes} minutes", ", then off after {minutes} min"))
    if wish.condition:
        text += f", {rng.choice(wish.condition.requests)}"
    text = _mistyped(rng, text.format_map(values)) + ("?" if question else "")
    return text[0].upper() + text[1:] if rng.random() < 0.5 else text


def _mistyped(rng: Random, text: str) -> str:
    """Sometimes with two letters swapped or one left out, in a word long enough to be still understood."""
    if rng.random() >= TYPO:
        return text
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if long:
        i = rng.choice(long)
        word, at = words[i], 1 + rng.randrange(len(words[i]) - 3)
        letters = word[at + 1] + word[at] if rng.random() < 0.5 else word[at]
        words[i] = word[:at] + letters + word[at + 2 :]
    return " ".join(words)
