"""Explicit vector instructions for the three inner loops of the likelihood.

The compiler vectorises simple loops by itself, but it neither keeps a tile of sums in registers nor uses the widest
vectors; both matter here, where a gradient is two products with a tall, thin matrix and an exponential.  Each
function below writes one loop in LLVM's vector type, which LLVM maps to the processor's registers:

* :func:`logits_tile`   ``L = V Z`` for up to ``MAX_CLASSES`` classes and ``3 WIDTH`` rows: sums stay in registers;
* :func:`products_tile` ``G -= P Z'`` for up to ``MAX_CLASSES`` classes and 4 features: dot products over rows;
* :func:`exp_row`       ``L = exp(L - m)``, ``s += L``, relative error below 4e-16.

Addresses are integers (``array.ctypes.data``); strides count doubles.  Rows are padded, so there is no remainder.
A tile has sums for a fixed number of classes; a jump inside the function selects the tile.
"""

import math
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WIDE = llvm.get_host_cpu_features().get("avx512f", False)
WIDTH = 8 if _WIDE else 4  # doubles in a vector register
MAX_CLASSES = 5 if _WIDE else 4  # 5 x 4 sums and what feeds them fit into 32 registers, 4 x 3 into 16
ROW_MULTIPLE = 24  # rows of a tile: three vectors of eight or six of four
FEATURES = 4

_I64, _DOUBLE = ir.IntType(64), ir.DoubleType()
_VECTOR, _INTEGERS = ir.VectorType(_DOUBLE, WIDTH), ir.VectorType(_I64, WIDTH)
_LANES = ir.VectorType(ir.IntType(32), WIDTH)

Builder = Any  # llvmlite's IRBuilder
Value = Any


def _constant(x: float) -> Value:
    return ir.Constant(_VECTOR, [x] * WIDTH)


def _integer(n: int) -> Value:
    return ir.Constant(_I64, n)


def _pointer(builder: Builder, address: Value) -> Value:
    return builder.inttoptr(address, _DOUBLE.as_pointer())


def _at(builder: Builder, base: Value, *offsets: tuple[Value, Value]) -> Value:
    """Pointer to ``base + sum of products of pairs`` doubles."""
    total = _integer(0)
    for a, b in offsets:
        total = builder.add(total, builder.mul(a, b))
    return builder.gep(base, [total])


def _load(builder: Builder, pointer: Value) -> Value:
    return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=8)


def _store(builder: Builder, vector: Value, pointer: Value) -> None:
    builder.store(vector, builder.bitcast(pointer, _VECTOR.as_pointer()), align=8)


def _fma(builder: Builder, a: Value, b: Value, c: Value) -> Value:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f64"), [a, b, c])


def _broadcast(builder: Builder, scalar: Value) -> Value:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_LANES, [0] * WIDTH))


def _sum(builder: Builder, vector: Value) -> Value:
    """Sum of the lanes, by halves."""
    half, undefined = WIDTH // 2, ir.Constant(_VECTOR, ir.Undefined)
    while half:
        order = [(lane + half) % WIDTH for lane in range(WIDTH)]
        vector = builder.fadd(vector, builder.shuffle_vector(vector, undefined, ir.Constant(_LANES, order)))
        half //= 2
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


def _accumulate(
    builder: Builder, count: Value, step: int, n_sums: int, body: Callable[[Value, list[Value]], list[Value]]
) -> list[Value]:
    """Loop ``i = 0, step, ... < count`` (at least once) that carries ``n_sums`` vectors in registers."""
    before = builder.block
    loop, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(_I64)
    i.add_incoming(_integer(0), before)
    sums = [builder.phi(_VECTOR) for _ in range(n_sums)]
    updated = body(i, sums)
    following = builder.add(i, _integer(step))
    i.add_incoming(following, loop)
    for phi, new in zip(sums, updated, strict=True):
        phi.add_incoming(_constant(0.0), before)
        phi.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return updated


def _for_classes(builder: Builder, n_classes: Value, generate: Callable[[int], None]) -> None:
    """Jump to the code that ``generate`` writes for 1, 2, ... or ``MAX_CLASSES`` classes."""
    after = builder.append_basic_block("chosen")
    sizes = {n: builder.append_basic_block(f"classes{n}") for n in range(1, MAX_CLASSES + 1)}
    jump = builder.switch(n_classes, sizes[MAX_CLASSES])
    for n, block in sizes.items():
        if n < MAX_CLASSES:
            jump.add_case(_integer(n), block)
        builder.position_at_end(block)
        generate(n)
        builder.branch(after)
    builder.position_at_end(after)


@intrinsic
def logits_tile(_context, V, stride_v, Z, stride_z, L, stride_l, q, n_classes):  # type: ignore[no-untyped-def]
    """A tile of ``L = V Z``, n_classes x 3 WIDTH."""
    width = 3

    def generate(context, builder, _signature, args):  # type: ignore[no-untyped-def]
        V, stride_v, Z, stride_z, L, stride_l, q, n_classes = args
        V, Z, L = (_pointer(builder, address) for address in (V, Z, L))
        one = _integer(1)

        def tile(n: int) -> None:
            def body(j: Value, sums: list[Value]) -> list[Value]:
                z = [_load(builder, _at(builder, Z, (j, stride_z), (_integer(u * WIDTH), one))) for u in range(width)]
                new = []
                for k in range(n):
                    v = _broadcast(builder, builder.load(_at(builder, V, (_integer(k), stride_v), (j, one))))
                    new += [_fma(builder, v, z[u], sums[k * width + u]) for u in range(width)]
                return new

            sums = _accumulate(builder, q, 1, n * width, body)
            for k in range(n):
                for u in range(width):
                    target = _at(builder, L, (_integer(k), stride_l), (_integer(u * WIDTH), one))
                    _store(builder, sums[k * width + u], target)

        _for_classes(builder, n_classes, tile)
        return context.get_dummy_value()

    return types.void(V, stride_v, Z, stride_z, L, stride_l, q, n_classes), generate


def products_tile(n_features: int) -> Any:
    """Function ``(P, stride_p, Z, stride_z, G, stride_g, rows, n_classes)``: a tile of ``G -= P Z'``."""

    @intrinsic
    def chosen(_context, P, stride_p, Z, stride_z, G, stride_g, rows, n_classes):  # type: ignore[no-untyped-def]
        def generate(context, builder, _signature, args):  # type: ignore[no-untyped-def]
            P, stride_p, Z, stride_z, G, stride_g, rows, n_classes = args
            P, Z, G = (_pointer(builder, address) for address in (P, Z, G))
            one = _integer(1)

            def tile(n: int) -> None:
                def body(i: Value, sums: list[Value]) -> list[Value]:
                    z = [_load(builder, _at(builder, Z, (_integer(j), stride_z), (i, one))) for j in range(n_features)]
                    new = []
                    for k in range(n):
                        row = _load(builder, _at(builder, P, (_integer(k), stride_p), (i, one)))
                        new += [_fma(builder, row, z[j], sums[k * n_features + j]) for j in range(n_features)]
                    return new

                sums = _accumulate(builder, rows, WIDTH, n * n_features, body)
                for k in range(n):
                    for j in range(n_features):
                        target = _at(builder, G, (_integer(k), stride_g), (_integer(j), one))
                        total = _sum(builder, sums[k * n_features + j])
                        builder.store(builder.fsub(builder.load(target), total), target)

            _for_classes(builder, n_classes, tile)
            return context.get_dummy_value()

        return types.void(P, stride_p, Z, stride_z, G, stride_g, rows, n_classes), generate

    return chosen


# Above, 1.5 * 2^52: adding it rounds to an integer, stored in the low bits of the sum.
_ROUND = 6755399441055744.0
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_UNDERFLOW = -708.0
_DEGREE = 12  # Taylor on |r| <= ln(2)/2: the remainder is below 2e-16


def _exp(builder: Builder, x: Value) -> Value:
    """exp(x) for x <= 0: Cody-Waite reduction x = n ln 2 + r, a Taylor polynomial in r, 2^n from its bits."""
    x = builder.select(builder.fcmp_ordered("<", x, _constant(_UNDERFLOW)), _constant(_UNDERFLOW), x)  # NaN stays NaN
    shifted = _fma(builder, x, _constant(1 / math.log(2)), _constant(_ROUND))
    n = builder.fsub(shifted, _constant(_ROUND))
    r = _fma(builder, n, _constant(-_LN2_HIGH), x)
    r = _fma(builder, n, _constant(-_LN2_LOW), r)
    series = _constant(1 / math.factorial(_DEGREE))
    for power in range(_DEGREE - 1, -1, -1):
        series = _fma(builder, series, r, _constant(1 / math.factorial(power)))
    bias, shift = ir.Constant(_INTEGERS, [1023] * WIDTH), ir.Constant(_INTEGERS, [52] * WIDTH)
    bits = builder.shl(builder.add(builder.bitcast(shifted, _INTEGERS), bias), shift)
    return builder.fmul(series, builder.bitcast(bits, _VECTOR))


@intrinsic
def exp_row(_context, L, m, s, rows):  # type: ignore[no-untyped-def]
    """``L = exp(L - m)`` and ``s += L`` over ``rows`` numbers, ``L <= m``."""

    def generate(context, builder, _signature, args):  # type: ignore[no-untyped-def]
        L, m, s = (_pointer(builder, address) for address in args[:3])

        def body(i: Value, _sums: list[Value]) -> list[Value]:
            at_l, at_m, at_s = (builder.gep(base, [i]) for base in (L, m, s))
            e = _exp(builder, builder.fsub(_load(builder, at_l), _load(builder, at_m)))
            _store(builder, e, at_l)
            _store(builder, builder.fadd(_load(builder, at_s), e), at_s)
            return []

        _accumulate(builder, args[3], WIDTH, 0, body)
        return context.get_dummy_value()

    return types.void(L, m, s, rows), generate


@intrinsic
def pointer(_context, address):  # type: ignore[no-untyped-def]
    """An address as a pointer that ``numba.carray`` accepts."""

    def generate(_compiler, builder, _signature, args):  # type: ignore[no-untyped-def]
        return builder.inttoptr(args[0], ir.PointerType(ir.IntType(8)))

    return types.voidptr(types.int64), generate
