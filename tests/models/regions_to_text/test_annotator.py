"""From a region set back to assay, target, biosample and descriptions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.atlas import Atlas
from genoglot.errors import ModelError, UniverseError
from genoglot.models import Annotator, load
from genoglot.models.regions_to_text.calibration import expected_calibration_error

# Every fourth group is held out: factors and biosamples of it were seen, never together.
HELD = [i for i in range(60) if (i // 2) % 4 == 1]
SEEN = [i for i in range(60) if i not in HELD]


@pytest.fixture(scope="module")
def annotator(toy_atlas: Atlas) -> Annotator:
    return Annotator().fit(toy_atlas, SEEN)


def test_labels_of_unseen_combinations(annotator: Annotator, toy_atlas: Atlas) -> None:
    about = toy_atlas.metadata[HELD]
    answered = [annotator.annotate(ids) for ids in toy_atlas.tokens_of(HELD)]
    for field, majority in {"assay": 0.99, "target": 0.2, "biosample": 0.17}.items():
        right = [
            a.answer(field).labels[0] == t for a, t in zip(answered, about[field], strict=True)
        ]
        assert np.mean(right) > max(majority, 0.9)
        for annotation in answered:
            p = annotation.answer(field).probabilities
            assert all(np.diff(p) <= 0) and 0 < sum(p) <= 1 + 1e-9


def test_the_right_description_comes_first_even_if_no_set_has_it(
    annotator: Annotator, toy_atlas: Atlas
) -> None:
    texts = toy_atlas.descriptions()
    match = annotator.rank(toy_atlas.tokens_of(HELD), texts)
    assert match.shape == (len(HELD), 60) and match.min() >= 0 and match.max() <= 1
    right = [texts[row].split(",")[0] == texts[best].split(",")[0]
             for row, best in zip(HELD, match.argmax(1), strict=True)]  # fmt: skip
    assert np.mean(right) > 0.8


def test_nearest_labeled_sets_are_named_with_their_jaccard(
    annotator: Annotator, toy_atlas: Atlas
) -> None:
    ids = toy_atlas.tokens(SEEN[0])
    first, second = annotator.annotate(ids, top=2).nearest
    assert (first.id, first.jaccard) == (toy_atlas.metadata["id"][SEEN[0]], 1.0)
    others = [set(toy_atlas.tokens(i).tolist()) for i in SEEN[1:]]
    jaccard = [len(o & set(ids.tolist())) / len(o | set(ids.tolist())) for o in others]
    assert second.jaccard == pytest.approx(max(jaccard), abs=1e-6)
    assert second.target == toy_atlas.metadata["target"][SEEN[1 + int(np.argmax(jaccard))]]


def test_random_regions_are_none_of_these(annotator: Annotator, toy_atlas: Atlas) -> None:
    rng = np.random.default_rng(0)
    for row in HELD:
        shuffled = np.sort(rng.choice(400, len(toy_atlas.tokens(row)), replace=False))
        annotation = annotator.annotate(shuffled)
        assert not annotation.familiar
        assert not any(answer.accepted for answer in annotation.answers)
    answered = [annotator.annotate(ids) for ids in toy_atlas.tokens_of(HELD)]
    assert np.mean([annotation.familiar for annotation in answered]) > 0.9
    assert np.mean([annotation.answer("target").accepted for annotation in answered]) > 0.9


def test_tempered_probabilities_are_calibrated_better(tmp_path: Path, toy_atlas: Atlas) -> None:
    """Noise makes answers wrong at times; the raw likelihoods are sure of them all the same."""
    rng = np.random.default_rng(3)
    noisy = []
    for ids in toy_atlas.tokens_of(range(60)):
        kept = ids[rng.random(len(ids)) < 0.6]
        noisy.append(np.union1d(kept, rng.choice(400, 45, replace=False)))
    atlas = Atlas.from_sets(tmp_path / "noisy", toy_atlas.universe, toy_atlas.metadata, noisy)
    annotator = Annotator().fit(atlas, SEEN)
    fitted = annotator.calibration

    def error(temperature: dict[str, float]) -> float:
        annotator.calibration = fitted._replace(temperature=temperature)
        sure, right = [], []
        for ids, true in zip(atlas.tokens_of(HELD), atlas.metadata["biosample"][HELD], strict=True):
            answer = annotator.annotate(ids).answer("biosample")
            sure.append(answer.probabilities[0])
            right.append(answer.labels[0] == true)
        assert 0.1 < np.mean(right) < 1
        return expected_calibration_error(sure, right)

    untempered = dict.fromkeys(fitted.temperature, 1e-3)
    assert error(fitted.temperature) <= error(untempered)


def test_the_same_seed_gives_the_same_annotator(annotator: Annotator, toy_atlas: Atlas) -> None:
    again = Annotator().fit(toy_atlas, SEEN)
    assert again.calibration == annotator.calibration
    for row in HELD[:6]:
        assert again.annotate(toy_atlas.tokens(row)) == annotator.annotate(toy_atlas.tokens(row))


def test_calibrated_on_the_validation_part_if_it_is_large_enough(toy_atlas: Atlas) -> None:
    both = Annotator().fit(toy_atlas, SEEN, validation=HELD).calibrated_on
    assert both.startswith(f"{len(HELD)} sets of the validation part and {len(SEEN)} training sets")
    enough = Annotator(min_calibration_sets=len(HELD))
    annotator = enough.fit(toy_atlas, SEEN, validation=HELD)
    assert annotator.calibrated_on == f"{len(HELD)} sets of the validation part"


def test_where_validation_has_no_known_label_nothing_is_accepted(toy_atlas: Atlas) -> None:
    about = toy_atlas.metadata["biosample"]
    heart = [i for i in range(60) if about[i] == "heart"]
    others = [i for i in range(60) if about[i] != "heart"]
    annotator = Annotator(min_calibration_sets=10).fit(toy_atlas, others, validation=heart)
    answered = [annotator.annotate(ids) for ids in toy_atlas.tokens_of(heart)]
    assert not any(annotation.answer("biosample").accepted for annotation in answered)
    assert np.mean([a.answer("target").accepted for a in answered]) > 0.8
    assert annotator.calibration.temperature["biosample"] < 100


def test_a_set_without_a_target_has_that_for_an_answer(tmp_path: Path, toy_atlas: Atlas) -> None:
    ctcf = pl.col("target") == "CTCF"
    about = toy_atlas.metadata.with_columns(
        target=pl.when(ctcf).then(None).otherwise("target"),
        assay=pl.when(ctcf).then(pl.lit("ATAC-seq")).otherwise("assay"),
    )
    atlas = Atlas.from_sets(
        tmp_path / "atac", toy_atlas.universe, about, toy_atlas.tokens_of(range(60))
    )
    annotation = Annotator().fit(atlas, SEEN).annotate(atlas.tokens(HELD[0]))
    row = next(i for i in range(60) if about["target"][i] is None)
    annotation = Annotator().fit(atlas).annotate(atlas.tokens(row))
    assert annotation.answer("assay").labels[0] == "ATAC-seq"
    assert annotation.answer("target").labels[0] == ""


def test_what_cannot_be_annotated(annotator: Annotator) -> None:
    with pytest.raises(UniverseError, match="no region of the universe"):
        annotator.annotate([])
    with pytest.raises(UniverseError, match="but the universe has 400 regions"):
        annotator.annotate([3, 400])


def test_what_cannot_be_learned(tmp_path: Path, toy_atlas: Atlas) -> None:
    with pytest.raises(ModelError, match="no region set to learn from"):
        Annotator().fit(toy_atlas, [])
    with pytest.raises(ModelError, match="same assay, target and biosample"):
        Annotator().fit(toy_atlas, [0, 1])
    alone = toy_atlas.metadata.with_columns(group=pl.lit("one"))
    sets = toy_atlas.tokens_of(range(60))
    atlas = Atlas.from_sets(tmp_path / "one", toy_atlas.universe, alone, sets)
    with pytest.raises(ModelError, match="one experiment group"):
        Annotator().fit(atlas)


def test_a_damaged_annotator_is_refused(annotator: Annotator, tmp_path: Path) -> None:
    annotator.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "sets.parquet").unlink()
    with pytest.raises(ModelError, match="damaged model"):
        load(tmp_path / "model")


def test_a_target_never_seen_does_not_make_its_assay_wrong(toy_atlas: Atlas) -> None:
    about = toy_atlas.metadata["target"]
    seen = [i for i in SEEN if about[i] not in ("MYC", "REST")]
    aside = [i for i in HELD if about[i] in ("MYC", "REST")]
    annotator = Annotator(max_error=0.3, unfamiliar=0, min_calibration_sets=1)
    annotator.fit(toy_atlas, seen, validation=aside)
    answered = [annotator.annotate(ids) for ids in toy_atlas.tokens_of(aside)]
    assert all(annotation.answer("assay").accepted for annotation in answered)
    assert not any(annotation.answer("target").accepted for annotation in answered)
