//! The engine, as `vitald.aggregator.engine.Engine` describes it.

use std::io;

use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use vitald_core::engine as core;
use vitald_core::metric::Instant;
use vitald_core::selector::Selector;
use vitald_core::sys;

use crate::gil::{locked, unlocked};
use crate::rows::{Answer, Interval};
use crate::{convert, ledger};

/// Lines of so many bytes take longer than getting the GIL back.
const WORTH_THE_GIL: usize = 1 << 16;

create_exception!(
    vitald._native,
    WindowError,
    PyValueError,
    "A question about a longer time than is kept; its argument is the longest window."
);

/// Receives lines, aggregates them, seals slots and answers from them; safe for threads.
#[pyclass(frozen, module = "vitald._native")]
pub(crate) struct Engine(core::Engine);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (
        now, *, interval, windows, series_limit, series_expiry, set_exact_limit, histogram_scale
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        py: Python<'_>,
        now: (f64, f64),
        interval: f64,
        windows: Vec<f64>,
        series_limit: usize,
        series_expiry: f64,
        set_exact_limit: usize,
        histogram_scale: i32,
    ) -> PyResult<Self> {
        let settings = core::Settings {
            interval,
            windows,
            series_limit,
            series_expiry,
            set_exact_limit,
            histogram_scale,
        };
        unlocked(py, "build the engine", || core::Engine::new(instant(now), &settings)).map(Self)
    }

    /// Receive on a copy of the descriptor, which therefore may be closed at any time.
    fn attach(
        &self,
        py: Python<'_>,
        descriptor: i32,
        label: &str,
        dialect: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let dialect = convert::dialect(dialect)?;
        let socket = sys::duplicate(descriptor).map_err(system_error)?;
        unlocked(py, "attach a socket", || self.0.attach(socket, descriptor, label, dialect))?
            .map_err(system_error)
    }

    fn detach(&self, py: Python<'_>, descriptor: i32) -> PyResult<()> {
        unlocked(py, "detach a socket", || self.0.detach(descriptor))
    }

    fn ingest(
        &self,
        py: Python<'_>,
        data: &[u8],
        label: &str,
        cut: bool,
        dialect: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let dialect = convert::dialect(dialect)?;
        let ingest = || self.0.ingest(data, label, cut, &dialect);
        // To get the GIL back takes milliseconds when another thread is busy with Python.
        if data.len() < WORTH_THE_GIL {
            locked("take lines", ingest)
        } else {
            unlocked(py, "take lines", ingest)
        }
    }

    fn rotate(&self, py: Python<'_>, now: (f64, f64)) -> PyResult<Interval> {
        let sealed = unlocked(py, "seal an interval", || self.0.rotate(instant(now)))?;
        Interval::new(py, sealed)
    }

    fn query(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        tags: Vec<(String, String)>,
        types: &Bound<'_, PyAny>,
        window: f64,
    ) -> PyResult<Answer> {
        let types = convert::types(types)?;
        let answer =
            unlocked(py, "answer", || self.0.query(Selector::new(&names, &tags, &types), window))?;
        answer
            .map(Answer::from)
            .map_err(|core::LongestWindow(longest)| WindowError::new_err(longest))
    }

    fn ledger<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let counts = unlocked(py, "account for the lines", || self.0.ledger())?;
        ledger::ledger(py, &counts)
    }
}

/// Unlike pyo3's own conversion, with the number of the error.
fn system_error(error: io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string())),
        None => error.into(),
    }
}

fn instant((wall, monotonic): (f64, f64)) -> Instant {
    Instant { wall, monotonic }
}
