#!/usr/bin/env python3
"""Train the synergy model: which entity should act when another one triggers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from training.synergy.command import train

if __name__ == "__main__":
    train()
