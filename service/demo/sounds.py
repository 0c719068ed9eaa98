"""All sounds of the demo library, two or more of each kind."""

from __future__ import annotations

from service.demo.kinds.animals import ANIMALS
from service.demo.kinds.indoors import INDOORS
from service.demo.kinds.nature import NATURE
from service.demo.kinds.town import TOWN
from service.demo.sound import Sound

SOUNDS: tuple[Sound, ...] = (*NATURE, *ANIMALS, *TOWN, *INDOORS)
