"""Watches an emulated run with native callbacks: which operator ran, which buffer it touched."""
