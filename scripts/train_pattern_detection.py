#!/usr/bin/env python3
"""Train the pattern model: how likely a detected usage pattern is genuine."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from training.patterns.command import train

if __name__ == "__main__":
    train()
