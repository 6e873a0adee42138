#!/usr/bin/env python3
"""Score a candidate and the live model in one process, on the same rows that neither was trained on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from training.compare import command

if __name__ == "__main__":
    command()
