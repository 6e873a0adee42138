"""The front door: the ``home-synergy`` command, over training and the retraining manager."""
