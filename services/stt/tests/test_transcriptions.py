"""Over HTTP, with the real model."""

import os
import re
import signal
import socket
import threading
from pathlib import Path

import av
import numpy as np
import openai
import pytest

from chammal_contracts.asr import ChannelLayout, Transcription

pytestmark = pytest.mark.model

JFK = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@pytest.fixture(scope="module")
def jfk(audio: Path) -> bytes:
    return (audio / "en_jfk.flac").read_bytes()


def test_english_is_word_perfect(server, jfk: bytes) -> None:
    answer = server.post("jfk.flac", jfk, model="whisper-1")
    assert words(answer.json()["text"]) == words(JFK)
    assert answer.headers["chammal-backend"] == "faster-whisper"


def test_korean_is_recognised_as_korean(server, audio: Path) -> None:
    answer = server.post("a.wav", (audio / "ko_naver_017.wav").read_bytes(), response_format="verbose_json")
    transcription = Transcription.model_validate_json(answer.content)
    assert transcription.language == "ko"
    assert re.search("[가-힣]", transcription.text)


def test_verbose_json_has_words_when_asked(server, jfk: bytes) -> None:
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word", "language": "en"}
    transcription = Transcription.model_validate_json(server.post("jfk.flac", jfk, **fields).content)
    assert transcription.duration == 11.0
    assert transcription.model == "whisper-base"
    assert transcription.words is not None
    assert [words(word.word)[0] for word in transcription.words] == words(JFK)
    assert all(0 <= word.start <= word.end <= 11.0 for word in transcription.words)


def test_each_segment_says_how_it_was_said_when_asked(server, audio: Path) -> None:
    readers = (audio / "en_stereo_two_readers.wav").read_bytes()
    fields = {"response_format": "verbose_json", "language": "en", "channels": "split", "include[]": "voice"}
    transcription = Transcription.model_validate_json(server.post("readers.wav", readers, **fields).content)
    assert transcription.segments
    pitch = {}
    for segment in transcription.segments:
        assert segment.voice is not None
        assert 2 < (segment.voice.measured.syllables_per_second or 0) < 9
        pitch[segment.speaker] = segment.voice.measured.f0_hz
    assert 80 < pitch["agent"] < 120 < pitch["customer"] < 170


def test_who_does_not_ask_for_voices_gets_openais_segments(server, jfk: bytes) -> None:
    segments = server.post("jfk.flac", jfk, response_format="verbose_json", language="en").json()["segments"]
    assert not {"voice", "voice_missing"} & set(segments[0])


def test_subtitles_are_timed(server, jfk: bytes) -> None:
    srt = server.post("jfk.flac", jfk, response_format="srt", language="en").text
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:1\d,\d{3}\nAnd so", srt)
    assert server.post("jfk.flac", jfk, response_format="vtt", language="en").text.startswith("WEBVTT\n\n00:00:0")
    assert words(server.post("jfk.flac", jfk, response_format="text", language="en").text) == words(JFK)


def test_a_call_with_pauses_loses_no_sentence(server, audio: Path) -> None:
    call = (audio / "ko_call_two_channel_8k.wav").read_bytes()
    text = server.post("call.wav", call, language="ko").json()["text"]
    for said in ("무슨 역인가요", "포털", "콜센터", "새 프로젝트를 클릭", "주차", "대학생도 되나요"):
        near = [text[i : i + len(said)] for i in range(len(text) - len(said) + 1)]
        closest = min(sum(a != b for a, b in zip(part, said, strict=True)) for part in near)
        assert closest <= 2, f"{said!r} is missing from {text!r}"


def test_times_are_right_after_a_long_silence(server, recordings, audio: Path) -> None:
    with av.open(str(audio / "ko_naver_017.wav")) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    clip = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    recording = recordings.wav(np.concatenate((clip, np.zeros(20 * 16_000, np.float32), clip)))
    fields = {"response_format": "verbose_json", "language": "ko"}
    segments = Transcription.model_validate_json(server.post("a.wav", recording, **fields).content).segments
    assert segments[0].start < 3
    assert segments[-1].end == pytest.approx(len(clip) / 16_000 * 2 + 20, abs=3)
    assert not [s for s in segments if s.start > 8 and s.end < 22], "nothing was said there"


@pytest.mark.parametrize("seconds", [0.1, 3.0, 40.0])
def test_silence_is_an_empty_text(server, recordings, seconds: float) -> None:
    silence = recordings.wav(np.zeros(int(seconds * 16_000), np.float32))
    transcription = Transcription.model_validate_json(
        server.post("a.wav", silence, response_format="verbose_json").content
    )
    assert (transcription.text, transcription.segments) == ("", [])
    assert transcription.duration == seconds


def test_noise_is_an_empty_text(server, recordings) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 20 * 16_000).astype(np.float32)
    assert server.post("a.wav", recordings.wav(noise), language="ko").json() == {"text": ""}


def test_metrics_move_with_a_transcription(server, jfk: bytes) -> None:
    before = server.metric("chammal_stt_audio_seconds_total")
    server.post("jfk.flac", jfk, language="en")
    assert server.metric("chammal_stt_audio_seconds_total") == pytest.approx(before + 11.0)
    assert server.metric("chammal_stt_real_time_factor_count") > 0


def test_no_transcript_is_logged(server, jfk: bytes) -> None:
    server.post("jfk.flac", jfk, language="en")
    assert "Americans" not in server.log.read_text()


def test_a_deadline_that_passes_is_told(server, audio: Path) -> None:
    content = (audio / "ko_azure_2.wav").read_bytes()
    answer = server.client.post(
        "/v1/audio/transcriptions", files={"file": content}, headers={"Chammal-Deadline": "0.3"}
    )
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")


def test_a_killed_recogniser_is_replaced_and_its_request_answered(server, audio: Path, jfk: bytes) -> None:
    answers = []
    content = (audio / "ko_azure_2.wav").read_bytes()
    asking = threading.Thread(target=lambda: answers.append(server.post("a.wav", content, language="ko")))
    decoded = 'chammal_stt_worker_seconds_count{worker="decoder"}'
    restarts = 'chammal_stt_worker_restarts_total{worker="recogniser"}'
    before, restarts_before = server.metric(decoded), server.metric(restarts)
    whole = server.post("a.wav", content, language="ko").json()["text"]
    asking.start()
    server.until(lambda: server.metric(decoded) > before + 1)
    for victim in server.workers("recogniser_process"):
        os.kill(victim, signal.SIGKILL)
    asking.join()
    (answer,) = answers
    assert answer.status_code == 200
    assert answer.json()["text"] == whole
    server.until(lambda: server.metric(restarts) > restarts_before)


def test_progress_comes_as_events_and_openais_client_reads_them(server, audio: Path) -> None:
    client = openai.OpenAI(base_url=f"{server.client.base_url}/v1", api_key="none", max_retries=0)
    recording = audio / "ko_azure_2.wav"
    with client.audio.transcriptions.create(
        model="whisper-1", file=recording, language="ko", response_format="json", stream=True
    ) as events:
        seen = list(events)
    progress = [event for event in seen if event.type == "transcript.progress"]
    done = [event.seconds_done for event in progress]
    assert done == sorted(done)
    assert done[-1] == progress[-1].seconds_total == pytest.approx(47.36, abs=0.01)
    assert seen[-1].type == "transcript.text.done"
    deltas = "".join(event.delta for event in seen if event.type == "transcript.text.delta")
    assert deltas == seen[-1].text == server.post("a.wav", recording.read_bytes(), language="ko").json()["text"]


def test_what_fails_before_any_progress_has_its_own_status(server) -> None:
    answer = server.post("a.wav", b"no audio", stream="true")
    assert (answer.status_code, answer.json()["code"]) == (422, "audio_unreadable")


def test_every_end_of_a_request_gives_its_place_back(server, jfk: bytes) -> None:
    for fields in ({"language": "en"}, {"stream": "true", "language": "en"}, {"model": "none"}, {"language": "xx"}):
        server.post("jfk.flac", jfk, **fields)
        server.post("x.wav", b"not audio", **fields)
    server.until(lambda: server.metric('chammal_limit_in_flight{limit="stt"}') == 0)


def test_a_split_call_is_one_conversation_in_order_of_time(server, audio: Path) -> None:
    call = (audio / "ko_call_two_channel_8k.wav").read_bytes()
    fields = {"response_format": "verbose_json", "language": "ko", "channels": "split"}
    transcription = Transcription.model_validate_json(server.post("call.wav", call, **fields).content)
    assert transcription.channels is ChannelLayout.SPLIT
    starts = [segment.start for segment in transcription.segments]
    assert starts == sorted(starts)
    turns = [line.partition(": ")[0] for line in transcription.text.splitlines()]
    assert turns == ["customer", "agent", "customer"]
    agents = [segment for segment in transcription.segments if segment.speaker == "agent"]
    assert 19 < agents[0].start < 22
    assert 66 < agents[-1].end < 70
    assert all(0 < segment.confidence <= 1 for segment in transcription.segments)


def test_a_call_in_which_only_one_side_speaks_is_that_speakers(server, recordings, audio: Path) -> None:
    with av.open(str(audio / "ko_naver_017.wav")) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]) / np.float32(32768)
    stereo = np.column_stack((np.zeros_like(samples), samples)).reshape(-1).astype(np.float32)
    wav = bytearray(recordings.wav(stereo))
    wav[22:24] = (2).to_bytes(2, "little")  # channels
    wav[32:34] = (4).to_bytes(2, "little")  # bytes of a frame
    fields = {"response_format": "verbose_json", "language": "ko", "channels": "split"}
    transcription = Transcription.model_validate_json(server.post("call.wav", bytes(wav), **fields).content)
    assert {segment.speaker for segment in transcription.segments} == {"customer"}
    streamed = server.post("call.wav", bytes(wav), stream="true", **fields)
    assert streamed.status_code == 200
    assert "customer: " in streamed.text


def test_a_dual_mono_call_is_transcribed_once(server, recordings, audio: Path) -> None:
    with av.open(str(audio / "ko_naver_017.wav")) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]) / np.float32(32768)
    both = recordings.encode(samples.astype(np.float32), "flac", "flac", layout="stereo")
    fields = {"response_format": "verbose_json", "language": "ko", "channels": "split"}
    transcription = Transcription.model_validate_json(server.post("call.flac", both, **fields).content)
    assert transcription.channels is ChannelLayout.DUAL_MONO
    assert [segment.speaker for segment in transcription.segments] == [None] * len(transcription.segments)
    assert transcription.text.count("주차") == 1


def test_parts_that_cannot_be_decoded_are_counted(server, recordings) -> None:
    whole = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
    mp3 = bytearray(recordings.encode(whole, "libmp3lame", "mp3"))
    mp3[len(mp3) // 2 : len(mp3) // 2 + 3000] = np.random.default_rng(1).bytes(3000)
    answer = server.post("a.mp3", bytes(mp3), response_format="verbose_json")
    assert answer.json()["damaged_packets"] > 0


def test_hotwords_bring_a_name_that_is_misheard_without_them(server, audio: Path) -> None:
    clip = (audio / "ko_naver_013.wav").read_bytes()
    plain = server.post("a.wav", clip, language="ko").json()["text"]
    biased = server.post("a.wav", clip, language="ko", hotwords="서로인 스테이크").json()["text"]
    assert "서로인" not in plain
    assert "서로인" in biased


def test_a_caller_that_goes_away_frees_the_recogniser(server, audio: Path, jfk: bytes) -> None:
    abandoned = 'chammal_stt_requests_total{outcome="abandoned"}'
    decoded = 'chammal_stt_worker_seconds_count{worker="decoder"}'
    before, decoded_before = server.metric(abandoned), server.metric(decoded)
    content = (audio / "ko_azure_2.wav").read_bytes()
    request = server.client.build_request("POST", "/v1/audio/transcriptions", files={"file": content})
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection((request.url.host, request.url.port)) as caller:
        caller.sendall(f"POST {request.url.path} HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        server.until(lambda: server.metric(decoded) > decoded_before)
    server.until(lambda: server.metric(abandoned) == before + 1)
    assert words(server.post("jfk.flac", jfk, language="en").json()["text"]) == words(JFK)


def test_more_calls_than_are_let_in_are_refused_at_once(
    start_server, models_dir: Path, audio: Path, jfk: bytes, tmp_path: Path
) -> None:
    server = start_server(models_dir, tmp_path, workers=1, limit_least=2, limit_most=2)
    server.until(server.ready)
    content = (audio / "ko_azure_1.wav").read_bytes()
    answers = []
    callers = [
        threading.Thread(target=lambda: answers.append(server.post("a.wav", content, language="ko"))) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 200, 503, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["code"] == "overloaded"
    assert int(refused.headers["retry-after"]) > 0
    server.close()


def test_it_becomes_ready_by_itself_when_the_model_appears(start_server, models_dir: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    server = start_server(models, tmp_path, workers=1)
    server.until(lambda: "models fetch" in server.client.get("/ready").text)
    (models / "whisper-base").symlink_to(models_dir / "whisper-base")
    server.until(server.ready)
    server.close()


def test_without_preload_the_first_question_for_readiness_loads_the_model(
    start_server, models_dir: Path, tmp_path: Path
) -> None:
    server = start_server(models_dir, tmp_path, workers=1, preload="false")
    assert server.workers("recogniser_process") == []
    server.until(server.ready)
    server.close()
