//! The samples of a row, as `vitald.aggregator.interval.Histogram` describes them.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use vitald_core::sketch::Sketch;

/// A weighted sample of floats, to be read; see `vitald.sketch.Sketch`.
#[pyclass(frozen, module = "vitald._native")]
pub(crate) struct Histogram(Sketch);

impl From<Sketch> for Histogram {
    fn from(sketch: Sketch) -> Self {
        Self(sketch)
    }
}

#[pymethods]
impl Histogram {
    #[getter]
    fn count(&self) -> f64 {
        self.0.count()
    }

    #[getter]
    fn sum(&self) -> f64 {
        self.0.sum()
    }

    #[getter]
    fn min(&self) -> f64 {
        self.0.min()
    }

    #[getter]
    fn max(&self) -> f64 {
        self.0.max()
    }

    #[getter]
    fn zero_count(&self) -> f64 {
        self.0.zero_count()
    }

    #[getter]
    fn scale(&self) -> i32 {
        self.0.scale()
    }

    #[getter]
    fn relative_error(&self) -> f64 {
        self.0.relative_error()
    }

    #[getter]
    fn positive<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        buckets(py, self.0.positive())
    }

    #[getter]
    fn negative<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        buckets(py, self.0.negative())
    }

    #[pyo3(signature = (fraction, /))]
    fn quantile(&self, fraction: f64) -> Option<f64> {
        self.0.quantiles(&[fraction])[0]
    }

    #[pyo3(signature = (fractions, /))]
    fn quantiles(&self, fractions: Vec<f64>) -> Vec<Option<f64>> {
        self.0.quantiles(&fractions)
    }

    fn cells(&self) -> Vec<(f64, f64)> {
        self.0.cells().collect()
    }
}

fn buckets(
    py: Python<'_>,
    filled: impl Iterator<Item = (i32, f64)>,
) -> PyResult<Bound<'_, PyDict>> {
    let found = PyDict::new(py);
    for (index, weight) in filled {
        found.set_item(index, weight)?;
    }
    Ok(found)
}
