import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from chammal.fetch import Fetcher, FetchFailed
from chammal.hub import Hub, HubCache
from chammal.packages import Packages
from chammal.sources import Meter, Source, SourceError
from chammal_kit.models import Manifest, Model, ModelFile, locate

from .conftest import REVISION, CountingReporter, HubStandIn, entry, manifest_of, pinned

WEIGHTS, CONFIG = bytes(range(256)) * 4096, b'{"a": 1}'


def tiny(**more: object) -> Manifest:
    return manifest_of(
        pinned("model.bin", WEIGHTS, hub="model.bin"), pinned("c/config.json", CONFIG, hub="c.json"), **more
    )


def serve(hub: HubStandIn, weights: bytes = WEIGHTS) -> HubStandIn:
    hub.serve("some/tiny", "model.bin", weights)
    hub.serve("some/tiny", "c.json", CONFIG)
    return hub


def fetcher(
    manifest: Manifest, models_dir: Path, hub: HubStandIn, reporter: CountingReporter, *more: Source
) -> Fetcher:
    cache = models_dir.parent / "hub-cache"
    return Fetcher(manifest, models_dir, reporter, (HubCache(cache), Hub(hub.url), *more), cache)


class Mirror:
    """A source that has what it is given."""

    name = "mirror"

    def __init__(self, content: bytes = WEIGHTS, models: Sequence[str] = ("tiny",)) -> None:
        self.content = content
        self.models = models

    def has(self, model: Model, file: ModelFile) -> bool:
        return model.id in self.models

    def fetch(self, model: Model, file: ModelFile, destination: Path, meter: Meter) -> None:
        destination.write_bytes(self.content)
        meter.advance(len(self.content))


def test_a_model_is_fetched_from_the_hub_and_verified(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    located = fetcher(tiny(), models_dir, serve(hub), reporter).fetch("tiny")
    assert located.path == models_dir / "tiny"
    assert (located.path / "c/config.json").read_bytes() == CONFIG
    assert locate(tiny(), models_dir, "tiny") == located.path
    assert reporter.done == reporter.total == len(WEIGHTS) + len(CONFIG)


def test_a_model_that_is_here_makes_no_network_call(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    fetcher(tiny(), models_dir, serve(hub), reporter).fetch("tiny")
    hub.seen.clear()
    fetcher(tiny(), models_dir, hub, reporter).fetch("tiny")
    assert hub.seen == []


def test_an_interrupted_fetch_goes_on_where_it_stopped(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    half = len(WEIGHTS) // 2
    partial = models_dir / ".partial" / "tiny" / "model.bin"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(WEIGHTS[:half])
    fetcher(tiny(), models_dir, serve(hub), reporter).fetch("tiny")
    assert [reply.range for reply in hub.seen if reply.method == "GET"] == [f"bytes={half}-", None]
    assert reporter.done == reporter.total


def test_ctrl_c_keeps_what_has_arrived(hub: HubStandIn, models_dir: Path) -> None:
    impatient = CountingReporter(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        fetcher(tiny(), models_dir, serve(hub), impatient).fetch("tiny")
    assert not (models_dir / "tiny").exists()
    assert fetcher(tiny(), models_dir, hub, CountingReporter()).fetch("tiny").path.is_dir()


def test_bytes_with_another_hash_are_refused_and_removed(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    serve(hub, weights=WEIGHTS[:-1] + b"!")
    with pytest.raises(FetchFailed, match="refused"):
        fetcher(tiny(), models_dir, hub, reporter).fetch("tiny")
    assert not (models_dir / "tiny").exists()
    assert not (models_dir / ".partial/tiny/model.bin").exists()


def test_a_file_of_another_size_on_the_hub_is_not_even_downloaded(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    serve(hub, weights=WEIGHTS + b"!")
    with pytest.raises(FetchFailed, match="are pinned"):
        fetcher(tiny(), models_dir, hub, reporter).fetch("tiny")
    assert [reply.method for reply in hub.seen] == ["HEAD"]


def test_a_corrupt_file_that_is_here_is_replaced_and_the_good_ones_kept(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    folder = fetcher(tiny(), models_dir, serve(hub), reporter).fetch("tiny").path
    (folder / "model.bin").write_bytes(WEIGHTS[:-1] + b"!")
    hub.seen.clear()
    fetcher(tiny(), models_dir, hub, reporter).fetch("tiny")
    assert {reply.path for reply in hub.seen} == {f"/some/tiny/resolve/{REVISION}/model.bin"}
    assert (folder / "model.bin").read_bytes() == WEIGHTS


def test_when_the_hub_has_not_the_file_the_mirror_is_taken(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    manifest = manifest_of(pinned("model.bin", WEIGHTS, hub="model.bin"))
    fetcher(manifest, models_dir, hub, reporter, Mirror()).fetch("tiny")
    assert (models_dir / "tiny/model.bin").read_bytes() == WEIGHTS


def test_when_the_hub_cannot_be_reached_it_is_asked_once_and_the_mirror_is_taken(
    models_dir: Path, reporter: CountingReporter
) -> None:
    away = HubStandIn(url="http://127.0.0.1:1")
    manifest = manifest_of(pinned("a", WEIGHTS, hub="a"), pinned("b", WEIGHTS, hub="b"))
    assert fetcher(manifest, models_dir, away, reporter, Mirror()).fetch("tiny").path.is_dir()


def test_when_nothing_is_reachable_the_causes_and_the_next_step_are_said(
    models_dir: Path, reporter: CountingReporter
) -> None:
    away = HubStandIn(url="http://127.0.0.1:1")
    with pytest.raises(FetchFailed) as caught:
        fetcher(tiny(), models_dir, away, reporter).fetch("tiny")
    assert "model hub: cannot be reached" in caught.value.causes[0]
    assert "chammal models fetch tiny" in str(caught.value)


def test_the_equivalent_is_taken_when_the_model_is_out_of_reach_and_this_is_said(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    both = Manifest.model_validate(
        {
            "model": [
                entry(pinned("model.bin", WEIGHTS, hub="model.bin"), equivalent="other"),
                entry(pinned("model.bin", CONFIG, hub="model.bin"), model_id="other"),
            ]
        }
    )
    located = fetcher(both, models_dir, hub, reporter, Mirror(CONFIG, ["other"])).fetch("tiny")
    assert located.is_equivalent
    assert located.path == models_dir / "other"
    assert any("equivalent" in line for line in reporter.said)


def test_what_the_hubs_own_client_has_cached_is_copied_without_a_network_call(
    hub: HubStandIn, models_dir: Path, reporter: CountingReporter
) -> None:
    snapshot = models_dir.parent / "hub-cache" / "models--some--tiny" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "model.bin").write_bytes(WEIGHTS)
    (snapshot / "c.json").write_bytes(CONFIG)
    fetcher(tiny(), models_dir, hub, reporter).fetch("tiny")
    assert hub.seen == []
    assert (models_dir / "tiny/c/config.json").read_bytes() == CONFIG


def test_what_vllm_fetches_is_left_to_it(models_dir: Path, reporter: CountingReporter) -> None:
    served = manifest_of(fetched_by="vllm")
    with pytest.raises(FetchFailed, match="vllm"):
        Fetcher(served, models_dir, reporter, ()).fetch("tiny")


def test_a_waiting_fetch_says_that_it_waits(hub: HubStandIn, models_dir: Path, reporter: CountingReporter) -> None:
    waiting = threading.Event()
    reporter.say = lambda text: waiting.set()  # type: ignore[method-assign]
    first = fetcher(tiny(), models_dir, serve(hub), CountingReporter())
    second = fetcher(tiny(), models_dir, hub, reporter)
    with first._lock("tiny"):
        thread = threading.Thread(target=second.fetch, args=("tiny",))
        thread.start()
        assert waiting.wait(timeout=30)
    thread.join(timeout=30)
    assert (models_dir / "tiny/model.bin").exists()


def test_a_source_that_fails_is_named_with_its_cause() -> None:
    assert str(SourceError("npm mirror", "npm is not installed")) == "npm mirror: npm is not installed"


def test_packages_are_asked_only_for_files_with_parts(models_dir: Path) -> None:
    model = tiny().get("tiny")
    assert not Packages(models_dir).has(model, model.files[0])
