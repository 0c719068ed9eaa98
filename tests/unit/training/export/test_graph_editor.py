from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from training.errors import ExportParityError
from training.export.graph_editor import GraphEditor


def graph() -> onnx.ModelProto:
    """``y = relu(x * two) + one``."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["doubled"]),
        helper.make_node("Relu", ["doubled"], ["rectified"]),
        helper.make_node("Add", ["rectified", "one"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.float32(v), n) for n, v in (("two", 2), ("one", 1))]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    made = helper.make_graph(nodes, "test", ends[:1], ends[1:], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, *values: float) -> list[float]:
    (result,) = ReferenceEvaluator(model).run(None, {"x": np.array(values, np.float32)})
    found: list[float] = np.asarray(result).tolist()
    return found


def test_nodes_are_found_by_what_they_take_and_give() -> None:
    editor = GraphEditor(graph())
    assert editor.consumer("x", "Mul").output == ["doubled"]
    assert editor.producer("y", "Add").input == ["rectified", "one"]
    assert editor.values["two"] == 2


@pytest.mark.parametrize(("name", "op"), [("x", "Conv"), ("nothing", "Mul")])
def test_a_node_that_is_not_there_is_an_error(name: str, op: str) -> None:
    with pytest.raises(ExportParityError, match=f"one {op} that takes {name}"):
        GraphEditor(graph()).consumer(name, op)


def test_a_producer_of_another_kind_is_an_error() -> None:
    with pytest.raises(ExportParityError, match=r"one Mul that gives y, and has \['Add'\]"):
        GraphEditor(graph()).producer("y", "Mul")


def test_what_is_replaced_is_computed_the_new_way_and_the_old_is_dropped() -> None:
    editor = GraphEditor(graph())
    tripled = editor.add("Mul", "x", editor.constant("three", np.float32(3)))
    editor.replace("rectified", editor.add("Neg", tripled))
    edited = editor.finish()
    assert run(edited, 1.0, -2.0) == [-2.0, 7.0]
    assert [node.op_type for node in edited.graph.node] == ["Mul", "Neg", "Add"]
    assert {value.name for value in edited.graph.initializer} == {"three", "one"}
