"""Editing an ONNX graph: nodes are found by what they take and give, and added in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.errors import ExportParityError


class GraphEditor:
    """A graph being edited.

    Attributes:
        values: Every constant of the graph by its name.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._added: list[onnx.NodeProto] = []
        self._replaced: tuple[str, str] | None = None
        self.values: dict[str, np.ndarray] = {
            value.name: numpy_helper.to_array(value) for value in model.graph.initializer
        }

    def producer(self, name: str, op: str) -> onnx.NodeProto:
        """Find the node that gives a value.

        Raises:
            ExportParityError: It is not of the kind expected.
        """
        found = [node for node in self._model.graph.node if name in node.output]
        return self._expect(found, op, f"gives {name}")

    def consumer(self, name: str, op: str) -> onnx.NodeProto:
        """Find the one node of a kind that takes a value.

        Raises:
            ExportParityError: There is none, or there are several.
        """
        found = [n for n in self._model.graph.node if name in n.input and n.op_type == op]
        return self._expect(found, op, f"takes {name}")

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """Add a constant, or find it again, and return its name."""
        if name not in self.values:
            self.values[name] = np.asarray(value)
            self._model.graph.initializer.append(numpy_helper.from_array(self.values[name], name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of what it gives."""
        output = f"edited_{op}_{len(self._added)}"
        self._added.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def replace(self, old: str, new: str) -> None:
        """Let every node that took ``old`` take ``new``; the added nodes come where old was."""
        self._replaced = (old, new)

    def finish(self) -> onnx.ModelProto:
        """Put the added nodes in and drop what nothing needs any more.

        Raises:
            onnx.checker.ValidationError: The result is no graph.
        """
        graph = self._model.graph
        nodes = list(graph.node)
        if self._replaced is not None:
            old, new = self._replaced
            place = next(i for i, node in enumerate(nodes) if old in node.output)
            for node in nodes[place:]:
                node.input[:] = [new if name == old else name for name in node.input]
            nodes[place : place + 1] = self._added
        needed = {output.name for output in graph.output}
        kept = []
        for node in reversed(nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        constants = [value for value in graph.initializer if value.name in needed]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(reversed(kept))
        graph.initializer.extend(constants)
        onnx.checker.check_model(self._model)
        return self._model

    def _expect(self, found: list[onnx.NodeProto], op: str, role: str) -> onnx.NodeProto:
        if len(found) != 1 or found[0].op_type != op:
            raise ExportParityError(
                f"the graph was expected to have one {op} that {role}, and has "
                f"{[node.op_type for node in found]}"
            )
        return found[0]
