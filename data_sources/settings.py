"""Where services are and the keys to them: environment variables, else ``.env`` in the working directory."""

from __future__ import annotations

from typing import TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from data_sources.base import DataSourceError, sqlite_url
from data_sources.masking import message_of, without_secrets

DEFAULT_DATABASE = "data/ai_automation.db"


class SettingsError(DataSourceError):
    """A variable in the environment or ``.env`` cannot be used."""


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )


S = TypeVar("S", bound=_Settings)


class ProductionSettings(_Settings):
    """The variables that production's training scripts read. None is required."""

    data_api_url: str = "http://data-api:8006"
    data_api_api_key: SecretStr | None = None
    data_api_key: SecretStr | None = None
    api_key: SecretStr | None = None
    database_url: str | None = None
    database_path: str | None = None
    postgres_url: str | None = None

    @property
    def key(self) -> SecretStr | None:
        """The first set of DATA_API_API_KEY, DATA_API_KEY and API_KEY."""
        return self.data_api_api_key or self.data_api_key or self.api_key

    @property
    def database(self) -> str:
        """The first that is set of DATABASE_URL, DATABASE_PATH (a SQLite file) and POSTGRES_URL, else the default.

        POSTGRES_URL comes last: where it is new beside a DATABASE_PATH, what a training reads must not change.
        """
        if self.database_url:
            return self.database_url
        if self.database_path:
            return sqlite_url(self.database_path)
        return self.postgres_url or sqlite_url(DEFAULT_DATABASE)


class SimulationSettings(_Settings):
    """The variables by which production's trainer of the synergy model was led to simulated data.

    Attributes:
        simulation_entities_json: A JSON file of entities, read in place of the Data API.
        simulation_synergy_db: A SQLite file with the table of synergies, read in place of production's database.
    """

    simulation_entities_json: str | None = None
    simulation_synergy_db: str | None = None

    @property
    def notice(self) -> str:
        """One sentence for each variable that is set."""
        instead = {
            "SIMULATION_ENTITIES_JSON": (self.simulation_entities_json, "entities are read from it, not the Data API"),
            "SIMULATION_SYNERGY_DB": (self.simulation_synergy_db, "synergies are read from it, not the database"),
        }
        told = [f"{name} is set to {without_secrets(path)}: {what}" for name, (path, what) in instead.items() if path]
        return f"{'; '.join(told)}. Unset it, or give --json-input FILE or --data-source SPEC instead" if told else ""


class HomeAssistantSettings(_Settings):
    """The tokens for Home Assistant's API: a long-lived one, and the one that an add-on is given."""

    home_assistant_token: SecretStr | None = None
    supervisor_token: SecretStr | None = None


def production_settings() -> ProductionSettings:
    """Raises SettingsError that names the variable, never its value: it may be a key."""
    return _settings(ProductionSettings)


def simulation_settings() -> SimulationSettings:
    """Raises SettingsError as ``production_settings`` does."""
    return _settings(SimulationSettings)


def home_assistant_settings() -> HomeAssistantSettings:
    """Raises SettingsError as ``production_settings`` does."""
    return _settings(HomeAssistantSettings)


def _settings(model: type[S]) -> S:
    try:
        return model()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(map(str, first["loc"])).upper()
        raise SettingsError(f"{name} in the environment or .env: {first['msg']}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f".env: cannot be read ({message_of(error)})") from error
