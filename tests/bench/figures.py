"""Figures of a run: rounds of measurements, what is derived from them, and bars."""

import statistics


def summary(values):
    return {
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "rounds": list(values),
    }


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class Experiment:
    """One question to the machine.

    `series` are what is compared: name -> column -> the values of the rounds. `ratios` and `facts`
    follow from them; either can have a bar, which its median has to keep.
    """

    def __init__(self, name, title, unit_of_x=""):
        self.name = name
        self.title = title
        self.unit_of_x = unit_of_x
        self.series = {}
        self.ratios = []
        self.growth = {}

    def add(self, series, **columns):
        """A round of a series."""
        for column, value in columns.items():
            self.series.setdefault(series, {}).setdefault(column, []).append(value)

    def values(self, series, column):
        return self.series[series][column]

    def ratio(self, what, above, below, at_most=None, at_least=None):
        """Of (series, column) to (series, column), round by round."""
        pairs = zip(self.values(*above), self.values(*below))
        self.judge(what, [a / b for a, b in pairs], at_most, at_least)

    def judge(self, what, values, at_most=None, at_least=None):
        one = {"what": what, **summary(values)}
        if at_most is not None:
            one.update(bar=f"at most {at_most}", holds=one["median"] <= at_most)
        if at_least is not None:
            one.update(bar=f"at least {at_least}", holds=one["median"] >= at_least)
        self.ratios.append(one)

    def point(self, series, x, value):
        """A round at one `x` of a series that grows."""
        self.growth.setdefault(series, {}).setdefault(x, []).append(value)

    def medians(self, series):
        """(x, median) of a series that grows."""
        return [(x, statistics.median(values)) for x, values in sorted(self.growth[series].items())]

    def as_json(self):
        return {
            "experiment": self.name,
            "title": self.title,
            "series": {
                name: {column: summary(values) for column, values in columns.items()}
                for name, columns in self.series.items()
            },
            "ratios": self.ratios,
            "x": self.unit_of_x,
            "growth": {
                name: [{"x": x, **summary(values)} for x, values in sorted(points.items())]
                for name, points in self.growth.items()
            },
        }

    def print(self):
        print(f"\n{self.title}")
        for name, columns in self.series.items():
            cells = []
            for column, values in columns.items():
                one = summary(values)
                cells.append(f"{column} {shown(one['median'])} "
                             f"({shown(one['least'])} to {shown(one['most'])})")
            print(f"  {name:28} " + ", ".join(cells))
        for name, points in self.growth.items():
            cells = [f"{x:,}: {shown(statistics.median(values))}" for x, values in sorted(points.items())]
            print(f"  {name:28} " + ", ".join(cells))
        for one in self.ratios:
            bar = f", {one['bar']}: {'holds' if one['holds'] else 'DOES NOT HOLD'}" if "bar" in one else ""
            print(f"  {one['what']}: {shown(one['median'])} "
                  f"({shown(one['least'])} to {shown(one['most'])}){bar}")
