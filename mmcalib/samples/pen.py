"""Pen: filled shapes in an object's own coordinates, antialiased, at any place, size and angle."""

import colorsys

import cv2
import numpy as np

Colour = tuple[int, int, int]  # RGB
Point = tuple[float, float]
_SUBPIXEL_BITS = 4


class Pen:
    """Draws on `image` (H, W, 3 RGB, changed in place); x to the right, y down, object in [-1, 1].

    Args:
        image: where to draw.
        matrix: (2, 3), from the object's coordinates to pixels.
    """

    def __init__(self, image: np.ndarray, matrix: np.ndarray) -> None:
        self.image = image
        self.matrix = matrix

    def moved(self, x: float, y: float, angle: float = 0.0, scale: Point = (1.0, 1.0)) -> 'Pen':
        """A pen for a part: its origin at (x, y), turned by `angle` radians, then scaled."""
        cos, sin = np.cos(angle), np.sin(angle)
        linear = self.matrix[:, :2] @ np.array([[cos, -sin], [sin, cos]]) @ np.diag(scale)
        origin = self.matrix @ np.array([x, y, 1.0])
        return Pen(self.image, np.column_stack([linear, origin]))

    def polygon(self, points: list[Point] | np.ndarray, colour: Colour) -> None:
        pixels = np.asarray(points) @ self.matrix[:, :2].T + self.matrix[:, 2]
        fixed = np.round(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, _SUBPIXEL_BITS)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self.polygon(_CIRCLE * (rx, ry) + (x, y), colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def line(self, a: Point, b: Point, width: float, colour: Colour) -> None:
        along = np.subtract(b, a)
        side = np.array([-along[1], along[0]]) * (width / 2 / max(np.hypot(*along), 1e-6))
        self.polygon(np.array([a + side, b + side, b - side, a - side]), colour)


def colour(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a hue (1 is once around the wheel); the other two are clipped to [0, 1]."""
    bounded = (float(np.clip(part, 0, 1)) for part in (saturation, value))
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, *bounded)
    return round(255 * red), round(255 * green), round(255 * blue)


_TURN = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_CIRCLE = np.column_stack([np.cos(_TURN), np.sin(_TURN)])
