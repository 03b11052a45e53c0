"""maximum: y = the larger of a and b (see _choice)."""

from workbench.ops._choice import register_choice

register_choice("maximum", "WB_LARGER", larger=True)
