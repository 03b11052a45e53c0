"""Files made to do harm, or broken by chance, wherever a command takes one: a line, exit 1, soon, in little memory."""

import io
import json
import os
import pickle
import re
import resource
import signal
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import small_mcu
from synthetic_run import synthetic_run
from tflite_files import TfliteFile

from workbench import boards, frontends, load_run, session
from workbench.cli import main
from workbench.codegen import generate
from workbench.errors import WorkbenchError
from workbench.frontends.layers import Network

SECONDS, MEMORY = 100, 700 << 10  # of one command, on a busy machine; KB
ESCAPE, TURNED = "\x1b[2J\x1b]0;red\x07", "\u202egnp.exe"
CASES = []


def case(words):
    """Of a function that writes into the folder `here` and gives the command. `words`: what is said."""
    return lambda make: CASES.append(pytest.param(make, words, id=make.__name__))


def sparse(path, size):
    with path.open("wb") as file:
        file.truncate(size)


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


# policies -------------------------------------------------------------------------------------------------------------


def policy(here, text, ending="toml"):
    (here / f"p.{ending}").write_text(text)
    return ["policies", "mlp", "--policy", f"{here}/p.{ending}"]


@case("is not TOML: it is nested too deep")
def nested_toml(here):
    return policy(here, "biases = " + "[" * 60_000)


@case("a fraction of channels is a number in (0, 1]; got {'a': {'a'")
def toml_of_many_dots(here):
    return policy(here, f"weights.fc1.{'.'.join('a' * 900)} = 1")


@case("it has 97.7 KB; at most 64 KB of such a file are read")
def giant_toml(here):
    return policy(here, "#" * 100_000)


@case("p.toml: name is a line of up to 200 letters; got '\\x1b[2J")
def escape_in_a_policy_s_name(here):
    return policy(here, f'biases = "all"\nname = {json.dumps(ESCAPE)}')


@case("p.toml: name is a line of up to 200 letters; got 'aaaaa")
def long_policy_s_name(here):
    return policy(here, f'biases = "all"\nname = "{"a" * 50_000}"')


@case("a fraction of channels is a number in (0, 1]; got a number of thousands of digits")
def fraction_of_many_digits(here):
    return policy(here, f"[weights]\nfc1 = 0x{'f' * 5000}")


@case("or a list of layers; got a number of thousands of digits")
def layer_of_many_digits(here):
    return policy(here, f"biases = [0x{'f' * 5000}]")


@case("no layer is called 'aaaaa")
def long_layer_in_a_policy(here):
    return policy(here, f'biases = ["{"a" * 50_000}"]')


@case("is not JSON: it is nested too deep")
def nested_json_policy(here):
    return policy(here, '{"biases":' * 6_000, "json")


@case("p.toml: it is a pipe or a device, not a file")
def policy_from_a_pipe(here):
    os.mkfifo(here / "p.toml")
    return ["policies", "mlp", "--policy", f"{here}/p.toml"]


@case("no layer is called '")
def long_policy_typed(here):
    return ["policies", "mlp", "--policy", f"last-{'9' * 100_000}"]


# buffer files ---------------------------------------------------------------------------------------------------------


def buffers(here, text):
    (here / "b.csv").write_text(text)
    return ["plan", "--buffers", f"{here}/b.csv", "--time-limit", "1"]


@case("it has more than 50000 rows")
def many_buffers(here):
    return buffers(here, "id,lower,upper,size\n" + "a,0,1,1\n" * 10**5)


@case("upper and size are up to 1099511627776")
def giant_buffer(here):
    return buffers(here, f"id,lower,upper,size\na,0,1,{10**30}\n")


@case("lower, upper and size are whole numbers; got '0', '1', '9999")
def size_of_many_digits(here):
    return buffers(here, f"id,lower,upper,size\na,0,1,{'9' * 5000}\n")


@case("an id has up to 200 letters")
def long_buffer_s_name(here):
    return buffers(here, f"id,lower,upper,size\n{'a' * 10**5},0,1,1\n")


@case("it is no table")
def giant_cell(here):
    return buffers(here, f"id,lower,upper,size\n{'a' * 10**6},0,1,1\n")


@case("\\x1b[2J\\x1b]0;red\\x07 is there twice")
def escape_in_a_buffer_s_name(here):
    return buffers(here, f"id,lower,upper,size\n{ESCAPE},0,1,1\n{ESCAPE},0,1,1\n")


@case("cannot be read: it is a pipe or a device")
def buffers_from_an_endless_device(here):
    return ["plan", "--buffers", "/dev/zero"]


@case("cannot be read: it has 1024 MB")
def giant_buffer_file(here):
    sparse(here / "b.csv", 1 << 30)
    return ["plan", "--buffers", f"{here}/b.csv"]


# saved runs -----------------------------------------------------------------------------------------------------------


def saved(here, file=None, change=None, **meta):
    """A saved run with one of its files changed, and the digest of that too."""
    synthetic_run().save(here / "run")
    told = json.loads((here / "run" / "run.json").read_text()) | meta
    if file:
        path = here / "run" / file
        path.write_text(change(path.read_text()))
        told["files"][file] = sha256(path.read_bytes()).hexdigest()
    (here / "run" / "run.json").write_text(json.dumps(told))
    return ["report", f"{here}/run", "--lifecycle", f"{here}/picture.svg"]


def row(text, column, value):
    """The CSV text with another value in its first row."""
    head, first, *others = text.split("\n")
    cells = first.split(",")
    cells[head.split(",").index(column)] = value
    return "\n".join([head, ",".join(cells), *others])


@case("buffers.csv: upper holds 1000000000")
def giant_position(here):
    return saved(here, "buffers.csv", lambda text: row(text, "upper", "1000000000"))


@case("ops.csv: position holds 1000000000")
def giant_operator_s_position(here):
    return saved(here, "ops.csv", lambda text: row(text, "position", "1000000000"))


@case("buffers.csv: size holds 1000000000000000, not between 0")
def giant_buffer_of_a_run(here):
    return saved(here, "buffers.csv", lambda text: row(text, "size", str(10**15)))


@case("buffers.csv: size holds -5, not between 0")
def negative_buffer_of_a_run(here):
    return saved(here, "buffers.csv", lambda text: row(text, "size", "-5"))


@case("ops.csv: instructions holds inf")
def endless_instructions(here):
    return saved(here, "ops.csv", lambda text: row(text, "instructions", "inf"))


@case("buffers.csv: name holds 'aaaaaaa")
def long_name_in_a_run(here):
    return saved(here, "buffers.csv", lambda text: row(text, "name", "a" * 10**5))


@case("buffers.csv: name holds '\\x1b[2J")
def escape_in_a_run_s_table(here):
    return saved(here, "buffers.csv", lambda text: row(text, "name", ESCAPE))


@case("ops.csv: reads holds 'x'; expected numbers of buffers")
def reads_of_no_buffer(here):
    return saved(here, "ops.csv", lambda text: row(text, "reads", "x"))


@case("ops.csv has 1000011 columns, or two of one name")
def many_columns(here):
    return saved(here, "ops.csv", lambda text: "," * 10**6 + text)


@case("run.json: model is no text")
def long_model_s_name(here):
    return saved(here, model="a" * 10**5)


@case("run.json: steps is no whole number")
def steps_of_many_digits(here):
    return saved(here, steps=10**400)


@case("run.json: lr is no number")
def rate_of_many_digits(here):
    return saved(here, lr=10**400)


@case("run.json: it is a pipe or a device, not a file")
def run_json_is_endless(here):
    command = saved(here)
    (here / "run" / "run.json").unlink()
    (here / "run" / "run.json").symlink_to("/dev/zero")
    return command


@case("run.json: it is a pipe or a device, not a file")
def run_json_is_a_pipe(here):
    command = saved(here)
    (here / "run" / "run.json").unlink()
    os.mkfifo(here / "run" / "run.json")
    return command


@case("run.json: it is nested too deep")
def run_json_is_nested(here):
    command = saved(here)
    (here / "run" / "run.json").write_text('{"model":' * 10**5)
    return command


@case("graph.txt is no file of that folder")
def table_is_a_pipe(here):
    command = saved(here)
    (here / "run" / "graph.txt").unlink()
    os.mkfifo(here / "run" / "graph.txt")
    return command


@case("../../harmed is no file of that folder")
def manifest_of_files_outside(here):
    synthetic_run().save(here / "run")
    told = json.loads((here / "run" / "run.json").read_text())
    told["files"]["../../harmed"] = "0"
    (here / "run" / "run.json").write_text(json.dumps(told))
    return ["report", f"{here}/run"]


@case("compare.csv: '../elsewhere' is no folder in it")
def comparison_of_folders_outside(here):
    (here / "compare.csv").write_text("policy,schedule,folder\nfull,vanilla,../elsewhere\n")
    return ["report", str(here)]


@case("compare.csv cannot be read: it is a pipe or a device")
def comparison_from_a_pipe(here):
    os.mkfifo(here / "compare.csv")
    return ["report", str(here)]


@case("run.json: Too many levels of symbolic links")
def folder_that_links_to_itself(here):
    (here / "run").symlink_to("run")
    return ["report", f"{here}/run"]


@case("no network is called 'aaaaa")
def long_name_of_a_network(here):
    return ["plan", "a" * 10**5]


@case("aaaaaa")
def long_name_of_a_file(here):
    return ["plan", f"{'a' * 10**5}.tflite"]


class TooLongError(BaseException):
    """No command catches it."""


@pytest.fixture
def soon():
    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("make", "words"), CASES)
def test_a_hostile_file_is_refused_in_a_line(make, words, tmp_path, monkeypatch, capsys, soon):
    """`harmed` is what a file that got its way would write beside, or in, the folder."""
    here = tmp_path / "here" / "inner"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    command, before = make(here), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    there = set(tmp_path.rglob("*"))
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert words in err and out == ""
    lines = err.rstrip("\n").split("\n")
    assert len(lines) <= 2 + sum(line.startswith("note: ") for line in lines) and max(map(len, lines)) < 1200
    assert lines[0].startswith("error: ") and all(line.isprintable() for line in lines)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert set(tmp_path.rglob("*")) <= there | {here / "out"} and not any(tmp_path.rglob("harmed"))


# what is odd, and yet no reason to refuse


@pytest.mark.parametrize("told", [ESCAPE, TURNED, "two\nlines"], ids=ascii)
def test_names_that_would_move_the_cursor_are_written_out(tmp_path, monkeypatch, capsys, told):
    monkeypatch.chdir(tmp_path)
    command = saved(tmp_path, model=told, weights_from=told, notes=[told])
    assert main(command if told == ESCAPE else command[:2]) == 0
    out, err = capsys.readouterr()
    assert f"{out}{err}".replace("\n", "").isprintable()
    assert told.encode("unicode_escape").decode() in out
    run = load_run(tmp_path / "run")
    assert f"{run!r}{run.summary()}".replace("\n", "").isprintable()


def test_whatever_prints_while_a_command_runs_is_made_safe(monkeypatch, capsys):
    def execute(args):
        import sys

        print(f"out {ESCAPE}\n\ttab {TURNED}")
        print("half \udce4", file=sys.stderr)
        return 0

    monkeypatch.setattr("workbench.cli.boards.execute", execute)
    assert main(["boards"]) == 0
    assert capsys.readouterr() == ("out \\x1b[2J\\x1b]0;red\\x07\n\ttab \\u202egnp.exe\n", "half \\udce4\n")


def test_errors_are_short_and_safe_in_python_too():
    text = str(WorkbenchError(f"{ESCAPE} is {'a' * 10**5}", f"no {TURNED}"))
    assert len(text) < 1100 and text.replace("\n", "").isprintable()
    assert text.startswith("\\x1b[2J\\x1b]0;red\\x07 is aaa") and text.endswith("\n  help: no \\u202egnp.exe")


def test_positions_of_a_buffer_file_may_be_far_apart(tmp_path, capsys):
    text = "id,lower,upper,size\na,0,1000000000,8\nb,999999999,1000000001,8\nc,1000000000,1000000002,8\n"
    assert main(buffers(tmp_path, text)) == 0
    assert "3 buffers in 16 bytes" in capsys.readouterr().out


def test_what_is_left_of_a_writer_moves_nothing_out_of_the_folder(tmp_path, capsys):
    """`.filled` is another process's, killed on its way; here it is made up, and would delete and write elsewhere."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    saved(tmp_path)
    filled = tmp_path / "run" / ".filled"
    (filled / "link").mkdir(parents=True)
    (filled / "link" / "harmed").write_text("x")
    (filled / ".replaced").write_text('["../mine", 3, "graph.txt\\u0000", "link/../../mine"]')
    (tmp_path / "run" / "link").symlink_to(tmp_path / "elsewhere")
    assert main(["report", f"{tmp_path}/run"]) == 0
    assert (tmp_path / "mine").read_text() == "mine" and not any((tmp_path / "elsewhere").iterdir())


def test_no_text_of_a_model_reaches_its_c(tmp_path):
    """Of names only letters, digits and _ do; in comments a label as it is, which cannot end one."""
    net = Network("*/ evil /*", (1, 4))
    compiled = session.compile(net.model(net.dense(net.input, "ünï//code.-x", 3)))
    files = generate(compiled.graph, compiled.memory, compiled.weights, boards.get("nrf52840")).files
    for name, text in files.items():
        if name.endswith((".c", ".h")):
            code = re.sub(r"/\*.*?\*/|^#.*$", "", text, flags=re.DOTALL | re.MULTILINE)
            assert "evil" not in text and "//" not in code and code.isascii(), name
