from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
import tiny_towers
from hypothesis import given

from service.errors import BundleError
from service.inference.tokenizer import Tokenizer

CLS, SEP = 1, 2


@pytest.fixture(scope="module")
def tokenizer(towers_bundle_path: Path) -> Tokenizer:
    return Tokenizer(towers_bundle_path / tiny_towers.TOKENIZER_FILE, tiny_towers.MAX_TOKENS)


def test_words_become_tokens_between_the_special_ones(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.tokenize("A LOW high")

    assert tokens.ids.dtype == "int64"
    assert tokens.ids.tolist() == [CLS, *tokens.ids[1:-1].tolist(), SEP]
    assert len(set(tokens.ids.tolist())) == 5
    assert (tokens.is_cut, tokens.is_empty) == (False, False)


@pytest.mark.parametrize(("n_words", "is_cut"), [(5, False), (6, False), (7, True), (5000, True)])
def test_a_text_is_cut_at_the_end_of_the_window(
    tokenizer: Tokenizer, n_words: int, is_cut: bool
) -> None:
    tokens = tokenizer.tokenize("low " * n_words)

    assert tokens.is_cut is is_cut
    assert len(tokens.ids) == min(n_words + 2, tiny_towers.MAX_TOKENS)
    assert tokens.ids[-1] == SEP


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\x00\x01\x1b", "\u200b\u200e\u202e"])
def test_a_text_without_words_is_empty(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.tokenize(text).is_empty


@pytest.mark.parametrize(
    "text",
    [
        "😀" * 2500,
        "שלום עולם " * 600,
        "\u202e" + "rain" * 2500,
        "".join(map(chr, range(32))) * 300,
        "e" + "\u0301" * 5000,
        "\ud800 low \udfff",
        "x" * 10_000,
    ],
    ids=["emoji", "right-to-left", "override", "control", "accents", "surrogates", "one-word"],
)
def test_unusual_texts_have_tokens(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.tokenize(text)

    assert 2 <= len(tokens.ids) <= tiny_towers.MAX_TOKENS
    assert tokenizer.tokenize("low").ids.tolist() == [CLS, 3, SEP]


@given(text=st.text() | st.text(st.characters(), min_size=20))
def test_any_text_has_tokens(tokenizer: Tokenizer, text: str) -> None:
    assert 2 <= len(tokenizer.tokenize(text).ids) <= tiny_towers.MAX_TOKENS


def test_padding_and_truncation_in_the_file_have_no_effect(
    towers_bundle_path: Path, tmp_path: Path
) -> None:
    content = json.loads((towers_bundle_path / tiny_towers.TOKENIZER_FILE).read_text("utf-8"))
    content["padding"] = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[UNK]",
    }
    content["truncation"] = {
        "direction": "Right",
        "max_length": 3,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")

    assert len(Tokenizer(path, 8).tokenize("low high low").ids) == 5


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"words"])
def test_a_file_that_is_no_tokeniser_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)

    with pytest.raises(BundleError, match=r"tokenizer\.json is no tokeniser"):
        Tokenizer(path, 8)


def test_a_window_that_holds_only_special_tokens_is_refused(towers_bundle_path: Path) -> None:
    with pytest.raises(BundleError, match="adds 2 tokens, the window holds 2"):
        Tokenizer(towers_bundle_path / tiny_towers.TOKENIZER_FILE, 2)
