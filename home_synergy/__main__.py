"""``python -m home_synergy`` is ``home-synergy``."""

from home_synergy.cli import main

if __name__ == "__main__":
    main(prog_name="home-synergy")
