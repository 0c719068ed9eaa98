"""Edit an ONNX graph: find nodes by their inputs and outputs, add nodes, replace a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.errors import ExportParityError


class GraphEditor:
    """Editor of one graph.

    Attributes:
        values: The constants of the graph, by name.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._added: list[onnx.NodeProto] = []
        self._replaced: tuple[str, str] | None = None
        self.values: dict[str, np.ndarray] = {
            value.name: numpy_helper.to_array(value) for value in model.graph.initializer
        }

    def producer(self, name: str, op: str) -> onnx.NodeProto:
        """Find the node that has ``name`` as an output.

        Raises:
            ExportParityError: Its operator is not ``op``.
        """
        found = [node for node in self._model.graph.node if name in node.output]
        return self._expect(found, op, f"gives {name}")

    def consumer(self, name: str, op: str) -> onnx.NodeProto:
        """Find the one node of operator ``op`` that has ``name`` as an input.

        Raises:
            ExportParityError: There is none, or there are several.
        """
        found = [n for n in self._model.graph.node if name in n.input and n.op_type == op]
        return self._expect(found, op, f"takes {name}")

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """Add a constant, unless there is one of this name, and return its name."""
        if name not in self.values:
            self.values[name] = np.asarray(value)
            self._model.graph.initializer.append(numpy_helper.from_array(self.values[name], name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = f"edited_{op}_{len(self._added)}"
        self._added.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def replace(self, old: str, new: str) -> None:
        """Replace the value ``old`` by ``new`` in all inputs, and its node by the added nodes."""
        self._replaced = (old, new)

    def finish(self) -> onnx.ModelProto:
        """Insert the added nodes, and remove nodes and constants that are no longer used.

        Raises:
            onnx.checker.ValidationError: The result is no valid graph.
        """
        graph = self._model.graph
        nodes = list(graph.node)
        if self._replaced is not None:
            old, new = self._replaced
            position = next(i for i, node in enumerate(nodes) if old in node.output)
            for node in nodes[position:]:
                node.input[:] = [new if name == old else name for name in node.input]
            nodes[position : position + 1] = self._added
        used = {output.name for output in graph.output}
        used_nodes = []
        for node in reversed(nodes):
            if used.intersection(node.output):
                used.update(node.input)
                used_nodes.append(node)
        constants = [value for value in graph.initializer if value.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(reversed(used_nodes))
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
