"""Whether a training read the sample of simulated homes that ships with the project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_sources import is_sample

OF_SAMPLE = "of_sample"  # of the source that a summary describes
# Model -> what the audit of its sample says of the data. A test names what is to stand here when the sample changes.
FINGERPRINTS: Mapping[str, str] = MappingProxyType(
    {
        "gnn_synergy": "f1625873bb3a50702b494c551f76897dc29434fab2ffe1e8d601e88728b38379",
        "soft_prompt": "91fc40ef302bbf9df60302ac54834cbccde83e1b19e3fdb6eadd4dc73d62b659",
        "pattern_detection": "e1ecfa72c6fe4e9e0cf1d3bb33f40cf1d499b89bee1b7fcc10287c5464338815",
        "yaml_generation": "ad1ea6406374d97259c1965d53bfb965c1414745a0640cb3ca9ef2fbaf7b9a56",
    }
)


def is_of_sample(described: Mapping[str, Any]) -> bool:
    """Whether a training was on the shipped sample, wherever this is asked: the working directory plays no part.

    The training itself says so, unless it is an older one. Then the fingerprint of the data tells, also of a copy of
    the sample, and an absolute location. A relative one counts from the project's root, and only where no fingerprint
    is known, for another folder may have that name.

    Args:
        described: What a summary, a metadata file or a model says of its training: its ``data_fingerprint`` and the
            ``location`` of its ``source``. Whatever is damaged says nothing.
    """
    source, fingerprint = described.get("source"), described.get("data_fingerprint")
    location = source.get("location") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and source.get(OF_SAMPLE) is True:
        return True
    if fingerprint in FINGERPRINTS.values():
        return True
    if not isinstance(location, str) or (fingerprint is not None and not Path(location).is_absolute()):
        return False
    return is_sample(location)
