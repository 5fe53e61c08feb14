"""A peak on a slope: one fit with errors, intervals and a band; then a thousand such curves at once."""

import numpy as np

import steepest as st
from steepest.models import gaussian, line


def main():
    rng = np.random.default_rng(1)
    x = np.linspace(0.0, 10.0, 80)
    truth = {"amplitude": 3.0, "center": 4.0, "width": 0.8, "slope": 0.2, "intercept": 1.0}
    model = gaussian() + line()
    clean = model(x, **truth)

    one = st.fit(model, x, clean + 0.1 * rng.normal(size=x.size))
    print(one)
    low, high = one.intervals(level=0.999)["center"]
    assert one.valid and low < truth["center"] < high
    band = one.predict(x, band="confidence", level=0.999)
    assert ((band.lower < clean) & (clean < band.upper)).mean() > 0.9

    many = st.fit_many(model, x, clean + 0.1 * rng.normal(size=(1000, x.size)), truth)
    print(many)
    scatter = many.params.std(axis=0)
    assert many.success.all()
    assert np.allclose(scatter, many.errors.mean(axis=0), rtol=0.1)  # errors are the scatter of the answers


if __name__ == "__main__":
    main()
