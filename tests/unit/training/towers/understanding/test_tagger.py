from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from service.inference.tokenizer import Tokenizer
from service.inference.understanding import CHANGES, TAGS
from training.towers.recipe import TextRecipe
from training.towers.understanding.evaluate_tagger import DIRECTION, evaluate_tagger, tag
from training.towers.understanding.recipe import TaggerRecipe
from training.towers.understanding.sounds import SoundNames
from training.towers.understanding.states import embed_tokens
from training.towers.understanding.tagger import Tagger
from training.towers.understanding.tagger_data import (
    IGNORED,
    TaggedRequests,
    draw_requests,
    draw_tests,
    tag_requests,
    tag_tokens,
)
from training.towers.understanding.train_tagger import pad, train_tagger
from training.words.requests import Request, Span


@pytest.fixture(scope="module")
def data(
    text_recipe: TextRecipe, names: SoundNames, tmp_path_factory: pytest.TempPathFactory
) -> TaggedRequests:
    cache = tmp_path_factory.mktemp("tokens")
    return tag_requests(draw_requests(names.seen, 40, 0), text_recipe, cache)


def test_tokens_get_the_tags_of_their_spans(text_folder: Path) -> None:
    tokenizer = Tokenizer(text_folder / "tokenizer.json", 32)
    request = Request("no rain, dog", (Span(3, 7, "remove"), Span(9, 12, "add")))
    tags = tag_tokens(request, tokenizer.tokenize(request.text))
    named = ["-" if number == IGNORED else TAGS[number] for number in tags]
    assert named[0] == named[-1] == "-"
    assert named[3:-1] == ["remove.begin", "outside", "add.begin"]
    assert set(named[1:3]) == {"outside"}


def test_a_span_of_several_tokens_begins_once(text_folder: Path) -> None:
    tokenizer = Tokenizer(text_folder / "tokenizer.json", 32)
    tags = tag_tokens(Request("abc d", (Span(0, 5, "more"),)), tokenizer.tokenize("abc d"))
    begin, inside = TAGS.index("more.begin"), TAGS.index("more.inside")
    assert tags.tolist() == [IGNORED, begin, inside, inside, inside, IGNORED]


def test_a_text_has_the_same_tags_alone_and_in_a_batch(data: TaggedRequests) -> None:
    tagger = Tagger(data.encoded.states.shape[1]).eval()
    rows = [0, 1, 2, 3]
    states, mask, _ = pad(data, rows)
    states[mask == 0] = 7.0  # whatever stands there is ignored
    with torch.inference_mode():
        together = tagger.probabilities(states, mask)
        for row in rows:
            alone, of_one, _ = pad(data, [row])
            expected = tagger.probabilities(alone, of_one)[0]
            found = together[row][mask[row] > 0]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            assert expected.sum(dim=-1).allclose(torch.ones(len(expected)))


def test_stored_states_are_those_of_the_text_encoder(
    text_recipe: TextRecipe, tmp_path: Path
) -> None:
    texts = ["rain", "a dog and a cat", "rain"]
    first = embed_tokens(texts, text_recipe, tmp_path)
    again = embed_tokens(texts, text_recipe, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    for row in range(3):
        np.testing.assert_array_equal(first.of(row), again.of(row))
        assert len(first.of(row)) == len(first.tokens[row].ids)
    np.testing.assert_allclose(first.of(0), first.of(2), atol=1e-2)


def test_a_tagger_learns_its_requests(data: TaggedRequests) -> None:
    recipe = TaggerRecipe(epochs=40, batch_size=8, learning_rate=3e-3)
    measured = evaluate_tagger(train_tagger(data, recipe), data.requests, data.encoded)
    assert measured["sounds"] > 0.8
    assert measured["changes"] > 0.8


def test_a_training_repeats_itself(data: TaggedRequests) -> None:
    recipe = TaggerRecipe(epochs=1, batch_size=8)
    tagger, again = (train_tagger(data, recipe) for _ in range(2))
    for one, other in zip(tagger.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_tagger_without_training_is_measured_as_wrong(data: TaggedRequests) -> None:
    tagger = Tagger(data.encoded.states.shape[1]).eval()
    with torch.no_grad():
        tagger.exit.weight.zero_()
        tagger.exit.bias.zero_()
        tagger.exit.bias[0] = 5.0
    measured = evaluate_tagger(tagger, data.requests, data.encoded)
    n_without = sum(not request.spans for request in data.requests)
    assert measured["exact"] == pytest.approx(n_without / len(data.requests), abs=1e-4)
    assert measured["sounds"] == 0
    assert tag(tagger, data.requests[0].text, data.encoded, 0) == ()


def test_tests_have_new_names_or_new_phrasings(names: SoundNames) -> None:
    trained = {request.text for request in draw_requests(names.seen, 200, 0)}
    for kind, requests in draw_tests(names, 30).items():
        assert requests
        if "phrasings" in kind or "both" in kind:
            assert not {request.text for request in requests} & trained
    described = draw_tests(names, 30)["descriptions"]
    assert {span.change for request in described for span in request.spans} == {"describe"}
    assert set(DIRECTION) == set(CHANGES)
