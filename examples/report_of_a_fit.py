"""A fit drawn, and handed on as one HTML file: data with bands, what is left over, how well each parameter is known."""

import tempfile
from pathlib import Path

import steepest as st
from steepest import plots
from steepest.reference_problems import nist


def main():
    data = nist.load("Rat42")
    fit = st.fit(
        "limit / (1 + exp(delay - rate*x))",
        data.x,
        data.y,
        {"limit": 75.0, "delay": 2.5, "rate": 0.07},
    )
    folder = Path(tempfile.mkdtemp())
    plots.save(plots.fit(fit), folder / "fit.svg")
    plots.save(plots.region(fit, "limit", "rate"), folder / "region.svg")
    page = st.report.html(fit, folder / "fit.html")
    print(
        *(f"{path.name}: {path.stat().st_size / 1000:.0f} kB" for path in sorted(folder.iterdir())), sep="\n"
    )
    assert page.stat().st_size < 250_000
    assert f"± {fit.errors['rate']:.2g}" in page.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
