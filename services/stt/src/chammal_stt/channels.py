"""Two channels of one call: what is in one only because the other's speaker was heard in it.

A bleed-through rises and falls with the other channel, or a little later, far below it and below its own channel's
speaker. Who talks at the same time does not: such double talk stays. All is judged by levels, 32 ms at a time.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SPEECH = 128
"""Of 255: a frame that surely is speech."""
_PERHAPS = 64
"""A frame that may belong to a stretch of speech."""
_SMOOTHING = 7
"""Frames over which loudness is taken: the two channels of a call need not be in step to the sample."""
_LAGS = range(13)
"""Frames, up to 0.4 s, by which an echo may come later than what it echoes."""
_CONTOUR = 31
"""Frames, a second, over which the two are compared."""
_GAP = 16
"""Frames: shorter pauses do not end a stretch."""
_MARGIN = 10
"""Frames kept around what is the channel's own."""
_FAINTER = 8.0
"""dB below the other channel."""
_BELOW_USUAL = 6.0
"""dB below how loud the channel's own speaker usually is."""
_AUDIBLE = 20.0
"""dB below the usual, at which the own speaker is still heard."""
_ALIKE, _VERY_ALIKE = 0.7, 0.93
"""Correlation of the contours of both; the second is enough without being below the usual."""
_OWN_FRAMES = 3
"""Fewer frames of its own do not make a stretch the channel's own."""


@dataclass(frozen=True, slots=True)
class Bleed:
    """A stretch of speech that was taken out of a channel: frames `first` to `last`, both included."""

    channel: int
    first: int
    last: int


def without_bleed(speech: tuple[Bytes, Bytes], level: tuple[Bytes, Bytes]) -> tuple[list[Bytes], list[Bleed]]:
    """As in ChannelActivity. Returns the probabilities with those of bleed-through set to 0, and what was taken out."""
    if not len(speech[0]):
        return list(speech), []
    power = [_smooth(10.0 ** (-levels / 10.0), _SMOOTHING) for levels in level]
    masked, dropped = [], []
    for me, other in ((0, 1), (1, 0)):
        kept = _own(speech[me], power[me], _aligned(power[other], power[me]))
        masked.append(np.where(kept, speech[me], 0).astype(np.uint8))
        lost = (speech[me] >= _SPEECH) & ~kept
        dropped += [Bleed(me, first, last) for first, last in _stretches(lost)]
    return masked, sorted(dropped, key=lambda bleed: bleed.first)


def _own(speech: Bytes, power: Floats, other: Floats) -> Flags:
    """Frames whose speech is left standing."""
    loudness = 10 * np.log10(power)
    fainter = 10 * np.log10(other) - loudness
    alike = _correlation(np.sqrt(power), np.sqrt(other))
    surely = speech >= _SPEECH
    leading = surely & (fainter < -_FAINTER)
    usual = float(np.median(loudness[leading])) if leading.any() else None
    bleed = (fainter >= _FAINTER) & (alike >= _ALIKE)
    own = surely & ~bleed & (fainter < _FAINTER)
    if usual is not None:
        bleed &= (loudness < usual - _BELOW_USUAL) | (alike >= _VERY_ALIKE)
        own = surely & ~bleed & (loudness >= usual - _AUDIBLE)
    kept = speech < _PERHAPS
    near = _widen(own, _MARGIN)
    for first, last in _stretches(~kept):
        stretch = slice(first, last + 1)
        needed = min(_OWN_FRAMES, int(surely[stretch].sum()))
        enough = int(own[stretch].sum()) >= needed
        kept[stretch] = (near[stretch] | ~bleed[stretch]) if enough else False
    return kept


def _aligned(other: Floats, power: Floats) -> Floats:
    """The other channel, later by what its echo in this one seems to take."""
    faint = other >= power * 10 ** (_FAINTER / 10)
    if np.count_nonzero(faint) < _CONTOUR:
        return other
    contour = np.sqrt(power[faint])
    contour -= contour.mean()

    def alike(later: Floats) -> float:
        shifted = np.sqrt(later[faint])
        return float(np.dot(contour, shifted - shifted.mean()) / (np.std(shifted) + 1e-12))

    return max((_later(other, lag) for lag in _LAGS), key=alike)


def _later(values: Floats, lag: int) -> Floats:
    return np.concatenate((np.full(lag, values[0]), values))[: len(values)]


def _stretches(flags: Flags) -> list[tuple[int, int]]:
    """First and last frame of each run, pauses shorter than _GAP included."""
    places = np.flatnonzero(flags)
    if not len(places):
        return []
    cuts = np.flatnonzero(np.diff(places) > _GAP)
    firsts = places[np.concatenate(([0], cuts + 1))]
    lasts = places[np.concatenate((cuts, [len(places) - 1]))]
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def _smooth(values: Floats, width: int) -> Floats:
    padded = np.pad(values, width // 2, mode="edge")
    sums = np.cumsum(np.concatenate(([0.0], padded)))
    return np.asarray(np.maximum((sums[width:] - sums[:-width]) / width, 1e-12))


def _correlation(one: Floats, other: Floats) -> Floats:
    """Of the two around each frame."""
    mean_one, mean_other = _mean(one), _mean(other)
    covariance = _mean(one * other) - mean_one * mean_other
    variances = (_mean(one * one) - mean_one**2) * (_mean(other * other) - mean_other**2)
    return np.asarray(covariance / np.sqrt(np.maximum(variances, 1e-24)))


def _mean(values: Floats) -> Floats:
    padded = np.pad(values, _CONTOUR // 2, mode="reflect" if len(values) > _CONTOUR else "edge")
    sums = np.cumsum(np.concatenate(([0.0], padded)))
    return np.asarray((sums[_CONTOUR:] - sums[:-_CONTOUR]) / _CONTOUR)


def _widen(flags: Flags, width: int) -> Flags:
    return (
        np.convolve(flags, np.ones(2 * width + 1), mode="same")[: len(flags)] > 0 if len(flags) > 2 * width else flags
    )
