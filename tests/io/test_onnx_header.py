"""An ``.onnx`` file is looked into without any engine: what it tells, and what is refused by name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from napari_medcnn.errors import IncompleteFileError, MedcnnError, ModelError, UnsafeModelError
from napari_medcnn.io.onnx_header import check_onnx_file, read_graph
from onnx_files import changed, classifier, save, unet


@pytest.mark.parametrize(("dimensions", "last"), [(2, False), (3, False), (2, True), (3, True)])
def test_what_a_segmenter_tells(tmp_path: Path, dimensions: int, last: bool) -> None:
    found = check_onnx_file(unet(tmp_path / "n.onnx", dimensions, 2, 5, last=last))
    assert found["input_shapes"] == [[None] * dimensions + [2]]
    assert found["layout"] == ("last" if last else "first")
    assert found["opset"] == 17
    assert found["ends"] == {
        "inputs": 1, "outputs": 1, "channels_out": 5, "activation": "linear", "task": "segmentation", "divisor": 2,
    }  # fmt: skip


@pytest.mark.parametrize(("end", "words"), [("Softmax", "softmax"), ("Sigmoid", "sigmoid")])
def test_the_last_step_and_fixed_sizes(tmp_path: Path, end: str, words: str) -> None:
    found = check_onnx_file(unet(tmp_path / "n.onnx", 3, end=end, size=(8, 16, 24)))
    assert found["ends"]["activation"] == words
    assert found["input_shapes"] == [[8, 16, 24, 1]]


def test_what_a_classifier_tells(tmp_path: Path) -> None:
    found = check_onnx_file(classifier(tmp_path / "c.onnx", 4, 3))
    assert (found["ends"]["task"], found["ends"]["channels_out"], found["input_shapes"]) == (
        "classification", 4, [[None, None, 3]],
    )  # fmt: skip


def test_channels_that_the_shape_does_not_state_come_from_the_first_and_last_convolution(tmp_path: Path) -> None:
    def free(model: onnx.ModelProto) -> None:
        for value in (model.graph.input[0], model.graph.output[0]):
            value.type.tensor_type.shape.dim[1].dim_param = "c"

    found = check_onnx_file(changed(unet(tmp_path / "n.onnx", 3, 2, 4), free))
    assert found["input_shapes"] == [[None, None, None, 2]]
    assert found["ends"]["channels_out"] == 4


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def only_external_entry(model: onnx.ModelProto) -> None:
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def huge(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    del tensor.dims[:]
    tensor.dims.extend([2**15, 2**15])


def negative(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -4


def huge_constant(model: onnx.ModelProto) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[2**40], raw_data=b"1234")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))


def custom_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "ReadFile"


def loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", [""], ["z"], body=body))


def hidden_in_a_branch(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Run", ["a"], ["b"], domain="evil")], "then", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))


def function(model: onnx.ModelProto) -> None:
    made = helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], model.opset_import)
    model.functions.append(made)


def deep(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", [], [])
    for _ in range(12):
        node = helper.make_node("If", ["c"], ["b"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], "g", [], [])
    model.graph.node.extend(inner.node)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "weights lie in other files"),
        (only_external_entry, "weights lie in other files"),
        (huge, "claim 4294967296 bytes and hold"),
        (huge_constant, "claim 4398046511104 bytes and hold 4"),
        (negative, "no known type or size"),
        (custom_domain, "'Conv' of 'com.example' is not part of the ONNX standard"),
        (unknown_operator, "'ReadFile' is not on the list"),
        (loop, "'Loop' is not on the list"),
        (hidden_in_a_branch, "'Run' of 'evil'"),
        (function, "functions of its own"),
        (deep, "nested deeper"),
    ],
)
def test_hostile_files_are_refused_by_name(tmp_path: Path, change, words: str) -> None:
    bad = changed(unet(tmp_path / "bad.onnx", 2), change)
    with pytest.raises(UnsafeModelError, match=words) as error:
        check_onnx_file(bad)
    assert str(error.value).startswith("bad.onnx: ") and "\n" not in str(error.value)


def test_every_cut_is_named(tmp_path: Path) -> None:
    whole = unet(tmp_path / "n.onnx", 2).read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        cut.write_bytes(whole[:length])
        with pytest.raises(MedcnnError, match=r"^cut\.onnx: .*(cut|damaged|empty)"):
            check_onnx_file(cut)


def test_random_bytes_and_flipped_ones_never_escape(tmp_path: Path) -> None:
    """Whatever stands there: one of our errors or an answer, never another exception."""
    rng = np.random.default_rng(0)
    whole = bytearray(unet(tmp_path / "n.onnx", 2).read_bytes())
    path = tmp_path / "odd.onnx"
    for _ in range(300):
        bad = bytearray(whole)
        for place in rng.integers(0, min(len(bad), 900), 3):
            bad[place] = int(rng.integers(0, 256))
        path.write_bytes(bad)
        with contextlib.suppress(MedcnnError):
            check_onnx_file(path)
    for size in (1, 10, 1000):
        path.write_bytes(rng.bytes(size))
        with pytest.raises(MedcnnError):
            check_onnx_file(path)


def test_what_is_no_network_for_one_scan_is_said(tmp_path: Path) -> None:
    def half(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16

    with pytest.raises(ModelError, match="expected float32"):
        check_onnx_file(changed(unet(tmp_path / "h.onnx", 2), half))
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
    )
    with pytest.raises(ModelError, match="got 2 axes"):
        check_onnx_file(save(graph, tmp_path / "flat.onnx"))
    (tmp_path / "text.onnx").write_text("hello, this is text and no network")
    with pytest.raises((ModelError, IncompleteFileError), match=r"text\.onnx"):
        check_onnx_file(tmp_path / "text.onnx")


def test_small_weights_written_number_by_number_are_read_too(tmp_path: Path) -> None:
    def as_lists(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[1]
        values = numpy_helper.to_array(tensor).tolist()
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values)

    graph, opset = read_graph(changed(unet(tmp_path / "n.onnx", 2), as_lists))
    assert graph.weights["b1"].dims == (4,) and opset == 17
