"""The truth about a training: what of it failed or cannot succeed, each finding with its number. Plain data in, words
out; training_notes puts them together.
"""
