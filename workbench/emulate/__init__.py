"""Runs an ELF on an emulated Cortex-M within exactly the memory its board has."""
