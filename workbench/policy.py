"""UpdatePolicy: which parameters a training step updates, and which part of them (options.Optimizer says how).

Data only; passes/apply_policy resolves it against a network. A policy is a text of terms joined by +, or a file:

    full  bias-only  bias-only+head  last-2  biases-3+conv2:0.25+fc1  bias-only+conv2:0.5+largest  sparse.toml
    blocks.3.*  *.bias+fc2  conv*.weight:0.5            whole names, as a shell matches them, of layers and parameters
    =head  =0:0.5  ="a+b"                               the parameter, or else the layer, of exactly this name

    biases = "last-6"                  # or "all", a list of layers, "none": the default      (sparse.toml)
    channels = "largest"               # which channels of a part; "first" unless told
    [weights]                          # layer = fraction of its input channels; its bias is not meant
    conv2 = 0.25
    fc1 = 1
    "blocks.3.*" = 0.5
    "=head" = 1                        # the layer called head; what stands behind the = is as it is, without quotes
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import files
from workbench.errors import PolicyError, meant, shown
from workbench.options import Optimizer
from workbench.plain import parted, printable

HELP = (
    "terms are full, bias-only, biases-N, last-K, head, LAYER, LAYER:FRACTION, *.bias, =NAME, largest, joined by +; "
    "or a .toml or .json file"
)
GLOB = re.compile(r"[*?[]")  # what makes a name one that matches many
TERMS = ("full", "bias-only", "head", "largest", "last-1", "biases-1")  # that any network understands
CHANNELS = ("first", "largest")
LARGEST_FILE = 64 << 10  # bytes of a policy file
LONGEST = 200  # letters of a name
KEYS = ("name", "biases", "channels", "weights")  # of a policy file
FILES = (".toml", ".json")
NO_FILES = (".txt", ".yaml", ".yml", ".ini", ".cfg", ".csv")  # taken for a policy file all the same
AS_GIVEN = "as-given"  # the policy of a network that says which parameters it trains
RESERVED = r"full|as-given|all|none|head|largest|bias-only|(last|biases)-\d+|-?\d+"  # a layer called so is =head
EXACT = "="  # before a name, whatever it is
NAME = r"-?[\w.\-/]+"  # that a term can be, without quotes


@dataclass(frozen=True)
class Part:
    """Weights of `layers`, and of each the `fraction` of its input channels that is updated.

    `layers`: all, last-N, head, the name of a layer or of one parameter, a glob of either (conv*, *.weight), or a
    layer's number in forward order (from 0; negative from the end). Behind a = stands the name of a parameter, or else
    of a layer, whatever it is.
    """

    layers: str
    fraction: float = 1.0

    def __post_init__(self):
        require_short(self.layers)
        _fraction(self.fraction, self.layers)


@dataclass(frozen=True)
class UpdatePolicy:
    """`weights`: parts to update; `biases`: layers (as in Part) whose biases are; `channels`: a part's are the `first`
    ones, or those of `largest` magnitude (permuted to the front at compile time). `file` is where it was read.
    """

    name: str
    weights: tuple[Part, ...]
    biases: tuple[str, ...]
    channels: str = "first"
    file: str = ""

    def __post_init__(self):
        for layers in self.biases:
            require_short(layers)
        if self.channels not in CHANNELS:
            hint = meant(self.channels, CHANNELS).strip() or None
            raise PolicyError(f"{self.where}: channels are {' or '.join(CHANNELS)}; got {shown(self.channels)}", hint)

    @property
    def where(self) -> str:
        """The policy's name in messages."""
        return self.file or f"policy {self.name}"


PLAIN_SGD = Optimizer()


def as_given(trained: Iterable[str]) -> UpdatePolicy:
    """The policy of a network that says which parameters it trains: those of these names, weights and biases alike.

    A frontend gives it to its Model: `policies={AS_GIVEN: as_given(names)}`.
    """
    names = tuple(dict.fromkeys(f"{EXACT}{name}" for name in trained))
    return UpdatePolicy(AS_GIVEN, tuple(map(Part, names)), names)


def require_short(layers: str) -> None:
    """Raise PolicyError for what is longer than any layer's name."""
    if len(layers.removeprefix(EXACT)) > LONGEST:
        raise PolicyError(f"no layer is called {shown(layers)}: a name has up to {LONGEST} letters")


def parse_policy(text: str | UpdatePolicy) -> UpdatePolicy:
    """The policy that `text` writes out, or that the .toml or .json file of this name holds. Raises PolicyError."""
    if isinstance(text, UpdatePolicy):
        return text
    if not isinstance(text, str):
        raise PolicyError(f"a policy is a text or an UpdatePolicy; got {shown(text)}", HELP)
    if is_file(text):
        return read_policy(Path(text))
    if text.endswith(NO_FILES) and not _ends_in_a_name(text):
        raise PolicyError(f"{text}: policy files end in {' or '.join(FILES)}")
    weights: list[Part] = []
    biases: list[str] = []
    channels = "first"
    for term in parted(text, "+"):
        term = term.strip()
        number = re.fullmatch(r"(last|biases)-([1-9]\d*)", term)
        if term == "largest":
            channels = "largest"
        elif term == "bias-only":
            biases.append("all")
        elif number and number[1] == "biases":
            biases.append(f"last-{number[2]}")
        else:
            part = _part(term, text)
            weights.append(part)
            biases.append(part.layers)
    return UpdatePolicy(text, tuple(weights), tuple(biases), channels)


def is_file(text: str) -> bool:
    """Whether a policy's text is the name of a file; a term like =a.json is none."""
    return text.endswith(FILES) and not _ends_in_a_name(text)


def _ends_in_a_name(text: str) -> bool:
    return parted(text, "+")[-1].lstrip().startswith(EXACT)


def written(name: str, in_file: bool = False) -> str:
    """How a policy names a layer or a parameter: by itself, or as =head or ="a+b" where that would say otherwise."""
    is_plain = re.fullmatch(NAME, name) and not re.fullmatch(rf"{RESERVED}|(last|biases|bias)-.*", name)
    if in_file:
        return f"{EXACT}{name}" if re.fullmatch(RESERVED, name) or GLOB.search(name) or name[:1] == EXACT else name
    if is_plain and not name.endswith((*FILES, *NO_FILES)):
        return name
    return f"{EXACT}{name}" if re.fullmatch(NAME, name) else '{}"{}"'.format(EXACT, name.replace('"', '""'))


def parse_policies(texts: Sequence[str], parse: Callable[[str], UpdatePolicy] = parse_policy) -> list[UpdatePolicy]:
    """The policies of several texts. Raises PolicyError where two share a name: no table could tell them apart."""
    policies = [parse(text) for text in texts]
    named: dict[str, str] = {}
    for text, policy in zip(texts, policies, strict=True):
        if named.setdefault(policy.name, text) != text:
            raise PolicyError(f"{named[policy.name]} and {text} are both called {policy.name!r}",
                              'a file is called after itself, or by its line name = "…"')  # fmt: skip
    return policies


def _part(term: str, text: str) -> Part:
    if term == "full":
        return Part("all")
    if term == AS_GIVEN:
        raise PolicyError(f"policy {text}: {AS_GIVEN} stands alone, for a network that says which parameters it trains",
                          HELP)  # fmt: skip
    if term.startswith(EXACT):
        return _exact(term, text)
    layers, colon, fraction = term.partition(":")
    slip = re.fullmatch(r"(last|biases|bias)-.*", layers) and not re.fullmatch(r"last-[1-9]\d*", layers)
    letters = r"[\w.\-/*?[\]!]+" if GLOB.search(layers) else NAME
    if not re.fullmatch(letters, layers) or (slip and not GLOB.search(layers)):
        raise PolicyError(f"no policy is called {text!r}", f"{meant(layers, TERMS)}{HELP}")
    return Part(layers, _fraction(fraction, f"policy {text}, {layers}") if colon else 1.0)


def _exact(term: str, text: str) -> Part:
    """=NAME, ="NAME" or ='NAME', in which a doubled quote stands for one, and :FRACTION."""
    found = re.fullmatch(r"""=\s*(?:"((?:[^"]|"")+)"|'((?:[^']|'')+)'|([^"':][^:]*))(:.*)?""", term, re.DOTALL)
    if not found:
        raise PolicyError(f"policy {text}: {term} names nothing", 'such as =head, or ="a+b" with any name in quotes')
    double, single, plain, fraction = found.groups()
    name = double.replace('""', '"') if double else single.replace("''", "'") if single else plain.rstrip()
    try:
        share = _fraction(fraction[1:], f"policy {text}, {EXACT}{name}") if fraction else 1.0
    except PolicyError as error:
        hint = f'{error.hint}; a name with : stands in quotes, ="a:b"' if plain else error.hint
        raise PolicyError(error.message, hint) from None
    return Part(EXACT + name, share)


def _fraction(value, where: str) -> float:
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 < number <= 1:
        told = value if isinstance(value, str) else shown(value)
        raise PolicyError(f"{where}: a fraction of channels is a number in (0, 1]; got {told}",
                          "0.25 updates a quarter of them")  # fmt: skip
    return number


def read_policy(path: Path) -> UpdatePolicy:
    """The policy in a .toml or .json file. Raises PolicyError that says what is wrong in it."""
    try:
        text = files.read_text(path, LARGEST_FILE)
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        what = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise PolicyError(f"{path} is not {path.suffix[1:].upper()}: {what}") from None
    if not isinstance(found, dict):
        raise PolicyError(f"{path}: a policy file is a table of name, biases, channels and weights")
    unknown = set(found) - set(KEYS)
    if unknown:
        raise PolicyError(f"{path}: nothing is called {', '.join(sorted(unknown))}",
                          f"{meant(min(unknown), KEYS)}a policy file has {', '.join(KEYS)}")  # fmt: skip
    weights, biases = found.get("weights", {}), found.get("biases", "none")
    weights = {weights: 1.0} if isinstance(weights, str) else weights
    if not isinstance(weights, dict):
        raise PolicyError(f"{path}: weights are layer = fraction, one a line under [weights]; got {shown(weights)}")
    biases = [biases] if isinstance(biases, str) else biases
    if not isinstance(biases, list) or not all(_names_layer(layer) for layer in biases):
        raise PolicyError(f'{path}: biases are "all", "none", "last-N" or a list of layers; got {shown(biases)}')
    parts = tuple(
        Part(str(layers), _fraction(fraction, f"{path}, {layers}"))
        for layers, fraction in weights.items()
        if layers != "none"
    )
    chosen = tuple(str(layer) for layer in biases if layer != "none")
    if not parts and not chosen:
        raise PolicyError(f"{path} names nothing", 'set biases = "all", or layer = fraction under [weights]')
    name = found.get("name", printable(path.stem))
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= LONGEST:
        raise PolicyError(f"{path}: name is a line of up to {LONGEST} letters; got {shown(name)}")
    return UpdatePolicy(name, parts, chosen, found.get("channels", "first"), str(path))


def _names_layer(value) -> bool:
    """A name, or a number in forward order."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**6)
