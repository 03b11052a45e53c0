"""Studies of a network: many runs side by side, and the emulated firmware held against numpy."""
