"""Instrument signature removal: raw frames to electrons with mask and variance."""
