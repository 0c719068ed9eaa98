"""``minuend-train data captions`` and ``data lexicon``: what the open vocabulary is made of."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import BUNDLE, CACHE, DATA, PLACE, SET, prints_result


@click.command("captions")
@DATA
@BUNDLE
@SET
@CACHE
@prints_result
def captions(data: Path, bundle: Path, out: Path, cache: Path) -> dict[str, Path]:
    """Windows of the clips that the encoder was trained on, embedded and scored by the teacher."""
    from service.bundle.files import load_bundle
    from training.data.clips import TrainingData
    from training.teacher.files import find_teacher
    from training.towers.captions.windows import make_captions

    make_captions(TrainingData(data, cache), load_bundle(bundle), find_teacher(), out)
    return {"captions": out}


@click.command("lexicon")
@click.option("--out", type=PLACE, default=Path("training/words/lexicon.yaml"), show_default=True)
@CACHE
@prints_result
def lexicon(out: Path, cache: Path) -> dict[str, Path]:
    """Synonyms and hypernyms of the names of sounds, from WordNet."""
    from training.towers.captions.concepts import Concepts
    from training.towers.recipe import load_towers_recipe
    from training.towers.text_cache import TextCache
    from training.words.lexicon import make_lexicon
    from training.words.names import class_names

    texts = TextCache(cache / "texts", load_towers_recipe("retrieval").text)
    return {"lexicon": make_lexicon(Concepts.of(list(class_names()), []).concepts, texts, out)}
