"""`python -m chammal_api` serves; with `--openapi` it prints the OpenAPI document instead."""

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_kit.memory import give_back_what_is_free
from chammal_kit.serve import main

if __name__ == "__main__":
    give_back_what_is_free()
    settings = ApiSettings()
    main(create(settings), settings, websockets=True)
