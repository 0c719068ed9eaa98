"""The embedding of a clip does not depend on the clips in its batch."""

from __future__ import annotations

import numpy as np
import synth
from file_windows import embed_windows
from hypothesis import given, settings
from hypothesis import strategies as st

from service.inference.encoder import Encoder

# Rounding of another order of additions, relative to the largest value.
TOLERANCE = 1e-5


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(1, 70_000) | st.integers(1, 2_000), min_size=1, max_size=6))
def test_the_embeddings_of_a_batch_are_those_of_single_clips(
    encoder: Encoder, sizes: list[int]
) -> None:
    clips = [synth.noise(seed, size / 16_000) for seed, size in enumerate(sizes)]
    together = encoder.embed(clips)
    single = np.concatenate([encoder.embed([clip]) for clip in clips])
    np.testing.assert_allclose(together, single, rtol=0, atol=TOLERANCE * single.max())


@settings(max_examples=40)
@given(
    size=st.integers(1, 100_000),
    window=st.integers(1, 40),
    hop=st.integers(1, 40),
)
def test_windows_start_at_zero_end_with_the_clip_and_leave_no_gap(
    encoder: Encoder, size: int, window: int, hop: int
) -> None:
    hop = min(hop, window)
    clip = synth.noise(0, size / 16_000)
    windows = embed_windows(encoder, clip, window_s=window / 5, hop_s=hop / 5)
    assert windows.starts_s[0] == 0
    assert windows.ends_s[-1] == size / 16_000
    assert (windows.starts_s[1:] <= windows.ends_s[:-1]).all()
    assert (windows.starts_s < windows.ends_s).all()
    assert len(windows.embeddings) == len(windows.starts_s) == len(windows.ends_s)
