"""Private land along a street: gardens with houses, blocks, woods, fields, car parks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.buildings import add_building
from lidarpan.synthetic.furniture import add_clutter, add_fence, add_sign
from lidarpan.synthetic.layout import Layout, Street
from lidarpan.synthetic.site import Pose, Site, draw, pick, place, place_all
from lidarpan.synthetic.vegetation import add_bush, add_hedge, add_thicket, add_tree

CAR_VARIANTS = 24


@dataclass(frozen=True)
class Parcel:
    """A plot: its frame (x along its front, y away from the street), width, depth, and use."""

    frame: Pose
    width: float
    depth: float
    use: str
    number: int


_USES: dict[str, tuple[tuple[str, float], ...]] = {
    "residential": (
        ("house", 0.58), ("row", 0.05), ("flats", 0.07), ("woods", 0.11), ("park", 0.05),
        ("lot", 0.03), ("screen", 0.11),
    ),
    "urban": (("row", 0.54), ("flats", 0.2), ("lot", 0.05), ("park", 0.09), ("screen", 0.12)),
    "main": (
        ("row", 0.17), ("flats", 0.2), ("hall", 0.1), ("lot", 0.06), ("house", 0.18),
        ("screen", 0.17), ("park", 0.12),
    ),
    "rural": (("field", 0.25), ("woods", 0.43), ("house", 0.2), ("screen", 0.12)),
    "highway": (("woods", 0.45), ("field", 0.15), ("screen", 0.3), ("hall", 0.1)),
}  # fmt: skip


def make_parcels(layout: Layout, rng: np.random.Generator) -> list[Parcel]:
    """Plots along both sides of every street that keep clear of the other streets."""
    parcels: list[Parcel] = []
    for street in layout.streets:
        uses = _USES[street.profile.style]
        shares = np.array([share for _, share in uses])
        shares = rng.dirichlet(4 * shares)
        for side in (-1, 1):
            s, use = 0.0, "house"
            while s < street.length - 6:
                if rng.random() < 0.6 or s == 0:
                    use = uses[int(rng.choice(len(uses), p=shares))][0]
                width = min(_draw_width(use, rng), street.length - s)
                depth = draw(rng, 24, 40)
                parcel = _fit(layout, street, side, s, width, depth, use, len(parcels))
                if parcel is not None:
                    parcels.append(parcel)
                    s += width
                else:
                    s += 3.0
    return parcels


def _draw_width(use: str, rng: np.random.Generator) -> float:
    low, high = {
        "house": (12, 24), "row": (8, 18), "flats": (22, 42), "hall": (28, 50),
        "woods": (18, 45), "field": (30, 60), "park": (20, 40), "lot": (18, 36),
        "screen": (18, 40),
    }[use]  # fmt: skip
    return draw(rng, low, high)


def _fit(
    layout: Layout, street: Street, side: int, s: float, width: float, depth: float, use: str,
    number: int,
) -> Parcel | None:  # fmt: skip
    x, y, yaw = street.frame(s + width / 2, side * street.profile.edge(side))
    frame = (x, y, yaw if side > 0 else yaw + np.pi)
    rows = np.arange(0.5, depth, 4.5)
    grid = np.stack(np.meshgrid(np.linspace(-width / 2, width / 2, 5), rows), axis=-1)
    clear = layout.clearance(place_all(frame, grid.reshape(-1, 2)), street.number)
    free = (clear.reshape(len(rows), 5) > 0.3).all(axis=1)
    deep = depth if free.all() else float(rows[np.argmin(free)]) - 4.5
    return Parcel(frame, width, deep, use, number) if deep >= 7 else None


def develop(parcel: Parcel, seed: int) -> Site:
    """Everything on one plot; the same for the same seed and number."""
    rng = np.random.default_rng([seed, 1, parcel.number])
    site = Site()
    use = parcel.use
    if parcel.depth < 14 and use not in ("woods", "screen", "field"):
        use = "park"
    match use:
        case "house":
            _house(site, parcel, rng)
        case "row" | "flats" | "hall":
            _block(site, parcel, use, rng)
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


def _boundary(
    site: Site, frame: Pose, x0: float, x1: float, y: float, rng: np.random.Generator,
    bare: float = 0.1,
) -> None:  # fmt: skip
    """A hedge, fence, wall, bushes, or nothing, along x of a frame."""
    if x1 - x0 < 0.8:
        return
    luck = rng.random()
    height = draw(rng, 0.9, 2.4)
    if luck < bare:
        return
    if luck < bare + 0.3:
        add_hedge(site, frame, x0, x1, y, rng, height, clipped=True)
    elif luck < bare + 0.42:
        add_hedge(site, frame, x0, x1, y, rng, height * 1.2, clipped=False)
    else:
        add_fence(site, frame, x0, x1, y, rng)
        if rng.random() < 0.45:
            add_hedge(site, frame, x0, x1, y + 0.8, rng, height, clipped=rng.random() < 0.5)


def _turned(frame: Pose, x: float, y: float) -> Pose:
    """A frame at (x, y) whose x axis is the given frame's y axis."""
    return (*place(frame, x, y), frame[2] + np.pi / 2)


def _house(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    garden = pick(rng, ("lawn", "lawn", "lawn", "soil", "meadow"))
    outline = [(-half, 0), (half, 0), (half, depth), (-half, depth)]
    site.paint(garden, frame, outline)
    if rng.random() < 0.45:
        inner = [(-half, 1.0), (half, 1.0), (half, depth), (-half, depth)]
        site.raise_land(float(rng.normal(0.2, 0.5)), frame, inner)
    setback = float(rng.choice((rng.uniform(1.5, 5), rng.uniform(4, 9))))
    length = min(draw(rng, 8, 13), 2 * half - 2.5)
    deep = draw(rng, 8, 12)
    drive_side = pick(rng, (-1, 1))
    shift = -drive_side * max(0.0, (2 * half - length) / 2 - 1.0) * draw(rng, 0.3, 1)
    height = float(rng.choice((3.0, 5.8, 6.2, 8.5), p=(0.25, 0.35, 0.3, 0.1)))
    middle = (shift, setback + deep / 2)
    yaw = float(rng.normal(0, 0.04))
    add_building(site, frame, *middle, length, deep, height, rng, yaw=yaw)
    gaps = [_drive(site, frame, half, setback, deep, drive_side, rng)]
    door = shift + draw(rng, -0.3, 0.3) * length
    path = pick(rng, ("path", "sidewalk"))
    site.paint_rectangle(path, frame, door - 0.7, -0.2, door + 0.7, setback)
    gaps.append((door - 0.8, door + 0.8))
    if rng.random() < 0.15:
        site.paint_rectangle("driveway", frame, -half, 0, half, setback)
    _front(site, frame, half, gaps, rng)
    for x in (-half + 0.2, half - 0.2):
        start = 0.3 if rng.random() < 0.7 else setback
        _boundary(site, _turned(frame, x, 0), start, depth, 0.0, rng, bare=0.25)
    _boundary(site, frame, -half, half, depth - 0.4, rng)
    for _ in range(int(rng.poisson(4.0))):
        x = draw(rng, -half + 1, half - 1)
        y = draw(rng, 0.8, max(1.5, setback - 1))
        if all(not low - 0.8 < x < high + 0.8 for low, high in gaps):
            (add_tree if rng.random() < 0.22 else add_bush)(site, *place(frame, x, y), rng, 0.75)
    for _ in range(int(rng.poisson(7))):
        x, y = draw(rng, -half, half), draw(rng, setback + deep + 2, depth)
        (add_tree if rng.random() < 0.6 else add_bush)(site, *place(frame, x, y), rng, 1.25)
    if rng.random() < 0.35:
        x = gaps[0][0] - drive_side * 0.6 - 0.3
        add_clutter(site, (*place(frame, x, draw(rng, 0.6, 2)), frame[2]), rng)


def _front(
    site: Site, frame: Pose, half: float, gaps: list[tuple[float, float]],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """The border to the street, open at drive and path."""
    if rng.random() < 0.12:
        return
    x, state = -half, int(rng.integers(2**31))
    for low, high in [*sorted(gaps), (half, half)]:
        if low > x:
            _boundary(site, frame, x, low, 0.35, np.random.default_rng(state), bare=0.0)
        x = max(x, high)


def _drive(
    site: Site, frame: Pose, half: float, setback: float, deep: float, side: int,
    rng: np.random.Generator,
) -> tuple[float, float]:  # fmt: skip
    """Driveway, sometimes with a garage and a car. -> its extent along x."""
    wide = draw(rng, 2.8, 5.0)
    outer = side * (half - 0.5)
    low, high = sorted((outer, outer - side * wide))
    end = setback + draw(rng, 2, deep)
    surface = pick(rng, ("driveway", "driveway", "driveway_gravel", "lot"))
    site.paint_rectangle(surface, frame, low, -0.05, high, end)
    middle = (low + high) / 2
    if rng.random() < 0.45:
        add_building(site, frame, middle, end + 2.6, 3.2, 5.5, 2.4, rng, "flat")
    if rng.random() < 0.5 and end > 5.2:
        y = draw(rng, 2.6, end - 2.4)
        kind = "van" if rng.random() < 0.1 else "car"
        turn = np.pi / 2 * pick(rng, (-1, 1)) + float(rng.normal(0, 0.04))
        pose = (*place(frame, middle, y), frame[2] + turn)
        site.put(kind, int(rng.integers(CAR_VARIANTS)), pose)
    return low, high


_FORECOURTS = ("sidewalk", "sidewalk", "sidewalk_asphalt", "bay", "yard")


def _block(site: Site, parcel: Parcel, use: str, rng: np.random.Generator) -> None:
    """Town houses at the sidewalk, flats behind a lawn, or a hall behind its yard."""
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    if use == "row":
        setback = float(rng.choice((0.0, 0.0, rng.uniform(1.5, 4))))
        ground, low, high = pick(rng, _FORECOURTS), 6.0, 15.0
    elif use == "flats":
        setback, ground, low, high = draw(rng, 3, 10), "lawn", 8.5, 16.0
    else:
        setback = draw(rng, 6, 14)
        ground, low, high = pick(rng, ("lot", "yard")), 4.0, 9.0
    outline = [(-half, 0), (half, 0), (half, depth), (-half, depth)]
    site.paint("lawn" if ground == "lawn" else ground, frame, outline)
    if use == "row" and setback and rng.random() < 0.7:
        site.paint_rectangle("lawn", frame, -half, 0, half, setback)
        _boundary(site, frame, -half, -0.8, 0.3, rng)
        _boundary(site, frame, 0.8, half, 0.3, rng)
    deep = min(draw(rng, 10, 15), depth - setback - 1)
    gap = 0.0 if use == "row" and rng.random() < 0.75 else draw(rng, 2, 5)
    length = 2 * half - 2 * gap
    height = draw(rng, low, high)
    add_building(site, frame, 0, setback + deep / 2, length, deep, height, rng)
    if use == "flats":
        site.paint_rectangle("sidewalk", frame, -1, 0, 1, setback)
        for _ in range(int(rng.poisson(4))):
            x, y = draw(rng, -half, half), draw(rng, 0.8, setback - 1)
            (add_tree if rng.random() < 0.4 else add_bush)(site, *place(frame, x, y), rng, 0.9)
        if rng.random() < 0.5:
            _boundary(site, frame, -half, -1.2, 0.4, rng)
            _boundary(site, frame, 1.2, half, 0.4, rng)
    if use == "hall" and setback > 7:
        _park_row(site, frame, -half + 2, half - 2, setback - 4.5, rng, fill=0.5)
    if gap:
        for x in (-half + 0.2, half - 0.2):
            _boundary(site, _turned(frame, x, 0), 0.5, depth, 0.0, rng)
    for _ in range(int(rng.poisson(1.0))):
        x = draw(rng, -half, half)
        add_clutter(site, (*place(frame, x, max(0.5, setback - 0.6)), frame[2]), rng)


def _park_row(
    site: Site, frame: Pose, x0: float, x1: float, y: float, rng: np.random.Generator, fill: float
) -> None:
    """Cars side by side, noses across the row, 0.5 to 0.9 m apart."""
    pitch = 1.85 + draw(rng, 0.5, 0.9)
    for x in np.arange(x0, x1, pitch):
        if rng.random() < fill:
            turn = np.pi / 2 * pick(rng, (-1, 1)) + float(rng.normal(0, 0.03))
            px, py = place(frame, float(x), y + float(rng.normal(0, 0.2)))
            kind = "van" if rng.random() < 0.08 else "car"
            site.put(kind, int(rng.integers(CAR_VARIANTS)), (px, py, frame[2] + turn))


def _lot(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    outline = [(-half, 0), (half, 0), (half, depth), (-half, depth)]
    site.paint(pick(rng, ("lot", "bay", "driveway_gravel")), frame, outline)
    rim = draw(rng, 0.6, 2.0)
    site.paint_rectangle("lawn", frame, -half, 0, half * 0.6, rim)
    _boundary(site, frame, -half, half * 0.55, rim / 2, rng, bare=0.4)
    fill = draw(rng, 0.3, 0.9)
    for y in np.arange(rim + 3, depth - 3, 8.2):
        _park_row(site, frame, -half + 2, half - 2, float(y), rng, fill)
    for x in (-half + 0.3, half - 0.3):
        _boundary(site, _turned(frame, x, 0), 1.0, depth, 0.0, rng)
    _boundary(site, frame, -half, half, depth - 0.4, rng)
    for _ in range(int(rng.poisson(1.5))):
        x = draw(rng, -half, half)
        add_tree(site, *place(frame, x, rim / 2), rng, 0.8)


def _park(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    outline = [(-half, 0), (half, 0), (half, depth), (-half, depth)]
    site.paint(pick(rng, ("lawn", "meadow")), frame, outline)
    site.raise_land(float(rng.normal(0.3, 0.7)), frame, [(-half, 3), (half, 3), (0, depth)])
    a, b = rng.uniform(-half, half, 2)
    site.paint("path", frame, [(a, 0), (a + 2.2, 0), (b + 2.2, depth), (b, depth)])
    for _ in range(int(rng.poisson(0.02 * parcel.width * depth))):
        x, y = draw(rng, -half, half), draw(rng, 1, depth)
        (add_tree if rng.random() < 0.6 else add_bush)(site, *place(frame, x, y), rng, 1.1)
    if rng.random() < 0.35:
        _boundary(site, frame, -half, half, 0.4, rng)
    if rng.random() < 0.5:
        add_clutter(site, (*place(frame, a - 0.8, 2.0), frame[2] + np.pi / 2), rng)


def _field(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    outline = [(-half, 0), (half, 0), (half, depth), (-half, depth)]
    site.paint(pick(rng, ("meadow", "meadow", "field")), frame, outline)
    site.raise_land(float(rng.normal(0, 0.8)), frame, [(-half, 3), (half, 3), (half, depth)])
    for _ in range(int(rng.poisson(3))):
        x, y = draw(rng, -half, half), draw(rng, 1, depth)
        (add_tree if rng.random() < 0.3 else add_bush)(site, *place(frame, x, y), rng, 1.0)
    if rng.random() < 0.4:
        add_fence(site, frame, -half, half, 0.6, rng, "mesh")


def _woods(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    outline = [(-half, 0), (half, 0), (half, depth), (-half, depth)]
    site.paint(pick(rng, ("meadow", "soil")), frame, outline)
    edge = draw(rng, 0.5, 4)
    rise = [(-half, edge), (half, edge), (half, depth), (-half, depth)]
    site.raise_land(float(rng.normal(0.4, 0.9)), frame, rise)
    add_thicket(site, frame, -half, edge, half, edge + 8, rng, draw(rng, 10, 22))
    add_thicket(site, frame, -half, edge + 8, half, depth, rng, draw(rng, 4, 9))


def _screen(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    """A long hedge, wall or fence before something that is hardly seen."""
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    outline = [(-half, 0), (half, 0), (half, depth), (-half, depth)]
    site.paint("lawn", frame, outline)
    y = draw(rng, 0.4, 3.0)
    luck = rng.random()
    if luck < 0.45:
        tall = draw(rng, 1.5, 3.5)
        add_hedge(site, frame, -half, half, y, rng, tall, clipped=rng.random() < 0.4)
    else:
        add_fence(site, frame, -half, half, y, rng)
        if luck > 0.6:
            add_thicket(site, frame, -half, y + 1, half, y + 4, rng, 12)
    if depth > 22 and rng.random() < 0.7:
        length = 2 * half * draw(rng, 0.4, 0.8)
        height = draw(rng, 3, 10)
        add_building(site, frame, 0, y + 12, length, 10, height, rng)
    if rng.random() < 0.2:
        add_sign(site, (*place(frame, 0, 0.2), frame[2]), rng)
    add_thicket(site, frame, -half, y + 3, half, min(depth, y + 10), rng, 1.5)
