"""What becomes of recorded calls, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

from chammal_contracts.calls import CallStatus, Priority
from chammal_contracts.stages import Stage

BUCKETS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)

ACCEPTED = Counter("chammal_calls_accepted_total", "Recorded calls that were accepted, by priority.", ["priority"])
REFUSED = Counter("chammal_calls_refused_total", "Recorded calls that were not accepted: too many wait.")
FINISHED = Counter(
    "chammal_calls_finished_total", "Runs of recorded calls that ended, by the call's status.", ["status"]
)
HEALED = Counter("chammal_calls_healed_total", "Calls whose missing stages came later.")
GIVEN_UP = Counter("chammal_calls_given_up_total", "Calls that still lack a stage, and are not tried again.")
HEALS = Counter("chammal_calls_heals_started_total", "Runs that were started to bring missing stages.")
QUEUED = Gauge("chammal_calls_queued", "Calls that wait for their first run.")
RUNNING = Gauge("chammal_calls_running", "Calls that are being analysed.")
WAITING = Gauge("chammal_calls_waiting_to_heal", "Calls that wait for a failed service to be back.")
OLDEST = Gauge("chammal_calls_oldest_wait_seconds", "Age of the call that has waited longest to heal.")
STORED = Gauge("chammal_calls_stored_bytes", "Bytes of the recordings that are kept.")
STAGE_SECONDS = Histogram("chammal_calls_stage_seconds", "Seconds of one stage of a call.", ["stage"], buckets=BUCKETS)

for _priority in Priority:
    ACCEPTED.labels(_priority)
for _status in (CallStatus.COMPLETE, CallStatus.PARTIAL, CallStatus.FAILED):
    FINISHED.labels(_status)
for _stage in (Stage.STT, Stage.ANALYSIS, Stage.SUMMARY):
    STAGE_SECONDS.labels(_stage)
