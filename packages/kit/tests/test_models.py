import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from chammal_kit.models import (
    HubCacheSettings,
    Manifest,
    ManifestError,
    ModelCorrupt,
    ModelMissing,
    UnknownModel,
    find,
    is_complete,
    load_manifest,
    locate,
)

REPOSITORY = Path(__file__).parents[3]
REVISION = "a" * 40
WEIGHTS, CONFIG = b"weights" * 100, b"{}"


def pinned(path: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "hub": path, **more}


def model(model_id: str = "tiny", **more: Any) -> dict[str, Any]:
    return {
        "id": model_id,
        "role": "stt",
        "title": "Tiny",
        "licence": "MIT",
        "languages": ["ko"],
        "source": {"repo": "some/tiny", "revision": REVISION},
        "files": [pinned("model.bin", WEIGHTS), pinned("config.json", CONFIG)],
        **more,
    }


def manifest(*models: dict[str, Any]) -> Manifest:
    return Manifest.model_validate({"model": models or (model(),)})


def put(folder: Path, weights: bytes = WEIGHTS, config: bytes = CONFIG) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(weights)
    (folder / "config.json").write_bytes(config)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def test_a_complete_model_is_found_in_the_models_folder(tmp_path: Path, cache: Path) -> None:
    folder = put(tmp_path / "tiny")
    assert locate(manifest(), tmp_path, "tiny", hub_cache=cache) == folder


def test_a_model_in_the_hub_cache_is_used(tmp_path: Path, cache: Path) -> None:
    folder = put(cache / "models--some--tiny" / "snapshots" / REVISION)
    assert locate(manifest(), tmp_path, "tiny", hub_cache=cache) == folder


def test_another_revision_in_the_hub_cache_is_not_used(tmp_path: Path, cache: Path) -> None:
    put(cache / "models--some--tiny" / "snapshots" / ("b" * 40))
    with pytest.raises(ModelMissing):
        locate(manifest(), tmp_path, "tiny", hub_cache=cache)


def test_a_missing_model_names_its_files_and_the_command_that_fetches_it(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ModelMissing) as caught:
        locate(manifest(), tmp_path, "tiny", hub_cache=cache)
    assert caught.value.missing == ("model.bin", "config.json")
    assert caught.value.command == "chammal models fetch tiny"


def test_a_file_of_another_size_counts_as_missing(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "tiny", weights=WEIGHTS[:-1])
    with pytest.raises(ModelMissing) as caught:
        locate(manifest(), tmp_path, "tiny", hub_cache=cache)
    assert caught.value.missing == ("model.bin",)


def test_bytes_that_differ_are_refused(tmp_path: Path, cache: Path) -> None:
    folder = put(tmp_path / "tiny", weights=WEIGHTS[:-1] + b"!")
    with pytest.raises(ModelCorrupt) as caught:
        locate(manifest(), tmp_path, "tiny", hub_cache=cache)
    assert caught.value.path == folder / "model.bin"


def test_a_repaired_file_is_read_again(tmp_path: Path, cache: Path) -> None:
    folder = put(tmp_path / "tiny", weights=WEIGHTS[:-1] + b"!")
    with pytest.raises(ModelCorrupt):
        locate(manifest(), tmp_path, "tiny", hub_cache=cache)
    repaired = tmp_path / "repaired"
    repaired.write_bytes(WEIGHTS)
    repaired.replace(folder / "model.bin")
    assert locate(manifest(), tmp_path, "tiny", hub_cache=cache) == folder


def test_the_equivalent_is_found_and_said(tmp_path: Path, cache: Path) -> None:
    both = manifest(model(equivalent="other"), model("other"))
    put(tmp_path / "other")
    found = find(both, tmp_path, "tiny", hub_cache=cache)
    assert found.is_equivalent
    assert found.path == tmp_path / "other"
    assert is_complete(both, tmp_path, "tiny", hub_cache=cache)


def test_the_model_itself_is_preferred_to_its_equivalent(tmp_path: Path, cache: Path) -> None:
    both = manifest(model(equivalent="other"), model("other"))
    put(tmp_path / "other")
    put(tmp_path / "tiny")
    assert not find(both, tmp_path, "tiny", hub_cache=cache).is_equivalent


def test_an_unknown_id_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="tiny"):
        locate(manifest(), tmp_path, "huge")


@pytest.mark.parametrize(
    "broken",
    [
        model(files=[]),
        model(files=[pinned("../model.bin", WEIGHTS)]),
        model(files=[pinned("/model.bin", WEIGHTS)]),
        model(files=[{**pinned("model.bin", WEIGHTS), "sha256": ""}]),
        model(files=[pinned("model.bin", WEIGHTS, hub=None)]),
        model(source={"repo": "some/tiny", "revision": "main"}),
        model(source=None),
        model(equivalent="nowhere"),
        model(equivalent="tiny"),
        model(fetched_by="vllm"),
        model(files=[pinned("a", b"ab", parts=[{"pypi": "a==1", "member": "a"}, {"pypi": "b==1", "member": "b"}])]),
        model(files=[pinned("a", b"ab", parts=[{"pypi": "a", "member": "a"}])]),
        model(files=[pinned("a", b"ab", parts=[{"pypi": "a==1", "npm": "a@1", "member": "a"}])]),
        model(surprise=1),
    ],
)
def test_a_manifest_with_something_unpinned_or_wrong_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        manifest(broken)


def test_a_manifest_that_is_not_there_says_which_setting_names_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="CHAMMAL_MODELS_MANIFEST"):
        load_manifest(tmp_path / "none.toml")


def test_the_hub_cache_is_where_the_hubs_own_variables_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert HubCacheSettings().folder == Path("~/.cache/huggingface/hub").expanduser()
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert HubCacheSettings().folder == tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert HubCacheSettings().folder == tmp_path / "elsewhere"


def test_away_from_the_repository_the_manifest_of_the_package_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    committed = load_manifest(REPOSITORY / "models" / "manifest.toml")
    assert load_manifest(Path("models/manifest.toml")) == committed
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "manifest.toml").write_text("model = []")
    assert load_manifest(Path("models/manifest.toml")).model == ()


def test_the_committed_manifest_pins_a_default_for_every_role() -> None:
    committed = load_manifest(REPOSITORY / "models" / "manifest.toml")
    assert {model.role for model in committed.model if model.default} == {"stt", "llm", "tts"}


@pytest.mark.model
@pytest.mark.parametrize("model_id", ["whisper-base", "kokoro", "qwen2.5-1.5b-instruct-gguf"])
def test_the_default_models_on_this_machine_have_their_pinned_bytes(model_id: str) -> None:
    from chammal_kit.settings import ServiceSettings

    settings = ServiceSettings()
    assert locate(load_manifest(REPOSITORY / "models" / "manifest.toml"), settings.models_dir, model_id).is_dir()


@pytest.mark.parametrize(
    "name", ["../tiny", "/etc", "tiny/..", "tiny\0", "", ".", "TINY", "tiny/model.bin", "~/tiny", "..%2ftiny"]
)
def test_a_name_that_is_a_path_is_the_name_of_no_model(tmp_path: Path, cache: Path, name: str) -> None:
    put(tmp_path / "tiny")
    with pytest.raises(UnknownModel):
        locate(manifest(), tmp_path, name, hub_cache=cache)


@pytest.mark.parametrize("path", ["../model.bin", "/etc/passwd", "a/../../b", ""])
def test_a_manifest_whose_file_lies_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="below the model's folder"):
        manifest(model(files=[pinned(path, WEIGHTS)]))


def test_what_is_no_regular_file_is_missing_whatever_its_size(tmp_path: Path, cache: Path) -> None:
    folder = put(tmp_path / "tiny")
    (folder / "config.json").unlink()
    for replace in (
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
    ):
        replace(folder / "config.json")
        with pytest.raises(ModelMissing):
            locate(manifest(), tmp_path, "tiny", hub_cache=cache)
        path = folder / "config.json"
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_link_to_other_bytes_is_not_used_wherever_it_leads(tmp_path: Path, cache: Path) -> None:
    """Links may lead out of the folder, as the hub's own do: only the pinned bytes are ever used."""
    folder = put(tmp_path / "tiny")
    (tmp_path / "elsewhere").write_bytes(WEIGHTS[::-1])
    (folder / "model.bin").unlink()
    (folder / "model.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelCorrupt):
        locate(manifest(), tmp_path, "tiny", hub_cache=cache)
