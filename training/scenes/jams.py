"""A JAMS file as Scaper writes it: plain JSON, of which the instantiated events are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import DatasetError
from training.scenes.scene import CLIP_S

Seconds = Annotated[float, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class JamsItem(_Record):
    """One sound of a soundscape.

    Attributes:
        label: Folder its file was taken from.
        source_file: The file, in the folders of whoever made the data.
        source_time: Where in the file the excerpt starts [s].
        event_time: Where in the soundscape it starts [s].
        event_duration: How long it lasts [s].
        snr: Its loudness over the reference [LU].
        role: Whether it is a background or a foreground event.
        pitch_shift: Not supported.
        time_stretch: Not supported.
    """

    label: str
    source_file: str
    source_time: Seconds
    event_time: Seconds
    event_duration: Annotated[float, Field(gt=0)]
    snr: float
    role: Literal["background", "foreground"]
    pitch_shift: None
    time_stretch: None

    @property
    def file(self) -> str:
        """Name of the file without its folders."""
        return self.source_file.replace("\\", "/").rsplit("/", 1)[-1]


class _Observation(_Record):
    value: JamsItem


class _ScaperSandbox(_Record):
    ref_db: float
    sr: Annotated[int, Field(gt=0)]
    duration: Annotated[float, Field(ge=CLIP_S, le=CLIP_S)]


class _Sandbox(_Record):
    scaper: _ScaperSandbox


class _Annotation(_Record):
    namespace: Literal["scaper"]
    data: tuple[_Observation, ...]
    sandbox: _Sandbox


class _Jams(_Record):
    annotations: Annotated[tuple[_Annotation, ...], Field(min_length=1, max_length=1)]


class Soundscape(_Record):
    """One clip as a JAMS file describes it.

    Attributes:
        ref_db: Loudness that ratios are over [LUFS].
        sample_rate: Rate it is rendered at [Hz].
        items: Its sounds.
    """

    ref_db: float
    sample_rate: int
    items: tuple[JamsItem, ...]

    def of_role(self, role: Literal["background", "foreground"]) -> list[JamsItem]:
        """List the sounds of a role in their order."""
        return [item for item in self.items if item.role == role]


def read_soundscape(path: Path) -> Soundscape:
    """Read a JAMS file.

    Raises:
        DatasetError: It is not what Scaper writes for a soundscape of 10 s.
    """
    try:
        (annotation,) = _Jams.model_validate_json(path.read_bytes()).annotations
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise DatasetError(f"{path} is no soundscape of Scaper: {'; '.join(faults)}") from error
    scaper = annotation.sandbox.scaper
    return Soundscape(
        ref_db=scaper.ref_db,
        sample_rate=scaper.sr,
        items=tuple(observation.value for observation in annotation.data),
    )
