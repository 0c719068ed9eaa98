from __future__ import annotations

import pytest
import torch

from training.export.float16 import to_float16
from training.model.model import EmbeddingModel

pytestmark = pytest.mark.usefixtures("narrow")


def test_the_encoder_is_float16_and_all_else_stays_float32() -> None:
    torch.manual_seed(0)
    model = EmbeddingModel().eval()
    model.mean.fill_(-9.0)
    rounded = to_float16(model)
    assert {value.dtype for value in rounded.encoder.parameters()} == {torch.float16}
    assert rounded.frontend.window.dtype == rounded.mean.dtype == torch.float32
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert dict(rounded.named_parameters()).keys() == dict(model.named_parameters()).keys()
