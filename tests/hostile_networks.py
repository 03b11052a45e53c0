"""Hostile weights (.npz) and networks (.json, .tflite): each function writes one into `here` and gives the command."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import small_mcu
from hostile import ESCAPE, TURNED, collected, sparse
from tflite_files import TfliteFile

from workbench import frontends

CASES, case = collected()

# .npz -----------------------------------------------------------------------------------------------------------------


def loading(here):
    return ["run", "mlp", "--steps", "1", "--load-weights", f"{here}/w.npz"]


def header(shape, dtype="<f4"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def archive(here, members, how=zipfile.ZIP_DEFLATED):
    """Weights for mlp, but for these members."""
    with zipfile.ZipFile(here / "w.npz", "w", how) as file:
        for name, values in frontends.load("mlp").weights.items():
            stored = io.BytesIO()
            np.save(stored, values)
            file.writestr(f"{name}.npy", members.get(name, stored.getvalue()))
    return loading(here)


@case("fc1.weight.npy takes 47.68 MB unpacked; 32 KB are needed at most")
def zip_bomb(here):
    return archive(here, {"fc1.weight": header((12_500_000,)) + bytes(50_000_000)})


@case("fc1.weight.npy claims 1048576 MB; it has 16 B")
def terabyte_in_a_header(here):
    return archive(here, {"fc1.weight": header((2**38,)) + bytes(16)})


@case("fc1.weight.npy has a header that is none of .npy")
def negative_shape(here):
    return archive(here, {"fc1.weight": header((-64, -64)) + bytes(64 * 64 * 4)})


@case("fc1.weight.npy has a header that is none of .npy")
def long_header(here):
    return archive(here, {"fc1.weight": b"\x93NUMPY\x02\x00\xff\xff\x0f\x00" + b"(" * 2**20})


@case("fc1.weight.npy has a header that is none of .npy")
def nested_header(here):
    return archive(here, {"fc1.weight": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000})


@case("fc1.weight.npy has a header that is none of .npy")
def later_version(here):
    return archive(here, {"fc1.weight": b"\x93NUMPY\x09\x00" + bytes(100)})


class Touch:
    """Unpickled, it writes a file."""

    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


@case("fc1.weight.npy holds Python objects, which are not read")
def pickled_array(here):
    stored = io.BytesIO()
    np.save(stored, np.array([Touch()], object), allow_pickle=True)
    return archive(here, {"fc1.weight": stored.getvalue()})


@case("is not a whole .npz of weights: it is damaged")
def pickle_instead(here):
    (here / "w.npz").write_bytes(pickle.dumps(Touch()))
    return loading(here)


@case("fc1.weight holds str")
def texts_instead(here):
    return archive(here, {"fc1.weight": header((64, 64), "<U3") + bytes(64 * 64 * 12)})


@case("is compressed in a way that numpy does not write")
def another_compression(here):
    return archive(here, {}, zipfile.ZIP_LZMA)


@case("is not a whole .npz of weights: it is damaged")
def truncated_archive(here):
    command = archive(here, {})
    (here / "w.npz").write_bytes((here / "w.npz").read_bytes()[:-30])
    return command


@case("is not a whole .npz of weights: it is damaged")
def flipped_bytes(here):
    command = archive(here, {}, zipfile.ZIP_STORED)
    content = bytearray((here / "w.npz").read_bytes())
    content[3000] ^= 255
    (here / "w.npz").write_bytes(content)
    return command


@case("it has 1024 MB; at most 4.05 MB of such a file are read")
def giant_archive(here):
    sparse(here / "w.npz", 1 << 30)
    return loading(here)


@case("fc1.weight is missing")
def members_outside(here):
    with zipfile.ZipFile(here / "w.npz", "w") as file:
        for name in ("../../harmed", "/tmp/harmed", ESCAPE, "fc1.weight/"):
            file.writestr(f"{name}.npy", b"x")
    return loading(here)


@case("is not a whole .npz of weights: it is a pipe or a device, not a file")
def weights_from_a_pipe(here):
    os.mkfifo(here / "w.npz")
    return loading(here)


# .json networks -------------------------------------------------------------------------------------------------------


def network(here, change=lambda told: None):
    path = small_mcu.write(here)
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    return ["plan", str(path), "--classes", "6"]


@case("net.json is not whole JSON: it is nested too deep")
def nested_json(here):
    (here / "net.json").write_text("[" * 10**6)
    return ["plan", f"{here}/net.json"]


@case("it has 1024 MB; at most 4 MB of such a file are read")
def giant_json(here):
    sparse(here / "net.json", 1 << 30)
    return ["plan", f"{here}/net.json"]


@case("net.json is not whole JSON: it is a pipe or a device, not a file")
def json_from_an_endless_device(here):
    (here / "net.json").symlink_to("/dev/zero")
    return ["plan", f"{here}/net.json"]


@case("net.json is not whole JSON: it is not text: byte 0 is no UTF-8")
def json_that_is_no_text(here):
    (here / "net.json").write_bytes(b"\xff\xfe{}")
    return ["plan", f"{here}/net.json"]


@case("net.json is not whole JSON: Too many levels of symbolic links")
def json_that_links_to_itself(here):
    (here / "net.json").symlink_to("net.json")
    return ["plan", f"{here}/net.json"]


@case("convs holds 6000, more than a network")
def many_layers(here):
    return network(here, lambda told: told.update(convs=told["convs"] * 1000))


@case("blocks name 100005 layers, more than a network")
def many_readings_of_one_layer(here):
    return network(here, lambda told: told["blocks"][1]["convs"].extend(["b2.depthwise"] * 10**5))


@case("its weights are more than a network")
def giant_weights_claimed(here):
    return network(here, lambda told: told["convs"][1].update(in_channels=2**20, out_channels=2**20))


@case("small.json: input: scale is ")
def number_of_many_digits(here):
    return network(here, lambda told: told["input"].update(scale=10**4000))


@case('small.json: convs[1]: name is "\\u001b[2J\\u001b]0;red\\u0007"; expected a name of letters')
def escape_in_a_layer_s_name(here):
    return network(here, lambda told: told["convs"][1].update(name=ESCAPE))


@case('convs[1]: name is "aaaaaaaa')
def long_layer_s_name(here):
    return network(here, lambda told: told["convs"][1].update(name="a" * 10**5))


@case("blocks names aaaaaaa")
def long_name_in_a_block(here):
    return network(here, lambda told: told["blocks"][1]["convs"].append("a" * 10**5))


@case("small.npz is not a whole .npz: head.weight.npy takes")
def bomb_beside_a_network(here):
    command = network(here)
    with zipfile.ZipFile(here / "small.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("head.weight.npy", header((50_000_000,), "|i1") + bytes(50_000_000))
    return command


# .tflite files --------------------------------------------------------------------------------------------------------


def imported(here, *, shape=(1, 4), name=None, operators=1, copies=0, op="RELU"):
    file = TfliteFile()
    x = first = file.tensor(shape, "float32")
    for number in range(copies):
        file.tensor((1 << 20,), "uint8", data=None if number else np.zeros(1 << 20, np.uint8))
    for _ in range(operators):
        x = file.op(op, [x], file.tensor(shape, "float32", name=name))
    return ["plan", str(file.write(here / "net.tflite", [first], [x]))]


@case("has the impossible shape (1, 65536, 65536)")
def giant_tensor(here):
    return imported(here, shape=(1, 65536, 65536))


@case("claims to hold 5002 buffers")
def many_operators(here):
    return imported(here, operators=5000)


@case('operator 0 (LSTM, "?[2J?]0;red?") is a recurrent layer')
def escape_in_a_tensor_s_name(here):
    return imported(here, name=ESCAPE, op="LSTM")


@case('operator 0 (LSTM, "aaaaaaaa')
def long_tensor_s_name(here):
    return imported(here, name="a" * 10**5, op="LSTM")


@case("its tensors claim more than 256 MB")
def one_buffer_many_times(here):
    """Each of the tensors names the one buffer of 1 MB."""
    command = imported(here, copies=300)
    content = bytearray((here / "net.tflite").read_bytes())
    import tflite

    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    for number in range(1, 301):
        tensor = graph.Tensors(number)._tab
        at = tensor.Offset(8) + tensor.Pos
        content[at : at + 4] = (2).to_bytes(4, "little")
    (here / "net.tflite").write_bytes(content)
    return command


@case("net.tflite is truncated or damaged")
def truncated_tflite(here):
    command = imported(here)
    (here / "net.tflite").write_bytes((here / "net.tflite").read_bytes()[:200])
    return command


@case("net.tflite is truncated or damaged")
def root_outside(here):
    (here / "net.tflite").write_bytes(b"\xff\xff\xff\x7fTFL3" + bytes(100))
    return ["plan", f"{here}/net.tflite"]


@case("it has 1024 MB; at most 64 MB of such a file are read")
def giant_tflite(here):
    sparse(here / "net.tflite", 1 << 30)
    return ["plan", f"{here}/net.tflite"]


@case("net.tflite cannot be read: it is a pipe or a device")
def tflite_from_a_pipe(here):
    os.mkfifo(here / "net.tflite")
    return ["plan", f"{here}/net.tflite"]


@case("\\x1b[2J\\x1b]0;red\\x07.tflite is no TFLite file")
def escape_in_a_file_s_name(here):
    (here / f"{ESCAPE}.tflite").write_text("nothing")
    return ["plan", f"{here}/{ESCAPE}.tflite"]


@case("\\u202egnp.exe.tflite is missing")
def turned_name_of_a_file(here):
    return ["plan", f"{here}/{TURNED}.tflite"]
