"""Plots, HTML reports and genome-browser pages of what models learned, and the demo."""
