"""HTTP/1.1 for clients that are slow or send too much. uvicorn alone waits for ever, and takes any header.

Headers must be there within 10 s (nginx waits 60, Apache 20), in 64 KiB and 100 fields. A body must come, and an answer
must go, at 512 bytes a second (Apache: 500), seen over two periods of 15 s; while the service itself is not reading,
nobody is blamed. What still comes after an answer is thrown away no longer than that (nginx: lingering_time).
"""

from asyncio import BaseTransport, TimerHandle
from enum import Enum, auto

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from chammal_contracts.errors import PROBLEM_MEDIA_TYPE, ErrorCode
from chammal_kit.metrics import REFUSED
from chammal_kit.problems import Problem


class _Expecting(Enum):
    HEADERS = auto()
    BODY = auto()
    NOTHING = auto()


class PatientHttp(HttpToolsProtocol):
    header_seconds = 10.0
    header_bytes = 64 * 1024
    header_fields = 100
    period_seconds = 15.0
    bytes_a_second = 512

    _expecting = _Expecting.HEADERS
    _upgraded = False
    _timer: TimerHandle | None = None
    _write_timer: TimerHandle | None = None
    _piece_bytes = 0
    _ended_in_piece = False
    _head_bytes = 0
    _period_bytes = 0
    _slow_periods = 0
    _unwritten = 0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._timer = self.loop.call_later(self.header_seconds, self._headers_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._piece_bytes = len(data)
        self._ended_in_piece = False
        super().data_received(data)
        if self._upgraded:
            return
        if self._expecting is _Expecting.NOTHING:
            if self._timer is not None:
                self._stop_timer()
            if self.cycle is not None and self.cycle.response_complete and self.timeout_keep_alive_task is None:
                self._expecting = _Expecting.HEADERS  # line breaks before a request: it must follow
        if self._expecting is _Expecting.HEADERS:
            if not self._ended_in_piece:
                self._head_bytes += len(data)
            if self._head_bytes > self.header_bytes:
                self._refuse(self._too_large())
            elif self._timer is None:
                self._timer = self.loop.call_later(self.header_seconds, self._headers_late)
        elif self._expecting is _Expecting.BODY:
            self._period_bytes += len(data)
            if self._timer is None:
                self._start_period()

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._stop_timer()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        self._expecting = _Expecting.HEADERS
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._expecting = _Expecting.BODY
        too_many = len(self.headers) > self.header_fields
        if too_many or (self._head_bytes + self._piece_bytes > self.header_bytes and self._size() > self.header_bytes):
            app, self.app = self.app, self._too_large().response()
            super().on_headers_complete()
            self.app = app
        else:
            super().on_headers_complete()
        self._head_bytes = self._period_bytes = self._slow_periods = 0

    def on_message_complete(self) -> None:
        self._expecting = _Expecting.NOTHING
        self._ended_in_piece = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _too_large(self) -> Problem:
        detail = f"The headers have more than {self.header_bytes:,} bytes or {self.header_fields} fields."
        return Problem(431, ErrorCode.HEADERS_TOO_LARGE, detail, headers={"Connection": "close"})

    def _headers_late(self) -> None:
        self._timer = None
        if self._head_bytes:
            detail = f"The headers took longer than {self.header_seconds:g} s."
            self._refuse(Problem(408, ErrorCode.REQUEST_TOO_SLOW, detail))
        else:
            self.transport.close()

    def _start_period(self) -> None:
        self._timer = self.loop.call_later(self.period_seconds, self._period_over)

    def _period_over(self) -> None:
        cycle = self.cycle
        our_turn = self.flow.read_paused or cycle.waiting_for_100_continue
        enough = our_turn or self._period_bytes >= self.bytes_a_second * self.period_seconds
        self._slow_periods = self._slow_periods + 1 if cycle.response_complete or not enough else 0
        self._period_bytes = 0
        if self._slow_periods < 2:
            self._start_period()
            return
        self._timer = None
        if cycle.response_started:
            self.transport.abort()
        else:
            detail = f"The body came with fewer than {self.bytes_a_second} bytes a second."
            self._refuse(Problem(408, ErrorCode.REQUEST_TOO_SLOW, detail))

    def _watch_writing(self) -> None:
        self._unwritten = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(2 * self.period_seconds, self._write_period_over)

    def _write_period_over(self) -> None:
        taken = self._unwritten - self.transport.get_write_buffer_size()
        if taken < self.bytes_a_second * 2 * self.period_seconds:
            self._write_timer = None
            self.transport.abort()
        else:
            self._watch_writing()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, problem: Problem) -> None:
        """Without the app, which has no request yet or waits for the rest of one."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        REFUSED.labels(problem.code).inc()
        body = problem.body().model_dump_json().encode()
        self.transport.write(
            STATUS_LINE[problem.status]
            + f"content-type: {PROBLEM_MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        self.transport.close()
