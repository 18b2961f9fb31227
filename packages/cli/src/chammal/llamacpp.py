"""The embedded language model: llama.cpp's own OpenAI server from the xllamacpp wheel, as a program of its own.

Nothing else imports xllamacpp. `chammal up` starts it when no vLLM, Ollama or key is configured.
"""

import os
import signal
import time
from pathlib import Path

import xllamacpp  # type: ignore[import-untyped]

from chammal.settings import UpSettings
from chammal_kit.models import find, is_complete, load_manifest
from chammal_kit.priority import give_way

MODEL_ID = "qwen2.5-1.5b-instruct-gguf"
SLOTS = 2
PROMPT_CACHE_MIB = 256
"""llama.cpp would keep up to 8 GiB of finished prompts."""

LOOK_AGAIN_SECONDS = 5.0


def parameters(model: Path, alias: str, settings: UpSettings) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = settings.llamacpp_port
    params.n_ctx = settings.llamacpp_context
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = settings.llamacpp_threads or max(1, (os.cpu_count() or 1) // 2)
    params.kv_unified = True
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = 1
    return params


def main() -> None:
    give_way()
    settings = UpSettings()
    manifest = load_manifest(settings.models_manifest)
    if not is_complete(manifest, settings.models_dir, MODEL_ID):
        print(f"waiting for its model; fetch it: {manifest.get(MODEL_ID).command}", flush=True)
    while not is_complete(manifest, settings.models_dir, MODEL_ID):
        time.sleep(LOOK_AGAIN_SECONDS)
    located = find(manifest, settings.models_dir, MODEL_ID)
    started = time.perf_counter()
    server = xllamacpp.Server(parameters(located.path / located.model.files[0].path, located.model.id, settings))
    print(f"{located.model.id} at {server.listening_address} in {time.perf_counter() - started:.1f} s", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # it keeps nothing that a tidy end would save
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
