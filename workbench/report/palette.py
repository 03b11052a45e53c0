"""The colours of all figures: a role or a phase looks the same everywhere, and apart for colour-blind eyes too.

Roles derive from Okabe and Ito's set ("Color Universal Design", 2008), lightened so that black text reads on all of
them; phases are greys and one violet, so that they are not taken for roles.
"""

ROLE = {
    "input": "#a5e3ec",
    "label": "#3d9db3",
    "activation": "#f2c64b",
    "mask": "#d9a0c4",
    "gradient": "#e5703a",
    "scratch": "#62bfa0",
    "runtime": "#8a7fb8",
    "parameter": "#7fb2dc",
    "state": "#5f93c4",
    "scalar": "#b9cfe6",
    "other": "#cfd8e2",
    "stack": "#a98f73",
    "dead": "#f3f1ec",
}
PHASE = {"forward": "#d5dbe1", "loss": "#20262c", "backward": "#8b98a5", "update": "#6a4fb3"}
INK, QUIET, HAIR = "#1d2226", "#66707a", "#d4d9de"
SERIES = ("#7fb2dc", "#f2c64b", "#62bfa0", "#e5703a", "#d9a0c4", "#a5e3ec", "#b9cfe6", "#a98f73")  # what has no role
LIMIT, SAVED, SAVED_FILL, STATIC, STATIC_HATCH = "#c3002f", "#1a7f4b", "#dcf1e4", "#e9eff5", "#b4c4d4"
UNUSED = 0.62  # how far the colour of planned but unused lifetime is moved towards white


def role_colour(role: str) -> str:
    """The role's colour, a neutral one for a role nobody has named yet."""
    return ROLE.get(role, "#c9c2b4")


def pale(colour: str, towards_white: float = UNUSED) -> str:
    """The same hue, lighter: '#000000' -> '#9e9e9e'."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + (255 - c) * towards_white):02x}" for c in channels)
