from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import MetadataInvalidError
from service.library.folder import find_audio, read_metadata


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def write_table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    table = folder / "table.csv"
    table.write_bytes(text.encode(encoding))
    return table


def test_audio_is_found_by_suffix_at_any_depth_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path / "b.WAV", tmp_path / "a" / "z.flac", tmp_path / "a" / "a.mp3")
    touch(tmp_path / "notes.txt", tmp_path / "cover.jpg")

    files, unlisted = find_audio(tmp_path)

    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        "b.WAV",
        "a/a.mp3",
        "a/z.flac",
    ]
    assert unlisted == []


def test_hidden_files_and_folders_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path / "._rain.wav", tmp_path / ".trash" / "rain.wav")

    assert find_audio(tmp_path) == ([], [])


def test_a_folder_can_be_skipped_under_any_name(tmp_path: Path) -> None:
    touch(tmp_path / "library" / "audio" / "x.wav", tmp_path / "y.wav")
    (tmp_path / "alias").symlink_to(tmp_path)

    files, _ = find_audio(tmp_path, skip=tmp_path / "alias" / "library")

    assert files == [tmp_path / "y.wav"]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path) -> None:
    files, unlisted = find_audio(tmp_path / "nowhere")

    assert files == []
    assert [(item.path, item.code) for item in unlisted] == [
        (tmp_path / "nowhere", "folder_unreadable")
    ]


def test_columns_become_metadata(tmp_path: Path) -> None:
    table = write_table(tmp_path, "file,kind,title\n./a/b.wav,rain,Heavy\nc.wav,wind,\n")

    assert read_metadata(table) == {
        "a/b.wav": {"kind": "rain", "title": "Heavy"},
        "c.wav": {"kind": "wind"},
    }


def test_a_column_holds_numbers_if_all_its_cells_do(tmp_path: Path) -> None:
    rows = ["file,year,take,gain,code", "a.wav,1999,1,-0.5,007", "b.wav,,1b,2.25,8"]

    metadata = read_metadata(write_table(tmp_path, "\n".join(rows)))

    assert metadata["a.wav"] == {"year": 1999, "take": "1", "gain": -0.5, "code": "007"}
    assert metadata["b.wav"] == {"take": "1b", "gain": 2.25, "code": "8"}


def test_numbers_too_long_to_hold_stay_text(tmp_path: Path) -> None:
    table = write_table(tmp_path, "file,code\na.wav,12345678901234567890\n")

    assert read_metadata(table)["a.wav"] == {"code": "12345678901234567890"}


def test_tables_of_spreadsheets_are_read(tmp_path: Path) -> None:
    table = write_table(tmp_path, 'file,title\r\na.wav,"one, ""two"""\r\n\r\n', "utf-8-sig")

    assert read_metadata(table) == {"a.wav": {"title": 'one, "two"'}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'file'"),
        ("name,kind\na.wav,rain\n", "'file'"),
        ("file,kind,kind\n", "each once"),
        ("file,kind\na.wav\n", "line 2"),
        ("file,kind\na.wav,rain,heavy\n", "line 2"),
        ("file,kind\na.wav,x\n./a.wav,y\n", "line 3: a.wav has a line already"),
        ("file,the kind\na.wav,rain\n", "a.wav: metadata: name 'the kind'"),
        ('file\n"a.wav\n', "no CSV"),
    ],
)
def test_the_error_of_an_invalid_table_names_the_place(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(MetadataInvalidError, match=reason):
        read_metadata(write_table(tmp_path, text))


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetadataInvalidError, match="UTF-8"):
        read_metadata(write_table(tmp_path, "file,kind\na.wav,Bär\n", "latin-1"))
