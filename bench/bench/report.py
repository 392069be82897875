"""Numbers for people: ratios within a round, the middle one of the rounds, with the least and the greatest."""

from statistics import median


def ratio(samples, way, base):
    """The ratios of two ways, round by round: what disturbs a round disturbs both."""
    pairs = zip(samples.get(way, []), samples.get(base, []))
    return [one.rate / other.rate for one, other in pairs if one and other and other.rate]


def spread(values, digits=2):
    """`middle (least–greatest)`."""
    if not values:
        return "–"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def middle(samples, way, what):
    """The middle of one figure of a way."""
    values = [getattr(sample, what) for sample in samples.get(way, []) if sample and getattr(sample, what) is not None]
    return median(values) if values else None


def table(head, rows):
    """Columns of even width."""
    widths = [max(len(str(row[at])) for row in [head, *rows]) for at in range(len(head))]
    lines = []
    for row in [head, ["-" * width for width in widths], *rows]:
        lines.append("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())
    return "\n".join(lines)


def aim(what, value, bound, least=True):
    """One aim and whether this run meets it; without a bound only the figure."""
    if value is None:
        return f"{what}: not measured"
    if bound is None:
        return f"{what}: {value:.2f}"
    met = value >= bound if least else value <= bound
    return f"{what}: {value:.2f}, aim {'≥' if least else '≤'} {bound:g}: {'met' if met else 'NOT met'}"
