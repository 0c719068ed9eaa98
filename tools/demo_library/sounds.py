"""All sounds of the demo library, two or more of each kind."""

from __future__ import annotations

from tools.demo_library.kinds.animals import ANIMALS
from tools.demo_library.kinds.indoors import INDOORS
from tools.demo_library.kinds.nature import NATURE
from tools.demo_library.kinds.town import TOWN
from tools.demo_library.sound import Sound

SOUNDS: tuple[Sound, ...] = (*NATURE, *ANIMALS, *TOWN, *INDOORS)
