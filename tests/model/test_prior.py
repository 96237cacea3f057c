"""Logits moved from the shares trained on to those of real streets."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.model.prior import MOST, street_prior
from lidarpan.structures import InputError

KITTI = load_class_table("semantickitti")


@pytest.mark.parametrize("name", ["semantickitti", "nuscenes"])
def test_published_shares_cover_every_class_and_sum_to_one(name):
    table = load_class_table(name)
    assert table.street_share.shape == (table.num_classes,)
    assert table.street_share[0] == 0
    assert (table.street_share[1:] > 0).all()
    assert table.street_share.sum() == pytest.approx(1)


def test_the_shift_is_the_log_of_the_ratio():
    share = KITTI.street_share[KITTI.id_of("person")]
    shift = street_prior(KITTI, {"person": 10 * share, "car": 0.5}, 0.5)
    assert shift.dtype == np.float32
    assert shift[KITTI.id_of("person") - 1] == pytest.approx(-0.5 * np.log(10), rel=1e-5)
    assert np.count_nonzero(shift) == 2


def test_bayes_rule_on_a_classifier_of_one_feature():
    """Trained on one mix of two classes, used on another: the corrected posterior is exact."""
    rng = np.random.default_rng(0)
    likelihood = rng.dirichlet(np.ones(6), 2)  # p(feature | class)
    a, b = KITTI.id_of("car"), KITTI.id_of("road")
    street = KITTI.street_share[[a, b]]
    trained = np.array([0.3, 0.1])
    logits = np.log(likelihood.T * trained)
    shift = street_prior(KITTI, {"car": 0.3, "road": 0.1}, 1.0)[[a - 1, b - 1]]
    posterior = np.exp(logits + shift)
    posterior /= posterior.sum(axis=1, keepdims=True)
    want = likelihood.T * street
    assert np.allclose(posterior, want / want.sum(axis=1, keepdims=True), atol=1e-6)


def test_equal_shares_and_unknown_shares_change_nothing():
    same = dict(zip(KITTI.names[1:], KITTI.street_share[1:].tolist(), strict=True))
    assert np.allclose(street_prior(KITTI, same, 1.0), 0, atol=1e-6)
    assert street_prior(KITTI, {}, 1.0) is None
    assert street_prior(KITTI, same, 0.0) is None


def test_no_logit_is_moved_far():
    shift = street_prior(KITTI, {"motorcyclist": 1.0, "road": 1e-9}, 1.0)
    assert shift.min() == -MOST
    assert shift.max() == MOST


@pytest.mark.parametrize(("name", "share", "words"), [("cart", 0.1, "no class"), ("car", 0, "car")])
def test_wrong_shares_are_refused(name, share, words):
    with pytest.raises(InputError, match=words):
        street_prior(KITTI, {name: share}, 0.5)
