"""whisper.cpp over HTTP, in the peer's own environment: `python whispercpp_server.py MODEL THREADS PORT`.

16 kHz 16-bit samples in the body of a POST to `/?language=ko`, text in the answer. One recording at a time, as
whisper.cpp's own server does it; beam 5, as its command line has it.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from pywhispercpp.model import Model


def main() -> None:
    model = Model(
        sys.argv[1],
        params_sampling_strategy=1,
        beam_search={"beam_size": 5, "patience": -1.0},
        n_threads=int(sys.argv[2]),
        print_progress=False,
    )
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.answer(b"ready")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            language = parse_qs(urlsplit(self.path).query)["language"][0]
            samples = np.frombuffer(body, np.int16).astype(np.float32) / 32768
            with turn:
                segments = model.transcribe(samples, language=language)
            self.answer(" ".join(segment.text for segment in segments).encode())

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()


if __name__ == "__main__":
    main()
