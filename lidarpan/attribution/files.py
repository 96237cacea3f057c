"""A scan file -> why an object of it, or a point, is what the network says: words and a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from lidarpan.attribution import Explainer
from lidarpan.attribution.told import check_by_occlusion, sentences
from lidarpan.draw import draw_panoptic, draw_range_view, save_png
from lidarpan.model.device_network import as_prepared, voxel_network
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.ego import hide_ego
from lidarpan.scans.given import as_loaded
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, sensor_height
from lidarpan.structures import BoolArray, FloatArray, InputError, PanopticLabels, Scan
from lidarpan.viewer import write_viewer


def explain_file(
    path: Path,
    out: Path,
    *,
    instance: int | None = None,
    point: int | None = None,
    weights: str | Path = "town",
    device: str = "auto",
    steps: int = 24,
    is_checked: bool = True,
) -> list[str]:
    """Explain one object, or one point's class, and draw where the evidence lies.

    Args:
        path: of the scan.
        out: `.png` (from above and as the sensor sees it) or `.html` (the page; the evidence stands
            in the place of the intensity).
        instance: number of an object as the pipeline numbers them in this scan.
        point: place of a point in the file, in the place of an object.
        weights: shipped by name, or a file.
        device: "auto", "cpu" or "cuda".
        steps: of the integral.
        is_checked: whether pieces are taken away as well.

    Returns:
        What there is to say, a sentence or two each.

    Raises:
        InputError: no such object or point, both or none given, or captum is not installed.
    """
    if out.suffix not in (".png", ".html"):
        raise InputError(f"{out}: wanted a name that ends in .png or .html")
    if (instance is None) == (point is None):
        raise InputError("wanted either an instance or a point to explain")
    pipeline = PanopticPipeline.from_weights(weights, device)
    network = voxel_network(pipeline.network)
    loaded = as_loaded(path, pipeline.sensor_height_m)
    height_m = sensor_height(loaded.scan, pipeline.sensor_height_m or EXPECTED_HEIGHT_M)
    loaded = hide_ego(loaded, pipeline.ego_box, height_m)
    prepared = pipeline.prepare(loaded.scan, sensor_height_m=height_m)
    labels = pipeline.finish(prepared, pipeline.run_network(prepared))
    if point is not None:
        chosen = _of_point(point, loaded.valid)
        name = f"point {point}"
    else:
        assert instance is not None
        chosen = _of_instance(instance, labels, pipeline)
        name = f"{pipeline.classes.names[int(labels.semantic[chosen][0])]} {instance}"
    class_id = int(labels.semantic[chosen][0])
    if not class_id:
        raise InputError(f"{name}: it is void, there is nothing to explain")
    prepared = as_prepared(prepared)
    own = prepared.voxels.point_to_voxel[chosen]
    target = np.zeros(prepared.voxels.num_voxels, np.bool_)
    target[own[own >= 0]] = True
    explainer = Explainer(network, prepared)
    evidence = explainer.evidence(target, class_id, steps)
    told = sentences(evidence, prepared, name, pipeline.classes.names[class_id])
    if is_checked:
        told.append(check_by_occlusion(explainer, evidence, class_id))
    seen = replace(loaded.scan, intensity=brightness_of(evidence.of_points(prepared)))
    title = f"{path.name}: the brighter, the more evidence for {name}"
    range_m = float(np.abs(seen.points[chosen, :2]).max() + 8)  # the object and what is around it
    _write(out, seen, labels, pipeline, range_m, title)
    return told


def brightness_of(evidence: FloatArray) -> FloatArray:
    """Evidence as a brightness: for is bright, none is dark. (N,) -> (N,) in [0, 1]."""
    gain = np.maximum(evidence, 0)
    most = float(np.quantile(gain[gain > 0], 0.98)) if (gain > 0).any() else 1.0
    return np.clip(gain / most, 0, 1).astype(np.float32)


def _write(
    out: Path,
    seen: Scan,
    labels: PanopticLabels,
    pipeline: PanopticPipeline,
    range_m: float,
    title: str,
) -> None:
    if out.suffix == ".html":
        write_viewer(out, [seen], [labels], pipeline.classes, title=title)
        return
    above = draw_panoptic(seen, mode="intensity", range_m=range_m, title=title)
    around = draw_range_view(seen, mode="intensity", size_px=above.width * 2, title=title)
    both = Image.new("RGB", (around.width, above.height + around.height))
    objects = draw_panoptic(seen, labels, pipeline.classes, range_m=range_m, title="what it said")
    both.paste(above, (0, 0))
    both.paste(objects.resize(above.size), (above.width, 0))
    both.paste(around, (0, above.height))
    save_png(both, out)


def _of_point(point: int, valid: BoolArray) -> BoolArray:
    if not 0 <= point < len(valid) or not valid[point]:
        raise InputError(f"point {point}: wanted a usable point, 0 to {len(valid) - 1}")
    chosen = np.zeros(int(valid.sum()), np.bool_)
    chosen[int(valid[:point].sum())] = True
    return chosen


def _of_instance(instance: int, labels: PanopticLabels, pipeline: PanopticPipeline) -> BoolArray:
    chosen: BoolArray = labels.instance == instance
    if instance > 0 and chosen.any():
        return chosen
    count = int(labels.instance.max(initial=0))
    names, first = pipeline.classes.names, np.unique(labels.instance, return_index=True)
    some = [f"{i} {names[int(labels.semantic[at])]}" for i, at in zip(*first, strict=True) if i > 0]
    more = ", ..." if len(some) > 12 else ""
    raise InputError(
        f"no instance {instance}: wanted 1 to {count}: {', '.join(some[:12])}{more}"
    )  # fmt: skip
