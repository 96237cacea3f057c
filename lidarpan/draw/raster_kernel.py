"""Points to pixels: which point is seen in each pixel, its colour, and smooth thin lines on top."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, IntArray

Image8 = NDArray[np.uint8]


@njit(cache=True)
def splat_points(
    column: FloatArray,
    row: FloatArray,
    priority: FloatArray,
    half_width: FloatArray,
    half_height: FloatArray,
    num_rows: int,
    num_columns: int,
    is_round: bool,
) -> IntArray:
    """Find the point on top of each pixel: the highest priority, ties to the lower index.

    A point covers the pixel it lies in and those whose middle lies in its ellipse or rectangle.

    Args:
        column: (N,) float32 pixels; pixel c reaches from c to c + 1.
        row: (N,) float32 pixels, downwards.
        priority: (N,) float32.
        half_width: (N,) float32 pixels.
        half_height: (N,) float32 pixels.
        num_rows: height of the picture.
        num_columns: width of the picture.
        is_round: ellipses, else rectangles.

    Returns:
        (num_rows, num_columns) int32 index of the point, -1 where there is none.
    """
    owner = np.full((num_rows, num_columns), -1, np.int32)
    for i in range(len(column)):
        u, v, a, b = column[i], row[i], half_width[i], half_height[i]
        if not (-a < u < num_columns + a and -b < v < num_rows + b):
            continue
        own_c, own_r = int(np.floor(u)), int(np.floor(v))
        top, bottom = int(np.ceil(v - b - 0.5)), int(np.floor(v + b - 0.5))
        for r in range(max(0, min(own_r, top)), min(num_rows, max(own_r, bottom) + 1)):
            reach = a
            if is_round:
                share = (r + 0.5 - v) / b
                reach = a * np.sqrt(max(0.0, 1 - share * share))
            left, right = int(np.ceil(u - reach - 0.5)), int(np.floor(u + reach - 0.5))
            if not top <= r <= bottom:
                left, right = own_c, own_c
            elif r == own_r:
                left, right = min(left, own_c), max(right, own_c)
            for c in range(max(0, left), min(num_columns, right + 1)):
                other = owner[r, c]
                if other < 0 or priority[i] > priority[other]:
                    owner[r, c] = i
    return owner


@njit(cache=True)
def shade_pixels(
    owner: IntArray,
    colors: Image8,
    under: IntArray,
    under_colors: Image8,
    background: Image8,
    factor: int,
) -> Image8:
    """Colour each picture pixel with the mean of its factor x factor finer pixels.

    Args:
        owner: (H * factor, W * factor) int32 point of each fine pixel, -1 for none.
        colors: (N, 3) uint8.
        under: int32 point whose surface fills a pixel, -1 for none; stretched over the picture.
        under_colors: (N, 3) uint8 of the surfaces.
        background: (3,) uint8.
        factor: fine pixels per pixel along each axis.

    Returns:
        (H, W, 3) uint8.
    """
    num_rows, num_columns = owner.shape[0] // factor, owner.shape[1] // factor
    image = np.empty((num_rows, num_columns, 3), np.uint8)
    share = factor * factor
    stretch = under.shape[1] / num_columns
    for r in range(num_rows):
        under_row = under[r * under.shape[0] // num_rows]
        for c in range(num_columns):
            red, green, blue = 0, 0, 0
            below = under_row[int(c * stretch)]
            ground = under_colors[below] if below >= 0 else background
            for dr in range(factor):
                for dc in range(factor):
                    i = owner[r * factor + dr, c * factor + dc]
                    if i >= 0:
                        red += colors[i, 0]
                        green += colors[i, 1]
                        blue += colors[i, 2]
                    else:
                        red += ground[0]
                        green += ground[1]
                        blue += ground[2]
            image[r, c, 0] = red // share
            image[r, c, 1] = green // share
            image[r, c, 2] = blue // share
    return image


@njit(cache=True)
def _blend(out: Image8, r: int, c: int, color: Image8, weight: float) -> None:
    for channel in range(3):
        old = float(out[r, c, channel])
        out[r, c, channel] = np.uint8(old + weight * (float(color[channel]) - old) + 0.5)


@njit(cache=True)
def _fill_convex(out: Image8, edges: FloatArray, color: Image8, opacity: float) -> None:
    """Between the leftmost and the rightmost crossing of each row's middle line."""
    for r in range(
        max(0, int(edges[:, 1].min())), min(out.shape[0], int(np.ceil(edges[:, 1].max())))
    ):
        y = r + 0.5
        left, right = np.inf, -np.inf
        for e in range(len(edges)):
            ax, ay, bx, by = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
            if min(ay, by) <= y <= max(ay, by) and ay != by:
                x = ax + (y - ay) / (by - ay) * (bx - ax)
                left, right = min(left, x), max(right, x)
        if left <= right:
            for c in range(
                max(0, int(np.ceil(left - 0.5))), min(out.shape[1], int(right - 0.5) + 1)
            ):
                _blend(out, r, c, color, opacity)


@njit(cache=True)
def _segment_distance(x: float, y: float, segment: FloatArray) -> float:
    ax, ay, bx, by = segment[0], segment[1], segment[2], segment[3]
    dx, dy = bx - ax, by - ay
    length2 = dx * dx + dy * dy
    t = ((x - ax) * dx + (y - ay) * dy) / length2 if length2 > 0 else 0.0
    t = min(1.0, max(0.0, t))
    return float(np.hypot(x - ax - t * dx, y - ay - t * dy))


@njit(cache=True)
def stroke_outlines(
    image: Image8,
    segments: FloatArray,
    first: IntArray,
    colors: Image8,
    width: float,
    fills: Image8,
    opacity: FloatArray,
) -> Image8:
    """Draw convex outlines with smooth edges, lightly filled, over a copy of the picture.

    Args:
        image: (H, W, 3) uint8.
        segments: (S, 4) float32 pixels: column and row of the start, then of the end.
        first: (K + 1,) int32; outline k is segments[first[k]:first[k + 1]].
        colors: (K, 3) uint8 of the lines.
        width: of the line, pixels.
        fills: (K, 3) uint8 of the insides.
        opacity: (K,) float32 of the insides, 0 to 1.

    Returns:
        (H, W, 3) uint8.
    """
    out = image.copy()
    reach = width / 2 + 0.5
    for k in range(len(colors)):
        if opacity[k] > 0 and first[k] < first[k + 1]:
            _fill_convex(out, segments[first[k] : first[k + 1]], fills[k], opacity[k])
        for s in range(first[k], first[k + 1]):
            part = segments[s]
            c0 = max(0, int(min(part[0], part[2]) - reach - 1))
            c1 = min(out.shape[1], int(max(part[0], part[2]) + reach + 2))
            r0 = max(0, int(min(part[1], part[3]) - reach - 1))
            r1 = min(out.shape[0], int(max(part[1], part[3]) + reach + 2))
            for r in range(r0, r1):
                for c in range(c0, c1):
                    cover = reach - _segment_distance(c + 0.5, r + 0.5, part)
                    if cover > 0:
                        _blend(out, r, c, colors[k], min(1.0, cover))
    return out


@njit(cache=True)
def stroke_circles(
    image: Image8,
    center: tuple[float, float],
    radii: FloatArray,
    width: float,
    color: Image8,
    opacity: float,
) -> Image8:
    """Draw circles around one center with smooth edges over a copy of the picture.

    Args:
        image: (H, W, 3) uint8.
        center: (column, row), pixels.
        radii: (K,) float32 pixels.
        width: of the line, pixels.
        color: (3,) uint8.
        opacity: of the line, 0 to 1.

    Returns:
        (H, W, 3) uint8.
    """
    out = image.copy()
    reach = width / 2 + 0.5
    for radius in radii:
        outer, inner = radius + reach, max(0.0, radius - reach)
        for r in range(out.shape[0]):
            dy = r + 0.5 - center[1]
            if abs(dy) >= outer:
                continue
            far = np.sqrt(outer * outer - dy * dy)
            near = np.sqrt(inner * inner - dy * dy) if abs(dy) < inner else 0.0
            for side in (-1, 1):
                low, high = (-far, -near) if side < 0 else (near, far)
                start = max(0, int(center[0] + low))
                for c in range(start, min(out.shape[1], int(center[0] + high) + 1)):
                    dx = c + 0.5 - center[0]
                    cover = reach - abs(np.sqrt(dx * dx + dy * dy) - radius)
                    if cover > 0 and (dx < 0) == (side < 0):
                        _blend(out, r, c, color, min(1.0, cover) * opacity)
    return out
