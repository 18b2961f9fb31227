"""Chammal's speech-to-text beside faster-whisper itself and other servers: `python -m bench.stt --help`."""
