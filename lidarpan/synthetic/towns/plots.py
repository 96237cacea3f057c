"""What a plot is used for: houses, blocks, car parks, parks, fields, woods, screens."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.towns.buildings import add_backdrop, add_building, add_canopy
from lidarpan.synthetic.towns.fences import add_fence
from lidarpan.synthetic.towns.furniture import add_clutter, add_sign
from lidarpan.synthetic.towns.gardens import boundary, house, turned
from lidarpan.synthetic.towns.gatherings import bench, cafe, group, rest, variant
from lidarpan.synthetic.towns.parcels import Parcel
from lidarpan.synthetic.towns.site import Pose, Site, draw, draw_log, pick, place
from lidarpan.synthetic.towns.vegetation import add_hedge, add_plants, add_thicket, add_tree


def develop(parcel: Parcel, seed: int) -> Site:
    """Everything on one plot; the same for the same seed and number."""
    rng = np.random.default_rng([seed, 1, parcel.number])
    site = Site()
    use = parcel.use
    if parcel.depth < 14 and use not in ("woods", "screen", "field"):
        use = "park"
    match use:
        case "house":
            house(site, parcel, rng)
        case "row" | "flats" | "hall":
            _block(site, parcel, use, rng)
        case "terrace":
            _terrace(site, parcel, rng)
        case "plaza":
            _plaza(site, parcel, rng)
        case "lot":
            _lot(site, parcel, rng)
        case "park":
            _park(site, parcel, rng)
        case "field":
            _field(site, parcel, rng)
        case "woods":
            _woods(site, parcel, rng)
        case _:
            _screen(site, parcel, rng)
    return site


_FORECOURTS = (
    "sidewalk", "sidewalk", "sidewalk_setts", "sidewalk_asphalt", "bay", "lawn", "turf", "yard"
)  # fmt: skip


def _terrace(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    """A house of a closed street front, its wall at the edge of the pavement."""
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    back = pick(rng, ("lawn", "turf", "soil", "yard"))
    site.paint_rectangle(back, frame, -half, 0, half, depth)
    step = draw(rng, 0.0, 0.25)
    deep = min(draw(rng, 9, 15), depth - 1)
    height = draw(rng, 5.5, 18.0)
    roof = str(rng.choice(("gable", "hip", "flat"), p=(0.6, 0.1, 0.3)))
    middle = step + deep / 2
    add_building(
        site, frame, 0, middle, 2 * half, deep, height, rng, roof, use="block", sides=(0, 2)
    )
    for _ in range(int(rng.poisson(0.5))):
        add_clutter(site, (*place(frame, draw(rng, -half, half), -0.4), frame[2]), rng)


def _plaza(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    """A paved square: trees in the pavement, beds, benches, a café, people, a front behind."""
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    site.paint_rectangle(pick(rng, _FORECOURTS[:4]), frame, -half, -0.1, half, depth)
    for _ in range(int(rng.poisson(4))):
        add_tree(site, *place(frame, draw(rng, -half, half), draw(rng, 1, depth - 13)), rng, 0.9)
    for _ in range(int(rng.poisson(3))):
        at = place(frame, draw(rng, -half, half), draw(rng, 0.5, depth - 12))
        add_clutter(site, (*at, draw(rng, 0, 6.3)), rng)
    for gathering, mean in ((group, 1.5), (bench, 1.5), (rest, 0.5)):
        for _ in range(int(rng.poisson(mean))):
            at = place(frame, draw(rng, -half, half), draw(rng, 0.5, depth - 12))
            gathering(site, (*at, draw(rng, 0, 6.3)), rng)
    for _ in range(int(rng.poisson(0.6))):  # a bed with shrubs
        x, y = draw(rng, -half, half), draw(rng, 0.5, depth - 14)
        wide, deep = draw(rng, 1.5, 6), draw(rng, 1.5, 6)
        site.paint_rectangle(pick(rng, ("soil", "lawn", "turf")), frame, x, y, x + wide, y + deep)
        add_thicket(site, frame, x, y, x + wide, y + deep, rng, draw(rng, 2, 20))
    if rng.random() < 0.35:
        size = (draw(rng, 4, 12), draw(rng, 2, 7))
        cafe(site, turned(frame, draw(rng, 0, half), draw(rng, 0.5, depth - 14)), size, rng)
    if rng.random() < 0.25:
        _roof_over(site, frame, half, draw(rng, 2, depth - 12), rng)
    if rng.random() < 0.85:
        height = draw(rng, 6, 30)
        add_building(site, frame, 0, depth - 6, 2 * half, 11, height, rng, "flat", use="block")
    else:
        add_backdrop(site, frame, half, depth - 11, depth, rng)


def _roof_over(site: Site, frame: Pose, half: float, y: float, rng: np.random.Generator) -> None:
    """A canopy along the street, y metres behind it."""
    size = (draw(rng, 4, 2 * half), draw(rng, 2, 7), draw_log(rng, 2.3, 5.5))
    add_canopy(site, (*place(frame, draw(rng, -half, half) / 2, y), frame[2]), size, rng)


def _block(site: Site, parcel: Parcel, use: str, rng: np.random.Generator) -> None:
    """Town houses at the sidewalk, flats behind a lawn, or a hall behind its yard."""
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    if use == "row":
        setback = float(rng.choice((0.0, 0.0, rng.uniform(1.5, 4), rng.uniform(3, 8))))
        ground, low, high = pick(rng, _FORECOURTS), 6.0, 22.0
    elif use == "flats":
        setback, ground, low, high = draw(rng, 3, 10), pick(rng, ("lawn", "turf")), 8.5, 16.0
    else:
        setback = draw(rng, 6, 14)
        ground, low, high = pick(rng, ("lot", "yard")), 4.0, 9.0
    site.paint_rectangle(ground, frame, -half, 0, half, depth)
    if use == "row" and setback and rng.random() < 0.7:
        site.paint_rectangle(pick(rng, ("lawn", "turf")), frame, -half, 0, half, setback)
        boundary(site, frame, -half, -0.8, 0.3, rng)
        boundary(site, frame, 0.8, half, 0.3, rng)
    deep = min(draw(rng, 10, 15), depth - setback - 1)
    gap = 0.0 if use == "row" and rng.random() < 0.75 else draw(rng, 2, 5)
    length = 2 * half - 2 * gap
    height = draw(rng, low, high)
    kind = "hall" if use == "hall" else "block"
    middle = setback + deep / 2
    add_building(site, frame, 0, middle, length, deep, height, rng, use=kind)
    if use == "flats":
        site.paint_rectangle("sidewalk", frame, -1, 0, 1, setback)
        add_plants(site, frame, (-half, half), (0.8, setback - 1), rng, 4, trees=0.4, size=0.9)
        if rng.random() < 0.5:
            boundary(site, frame, -half, -1.2, 0.4, rng)
            boundary(site, frame, 1.2, half, 0.4, rng)
    if use == "hall" and setback > 7:
        _park_row(site, frame, -half + 2, half - 2, setback - 4.5, rng, 0.5, ground == "lot")
    if gap:
        for x in (-half + 0.2, half - 0.2):
            boundary(site, turned(frame, x, 0), 0.5, depth, 0.0, rng)
    for _ in range(int(rng.poisson(1.0))):
        x = draw(rng, -half, half)
        add_clutter(site, (*place(frame, x, max(0.5, setback - 0.6)), frame[2]), rng)


def _park_row(
    site: Site,
    frame: Pose,
    x0: float,
    x1: float,
    y: float,
    rng: np.random.Generator,
    fill: float,
    lines: bool,
) -> None:
    """Cars side by side, noses across the row, 0.5 to 0.9 m apart; lines between the places."""
    pitch = 1.85 + draw(rng, 0.5, 0.9)
    for x in np.arange(x0, x1, pitch):
        if lines:
            edge = float(x) - pitch / 2
            site.paint_rectangle("bay_line", frame, edge - 0.07, y - 2.4, edge + 0.07, y + 2.4)
        if rng.random() < fill:
            turn = np.pi / 2 * pick(rng, (-1, 1)) + float(rng.normal(0, 0.03))
            px, py = place(frame, float(x), y + float(rng.normal(0, 0.2)))
            kind = "van" if rng.random() < 0.08 else "car"
            site.put(kind, variant(kind, rng), (px, py, frame[2] + turn))


def _lot(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    ground = pick(rng, ("lot", "lot", "bay", "driveway_gravel"))
    site.paint_rectangle(ground, frame, -half, 0, half, depth)
    rim = draw(rng, 0.6, 2.0)
    site.paint_rectangle(pick(rng, ("lawn", "turf")), frame, -half, 0, half * 0.6, rim)
    boundary(site, frame, -half, half * 0.55, rim / 2, rng, bare=0.4)
    fill = draw(rng, 0.3, 0.9)
    lined = rng.random() < 0.65
    for y in np.arange(rim + 3, depth - 3, 8.2):
        lines = lined and ground != "driveway_gravel"
        _park_row(site, frame, -half + 2, half - 2, float(y), rng, fill, lines)
    if rng.random() < 0.2:
        _roof_over(site, frame, half, draw(rng, 5, depth - 5), rng)
    for x in (-half + 0.3, half - 0.3):
        boundary(site, turned(frame, x, 0), 1.0, depth, 0.0, rng)
    boundary(site, frame, -half, half, depth - 0.4, rng)
    for _ in range(int(rng.poisson(1.5))):
        x = draw(rng, -half, half)
        add_tree(site, *place(frame, x, rim / 2), rng, 0.8)


def _park(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    site.paint_rectangle(pick(rng, ("lawn", "turf", "meadow")), frame, -half, 0, half, depth)
    site.raise_land(float(rng.normal(0.3, 0.7)), frame, [(-half, 3), (half, 3), (0, depth)])
    add_backdrop(site, frame, half, 14, depth, rng)
    a = 0.0
    for _ in range(int(rng.integers(1, 4))):
        (a, b), wide = rng.uniform(-half, half, 2), draw(rng, 1.2, 5)
        way = [(a, -0.1), (a + wide, -0.1), (b + wide, depth), (b, depth)]
        site.paint(pick(rng, _PATHS), frame, way)
    if rng.random() < 0.4:  # a paved place
        x, y = draw(rng, -half, half), draw(rng, 0, 0.5 * depth)
        size_x, size_y = draw(rng, 3, 10), draw(rng, 3, 12)
        site.paint_rectangle(pick(rng, _PATHS), frame, x - size_x, y, x + size_x, y + size_y)
    mean = draw(rng, 0.004, 0.025) * parcel.width * depth
    add_plants(site, frame, (-half, half), (1, depth), rng, mean, trees=0.6, size=1.1)
    if rng.random() < 0.35:
        boundary(site, frame, -half, half, 0.4, rng)
    if rng.random() < 0.5:
        add_clutter(site, (*place(frame, a - 0.8, 2.0), frame[2] + np.pi / 2), rng)
    if rng.random() < 0.15:
        _roof_over(site, frame, half, draw(rng, 2, depth - 4), rng)
    for gathering, mean in ((bench, 0.6), (rest, 0.5)):
        for _ in range(int(rng.poisson(mean))):
            at = place(frame, draw(rng, -half, half), draw(rng, 0.5, depth))
            gathering(site, (*at, draw(rng, 0, 6.3)), rng)


_PATHS = ("path", "sidewalk", "sidewalk_asphalt", "sidewalk_setts", "sidewalk_flush")


def _field(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    site.paint_rectangle(pick(rng, ("meadow", "meadow", "field")), frame, -half, 0, half, depth)
    site.raise_land(float(rng.normal(0, 0.8)), frame, [(-half, 3), (half, 3), (half, depth)])
    add_plants(site, frame, (-half, half), (1, depth), rng, 3, trees=0.3, size=1.0)
    if rng.random() < 0.4:
        add_fence(site, frame, -half, half, 0.6, rng, "mesh")


def _woods(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    site.paint_rectangle(pick(rng, ("meadow", "soil")), frame, -half, 0, half, depth)
    edge = draw(rng, 0.3, 1.0) if rng.random() < 0.6 else draw(rng, 1, 5)
    rise = [(-half, edge), (half, edge), (half, depth), (-half, depth)]
    site.raise_land(float(rng.normal(0.4, 0.9)), frame, rise)
    add_thicket(site, frame, -half, edge, half, edge + 5, rng, draw(rng, 14, 40))
    add_thicket(site, frame, -half, edge + 5, half, depth, rng, draw(rng, 4, 9))


def _screen(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    """A long hedge, wall or fence before something that is hardly seen."""
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    site.paint_rectangle(pick(rng, ("lawn", "turf")), frame, -half, 0, half, depth)
    y = draw(rng, 0.4, 3.0)
    luck = rng.random()
    if luck < 0.6:
        tall = draw_log(rng, 0.7, 3.0)
        add_hedge(site, frame, -half, half, y, rng, tall, clipped=rng.random() < 0.4)
    else:
        add_fence(site, frame, -half, half, y, rng)
        if luck > 0.7:
            add_thicket(site, frame, -half, y + 1, half, y + 4, rng, 12)
    if depth > 22 and rng.random() < 0.7:
        length = 2 * half * draw(rng, 0.4, 0.8)
        height = draw(rng, 3, 10)
        use = pick(rng, ("house", "block", "hall"))
        add_building(site, frame, 0, y + 12, length, 10, height, rng, use=use)
    if rng.random() < 0.2:
        add_sign(site, (*place(frame, 0, 0.2), frame[2]), rng)
    add_thicket(site, frame, -half, y + 3, half, min(depth, y + 10), rng, 1.5)
    if depth <= 22:
        add_backdrop(site, frame, half, y + 2, depth, rng)
