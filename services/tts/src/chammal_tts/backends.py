"""The engines that the settings name, in their order."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial

from chammal_contracts.health import Readiness
from chammal_kit.models import find, load_manifest
from chammal_tts.backend import Backend
from chammal_tts.engine import Engine, EngineMissing
from chammal_tts.local_backend import LocalBackend
from chammal_tts.remote import RemoteBackend, Transport
from chammal_tts.settings import EngineName, TtsSettings
from chammal_tts.work import Work

Load = Callable[[TtsSettings], Engine]


def make_backends(
    settings: TtsSettings, executor: Executor, work: Work, loads: Mapping[EngineName, Load], transport: Transport
) -> list[Backend]:
    made: list[Backend] = []
    for name in dict.fromkeys(settings.engines):
        if name is not EngineName.OPENAI:
            made.append(LocalBackend(name, partial(loads[name], settings), executor, work, settings.model_poll_seconds))
        elif settings.openai_url:
            made.append(RemoteBackend(settings, settings.openai_url, transport()))
    return made


async def readiness_of(backends: Sequence[Backend]) -> Readiness:
    """One that speaks is enough."""
    told = [await backend.readiness() for backend in backends]
    ready = any(one.ready for one in told)
    checks = [check for one in told for check in one.checks]
    degraded = [check.name for check in checks if not check.ready] if ready else []
    return Readiness(ready=ready, degraded=degraded, checks=checks)


def load_kokoro(settings: TtsSettings) -> Engine:
    """Raises ModelError when the model is not here, with the command that fetches it."""
    from chammal_tts.kokoro import Kokoro

    found = find(load_manifest(settings.models_manifest), settings.models_dir, settings.model)
    return Kokoro(found.path, settings.model_threads)


def load_supertonic(settings: TtsSettings) -> Engine:
    if settings.supertonic_dir is None:
        raise EngineMissing("CHAMMAL_TTS_SUPERTONIC_DIR does not say where its weights are.", "supertonic download")
    try:
        from chammal_tts.supertonic_engine import Supertonic
    except ModuleNotFoundError as error:
        raise _not_installed(error, "supertonic") from error
    return Supertonic(settings.supertonic_dir, settings.model_threads)


def load_piper(settings: TtsSettings) -> Engine:
    try:
        from chammal_tts.piper_engine import Piper
    except ModuleNotFoundError as error:
        raise _not_installed(error, "piper-tts", " It is under the GPL, and so no part of Chammal.") from error
    return Piper(settings.piper_voices)


def load_say(settings: TtsSettings) -> Engine:
    try:
        from chammal_tts.say import Say
    except ModuleNotFoundError as error:
        raise _not_installed(error, "soundfile") from error
    return Say(settings.say_command)


def _not_installed(error: ModuleNotFoundError, package: str, note: str = "") -> EngineMissing:
    return EngineMissing(f"The Python package {error.name!r} is not installed.{note}", f"pip install {package}")


LOADS: Mapping[EngineName, Load] = {
    EngineName.KOKORO: load_kokoro,
    EngineName.SUPERTONIC: load_supertonic,
    EngineName.PIPER: load_piper,
    EngineName.SAY: load_say,
}
