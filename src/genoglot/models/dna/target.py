"""What a DNA task asks for and a DNA model predicts: one vocabulary."""

from __future__ import annotations

from typing import Literal

Target = Literal["binary", "multi-label", "multi-class", "regression"]
"""Of a sequence: `"binary"`, one label, true or false; `"multi-label"`, several of those;
`"multi-class"`, one of several classes; `"regression"`, values."""

NucleotideTarget = Literal["nucleotide-classes"]
"""Of each nucleotide in the middle of a sequence: one of several classes."""

NUCLEOTIDES: NucleotideTarget = "nucleotide-classes"
TaskTarget = Target | NucleotideTarget
"""What a task can ask for."""
