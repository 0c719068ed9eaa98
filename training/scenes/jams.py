"""Reading of JAMS files as Scaper writes them: plain JSON with the events as instantiated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from training.errors import DatasetError
from training.scenes.pair import CLIP_S

Seconds = Annotated[float, Field(ge=0)]
JamsRole = Literal["background", "foreground"]


def _scaper(name: str) -> Any:
    """Describe a field that stands among the settings of Scaper."""
    return Field(validation_alias=AliasPath("sandbox", "scaper", name))


class _JamsRecord(BaseModel):
    model_config = ConfigDict(frozen=True)


class JamsItem(_JamsRecord):
    """One sound of a soundscape.

    Attributes:
        label: Folder that its file was taken from.
        source_file: Its file, in the folders of the author of the data.
        source_time: Start of the excerpt in the file [s].
        event_time: Start of the excerpt in the soundscape [s].
        event_duration: Duration of the excerpt [s].
        snr: Its loudness over the reference [LU].
        role: Background or foreground event.
        pitch_shift: Not supported.
        time_stretch: Not supported.
    """

    label: str
    source_file: str
    source_time: Seconds
    event_time: Seconds
    event_duration: Annotated[float, Field(gt=0)]
    snr: float
    role: JamsRole
    pitch_shift: None
    time_stretch: None

    @property
    def file(self) -> str:
        """Name of the file without its folders."""
        return self.source_file.replace("\\", "/").rsplit("/", 1)[-1]


class _Observation(_JamsRecord):
    value: JamsItem


class Soundscape(_JamsRecord):
    """One clip as the annotation of a JAMS file describes it.

    Attributes:
        namespace: Format of the annotation.
        ref_db: Reference of the levels [LUFS].
        sample_rate: Rate that it is rendered at [Hz].
        duration: Duration [s].
        data: Its sounds, as the file has them.
    """

    namespace: Literal["scaper"]
    ref_db: Annotated[float, _scaper("ref_db")]
    sample_rate: Annotated[int, _scaper("sr"), Field(gt=0)]
    duration: Annotated[float, _scaper("duration"), Field(ge=CLIP_S, le=CLIP_S)]
    data: tuple[_Observation, ...]

    @property
    def items(self) -> tuple[JamsItem, ...]:
        """Its sounds."""
        return tuple(observation.value for observation in self.data)

    def of_role(self, role: JamsRole) -> list[JamsItem]:
        """List the sounds of a role in their order."""
        return [item for item in self.items if item.role == role]


class _Jams(_JamsRecord):
    annotations: Annotated[tuple[Soundscape, ...], Field(min_length=1, max_length=1)]


def read_soundscape(path: Path) -> Soundscape:
    """Read a JAMS file.

    Raises:
        DatasetError: It is not what Scaper writes for a soundscape of 10 s.
    """
    try:
        (soundscape,) = _Jams.model_validate_json(path.read_bytes()).annotations
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise DatasetError(f"{path} is no soundscape of Scaper: {'; '.join(faults)}") from error
    return soundscape
