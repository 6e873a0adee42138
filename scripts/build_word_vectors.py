#!/usr/bin/env python3
"""Build the table of word vectors that ships with the project, out of the sentence encoder of the names extra.

The words are those of the encoder's vocabulary that have most to do with a house, and the ones below. No data of
anybody's home goes into it, and a first name only where it is a word too (dawn, rose, june).
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click

from training.runs.options import WholeNumber
from training.runs.streams import Program

# The nearer a word of the vocabulary is to one of these, the sooner it is kept, ...
HOUSEHOLD = """
motion sensor; door; window; smoke alarm; water leak; temperature; humidity; light bulb; lamp; switch; plug; socket;
fan; heater; thermostat; air conditioner; humidifier; lock; garage door; blinds; curtain; vacuum cleaner; television;
speaker; radio; camera; doorbell; phone; computer; printer; washing machine; dryer; dishwasher; oven; fridge; kettle;
coffee machine; water heater; boiler; geyser; kitchen; bedroom; bathroom; living room; office; hallway; garden; pool;
garage; basement; attic; stairs; bed; desk; sofa; sleep; wake up; alarm clock; holiday; guest; home; away; arrive;
leave; night; morning; evening; sunset; sunrise; weather; rain; wind; sun; season; time; schedule; timer; count;
battery; power; energy; solar panel; electricity; charger; car; music; movie; game; brightness; colour; scene; mode;
status; manual; automatic; online; update; backup; network; router; server; notification; message; button; remote
control; plant; irrigation; pump; trash; mail; package; pet; baby; person; child; security; siren; presence;
occupancy; air quality; pressure; noise; vibration
"""
# ... unless it is nearer to one of these.
FIRST_NAMES = (
    "john mary james michael robert david william richard thomas charles daniel anna lisa peter paul laura sarah kevin "
    "emma carlos maria"
)
# Words of houses and devices that are always kept; the vocabulary has many of them in pieces only.
ALWAYS = """
aircon airconditioner airfryer alarm alarmed alarms amperage amplifier anemometer announcement announcements aquarium
armed arming arrived arriving asleep attic audio automated automatic automation automations awake away awning awnings
azimuth baby babysitter backlight backlights balcony bandwidth barbecue barometer basement basin bathroom bathrooms
bathtub batteries battery bedroom bedrooms bedside bedtime bicycle bike blanket blind blinds blower bluetooth boiler
bookcase bookshelf boost brightness bulb bulbs burglar buzzer cabinet camcorder camera cameras candle candles car
carbon caretaker carport cars cat cats ceiling cellar chair chandelier charger chargers charging chiller chime chimney
christmas cistern cleaner cleaners cloakroom closet colour colours comfort compost conditioner conservatory cooktop
cooling coolness couch countdown countertop crawlspace crib cupboard curtain curtains damper dawn daytime deadbolt
defrost dehumidifier dehumidify den departed desk desks desktop dewpoint dimmable dimmer dimmers disarm disarmed
disarming dishwasher dog dogs door doorbell doorbells doorphone doors doorway downlight downlights download downstairs
drape drapes drawer driveway drizzle dryer duct dusk dustbin dustbins earbuds eco electricity elevation ensuite
espresso ethernet ev evening evenings extension extractor fairylights fan fans faucet feeder fireplace firmware
flooding floodlight floodlights floor floorlamp foyer freezer freezing fridge frost garage garages garbage gasmeter
gate gates gazebo geofence geyser geysers greenhouse grill guestroom guests halloween hallway headphones heating
heatpump hedgehog hob holiday holidaymode holidays hoover hostname housekeeper hue hues humidifier humidifiers
humidity hvac hygrometer hygrostat hysteresis illuminance immersion intercom intruder intrusion inverter ionizer ipad
irrigation jacuzzi kelvin kettle keyboard keypad kilowatt klaxon kwh lamp lamppost lamps landing lantern lanterns
laptop latch latency laundry lawnmower leak leaking leaks leaving led leds ledstrip letterbox lightstrip litterbox
livingroom lockbox loft lounge louver louvre lumen luminance lux mailbox manual mattress meter microwave microwaves
midnight mirror mode modem modes moisture monitor monitors monoxide mop mopping morning mornings motion motorcycle
mower mudroom napping nightlight nightstand nighttime noon notification notifications notify nursery occupancy
occupied office offline offpeak online outlet outlets oven ovens override overrides padlock pantry parking patio
peephole pellet pendant pergola petfeeder pets phone phones photovoltaic pillow ping pir playroom plug plugs pool
pools porch powerstrip preheat presence printer printers projector pump pumps purifier purifiers radiator radiators
rainfall raining reboot rebooted receiver recliner recycling reminder reminders restart restroom rgb robovac roller
router routers rubbish saturation sauna scanner scene scenes schedule scheduled schedules sconce scooter screen
screens screensaver scullery setpoint shed shower shutdown shutter shutters siren sirens skylight sleeping smartphone
smartplug smoke smoker snooze snoozed socket sockets sofa sofas solar soundbar spa speaker speakers spotlight
spotlights sprinkler sprinklers staircase stairway stairwell standby stopcock stove stoves stovetop stroller study
submeter subwoofer sump sunrise sunroom sunset tablet tablets tamper tampered tap tariff television televisions
terrarium thermometer thermostat thermostats throughput timer timers toaster toggle toilet toolshed trashcan treadmill
tumble turntable tv tvs twilight unavailable undercabinet underfloor unplugged uplight upload upstairs uptime utility
vacancy vacation vacations vacuum vacuuming vacuums vehicle vent ventilator ventilators vents veranda vestibule
vibration voltage wakeup wallbox wardrobe warmth washer washroom wastebin watermeter watt wattage watts webcam weekday
weekdays weekend weekends whirlpool wifi window windows woodstove workday workdays worklight workshop xmas
"""
SOURCE = "principal components of single words as read by all-MiniLM-L6-v2 (Apache-2.0)"


@click.command(cls=Program)
@click.option(
    "--words",
    "kept",
    type=WholeNumber(1_000),
    default=10_000,
    show_default=True,
    help="How many words the table has.",
)
@click.option(
    "--dimensions",
    type=WholeNumber(2, 384),
    default=48,
    show_default=True,
    help="How many numbers a word has.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The .safetensors file to write.  [default: the table that ships]",
)
def main(kept: int, dimensions: int, output: Path | None) -> None:
    """Write the table: principal components of the words' vectors, longer where a word is rarer, in int8."""
    from training.runs.process import execute

    execute(lambda: build(kept, dimensions, output))


def build(kept: int, dimensions: int, output: Path | None) -> None:
    """Read the words with the sentence encoder, reduce their vectors and write them. Raises TrainingError."""
    import numpy as np
    from safetensors.numpy import save

    from training.runs.errors import TrainingError
    from training.runs.files import wrap_write_errors
    from training.synergy.name_encoders import INSTALL, SENTENCES, TABLE, encoder_of, sentence_vocabulary

    read = encoder_of(SENTENCES)
    if read is None:
        raise TrainingError(f"the sentence encoder is not installed: {INSTALL}")
    known = [word for word in sentence_vocabulary() if word.isascii() and word.isalpha() and len(word) > 1]
    always = set(ALWAYS.split())
    words = [*known, *sorted(always - set(known))]  # most frequent first
    vectors = read(words)
    household, names = (
        (vectors @ read(texts).T).max(1)
        for texts in ([text.strip() for text in HOUSEHOLD.split(";")], FIRST_NAMES.split())
    )
    wanted = np.where(names < household, household, -1)
    wanted[[i for i, word in enumerate(words) if word in always]] = 2
    chosen = np.sort(np.argsort(-wanted, kind="stable")[:kept])
    centred = vectors[chosen] - vectors[chosen].mean(0)
    components = np.linalg.svd(centred, full_matrices=False)[2][:dimensions]
    rarity = np.log1p(np.minimum(chosen + 1, len(known)))  # as Zipf's law has it, up to a constant
    rows = centred @ components.T * rarity[:, None]
    scale = np.abs(rows).max(1, keepdims=True) / 127
    path = output or TABLE
    # One entry of metadata: several would be written in any order, and equal tables would differ.
    card = {"source": SOURCE, "words": " ".join(words[i] for i in chosen)}
    tensors = {"vectors": np.round(rows / scale).astype(np.int8), "scale": scale.astype(np.float16)}
    with wrap_write_errors(path):
        path.write_bytes(save(tensors, metadata={"card": json.dumps(card)}))
    click.echo(f"{path}: {kept} words, {dimensions} dimensions, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
