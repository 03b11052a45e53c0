"""What numba is taught for the native callbacks: reading and writing tables by address, and calling C functions."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _getter(item: types.Type):
    @intrinsic
    def get(typing_context, table, index):
        def generate(context, builder, signature, arguments):
            pointer = builder.inttoptr(arguments[0], context.get_value_type(item).as_pointer())
            return builder.load(builder.gep(pointer, [arguments[1]]))

        return item(types.int64, types.int64), generate

    return get


def _setter(item: types.Type):
    @intrinsic
    def put(typing_context, table, index, value):
        def generate(context, builder, signature, arguments):
            pointer = builder.inttoptr(arguments[0], context.get_value_type(item).as_pointer())
            builder.store(arguments[2], builder.gep(pointer, [arguments[1]]))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, item), generate

    return put


# get(table, index) and put(table, index, value); a table is an address (numba's arrays would test every index's sign).
get8, get32, get64 = _getter(types.uint8), _getter(types.int32), _getter(types.int64)
put32, put64 = _setter(types.int32), _setter(types.int64)


def _native(*argument_types):
    """call(function, *arguments): the C function at an address; what it gives back is not looked at."""

    @intrinsic
    def call(typing_context, function, arguments):
        def generate(context, builder, signature, values):
            inner = [context.get_value_type(each) for each in argument_types]
            pointer = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), inner).as_pointer())
            builder.call(pointer, [builder.extract_value(values[1], at) for at in range(len(inner))])
            return context.get_dummy_value()

        return types.void(types.int64, types.Tuple(argument_types)), generate

    return call


stop_emulation = _native(types.int64)  # uc_emu_stop(uc)
read_register = _native(types.int64, types.int32, types.int64)  # uc_reg_read(uc, register, where to)

# u64 addresses are declared int64: the same register, and numba turns uint64 - int64 into a float.
block_signature = types.void(types.voidptr, types.int64, types.uint32, types.int64)
memory_signature = types.boolean(types.voidptr, types.int32, types.int64, types.int32, types.int64, types.int64)
