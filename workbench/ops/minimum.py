"""minimum: y = the smaller of a and b (see _choice)."""

from workbench.ops._choice import register_choice

register_choice("minimum", "WB_SMALLER", larger=False)
