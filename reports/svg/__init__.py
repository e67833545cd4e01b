"""Drawings as SVG text: no library, no script needed, colours from the page's style sheet."""
