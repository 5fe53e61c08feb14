"""A jaxpr as one straight-line NumPy function, written once and compiled by Python, not by XLA.

Small problems are dominated by the cost of each operation, so that the text is what a careful hand would
write: infix operators, elements of a short vector read into Python floats and computed with `math`, scalars
left to broadcast by themselves, and sums of padded pieces (what the derivative of indexing looks like)
added in place. Large arrays are freed after their last use and their memory is used again.

Only texts of our own and names made here ever enter the source; constants are bound beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..tracing.primitives import ELEMENTWISE, Code, Context, NoRule, code_of
from ..tracing.primitives.control import CONTROL
from ..tracing.primitives.shapes import broadcast_shape
from . import unrolled
from .costs import ARRAY_OPERATION, SCALAR_OPERATION
from .joined_steps import Assemble, Dot, Index, is_short_sum, steps_of
from .unrolled import Elements

__all__ = ["NoRule", "interpret"]

# From this size on it pays to free memory early and to write results into operands that are done with.
LARGE_BYTES = 1 << 16
# Up to this length a broadcast scalar becomes an array of its own where an array is needed.
SHORT_FILL = 4096
# Reading this many elements one by one costs as much as turning a short vector into a list.
READS_WORTH_A_LIST = 4

FLOAT = np.dtype(np.float64)
# What Python's floats raise where NumPy gives an infinity or NaN.
EXCEPTIONAL = (ZeroDivisionError, OverflowError, ValueError)


def interpret(closed_jaxpr: Any, most: int = unrolled.MOST) -> Callable[..., tuple[Any, ...]]:
    """A function of NumPy arrays that evaluates a closed jaxpr operation by operation.

    The function takes one array for each input of the jaxpr, of its shape and dtype, and returns a tuple of
    arrays (NumPy scalars for shape ()), none of which shares memory with an input or a constant. Its
    attribute `source` is the text it was made from, `within_silence` the same function for those who have silenced
    NumPy's warnings themselves, and `seconds` what a call takes, foreseen. Arrays of up to `most` elements are taken
    element by element. Floating-point trouble gives infinities and NaN, never
    an exception or a warning.

    Raises `NoRule` when some primitive has no NumPy rule.

    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: x**2 - 2 * x + 3)(jax.ShapeDtypeStruct((), np.float64))
    >>> interpret(jaxpr)(3.0)
    (np.float64(6.0),)
    """
    made: list[Callable[..., tuple[Any, ...]]] = []

    def careful(*arrays: Any) -> tuple[Any, ...]:
        if not made:
            made.append(_Writer(closed_jaxpr, floats=False).function())
        return made[0](*arrays)

    writer = _Writer(closed_jaxpr, floats=True, most=most)
    function = writer.function(fallback=careful)
    function.seconds = writer.seconds  # type: ignore[attr-defined]
    return function


@dataclass
class _Value:
    """What the text of a variable stands for at this point.

    `shape` may be smaller than the variable's, dimension by dimension one for any length: it then still has
    to be broadcast. `roots` are the variables whose memory it may share.
    """

    text: str
    shape: tuple[int, ...]
    roots: frozenset[Any] = frozenset()


# Stands for memory that is not ours to write to: inputs, constants, what inner functions keep.
_SHARED = "shared"


@dataclass
class _Writer:
    """Writes the function of one jaxpr.

    `floats` allows Python floats, which raise where NumPy does not; `inner` is set for the body of a loop,
    whose results may share memory with its operands.
    """

    closed: Any
    floats: bool
    inner: bool = False
    # Arrays of up to so many elements are taken element by element.
    most: int = unrolled.MOST
    # What a call of the function takes, foreseen, as its steps are written.
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)
    scope: dict[str, Any] = field(default_factory=dict)
    values: dict[Any, _Value] = field(default_factory=dict)
    constants: dict[Any, Any] = field(default_factory=dict)
    # Arrays filled with one constant; most are read as that number, but where all is asked for, made once.
    filled: dict[Any, Any] = field(default_factory=dict)
    # Short vectors that are read element by element, and the name of the list each becomes.
    listed: set[Any] = field(default_factory=set)
    lists: dict[Any, str] = field(default_factory=dict)
    # Arrays of a few numbers, element by element; NumPy's array of one is made when a step asks for it.
    elements: dict[Any, Elements | None] = field(default_factory=dict)
    bound_names: dict[int, str] = field(default_factory=dict)
    # Position of the step after which a variable, the memory of a root, or a name is not read any more.
    last_use: dict[Any, float] = field(default_factory=dict)
    root_dies: dict[Any, float] = field(default_factory=dict)
    name_dies: dict[str, float] = field(default_factory=dict)
    position: int = 0
    counter: int = 0

    def function(
        self, fallback: Callable[..., tuple[Any, ...]] | None = None
    ) -> Callable[..., tuple[Any, ...]]:
        """The compiled function; `fallback` is called where Python floats raise."""
        inputs = self._inputs()
        steps = steps_of(self.closed.jaxpr)
        self._count_uses(steps)
        for self.position, step in enumerate(steps):
            self._write(step)
        self.position = len(steps)
        result = self._outputs()

        body = [*self.lines, f"return {result}"]
        if fallback is not None:
            self.scope.update(fallback=fallback, EXCEPTIONAL=EXCEPTIONAL)
            again = f"return fallback({', '.join(inputs)})"
            body = ["try:", *_indented(body), "except EXCEPTIONAL:", *_indented([again])]
        source = "\n".join([f"def evaluate({', '.join(inputs)}):", *_indented(body)]) + "\n"
        exec(compile(source, "<interpreted>", "exec"), self.scope)
        function: Callable[..., tuple[Any, ...]] = self.scope["evaluate"]
        return function if self.inner else _silent(function, source)

    # Inputs and outputs.

    def _inputs(self) -> list[str]:
        jaxpr = self.closed.jaxpr
        for var, constant in zip(jaxpr.constvars, self.closed.consts, strict=True):
            array = np.asarray(constant, var.aval.dtype)
            self.constants[var] = array[()] if array.ndim == 0 else array
            text = self._bind(self.constants[var])
            self.values[var] = _Value(text, array.shape, frozenset({_SHARED}))
        names = [f"x{i}" for i in range(len(jaxpr.invars))]
        for name, var in zip(names, jaxpr.invars, strict=True):
            self.values[var] = _Value(name, tuple(var.aval.shape), frozenset({_SHARED}))
            if var.aval.shape == () and not self.inner:
                python = self.floats and var.aval.dtype == FLOAT
                self.lines.append(
                    f"{name} = {'float' if python else self._bind(var.aval.dtype.type)}({name})"
                )
        return names

    def _outputs(self) -> str:
        texts: list[str] = []
        given: set[Any] = set()
        for atom in self.closed.jaxpr.outvars:
            value = self._value(atom)
            if self.inner:
                texts.append(self._whole(atom).text)
            elif atom.aval.shape == ():
                texts.append(f"{self._bind(atom.aval.dtype.type)}({value.text})")
            else:
                if value.shape != atom.aval.shape:
                    texts.append(f"{self._bind(np.broadcast_to)}({value.text}, {atom.aval.shape}).copy()")
                elif value.roots & ({_SHARED} | given):
                    texts.append(f"{value.text}.copy()")
                else:
                    texts.append(value.text)
                given |= value.roots
        return f"({', '.join(texts)}{',' if texts else ''})"

    def _count_uses(self, steps: Sequence[Any]) -> None:
        reads = Counter(
            step.invars[0] for step in steps if isinstance(step, Index) and step.outvars[0].aval.shape == ()
        )
        self.listed = {
            source
            for source, count in reads.items()
            if len(source.aval.shape) == 1
            and count >= READS_WORTH_A_LIST
            and source.aval.shape[0] <= 4 * count
        }
        for position, step in enumerate(steps):
            for atom in step.invars:
                if isinstance(atom, jex.Var):
                    self.last_use[atom] = position
        for atom in self.closed.jaxpr.outvars:
            if isinstance(atom, jex.Var):
                self.last_use[atom] = math.inf
        # Inputs and constants are never freed: the fallback reads them again.
        self.name_dies = dict.fromkeys((value.text for value in self.values.values()), math.inf)

    # Steps.

    def _write(self, step: Any) -> None:
        before = len(self.lines)
        if self.floats and self._write_few(step):
            self.seconds += SCALAR_OPERATION * (len(self.lines) - before)
            return
        scalar = all(var.aval.shape == () for var in (*step.invars, *step.outvars))
        self.seconds += SCALAR_OPERATION if scalar else ARRAY_OPERATION
        operands = [self._value(atom) for atom in step.invars]
        if isinstance(step, Index):
            self._write_index(step)
        elif isinstance(step, Assemble):
            self._write_assembly(step)
        elif isinstance(step, Dot):
            left, right = (self._whole(atom).text for atom in step.invars)
            self._assign(step.outvars[0], f"{left}.dot({right})", ())
        elif step.primitive.name == "broadcast_in_dim" and len(step.invars) == 1:
            self._write_broadcast(step)
        elif step.primitive.name in ELEMENTWISE:
            self._write_elementwise(step, operands)
        else:
            self._write_call(step)
        self._free(operands)

    def _write_call(self, equation: Any) -> None:
        if equation.primitive.name == "reduce_sum" and self.floats and is_short_sum(equation):
            length = equation.invars[0].aval.shape[0]
            operand = self._whole(equation.invars[0]).text
            self._assign(equation.outvars[0], f"{operand}.dot({self._bind_ones(length)})", ())
            return
        operands = [self._whole(atom) for atom in equation.invars]
        known = {
            i: self._constant(atom)
            for i, atom in enumerate(equation.invars)
            if isinstance(atom, jex.Literal) or atom in self.constants or atom in self.filled
        }
        code = code_of(equation, Context(known, self._nested, _alone))
        text = self._fill(code, [operand.text for operand in operands])
        roots = frozenset[Any]()
        if not code.fresh:
            roots = frozenset().union(*(operand.roots for operand in operands))
            if not operands or equation.primitive.name in CONTROL:
                roots |= {_SHARED}
        if len(equation.outvars) == 1:
            var = equation.outvars[0]
            if text == operands[0].text if operands else False:
                self._alias(var, operands[0].text, tuple(var.aval.shape), roots)
            else:
                self._assign(var, text, tuple(var.aval.shape), roots, code.fresh)
            return
        names = []
        for var in equation.outvars:
            names.append(self._name())
            self._set(var, names[-1], tuple(var.aval.shape), roots, code.fresh)
        self.lines.append(f"{', '.join(names)} = {text}" if names else text)

    def _write_elementwise(self, equation: Any, operands: list[_Value]) -> None:
        row, var = ELEMENTWISE[equation.primitive.name], equation.outvars[0]
        if equation.primitive.name == "select_n" and equation.invars[0].aval.shape == () != var.aval.shape:
            operands = [operands[0], *(self._whole(atom) for atom in equation.invars[1:])]
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        texts = [operand.text for operand in operands]
        code = None
        if self.floats and shape == () and all(atom.aval.dtype in (FLOAT, bool) for atom in equation.invars):
            if var.aval.dtype in (FLOAT, bool) and self._all_floats(equation):
                code = row.scalar_code(equation)
        if code is None:
            code = row.code(equation, shape == ())
        if code.fresh and math.prod(shape) * var.aval.dtype.itemsize >= LARGE_BYTES:
            ufunc, place = row.ufunc(equation), self._reusable(equation, operands, shape)
            if ufunc is not None and place is not None:
                self._assign(var, f"{self._bind(ufunc)}({', '.join(texts)}, out={place})", shape)
                return
        text = self._fill(code, texts)
        roots = frozenset() if code.fresh else frozenset().union(*(operand.roots for operand in operands))
        if text in texts:
            self._alias(var, text, shape, roots)
        else:
            self._assign(var, text, shape, roots, code.fresh)

    @staticmethod
    def _all_floats(equation: Any) -> bool:
        if equation.primitive.name == "convert_element_type":
            return True
        return all(atom.aval.dtype == FLOAT for atom in equation.invars)

    def _reusable(self, equation: Any, operands: list[_Value], shape: tuple[int, ...]) -> str | None:
        """Text of an operand whose memory nobody needs after this step."""
        dtype = equation.outvars[0].aval.dtype
        for atom, operand in zip(equation.invars, operands, strict=True):
            if not isinstance(atom, jex.Var) or operand.shape != shape or atom.aval.dtype != dtype:
                continue
            if operand.roots == {atom} and self.root_dies[atom] <= self.position:
                return operand.text
        return None

    def _write_broadcast(self, equation: Any) -> None:
        """Only put dimensions in place; the operation that reads the result repeats them by itself."""
        value, var = self._whole(equation.invars[0]), equation.outvars[0]
        if value.shape == ():
            source, shape = equation.invars[0], tuple(var.aval.shape)
            if isinstance(source, jex.Literal) and math.prod(shape) <= SHORT_FILL:
                self.filled[var] = np.full(shape, source.val, var.aval.dtype)
            self._alias(var, value.text, (), value.roots)
            return
        placed = broadcast_shape(equation)
        if placed == value.shape:
            self._alias(var, value.text, placed, value.roots)
        elif len(value.shape) == 1 and len(placed) == 2:
            self._assign(
                var, f"{value.text}[{'None, :' if placed[0] == 1 else ':, None'}]", placed, value.roots, False
            )
        else:
            self._assign(var, f"{value.text}.reshape({placed})", placed, value.roots, False)

    def _write_index(self, step: Index) -> None:
        source, var = step.invars[0], step.outvars[0]
        operand = self._whole(source)
        shape = tuple(var.aval.shape)
        if shape != ():
            self._assign(var, f"{operand.text}[{', '.join(step.parts)}]", shape, operand.roots, False)
        elif not self.floats or var.aval.dtype != FLOAT:
            self._assign(var, f"{operand.text}[{', '.join(step.parts)}]", ())
        elif source in self.listed:
            self._assign(var, f"{self._list_of(source, operand.text)}[{step.parts[0]}]", ())
        else:
            self._assign(var, f"{operand.text}.item({', '.join(step.parts)})", ())

    def _write_assembly(self, step: Assemble) -> None:
        var = step.outvars[0]
        shape, dtype = tuple(var.aval.shape), var.aval.dtype
        elements = self._elements(step)
        if elements is not None:
            self._assign(var, f"{self._bind(np.array)}([{', '.join(elements)}])", shape)
            return
        name = self._name()
        wholes = [a for a, box in zip(step.invars, step.boxes, strict=True) if box is None]
        if wholes:
            first = self._whole(wholes[0])
            sharing = [a for a in step.invars if wholes[0] in self._value(a).roots]
            ours = first.roots == {wholes[0]} and len(sharing) == 1
            if ours and self.root_dies[wholes[0]] <= self.position:
                self.lines.append(f"{name} = {first.text}")
            else:
                self.lines.append(f"{name} = {first.text}.copy()")
            for atom in wholes[1:]:
                self.lines.append(f"{name} += {self._value(atom).text}")
        else:
            dtype_text = "" if dtype == FLOAT else f", {self._bind(dtype)}"
            self.lines.append(f"{name} = {self._bind(np.zeros)}({shape}{dtype_text})")
        touched: list[tuple[slice, ...]] = []
        for atom, box in zip(step.invars, step.boxes, strict=True):
            if box is None:
                continue
            value = self._value(atom)
            clear = not wholes and not any(_overlap(box, other) for other in touched)
            self.lines.append(f"{name}[{_box_text(box, value.shape)}] {'=' if clear else '+='} {value.text}")
            touched.append(box)
        self._set(var, name, shape, frozenset(), True)

    def _elements(self, step: Assemble) -> list[str] | None:
        """Texts of the elements, when a short vector is made of scalars only."""
        var = step.outvars[0]
        if len(var.aval.shape) != 1 or var.aval.dtype != FLOAT or var.aval.shape[0] > 4 * len(step.invars):
            return None
        sums: list[list[str]] = [[] for _ in range(var.aval.shape[0])]
        for atom, box in zip(step.invars, step.boxes, strict=True):
            if box is None or self._value(atom).shape != () or box[0].stop != box[0].start + 1:
                return None
            sums[box[0].start].append(self._value(atom).text)
        return [" + ".join(terms) if terms else "0.0" for terms in sums]

    # Arrays of a few numbers, element by element.

    def _write_few(self, step: Any) -> bool:
        """Write a step whose result and operands are a few floats; gives False, and writes nothing, for any other."""
        var = step.outvars[0]
        is_elementwise = not isinstance(step, (Index, Assemble, Dot)) and step.primitive.name in ELEMENTWISE
        if (
            len(step.outvars) != 1
            or not unrolled.is_few(var.aval, self.most)
            or (is_elementwise and var.aval.shape == ())
        ):
            return False
        operands = []
        for atom in step.invars:
            elements = self._elements_of(atom)
            if elements is None:
                return False
            operands.append(elements)
        found = self._few_elementwise(step, operands) if is_elementwise else self._few_joined(step, operands)
        if found is None:
            return False
        named = self._named(found)
        if var.aval.shape == ():
            self._alias(var, named.item(), (), frozenset())
            return True
        self.elements[var] = named
        if isinstance(step, (Index, Assemble, Dot)) or step.primitive.name != "broadcast_in_dim":
            return True
        if step.invars[0].aval.shape == ():  # whoever needs the array repeats the scalar by itself
            self._alias(var, named.flat[0], (), frozenset())
        return True

    def _few_elementwise(self, equation: Any, operands: list[Elements]) -> Elements | None:
        row = ELEMENTWISE[equation.primitive.name]
        code = row.scalar_code(equation) if self._all_floats(equation) else None
        if code is None:
            return None
        spread = [array.ravel().tolist() for array in np.broadcast_arrays(*operands)]
        product = equation.primitive.name == "mul"
        texts = [
            unrolled.times(*some) if product else self._fill(code, list(some))
            for some in zip(*spread, strict=True)
        ]
        return np.array(texts, dtype=object).reshape(equation.outvars[0].aval.shape)

    @staticmethod
    def _few_joined(step: Any, operands: list[Elements]) -> Elements | None:
        shape = tuple(step.outvars[0].aval.shape)
        if isinstance(step, Index):
            return np.array(operands[0][tuple(map(_index_of, step.parts))], dtype=object).reshape(shape)
        if isinstance(step, Assemble):
            return unrolled.assembled(shape, operands, step.boxes)
        if isinstance(step, Dot):
            return np.array(unrolled.dot(*operands), dtype=object)
        moved = unrolled.moved(step, operands)
        return unrolled.summed(step, operands) if moved is None else moved

    def _elements_of(self, atom: Any) -> Elements | None:
        """The elements of an operand; None where it is no float, has many, or is an array of NumPy's already."""
        if not unrolled.is_few(atom.aval, self.most):
            return None
        if atom.aval.shape == ():
            text = self._value(atom).text
            return np.array(text, dtype=object)
        if atom not in self.elements:
            self.elements[atom] = None
            if atom in self.constants:
                self.elements[atom] = unrolled.constant_elements(self.constants[atom])
            elif atom in self.closed.jaxpr.invars and len(atom.aval.shape) == 1:
                names = [self._name() for _ in range(atom.aval.shape[0])]
                self.lines.append(f"{', '.join(names)}, = {self.values[atom].text}.tolist()")
                self.elements[atom] = np.array(names, dtype=object)
        return self.elements[atom]

    def _named(self, elements: Elements) -> Elements:
        """The same, each expression that is no name and no number given a name."""
        named = np.empty(elements.size, dtype=object)
        for k, text in enumerate(elements.ravel().tolist()):
            named[k] = text if text.isidentifier() or _is_number(text) else self._name()
            if named[k] is not text:
                self.lines.append(f"{named[k]} = {text}")
        return named.reshape(elements.shape)

    # Values and names.

    def _value(self, atom: Any) -> _Value:
        if not isinstance(atom, jex.Literal) and atom not in self.values:
            elements = self.elements[atom]
            assert elements is not None
            self._assign(
                atom, f"{self._bind(np.array)}({unrolled.as_array(elements)})", tuple(atom.aval.shape)
            )
        if isinstance(atom, jex.Literal):
            scalar = self._constant(atom)
            if self.floats and atom.aval.dtype == FLOAT and math.isfinite(scalar):
                return _Value(unrolled.literal(float(scalar)), ())
            return _Value(self._bind(scalar), ())
        return self.values[atom]

    def _constant(self, atom: Any) -> Any:
        if isinstance(atom, jex.Literal):
            return np.asarray(atom.val, atom.aval.dtype)[()]
        return self.constants[atom] if atom in self.constants else self.filled[atom]

    def _whole(self, atom: Any) -> _Value:
        """The value with its whole shape, broadcast now if that was put off."""
        value, shape = self._value(atom), tuple(atom.aval.shape)
        if value.shape == shape:
            return value
        if atom in self.filled:
            self._set(atom, self._bind(self.filled[atom]), shape, frozenset({_SHARED}), False)
            return self.values[atom]
        name, dtype = self._name(), atom.aval.dtype
        if value.shape == () and math.prod(shape) <= SHORT_FILL:
            dtype_text = "" if dtype == FLOAT else f", {self._bind(dtype)}"
            self.lines.append(f"{name} = {self._bind(np.full)}({shape}, {value.text}{dtype_text})")
            self._set(atom, name, shape, frozenset(), True)
        else:
            self.lines.append(f"{name} = {self._bind(np.broadcast_to)}({value.text}, {shape})")
            self._set(atom, name, shape, value.roots | {_SHARED}, False)
        return self.values[atom]

    def _assign(
        self,
        var: Any,
        text: str,
        shape: tuple[int, ...],
        roots: frozenset[Any] = frozenset(),
        fresh: bool = True,
    ) -> None:
        name = self._name()
        self.lines.append(f"{name} = {text}")
        self._set(var, name, shape, roots, fresh)

    def _alias(self, var: Any, text: str, shape: tuple[int, ...], roots: frozenset[Any]) -> None:
        self._set(var, text, shape, roots, False)

    def _set(self, var: Any, name: str, shape: tuple[int, ...], roots: frozenset[Any], fresh: bool) -> None:
        last = self.last_use.get(var, -1)
        if fresh:
            roots = frozenset({var})
        for root in roots:
            self.root_dies[root] = max(self.root_dies.get(root, -1), last)
        self.name_dies[name] = max(self.name_dies.get(name, -1), last)
        self.values[var] = _Value(name, shape, roots)

    def _free(self, operands: list[_Value]) -> None:
        """Drop the names of large arrays that were read for the last time."""
        dead = []
        for operand in {operand.text: operand for operand in operands}.values():
            if self.name_dies.get(operand.text, math.inf) > self.position:
                continue
            if math.prod(operand.shape) * FLOAT.itemsize >= LARGE_BYTES and operand.text.isidentifier():
                dead.append(operand.text)
        if dead:
            self.lines.append(f"del {', '.join(dead)}")

    def _name(self) -> str:
        self.counter += 1
        return f"v{self.counter}"

    def _bind(self, value: Any) -> str:
        """A name for a constant or a function beside the source."""
        name = self.bound_names.get(id(value))
        if name is None:
            label = getattr(value, "__name__", "constant")
            label = label if label.isidentifier() else "function"
            name = f"{label}_{len(self.bound_names)}"
            # The scope keeps the value alive, so that its id stays its own.
            self.bound_names[id(value)] = name
            self.scope[name] = value
        return name

    def _bind_ones(self, length: int) -> str:
        name = f"ones_{length}"
        self.scope.setdefault(name, np.ones(length))
        return name

    def _fill(self, code: Code, operands: list[str]) -> str:
        return code.written(operands, {name: self._bind(value) for name, value in code.bound.items()})

    def _nested(self, closed: Any) -> Callable[..., tuple[Any, ...]]:
        return _Writer(closed, floats=self.floats, inner=True).function()

    def _list_of(self, source: Any, text: str) -> str:
        if source not in self.lists:
            self.lists[source] = self._name()
            self.lines.append(f"{self.lists[source]} = {text}.tolist()")
        return self.lists[source]


def _alone(closed: Any) -> Callable[..., tuple[Any, ...]]:
    """A function by itself, called many times within the silence of another: of arrays or of single numbers.

    Which of them is foreseen, not measured: its last digits must not depend on what else the machine is doing.
    """
    function = interpret(closed)
    largest = max((math.prod(v.aval.shape) for step in closed.jaxpr.eqns for v in step.outvars), default=0)
    if unrolled.MOST < largest <= unrolled.MOST_OF_MANY_CALLS:
        single = interpret(closed, unrolled.MOST_OF_MANY_CALLS)
        if single.seconds < function.seconds:  # type: ignore[attr-defined]
            function = single
    found: Callable[..., tuple[Any, ...]] = function.within_silence  # type: ignore[attr-defined]
    return found


def _silent(warns: Callable[..., tuple[Any, ...]], source: str) -> Callable[..., tuple[Any, ...]]:
    """The function without warnings; it is `warns` alone where they are silenced already."""

    def evaluate(*arrays: Any) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            return warns(*arrays)

    evaluate.source = source  # type: ignore[attr-defined]
    evaluate.within_silence = warns  # type: ignore[attr-defined]
    return evaluate


def _indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]


def _index_of(part: str) -> int | slice:
    """The index that a text between brackets stands for."""
    if ":" not in part:
        return int(part)
    return slice(*(int(end) if end else None for end in part.split(":")))


def _is_number(text: str) -> bool:
    try:
        float(text.strip("()"))
    except ValueError:
        return False
    return True


def _overlap(a: tuple[slice, ...], b: tuple[slice, ...]) -> bool:
    """Whether two boxes may share an element."""
    return all(p.start < q.stop and q.start < p.stop for p, q in zip(a, b, strict=True))


def _box_text(box: tuple[slice, ...], shape: tuple[int, ...]) -> str:
    if len(box) == 1 and shape == () and box[0].stop == box[0].start + 1:
        return str(box[0].start)
    return ", ".join(
        f"{part.start}:{part.stop}" + (f":{part.step}" if part.step not in (None, 1) else "") for part in box
    )
