#!/usr/bin/env python3
"""Judge a synergy model on homes: new ones, and ones of which a share of the automations is known."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from training.synergy.command import evaluate

if __name__ == "__main__":
    evaluate()
