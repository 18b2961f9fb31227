"""`python -m chammal_llm_gateway` serves; with `--openapi` it prints the OpenAPI document instead."""

from chammal_kit.memory import give_back_what_is_free
from chammal_kit.serve import main
from chammal_llm_gateway.app import create
from chammal_llm_gateway.settings import LlmSettings

if __name__ == "__main__":
    give_back_what_is_free()
    settings = LlmSettings()
    main(create(settings), settings)
