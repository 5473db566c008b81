"""`Annotation`: what an annotator answers about a region set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """The most probable labels of one field.

    Attributes
    ----------
    field
        "assay", "target" or "biosample".
    labels
        The most probable labels, best first; "" for no label, such as the target of ATAC-seq.
    probabilities
        Calibrated probabilities of these labels.
    accepted
        Whether the first label is the answer; if false, the answer is none of the known labels.
    """

    field: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    accepted: bool


@dataclass(frozen=True)
class Neighbor:
    """A labeled region set that is similar to the annotated one.

    Attributes
    ----------
    id, description, assay, target, biosample
        Metadata of the labeled set.
    jaccard
        Jaccard index of both sets, counted in regions of the universe.
    """

    id: str
    description: str
    assay: str
    target: str
    biosample: str
    jaccard: float


@dataclass(frozen=True)
class Annotation:
    """Everything that an annotator answers about a region set.

    Attributes
    ----------
    n_tokens
        Number of regions of the universe that the set overlaps.
    familiar
        Whether the set is similar to some labeled set; if not, no answer is accepted.
    answers
        One answer for each field.
    descriptions
        Descriptions of labeled sets and how well each matches (0 to 1), best first.
    nearest
        Labeled sets, most similar first.
    """

    n_tokens: int
    familiar: bool
    answers: tuple[Answer, ...]
    descriptions: tuple[tuple[str, float], ...]
    nearest: tuple[Neighbor, ...]

    def answer(self, field: str) -> Answer:
        """Return the answer of one field."""
        return next(answer for answer in self.answers if answer.field == field)
