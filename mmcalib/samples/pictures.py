"""What the eight classes of the sample look like: one drawn, moving object per class."""

from collections.abc import Callable

import numpy as np

from mmcalib.samples.pen import Colour, Pen, Point, colour

Drawing = Callable[[Pen, float], None]  # (pen in the object's coordinates, time in s)
Picture = Callable[[np.random.Generator], Drawing]  # draws the object's looks once


def church_bell(rng: np.random.Generator) -> Drawing:
    """A bell that swings under its beam."""
    metal, beam = _tint(rng, 0.11, 0.5), _tint(rng, 0.07, 0.4)
    inside = _darker(metal, 0.55)
    rate, reach, phase = rng.uniform(0.4, 0.9), rng.uniform(0.2, 0.6), rng.uniform(0, 6.3)
    waist = rng.uniform(0.4, 0.55)
    half = [(0.0, -0.8), (0.3, -0.72), (waist, -0.3), (waist + 0.05, 0.2), (0.85, 0.6)]
    outline = half + [(-x, y) for x, y in reversed(half)]

    def draw(pen: Pen, time: float) -> None:
        swing = reach * np.sin(2 * np.pi * rate * time + phase)
        pen.box(-1.0, -1.0, 1.0, -0.85, beam)
        bell = pen.moved(0, -0.85, swing).moved(0, 0.85)
        bell.ellipse(0.9 * np.sin(-swing), 0.75, 0.16, 0.16, inside)
        bell.polygon(outline, metal)
        bell.ellipse(0, 0.6, 0.85, 0.13, inside)
        bell.polygon([(-0.3, -0.6), (-0.2, -0.6), (-0.3, 0.3), (-0.45, 0.3)], _darker(metal, 1.3))

    return draw


def clock(rng: np.random.Generator) -> Drawing:
    """A dial, round or square, with hands that move."""
    face, rim = _tint(rng, 0.12, 0.15), _tint(rng, rng.uniform(0, 1), 0.6)
    ink = _darker(face, 0.2)
    square, start = rng.random() < 0.3, rng.uniform(0, 12)
    pace = rng.uniform(0.05, 0.3)  # turns of the fast hand per second
    marks = [2 * np.pi * k / 12 for k in range(0, 12, int(rng.choice([1, 3])))]

    def draw(pen: Pen, time: float) -> None:
        if square:
            pen.box(-1, -1, 1, 1, rim)
        else:
            pen.ellipse(0, 0, 1, 1, rim)
        pen.ellipse(0, 0, 0.84, 0.84, face)
        for mark in marks:
            pen.line(_polar(0.66, mark), _polar(0.78, mark), 0.07, ink)
        hour = 2 * np.pi * start / 12
        pen.line((0, 0), _polar(0.42, hour), 0.11, ink)
        pen.line((0, 0), _polar(0.62, 12 * hour + 0.02 * time), 0.08, ink)
        pen.line((0, 0), _polar(0.7, 2 * np.pi * pace * time), 0.04, rim)
        pen.ellipse(0, 0, 0.07, 0.07, ink)

    return draw


def helicopter(rng: np.random.Generator) -> Drawing:
    """A cabin with a tail and turning rotors, hovering."""
    hull, glass = _tint(rng, rng.uniform(0, 1), 0.6), _tint(rng, 0.55, 0.3)
    blade = _tint(rng, 0.6, 0.1, low=0.1, high=0.4)
    spin, bob = rng.uniform(2.2, 3.6), rng.uniform(0.02, 0.08)

    def draw(pen: Pen, time: float) -> None:
        pen = pen.moved(0.05 * np.sin(time), bob * np.sin(2.5 * time))
        pen.polygon([(-0.1, -0.15), (-0.95, -0.25), (-0.95, -0.12), (-0.1, 0.25)], hull)
        pen.polygon([(-0.85, -0.2), (-1.0, -0.55), (-0.85, -0.55), (-0.72, -0.2)], hull)
        pen.ellipse(0.25, 0.1, 0.55, 0.38, hull)
        pen.ellipse(0.48, 0.02, 0.24, 0.22, glass)
        for x in (0.05, 0.45):
            pen.line((x, 0.4), (x, 0.62), 0.05, blade)
        pen.line((-0.25, 0.64), (0.75, 0.64), 0.07, blade)
        pen.line((0.2, -0.25), (0.2, -0.45), 0.09, blade)
        span = 0.25 + 0.75 * abs(np.cos(2 * np.pi * spin * time))
        pen.line((0.2 - span, -0.47), (0.2 + span, -0.47), 0.07, blade)
        tail = pen.moved(-0.93, -0.4, 7 * spin * time)
        tail.line((-0.2, 0), (0.2, 0), 0.06, blade)

    return draw


def truck(rng: np.random.Generator) -> Drawing:
    """A cab and a cargo box on turning wheels, driving to and fro."""
    cab, box = _tint(rng, rng.uniform(0, 1), 0.65), _tint(rng, rng.uniform(0, 1), 0.3)
    glass, tyre = _tint(rng, 0.55, 0.25), _tint(rng, 0.6, 0.1, low=0.05, high=0.25)
    hub = _darker(tyre, 3.0)
    roof, reach, rate = rng.uniform(-0.7, -0.35), rng.uniform(0.05, 0.3), rng.uniform(0.1, 0.3)
    wheels = [-0.65, 0.68] if rng.random() < 0.5 else [-0.75, -0.3, 0.68]

    def draw(pen: Pen, time: float) -> None:
        drive = reach * np.sin(2 * np.pi * rate * time)
        pen = pen.moved(drive, 0.015 * np.sin(25 * time))
        pen.box(-1.0, roof, 0.32, 0.42, box)
        pen.box(-1.0, 0.34, 0.95, 0.5, tyre)
        pen.polygon([(0.38, 0.42), (0.38, -0.25), (0.75, -0.25), (0.97, 0.1), (0.97, 0.42)], cab)
        pen.polygon([(0.48, 0.05), (0.48, -0.16), (0.7, -0.16), (0.83, 0.05)], glass)
        for x in wheels:
            wheel = pen.moved(x, 0.52, drive / 0.22)
            wheel.ellipse(0, 0, 0.22, 0.22, tyre)
            wheel.ellipse(0, 0, 0.1, 0.1, hub)
            wheel.line((-0.17, 0), (0.17, 0), 0.05, hub)

    return draw


def violin(rng: np.random.Generator) -> Drawing:
    """A waisted body with a bow that goes across the strings."""
    wood, dark = _tint(rng, 0.06, 0.7, low=0.45), _tint(rng, 0.06, 0.4, low=0.08, high=0.2)
    hair = _darker(dark, 4.0)
    rate, tilt = rng.uniform(0.4, 1.1), rng.uniform(-0.25, 0.25)

    def draw(pen: Pen, time: float) -> None:
        pen.box(-0.06, -1.0, 0.06, 0.0, dark)
        pen.ellipse(0, -0.97, 0.1, 0.1, dark)
        _waisted(pen, wood, upper=0.3, lower=0.38)
        for x in (-0.2, 0.2):
            pen.line((x, 0.2), (1.2 * x, 0.48), 0.05, dark)
        pen.box(-0.07, 0.5, 0.07, 0.85, dark)
        pen.box(-0.14, 0.36, 0.14, 0.42, hair)
        bow = pen.moved(0.5 * np.sin(2 * np.pi * rate * time), 0.2, tilt)
        bow.line((-0.95, 0), (0.95, 0), 0.06, hair)
        bow.line((-0.95, -0.07), (0.95, -0.07), 0.04, dark)

    return draw


def acoustic_guitar(rng: np.random.Generator) -> Drawing:
    """A wide waisted body with a round hole, a long neck and a hand that strums."""
    wood, dark = _tint(rng, 0.09, 0.65, low=0.45), _tint(rng, 0.06, 0.4, low=0.08, high=0.2)
    skin = _tint(rng, 0.07, 0.4, low=0.4)
    rate = rng.uniform(0.7, 2.0)

    def draw(pen: Pen, time: float) -> None:
        pen.box(-0.07, -0.95, 0.07, 0.1, dark)
        pen.box(-0.12, -1.05, 0.12, -0.82, dark)
        _waisted(pen, wood, upper=0.36, lower=0.52)
        pen.ellipse(0, 0.26, 0.17, 0.17, dark)
        pen.box(-0.25, 0.62, 0.25, 0.7, dark)
        for x in (-0.04, 0.04):
            pen.line((x, -0.9), (x, 0.64), 0.02, _darker(wood, 1.5))
        strum = 0.28 * np.sin(2 * np.pi * rate * time)
        pen.line((1.0, 0.75), (0.2 + strum, 0.4), 0.2, skin)
        pen.ellipse(0.15 + strum, 0.38, 0.15, 0.13, skin)

    return draw


def baby_cry(rng: np.random.Generator) -> Drawing:
    """A round face with shut eyes and a mouth that cries, in a blanket."""
    skin, cloth = _tint(rng, 0.05, 0.35, low=0.45), _tint(rng, rng.uniform(0, 1), 0.35)
    ink, mouth = _darker(skin, 0.35), _tint(rng, 0.98, 0.7, low=0.3, high=0.6)
    rate, phase = rng.uniform(0.6, 1.2), rng.uniform(0, 6.3)

    def draw(pen: Pen, time: float) -> None:
        cry = 0.5 + 0.5 * np.sin(2 * np.pi * rate * time + phase)
        pen = pen.moved(0, 0, 0.08 * np.sin(2 * np.pi * rate * time))
        pen.ellipse(0, 0.05, 0.95, 1.0, cloth)
        pen.ellipse(0, 0.08, 0.72, 0.78, skin)
        pen.ellipse(0, -0.62, 0.14, 0.1, ink)
        for side in (-1, 1):
            pen.line((side * 0.5, -0.1), (side * 0.18, -0.02), 0.08, ink)
            pen.line((side * 0.5, -0.32), (side * 0.2, -0.22), 0.05, ink)
        pen.ellipse(0, 0.15, 0.07, 0.05, ink)
        pen.ellipse(0, 0.45, 0.2 + 0.12 * cry, 0.06 + 0.2 * cry, mouth)

    return draw


def bark(rng: np.random.Generator) -> Drawing:
    """A dog's head: hanging or pointed ears, a muzzle and a jaw that snaps."""
    coat = _tint(rng, 0.07, 0.4, low=0.25)
    ear, muzzle = _darker(coat, rng.uniform(0.4, 0.8)), _darker(coat, rng.uniform(1.2, 1.7))
    ink, tongue = _darker(coat, 0.15), _tint(rng, 0.97, 0.6)
    pointed, rate = rng.random() < 0.4, rng.uniform(0.8, 2.0)

    def draw(pen: Pen, time: float) -> None:
        snap = max(0.0, np.sin(2 * np.pi * rate * time)) ** 2
        pen = pen.moved(0, -0.06 * snap)
        pen.ellipse(0, -0.1, 0.62, 0.7, coat)
        for side in (-1, 1):
            if pointed:
                tip = [(side * 0.2, -0.6), (side * 0.62, -1.05), (side * 0.62, -0.3)]
                pen.polygon(tip, ear)
            else:
                pen.moved(side * 0.68, -0.1, -side * 0.25).ellipse(0, 0, 0.2, 0.55, ear)
            pen.ellipse(side * 0.27, -0.22, 0.09, 0.1, ink)
        pen.ellipse(0, 0.5 + 0.22 * snap, 0.27, 0.26, _darker(coat, 0.7))
        pen.ellipse(0, 0.5 + 0.18 * snap, 0.18, 0.2, tongue)
        pen.ellipse(0, 0.28, 0.36, 0.28, muzzle)
        pen.ellipse(0, 0.14, 0.14, 0.1, ink)

    return draw


PICTURES: dict[str, Picture] = {
    'Church bell': church_bell,
    'Clock': clock,
    'Helicopter': helicopter,
    'Truck': truck,
    'Violin, fiddle': violin,
    'Acoustic guitar': acoustic_guitar,
    'Baby cry, infant cry': baby_cry,
    'Bark': bark,
}


def _tint(
    rng: np.random.Generator, hue: float, saturation: float, low: float = 0.35, high: float = 0.95
) -> Colour:
    """A colour near a hue; the value anywhere between `low` and `high`."""
    near = hue + rng.normal(0, 0.03)
    return colour(near, saturation + rng.normal(0, 0.12), rng.uniform(low, high))


def _darker(base: Colour, factor: float) -> Colour:
    """The colour times a factor; above 1 it is lighter."""
    red, green, blue = (min(255, round(part * factor)) for part in base)
    return red, green, blue


def _polar(radius: float, angle: float) -> Point:
    return radius * float(np.sin(angle)), -radius * float(np.cos(angle))


def _waisted(pen: Pen, wood: Colour, upper: float, lower: float) -> None:
    rim = _darker(wood, 0.5)
    for paint, grow in ((rim, 0.05), (wood, 0.0)):
        pen.ellipse(0, 0.05, upper + grow, 0.3 + grow, paint)
        pen.ellipse(0, 0.6, lower + grow, 0.38 + grow, paint)
        pen.box(-0.75 * upper - grow, 0.1, 0.75 * upper + grow, 0.5, paint)
