"""What `chammal drill` can be told: `CHAMMAL_DRILL_<FIELD>` in the environment."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from chammal_kit.settings import settings_config


class DrillSettings(BaseSettings):
    model_config = settings_config("CHAMMAL_DRILL_")

    url: str | None = Field(default=None, description="The api's address; unset, that of `chammal up` here.")
    control: str | None = Field(
        default=None, description="Address where faults are set; unset, the control port of `chammal up --drill` here."
    )
    key: SecretStr | None = Field(default=None, description="The key that the drill's users send, where one is asked.")
