"""What a roofline picture shows, in numbers: the roofs, and a point for each row."""

from typing import NamedTuple

from cnn_core.bench.results import Results

Place = tuple[float, float]


class Point(NamedTuple):
    """A row: its number in the table (from 1), FLOP/byte, GFLOP/s, and percent of attainable."""

    number: int
    name: str
    intensity: float
    rate: float
    percent: float


class Chart(NamedTuple):
    """The picture for one number of threads.

    Attributes
    ----------
    threads : int
    compute : float
        The flat roof, in GFLOP/s.
    slopes : list of (str, (place, place))
        For each level of the memory its name and rate, and the ends of its roof.
    points : list of Point
    left, right, bottom, top : float
        The limits of both axes, which are logarithmic.
    """

    threads: int
    compute: float
    slopes: list[tuple[str, tuple[Place, Place]]]
    points: list[Point]
    left: float
    right: float
    bottom: float
    top: float


def chart_of(results: Results, threads: int) -> Chart:
    """Lay out the picture for one number of threads.

    Raises
    ------
    ValueError
        If there is no roofline, or no row with operations.
    """
    roofline = results.rooflines.get(threads)
    if roofline is None:
        raise ValueError("the roofline picture needs --roofline")
    rows = [row for row in results.rows if row.threads == threads]
    points = [
        Point(number, row.name, row.cost.flops / row.cost.nbytes,
              row.cost.flops / row.ours.median / 1e9, row.percent(roofline) or 0.0)
        for number, row in enumerate(rows, 1)
        if row.cost is not None and row.cost.flops and row.cost.nbytes
    ]  # fmt: skip
    if not points:
        raise ValueError("the roofline picture needs a row with floating-point operations")
    compute = roofline.compute / 1e9
    left = min(0.03, min(point.intensity for point in points) / 4)
    right = max(100.0, max(point.intensity for point in points) * 2)
    bandwidths = [(level.name, level.bandwidth / 1e9) for level in roofline.levels]
    slopes = [
        (f"{name} {rate:.0f} GB/s", ((left, left * rate), (compute / rate, compute)))
        for name, rate in bandwidths
    ]
    rates = [*(point.rate for point in points), *(left * rate for _, rate in bandwidths)]
    bottom, top = min(rates) / 2, 2 * max(compute, *rates)
    return Chart(threads, compute, slopes, points, left, right, bottom, top)
