from __future__ import annotations

import pytest
import tiny_run
import torch
from torch import Tensor

from training.pretraining.mixing import mix_waveforms
from training.pretraining.step import TrainState
from training.pretraining.views import Views, make_views
from training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("narrow")

PLAIN = {"mixup_ratio": 0.0, "crop_scale": [1.0, 1.0], "canvas_scale": 1.0, "fader_gain": 0.0}
"""No augmentation but mixup with a share of 0, which adds only the offset of the logarithm."""


def made(recipe: Recipe, excerpts: Tensor | None = None) -> tuple[Views, TrainState]:
    state = tiny_run.state(recipe)
    state.bank.push(tiny_run.log_mels(5))
    random = torch.Generator().manual_seed(2)
    return make_views(state.model, state.bank, tiny_run.crops(3), random, recipe, excerpts), state


def normalised(state: TrainState, views: Views, waveform: Tensor) -> Tensor:
    """Normalise a log-mel as the plain views are."""
    log_mels = state.model.log_mel(tiny_run.crops(3))
    return (state.model.log_mel(waveform) - log_mels.mean()) / torch.cat([log_mels] * 2).std()


def test_without_a_variant_nothing_but_two_views_is_made_or_drawn() -> None:
    recipe = tiny_run.recipe()
    views, _ = made(recipe)
    assert not views.added
    assert not views.mixtures
    again, _ = made(tiny_run.recipe(loss={"mix_domain": "waveform"}), tiny_run.crops(3, 1))
    assert torch.equal(again.first, views.first)
    assert torch.equal(again.second, views.second)


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_mixture_is_the_log_mel_of_the_sum_of_waveforms(symmetric: bool) -> None:
    loss = {"mix_domain": "waveform", "symmetric": symmetric}
    views, state = made(tiny_run.recipe(loss=loss, views=PLAIN))
    assert len(views.mixtures) == 1 + symmetric
    clips = tiny_run.crops(3)
    for log_mel, gamma in views.mixtures:
        assert ((gamma >= 0.4) & (gamma <= 0.6)).all()
        mixed = [
            (1 - rate) ** 0.5 * (clips[n] + (rate / (1 - rate)) ** 0.5 * clips[(n + 1) % 3])
            for n, rate in enumerate(gamma.tolist())
        ]
        expected = normalised(state, views, torch.stack(mixed))
        torch.testing.assert_close(log_mel, expected, rtol=1e-3, atol=1e-3)


def test_a_mixture_of_waveforms_has_the_level_ratio_of_the_recipe() -> None:
    loss = {"mix_domain": "waveform", "snr_db": [6.0, 6.0]}
    views, _ = made(tiny_run.recipe(loss=loss))
    power = tiny_run.crops(3).double().square().mean(dim=1)
    for _, gamma in views.mixtures:
        ratio = (1 - gamma) * power / (gamma * power.roll(-1, 0))
        assert (10 * ratio.log10()).tolist() == pytest.approx([6.0] * 3, abs=1e-3)


def test_views_of_excerpts_are_normalised_as_the_views_are() -> None:
    excerpts = tiny_run.crops(3, 9)
    views, state = made(tiny_run.recipe(loss={"reference": "excerpt"}, views=PLAIN), excerpts)
    assert len(views.added) == 2
    for view in views.added:
        expected = normalised(state, views, excerpts)
        torch.testing.assert_close(view, expected, rtol=1e-3, atol=1e-3)


def test_excerpts_are_mixed_as_waveforms() -> None:
    excerpts = tiny_run.crops(3, 9)
    loss = {"reference": "excerpt", "mix_domain": "waveform", "symmetric": False}
    views, state = made(tiny_run.recipe(loss=loss, views=PLAIN), excerpts)
    assert not views.added
    ((log_mel, gamma),) = views.mixtures
    expected = normalised(state, views, mix_waveforms(tiny_run.crops(3), gamma, excerpts))
    torch.testing.assert_close(log_mel, expected, rtol=1e-3, atol=1e-3)


def test_neither_mixtures_nor_excerpts_are_stored_in_the_bank() -> None:
    _, plain = made(tiny_run.recipe())
    for loss in ({"mix_domain": "waveform"}, {"reference": "excerpt"}):
        _, state = made(tiny_run.recipe(loss=loss), tiny_run.crops(3, 9))
        assert torch.equal(state.bank.inputs, plain.bank.inputs)


def test_byol_a_alone_mixes_nothing() -> None:
    loss = {"lambda": 0.0, "mix_domain": "waveform", "reference": "excerpt"}
    views, _ = made(tiny_run.recipe(loss=loss), tiny_run.crops(3, 9))
    assert not views.added
    assert not views.mixtures
