"""Train adapters over an encoder-decoder. The soft prompt, one of them, answers a request in plain words."""
