#!/usr/bin/env python3
"""Retrain the models: check the data, train, judge against what is live, publish or roll back."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

from retraining_manager.cli import main

if __name__ == "__main__":
    main()
