"""The part of a manifest about texts: how sounds and changes are told, and what they weigh."""

from __future__ import annotations

from service.bundle.records import FileName, PositiveInt, Record, Sha256


class CompositionWeights(Record):
    """Weights of the sounds of a text in a query, at strength 1.

    The query is l2(audio + strength * (sum of weight * sound + sentence * text)): a sound is the
    unit vector of its name alone, the text is the vector of the whole text. Positive weights move
    towards a sound, negative ones away from it.

    Attributes:
        sentence: Weight of the vector of the whole text, for texts that ask for a change.
        describe: Weight of a sound that is only named; the other fields are those of the changes.
    """

    sentence: float = 0.0
    describe: float = 1.0
    add: float = 0.5
    remove: float = -1.5
    louder: float = 0.75
    quieter: float = -0.5
    more: float = 0.75
    less: float = -1.0
    instead_of: float = -0.5
    only: float = 3.0
    none: float = 3.0


class UnderstandingInfo(Record):
    """Recognition of the sounds and changes of a text, and of unknown texts.

    Attributes:
        tags: Names of the classes of a token, see `service.inference.understanding`. The text
            encoder then has two further outputs: `text_embedding` float32 [batch, hidden], before
            the text tower, and `tags` float32 [batch, tokens, classes], probabilities.
        novelty: An npz of the detector of unknown texts, see `service.inference.novelty`.
        weights: Weights of the sounds of a text in a query.
        recipe: All settings of the training.
        recipe_sha256: Hash of the settings.
        commit: Commit of the training code.
        names: Names of sounds in the training.
        scores: Accuracy on held-out names and phrasings.
    """

    tags: tuple[str, ...]
    novelty: FileName
    weights: CompositionWeights = CompositionWeights()
    recipe: dict[str, object]
    recipe_sha256: Sha256
    commit: str
    names: PositiveInt
    scores: dict[str, float]
