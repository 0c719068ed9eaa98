from __future__ import annotations

import pytest
import tiny_run
import torch
from torch import Tensor, nn

from training.model.encoder import AudioEncoder, dropout, pool_partials

# Of the largest value: another order of additions in float32.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    """An encoder whose BatchNorm has random statistics and scales."""
    torch.manual_seed(3)
    encoder = AudioEncoder().eval()
    for norm in (encoder.norm1, encoder.norm2):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
    return encoder


def naive_frames(encoder: AudioEncoder, log_mel: Tensor) -> Tensor:
    """Encode one clip [mels frames] in float64, frequency before time: [frames dim]."""
    p = {name: value.double() for name, value in encoder.state_dict().items()}
    x = log_mel.double()[None, None]
    for i in ("1", "2"):
        # Here frequency comes before time, there after it.
        weight = p[f"conv{i}.weight"].transpose(2, 3)
        x = nn.functional.conv2d(x, weight, p[f"conv{i}.bias"], padding=1)
        for c in range(64):
            deviation = (p[f"norm{i}.running_var"][c] + 1e-5).sqrt()
            x[0, c] = (x[0, c] - p[f"norm{i}.running_mean"][c]) / deviation
            x[0, c] = x[0, c] * p[f"norm{i}.weight"][c] + p[f"norm{i}.bias"][c]
        x = nn.functional.max_pool2d(x.relu(), 2)
    rows = []
    for t in range(x.shape[3]):
        local = torch.stack([x[0, c, f, t] for f in range(16) for c in range(64)])
        hidden = (p["linear1.weight"] @ local + p["linear1.bias"]).relu()
        rows.append(torch.cat([local, (p["linear2.weight"] @ hidden + p["linear2.bias"]).relu()]))
    return torch.stack(rows)


def assert_close(found: Tensor, expected: Tensor) -> None:
    deviation = (found.double() - expected.double()).abs().max()
    assert deviation <= TOLERANCE * expected.abs().max()


def test_it_has_as_many_parameters_as_the_paper_s() -> None:
    assert sum(p.numel() for p in AudioEncoder().parameters()) == 6_333_376


@torch.no_grad()
def test_frames_equal_those_of_a_naive_encoder(encoder: AudioEncoder) -> None:
    log_mel = tiny_run.log_mels(2, frames=26)
    found = encoder.frames(log_mel, None)
    assert found.shape == (2, 6, 3072)
    for frames, clip in zip(found, log_mel, strict=True):
        assert_close(frames, naive_frames(encoder, clip))


@torch.no_grad()
def test_the_embedding_is_mean_plus_maximum_over_time(encoder: AudioEncoder) -> None:
    log_mel = tiny_run.log_mels(2, frames=26)
    found = encoder(log_mel)
    for embedding, clip in zip(found, log_mel, strict=True):
        frames = naive_frames(encoder, clip)
        expected = [sum(column) / len(column) + max(column) for column in frames.T.tolist()]
        assert_close(embedding, torch.tensor(expected))


@torch.no_grad()
@pytest.mark.parametrize("n", [4, 5, 6, 7, 30, 31])
def test_frames_beyond_a_clip_do_not_change_it(encoder: AudioEncoder, n: int) -> None:
    """At every remainder of the two halvings."""
    log_mel = tiny_run.log_mels(2, frames=40)
    alone = encoder.frames(log_mel[:1, :, :n], None)[0]
    together = encoder.frames(log_mel, torch.tensor([n, 40]))[0]
    assert len(alone) == n // 4
    assert_close(together[: n // 4], alone)


@torch.no_grad()
def test_evaluation_draws_nothing(encoder: AudioEncoder) -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    log_mel = tiny_run.log_mels(1)
    assert torch.equal(encoder(log_mel, generator), encoder(log_mel))
    assert torch.equal(generator.get_state(), before)


@torch.no_grad()
def test_training_drops_out_by_the_generator_alone() -> None:
    torch.manual_seed(0)
    encoder, log_mel = AudioEncoder().train(), tiny_run.log_mels(2)

    def embed(seed: int) -> Tensor:
        embedding: Tensor = encoder(log_mel, torch.Generator().manual_seed(seed))
        return embedding

    first = embed(1)
    state = torch.get_rng_state()
    torch.manual_seed(99)
    again = embed(1)
    assert torch.equal(first, again)
    assert not torch.equal(first, embed(2))
    torch.manual_seed(99)
    assert torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(99).get_state())
    torch.set_rng_state(state)


def test_dropout_zeroes_three_in_ten_and_preserves_the_mean() -> None:
    dropped = dropout(torch.full((400, 500), 7.0), torch.Generator().manual_seed(0))
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0.0, 10.0])
    # Five standard deviations of the share of 200,000 draws.
    assert (dropped > 0).double().mean().item() == pytest.approx(0.7, abs=0.006)


def test_partials_are_sums_and_maxima_of_five_valid_frames() -> None:
    frames = torch.rand(3, 13, 4, generator=torch.Generator().manual_seed(0))
    frames[1, 7:] = torch.nan
    frames[2, 5:] = torch.inf
    n_frames = [13, 7, 5]
    sums, maxima = pool_partials(frames, torch.tensor(n_frames))
    assert sums.shape == maxima.shape == (3, 3, 4)
    for clip in range(3):
        for partial in range(3):
            valid = [
                frames[clip, t] for t in range(5 * partial, 5 * partial + 5) if t < n_frames[clip]
            ]
            expected = torch.stack(valid) if valid else torch.zeros(1, 4)
            torch.testing.assert_close(sums[clip, partial], expected.sum(dim=0))
            torch.testing.assert_close(maxima[clip, partial], expected.amax(dim=0))
