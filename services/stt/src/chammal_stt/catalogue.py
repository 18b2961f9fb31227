"""What models there are, and by which names requests ask for them."""

from chammal_contracts.errors import ErrorCode
from chammal_contracts.languages import LANGUAGES
from chammal_kit.models import (
    Manifest,
    Model,
    ModelError,
    ModelMissing,
    Role,
    is_complete,
    load_manifest,
    missing_files,
)
from chammal_kit.problems import Problem
from chammal_stt.settings import SttSettings

ALIASES = frozenset({"whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"})
"""OpenAI's names, which mean the default model."""


class Catalogue:
    def __init__(self, settings: SttSettings) -> None:
        self._settings = settings
        self._read: Manifest | None = None

    def models(self) -> list[Model]:
        """Raises Problem when the manifest cannot be read."""
        return [model for model in self._manifest().model if model.role is Role.STT]

    def get(self, model_id: str) -> Model:
        """Raises Problem."""
        models = self.models()
        for model in models:
            if model.id == model_id:
                return model
        accepted = sorted({*(model.id for model in models), *ALIASES})
        detail = f"The model {model_id[:80]!r} is not served here. Send one of {', '.join(accepted)}."
        raise Problem(404, ErrorCode.MODEL_NOT_FOUND, detail, accepted=accepted)

    def is_here(self, model: Model) -> bool:
        """By names and sizes of its files; their bytes are checked when it is loaded."""
        return is_complete(self._manifest(), self._settings.models_dir, model.id)

    def find(self, model_id: str) -> Model:
        """As `get`, and raises Problem too when it would have to be fetched first."""
        model = self.get(model_id)
        if not self.is_here(model):
            missing = ModelMissing(model, missing_files(model, self._settings.models_dir / model.id))
            raise Problem(503, ErrorCode.MODEL_UNAVAILABLE, str(missing), command=missing.command)
        return model

    def check_language(self, model_id: str, language: str) -> None:
        """Raises Problem when the model does not know the language. The manifest lists all that a small model knows."""
        known = next((model.languages for model in self.models() if model.id == model_id), ())
        if set(known) <= LANGUAGES and known and language not in known:
            accepted = sorted(known)
            detail = (
                f"The model {model_id} knows {', '.join(accepted)} alone, and not {language!r}. Name another model."
            )
            raise Problem(400, ErrorCode.LANGUAGE_UNKNOWN, detail, accepted=accepted)

    def _manifest(self) -> Manifest:
        if self._read is None:
            try:
                self._read = load_manifest(self._settings.models_manifest)
            except ModelError as error:
                raise Problem(503, ErrorCode.MODEL_UNAVAILABLE, str(error)) from error
        return self._read
