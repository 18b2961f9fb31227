"""A bot of pipecat's, as its examples make one; runs in pipecat's own environment, not in ours.

    python pipecat_bot.py PORT MODEL_FOLDER LANGUAGE LLM_URL TTS_URL VOICE

Its recogniser is its own use of faster-whisper on the weights that our stt has, its language model and its speech are
the very servers that ours are. Audio is raw samples both ways: 16 kHz in, 24 kHz out.
"""

# ruff: noqa
# mypy: ignore-errors
import asyncio
import sys

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame, OutputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transcriptions.language import Language
from pipecat.transports.websocket.server import SingleClientWebsocketServerParams, SingleClientWebsocketServerTransport
from pipecat.workers.runner import WorkerRunner

IN_RATE, OUT_RATE = 16_000, 24_000


class Raw(FrameSerializer):
    async def serialize(self, frame):
        if isinstance(frame, OutputAudioRawFrame):
            return frame.audio
        return "interruption" if isinstance(frame, InterruptionFrame) else None

    async def deserialize(self, data):
        return InputAudioRawFrame(audio=data, sample_rate=IN_RATE, num_channels=1) if isinstance(data, bytes) else None


async def main(port, model, language, llm, tts, voice):
    transport = SingleClientWebsocketServerTransport(
        params=SingleClientWebsocketServerParams(
            serializer=Raw(),
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=IN_RATE,
            audio_out_sample_rate=OUT_RATE,
            allowed_origins=[],
        ),
        host="127.0.0.1",
        port=port,
    )
    stt = WhisperSTTService(
        device="cpu",
        compute_type="int8",
        settings=WhisperSTTService.Settings(model=model, language=Language(language)),
    )
    model = OpenAILLMService(api_key="none", base_url=f"{llm}/v1", settings=OpenAILLMService.Settings(model="paced"))
    speech = OpenAITTSService(
        api_key="none", base_url=f"{tts}/v1", settings=OpenAITTSService.Settings(voice=voice, model="tts-1")
    )
    context = LLMContext([{"role": "system", "content": "You answer in short spoken sentences."}])
    pair = LLMContextAggregatorPair(context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()))
    steps = [transport.input(), stt, pair.user(), model, speech, transport.output(), pair.assistant()]
    worker = PipelineWorker(
        Pipeline(steps),
        params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=OUT_RATE),
        idle_timeout_secs=None,
    )

    @transport.event_handler("on_client_connected")
    async def connected(_, __):
        context.set_messages(context.get_messages()[:1])

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    port, *rest = sys.argv[1:]
    asyncio.run(main(int(port), *rest))
