"""Command models come from the user's own file and from nowhere else."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml

from cases import REPOSITORY
from napari_medcnn.core.command import CommandModel, filled, placeholders
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.io import commands
from napari_medcnn.io.commands import BrokenCommand, command_from, command_json, command_text
from napari_medcnn.io.label_table import dataset_labels, label_table
from napari_medcnn.io.packages import read_package
from napari_medcnn.io.read import read
from tiny_packages import package, segmenter

GOOD = {"name": "mine", "title": "Mine", "arguments": ["prog", "{input}", "{output}"]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def full() -> CommandModel:
    return CommandModel(
        "a-b_1", "Ärzte's \"tool\"", ("/opt/x y/prog", "-i", "{input_2}", "--", "$(rm)", "-o", "{output_folder}", "on"),
        "nnunet", LabelSet.from_names(["liver"], 5), "~/dataset.json", (("A", "1"), ("B", "x y")), ("T1", "T2"),
        ("MR",), ("a", "c", "g"), ("--version",), "Apache-2.0", "Note: this.",
    )  # fmt: skip


def test_saved_and_listed_and_removed(home: Path) -> None:
    assert commands.list_commands() == []
    commands.save_command(full())
    other = command_from(GOOD)
    path = commands.save_command(other)
    assert commands.list_commands() == [full(), other]
    assert commands.find_command("mine") == other and commands.find_command("nobody") is None
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="already"):
        commands.save_command(other)
    commands.remove_command("mine")
    assert commands.list_commands() == [full()]
    with pytest.raises(InputError, match="no command 'mine'"):
        commands.remove_command("mine")


def test_text_to_edit_gives_the_same_command_back(tmp_path: Path) -> None:
    for command in (full(), *commands.templates()):
        (tmp_path / "c.yaml").write_text(command_text(command), encoding="utf-8")
        assert commands.read_command(tmp_path / "c.yaml") == command
        assert command_from(command_json(command)) == command


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shell": True}, "shell: not known"),
        ({"arguments": "prog {input} {output}"}, "arguments: expected a list"),
        ({"arguments": ["prog", "{input}", "{output}", True]}, "put it in quotes"),
        ({"arguments": ["prog", "{input}", "{output}", 1.5]}, "put it in quotes"),
        ({"arguments": ["prog", "{inputs}", "{output}"]}, "{inputs} is not known"),
        ({"arguments": ["prog", "{input_2}", "{output}"]}, "{input_2} is not known"),
        ({"arguments": ["prog", "{output}"]}, "where the scan is"),
        ({"arguments": ["prog", "{input}"]}, "where to write"),
        ({"arguments": ["prog", "{input}", "{output}"], "output": "class files"}, "where to write"),
        ({"arguments": ["{folder}/prog", "{input}", "{output}"]}, "expected the program first"),
        ({"arguments": []}, "arguments: missing"),
        ({"arguments": ["prog", "{input}", "{output}", "a\0"]}, "null"),
        ({"name": "a b"}, "name: expected"),
        ({"name": "../x"}, "name: expected"),
        ({"output": "dicom"}, "output: expected"),
        ({"environment": ["A=1"]}, "environment: expected"),
        ({"environment": {"A=B": "1"}}, "environment: expected"),
        ({"environment": {"A": True}}, "environment.A"),
        ({"devices": {"cpu": "cpu"}}, "devices: expected"),
        ({"classes": [{"id": 1}]}, "labels|classes"),
        ({"channels": []}, "channels: expected"),
    ],
)
def test_what_is_not_a_command_is_refused_by_key(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        command_from({**GOOD, **change})


def test_whole_numbers_are_text_and_braces_of_others_stay() -> None:
    command = command_from({**GOOD, "arguments": ["prog", "{input}", "{output}", 5, '{"a": 1}', "{", "}{"]})
    assert command.arguments[3:] == ("5", '{"a": 1}', "{", "}{")
    assert placeholders("-v={folder}:{input}") == ("folder", "input")
    assert filled("{input}:{output}", {"input": "{output}", "output": "x"}) == "{output}:x"


def test_one_bad_entry_does_not_hide_the_others(home: Path) -> None:
    commands.save_command(full())
    path = commands.commands_file()
    data = yaml.safe_load(path.read_text())
    data["commands"] += [{**GOOD, "shell": "yes"}, GOOD, {**GOOD, "title": "Again"}, "text"]
    path.write_text(json.dumps(data))  # JSON is YAML
    found = commands.list_commands()
    assert [type(x) for x in found] == [CommandModel, BrokenCommand, CommandModel, BrokenCommand, BrokenCommand]
    assert "shell" in found[1].error and "twice" in found[3].error
    with pytest.raises(InputError, match="shell"):
        commands.find_command("mine")


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "version: 2\ncommands: []",
        "commands: []",
        "version: 1\ncommands: {}",
        "a: &x 1\nb: *x",
        "\t",
        "a: !!python/name:os.system",
    ],
)
def test_a_file_of_another_form_is_one_broken_entry(home: Path, text: str) -> None:
    home.mkdir()
    (home / "commands.yaml").write_text(text)
    (broken,) = commands.list_commands()
    assert isinstance(broken, BrokenCommand) and broken.name == "commands.yaml"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights")
def test_a_file_that_others_may_write_is_not_read(home: Path) -> None:
    path = commands.save_command(full())
    path.chmod(0o666)
    (broken,) = commands.list_commands()
    assert "others may write" in broken.error
    path.chmod(0o600)
    assert commands.list_commands() == [full()]


def test_templates_are_complete_and_right() -> None:
    by_name = {t.name: t for t in commands.templates()}
    assert set(by_name) == {"totalsegmentator", "totalsegmentator-fast", "totalsegmentator-mr", "nnunet", "container"}
    total = by_name["totalsegmentator"]
    assert total.arguments == ("TotalSegmentator", "-i", "{input}", "-o", "{output}", "--ml", "--device", "{device}")
    assert [total.device_word(d) for d in ("auto", "cpu", "gpu")] == ["gpu", "cpu", "gpu"]
    assert "--fast" in by_name["totalsegmentator-fast"].arguments
    assert by_name["totalsegmentator-mr"].arguments[6:8] == ("--task", "total_mr")
    assert by_name["totalsegmentator-mr"].modalities == ("MR",)
    nnunet = by_name["nnunet"]
    assert nnunet.arguments[:5] == ("nnUNetv2_predict", "-i", "{input_folder}", "-o", "{output_folder}")
    assert dict(nnunet.environment) == {"nnUNet_results": "FOLDER_OF_NNUNET_RESULTS"}
    box = by_name["container"].arguments
    assert box[:3] == ("docker", "run", "--rm") and "{folder}:/data" in box and box[5:7] == ("none", "--user")
    assert all("Apache-2.0" in by_name[n].licence for n in by_name if n != "container")
    assert all("licence of their own" in by_name[n].licence for n in by_name if n.startswith("total"))


SMUGGLED = {"command": GOOD, "commands": [GOOD], "arguments": ["prog"], "run": "prog", "environment": {"A": "1"}}


@pytest.mark.parametrize("key", sorted(SMUGGLED))
@pytest.mark.parametrize("place", ["top", "config", "medcnn"])
def test_a_package_can_not_define_a_command(tmp_path: Path, key: str, place: str) -> None:
    folder = package(tmp_path / "p", segmenter())
    data = yaml.safe_load((folder / "rdf.yaml").read_text())
    spot = {"top": data, "config": data["config"], "medcnn": data["config"]["medcnn"]}[place]
    spot[key] = SMUGGLED[key]
    (folder / "rdf.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(ModelError):
        read_package(folder)
    assert commands.list_commands() == []


def test_a_commands_file_in_a_package_is_never_looked_at(tmp_path: Path, home: Path) -> None:
    folder = package(tmp_path / "p", segmenter())
    text = yaml.safe_dump({"version": 1, "commands": [GOOD]})
    (folder / "commands.yaml").write_text(text)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
        archive.writestr("../../home/commands.yaml", text)
    for path in (folder, tmp_path / "p.zip"):
        with contextlib.suppress(ModelError):
            read_package(path)
        assert commands.list_commands() == [] and not (home / "commands.yaml").exists()


def table(*labels: str) -> str:
    """Return the header text as TotalSegmentator writes it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <Date><![CDATA[2013-07-14T05:45:09]]></Date>   '
        '<VolumeInformation Index="0">   <LabelTable>\n'
        + "\n".join(labels)
        + "\n  </LabelTable>  <StudyMetaDataLinkSet>  "
        "</StudyMetaDataLinkSet>  <VolumeType><![CDATA[Label]]></VolumeType>   </VolumeInformation></CaretExtension>\n"
    )


def label(number: object, name: str) -> str:
    return f'<Label Key="{number}" Red="1.0" Green="0.5" Blue="0.0" Alpha="1"><![CDATA[{name}]]></Label>'


def test_names_in_the_header_of_a_mask_are_read(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.array([[[0, 1], [5, 5]]], np.uint8), np.diag([0.7, 0.8, 3, 1]))
    text = table(label(0, "nothing"), label(1, "spleen"), label(5, "rib <left> & 1"))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, text.encode()))
    nibabel.save(image, tmp_path / "m.nii.gz")
    mask = read(tmp_path / "m.nii.gz")
    assert [(x.id, x.name, x.colour) for x in mask.labels] == [
        (1, "spleen", (255, 128, 0)),
        (5, "rib <left> & 1", (255, 128, 0)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "", "plain words", table(label("x", "a")), table(label(1, "a"), label(1, "b")), table(label(70000, "a")),
        table(label(1, "")), table("<Label"),
        table(label(1, "a")).replace("<Caret", "<!DOCTYPE a [<!ENTITY b 'c'>]><Caret"),
        table(*(label(n, f"n{n}") for n in range(1, 5000))), table('<Label Red="1">a</Label>'),
        table(label(1, "a")).replace('"1.0"', '"inf"').replace('"0.5"', '"nan"'),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_left_alone(text: str) -> None:
    assert label_table(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"labels": {"background": 0, "a": 1, "b": 2}}', {1: "a", 2: "b"}),
        ('{"labels": {"0": "background", "1": "a", "2": "b"}}', {1: "a", 2: "b"}),
        ('{"labels": {"background": 0, "w": [1, 2], "c": 2}, "regions_class_order": [1, 2]}', {1: "w", 2: "c"}),
    ],
)
def test_names_in_a_dataset_json(tmp_path: Path, text: str, names: dict) -> None:
    (tmp_path / "dataset.json").write_text(text)
    assert {x.id: x.name for x in dataset_labels(tmp_path / "dataset.json")} == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"labels": []}',
        '{"labels": {"a": "b"}}',
        '{"labels": {"a": [1], "b": [2]}}',
        '{"labels": {"a": 1, "b": 1}}',
    ],
)
def test_a_dataset_json_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=r"dataset\.json: not nnU-Net's"):
        dataset_labels(tmp_path / "dataset.json")
    with pytest.raises(InputError, match="No such file"):
        dataset_labels(tmp_path / "gone.json")


def test_the_home_folder_is_the_only_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commands.yaml in the current folder, or beside a scan, is nobody's preference."""
    (tmp_path / "commands.yaml").write_text(yaml.safe_dump({"version": 1, "commands": [GOOD]}))
    monkeypatch.chdir(tmp_path)
    assert commands.list_commands() == []
    assert commands.commands_file() == Path(os.environ["MEDCNN_HOME"]) / "commands.yaml"


def test_the_example_in_the_handbook_is_a_command() -> None:
    page = (REPOSITORY / "docs" / "researcher.md").read_text(encoding="utf-8")
    text = page[page.index("```yaml\nname: my-tool") + 8 :].partition("```")[0]
    command = command_from(yaml.safe_load(text))
    assert command.program == "/opt/my-env/bin/segment" and command.labels.names == ("liver", "spleen")
