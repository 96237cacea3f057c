"""The main job on real scans: nothing was trained on any of them but PandaSet."""

from copy import copy

import numpy as np
import pytest

from lidarpan import PanopticPipeline, read_scan
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.open import open_dataset
from lidarpan.inference import predict_files
from lidarpan.metrics import PanopticQuality
from lidarpan.model.device_network import voxel_network
from lidarpan.scans.files import find_scans
from lidarpan.scans.inspection import sensor_height


@pytest.fixture(scope="module")
def pipeline():
    return PanopticPipeline.from_weights("town", "cpu")


def scans_of(real_data):
    folders = [real_data / name for name in ("semantickitti", "nuscenes/LIDAR_TOP", "unlabelled")]
    return [*find_scans(folders), *find_scans([real_data / "pandaset"])[:2]]


def test_every_scan_is_predicted_point_by_point(real_data, pipeline, tmp_path):
    paths = scans_of(real_data)
    assert len(paths) >= 12
    for result in predict_files(pipeline, paths, tmp_path, "npz"):
        assert result.error is None
        labels = read_prediction(result.path, pipeline.classes)
        assert labels.num_points == result.labels.num_points + result.num_dropped
        void = int((result.labels.semantic == 0).sum())
        assert void == round(result.outside * result.labels.num_points)
        assert len(np.unique(labels.semantic)) > 5
        is_thing = pipeline.classes.is_thing[labels.semantic]
        assert (is_thing == (labels.instance > 0)).all()


@pytest.mark.parametrize(
    "scan",
    [
        "semantickitti/sequences/00/velodyne/000000.bin",
        "nuscenes/LIDAR_TOP/00.pcd.bin",
        "unlabelled/ouster_os1_64.bin",
        "unlabelled/zoo/velodyne_vls128.pcd",  # 13 % of its points lie beyond the grid
    ],
)
def test_a_point_is_void_exactly_where_it_lies_beyond_the_grid(real_data, pipeline, scan):
    points = read_scan(real_data / scan).points
    plain = copy(pipeline)  # the vehicle that carries the sensor is void too, but for this one
    plain.ego_box = None
    labels = plain.predict(read_scan(real_data / scan))
    grid = voxel_network(pipeline.network).grid
    low, high = np.float32(grid.min_m), np.float32(grid.max_m)
    inside = ((points >= low) & (points < high)).all(axis=1)
    assert np.array_equal(labels.semantic > 0, inside)
    assert not labels.instance[~inside].any()


def test_scores_on_semantickitti_hold(real_data, pipeline):
    """A floor well below the measured scores in the model card: it fails if something breaks."""
    dataset = open_dataset("semantickitti", real_data / "semantickitti", "train")
    classes = pipeline.classes
    quality = PanopticQuality(classes.num_classes, classes.things, min_points=classes.min_points)
    for i in range(len(dataset)):
        labels, truth = pipeline.predict(dataset[i]), dataset.labels(i)
        quality.update(labels.semantic, labels.instance, truth.semantic, truth.instance)
    scores = quality.compute()
    present = np.flatnonzero(scores.confusion.sum(axis=0) > 0)[1:]
    assert scores.class_iou[present].mean() > 0.45
    assert scores.class_pq[classes.id_of("car")] > 0.6


@pytest.mark.parametrize(
    ("scan", "height_m"),
    [
        ("semantickitti/sequences/00/velodyne/000000.bin", 1.73),
        ("nuscenes/LIDAR_TOP/00.pcd.bin", 1.84),
    ],
)
def test_sensor_height_is_measured(real_data, scan, height_m):
    assert sensor_height(read_scan(real_data / scan), 0.0) == pytest.approx(height_m, abs=0.12)


def test_another_height_is_said_and_made_up_for(real_data, pipeline, tmp_path):
    path = real_data / "pandaset/sequences/02/velodyne/000000.bin"
    (result,) = predict_files(pipeline, [path], tmp_path, "npz")
    assert any("the ground lies 0.35 m below the sensor" in said for said in result.warnings)
    (told,) = predict_files(pipeline, [path], tmp_path / "told", "npz", sensor_height_m=0.35)
    assert not any("the ground lies" in said for said in told.warnings)
    same = (told.labels.semantic == result.labels.semantic).mean()
    assert same > 0.99  # as if it had been said


@pytest.mark.parametrize("number", range(3))
def test_the_own_car_lies_along_x_with_its_nose_ahead(real_data, number):
    """Its roof below nuScenes' sensor reaches 1.8 m ahead, 1.1 m back and 0.6 m aside."""
    scan = read_scan(real_data / f"nuscenes/LIDAR_TOP/0{number}.pcd.bin")
    near = (np.hypot(*scan.points[:, :2].T) < 4) & (scan.points[:, 2] > -1.5)
    roof = scan.points[near & (np.abs(scan.points[:, 1]) < 1.0)]
    assert roof[:, 0].max() == pytest.approx(1.79, abs=0.1)
    assert roof[:, 0].min() == pytest.approx(-1.14, abs=0.1)
    aside = scan.points[near & (np.abs(scan.points[:, 0]) < 1.0), 1]
    assert np.percentile(np.abs(aside), 90) < 0.6
