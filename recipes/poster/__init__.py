"""Figures of the poster."""
