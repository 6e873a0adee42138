"""Adapters over an encoder-decoder; the soft prompt: a request gives a suggestion, both in plain words."""
