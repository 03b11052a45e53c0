"""Hostile policies, buffer files and saved runs: each function writes one into `here` and gives the command."""

import json
import os
from hashlib import sha256

from hostile import ESCAPE, collected, sparse
from synthetic_run import synthetic_run

CASES, case = collected()

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


@case("ops.csv has 1000012 columns, or two of one name")
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
