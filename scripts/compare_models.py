#!/usr/bin/env python3
"""Score a candidate and the champion in one process, on the same rows that neither was trained on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from training.compare import compare_models

if __name__ == "__main__":
    compare_models()
