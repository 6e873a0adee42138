#!/usr/bin/env python3
"""Train the soft prompt: an adapter that turns a request into a suggested automation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from training.text.command import train

if __name__ == "__main__":
    train()
