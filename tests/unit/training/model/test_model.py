from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.model.model import CROP_SAMPLES, EmbeddingModel, mask_and_pad

# Of the largest value of the embedding: rounding in float32.
TOLERANCE = 1e-5
PARTIAL = 3200


@pytest.fixture(scope="module")
def model() -> EmbeddingModel:
    torch.manual_seed(1)
    model = EmbeddingModel().eval()
    model.mean.fill_(-8.0)
    model.std.fill_(4.0)
    return model


def noise(samples: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def embed(model: EmbeddingModel, clip: Tensor) -> Tensor:
    with torch.no_grad():
        embedding: Tensor = model(clip[None], torch.tensor([len(clip)])).embedding[0]
    return embedding


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert found.isfinite().all()
    assert (found - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_the_embedding_is_that_of_the_normalised_log_mel(model: EmbeddingModel) -> None:
    clip = noise(16_000)
    with torch.no_grad():
        log_mel = (model.frontend(clip[None]) + 8.0) / 4.0
        expected = model.encoder(log_mel)[0]
    assert_close(embed(model, clip), expected)


@pytest.mark.parametrize("samples", [1, 2, 159, 160, 161, 320, 479, 480])
def test_a_clip_under_480_samples_counts_as_480(model: EmbeddingModel, samples: int) -> None:
    clip = noise(samples)
    extended = torch.nn.functional.pad(clip, (0, 480 - samples))
    assert_close(embed(model, clip), embed(model, extended))


@pytest.mark.parametrize("samples", [480, 15_200, 16_000, 31_999])
def test_partials_pool_to_the_embedding(model: EmbeddingModel, samples: int) -> None:
    with torch.no_grad():
        output = model(noise(samples)[None], torch.tensor([samples]))
    n_frames = (1 + samples // 160) // 2 // 2
    n_partials = -(-n_frames // 5)
    assert not output.sums[0, n_partials:].any()
    pooled = output.sums[0].sum(dim=0) / n_frames + output.maxima[0].amax(dim=0)
    assert_close(pooled, output.embedding[0])


@torch.no_grad()
def test_a_clip_can_be_encoded_in_chunks_with_a_partial_of_context(model: EmbeddingModel) -> None:
    clip = noise(14 * PARTIAL + 1234)
    whole = model(clip[None], torch.tensor([len(clip)]))
    n_partials = whole.sums.shape[1]
    chunks: list[tuple[Tensor, Tensor]] = []
    for first in range(0, n_partials, 6):
        last = min(first + 6, n_partials)
        start = max(first - 1, 0)
        stop = len(clip) if last == n_partials else (last + 1) * PARTIAL
        chunk = clip[start * PARTIAL : stop]
        output = model(chunk[None], torch.tensor([len(chunk)]))
        valid = slice(first - start, last - start)
        chunks.append((output.sums[0, valid], output.maxima[0, valid]))
    sums, maxima = (torch.cat(list(parts)) for parts in zip(*chunks, strict=True))
    assert_close(sums, whole.sums[0])
    assert_close(maxima, whole.maxima[0])


@torch.no_grad()
def test_an_encoder_frame_depends_on_less_than_two_neighbours_on_either_side(
    model: EmbeddingModel,
) -> None:
    """The context in the manifest: frame 10 depends on frames 8 to 12 only."""
    clip = noise(21 * 640)

    def frame_10(clip: Tensor) -> Tensor:
        frames: Tensor = model.encoder.frames(model.log_mel(clip[None]), None)[0, 10]
        return frames

    changed = clip.clone()
    changed[: 8 * 640] = 0.0
    changed[13 * 640 :] = 0.0
    assert_close(frame_10(changed), frame_10(clip))
    changed[: 10 * 640] = 0.0
    assert not torch.allclose(frame_10(changed), frame_10(clip))


def test_a_batch_is_at_least_a_crop_long_and_zero_beyond_each_clip() -> None:
    padded = mask_and_pad(torch.full((2, 300), torch.nan), torch.tensor([0, 0]))
    assert padded.shape == (2, CROP_SAMPLES)
    assert not padded.any()
    long = noise(CROP_SAMPLES + 7)[None]
    assert torch.equal(mask_and_pad(long, torch.tensor([CROP_SAMPLES + 7])), long)
