import pytest
from pydantic import ValidationError

from chammal_stt.settings import SttSettings


def test_an_unknown_default_language_is_refused_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_STT_LANGUAGE", "kr")
    with pytest.raises(ValidationError):
        SttSettings()


def test_recognisers_share_the_cores_unless_told_otherwise() -> None:
    assert SttSettings(workers=1000).threads_per_worker == 1
    assert SttSettings(workers=1).threads_per_worker * 2 >= SttSettings(workers=2).threads_per_worker
    assert SttSettings(cpu_threads=3).threads_per_worker == 3


def test_speakers_are_two_different_names() -> None:
    assert SttSettings(speakers=" 상담원, 고객 ").speaker_names == ("상담원", "고객")
    for wrong in ("agent", "agent,agent", "agent,", "a,b,c"):
        with pytest.raises(ValidationError):
            SttSettings(speakers=wrong)


def test_a_gpu_is_a_setting() -> None:
    on_gpu = SttSettings(device="cuda")
    assert (on_gpu.arithmetic, on_gpu.worker_count, on_gpu.pieces_per_batch) == ("float16", 1, 16)
    on_cpu = SttSettings()
    assert on_cpu.arithmetic == "int8"
    assert on_cpu.worker_count >= 2
