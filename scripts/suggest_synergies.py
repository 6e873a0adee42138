#!/usr/bin/env python3
"""Suggest automations that a home does not have yet, as Home Assistant YAML."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from training.suggestions.command import suggest

if __name__ == "__main__":
    suggest()
