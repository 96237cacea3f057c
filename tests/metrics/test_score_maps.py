"""The line from a score to the share of objects that are right."""

import numpy as np
import pytest
from score_maps import FEWEST, fit_score_map

from lidarpan.structures import InputError


def draw(count, share_of, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.random(count)
    return score, rng.random(count) < share_of(score)


def ascending(line):
    x, y = np.array(line).T
    return (np.diff(x) > 0).all() and (np.diff(y) >= 0).all() and x[0] == 0 and x[-1] == 1


@pytest.mark.parametrize("share_of", [np.square, np.sqrt, lambda s: 0.3 + 0.5 * s])
def test_a_mapped_score_is_the_share_that_is_right(share_of):
    line = fit_score_map(*draw(20_000, share_of), fewest=500)
    assert ascending(line)
    inner = np.linspace(0.15, 0.85, 20)
    assert np.allclose(np.interp(inner, *zip(*line, strict=True)), share_of(inner), atol=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_each_point_rests_on_enough_objects(seed):
    score, right = draw(130, np.square, seed)
    line = fit_score_map(score, right)
    assert ascending(line)
    assert len(line) - 2 <= 130 // FEWEST
    for x, y in line[1:-1]:
        assert 0 <= y <= 1
        assert score.min() <= x <= score.max()


def test_weights_count_like_copies():
    score, right = draw(60, np.square, 3)
    weight = np.random.default_rng(1).integers(1, 4, 60)
    copies = np.repeat(np.arange(60), weight)
    once = fit_score_map(score, right, weight.astype(float), fewest=60)
    many = fit_score_map(score[copies], right[copies], fewest=len(copies))
    assert np.allclose(once, many, atol=1e-3)


def test_a_score_that_says_nothing_becomes_the_share_of_all():
    score, right = draw(4000, lambda s: np.full(len(s), 0.4))
    line = dict(fit_score_map(score, right, fewest=4000))
    assert list(line.values())[1] == pytest.approx(0.4, abs=0.03)


def test_too_few_objects_are_refused():
    with pytest.raises(InputError, match="objects or more"):
        fit_score_map(*draw(FEWEST - 1, np.square))
