//! What an engine hands out: intervals and answers, their rows in batches that are made when asked.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};
use vitald_core::rows as core;

use crate::convert;
use crate::gil::unlocked;

/// One sealed flush interval; see `vitald.aggregator.interval.Interval`.
#[pyclass(frozen, module = "vitald._native")]
pub(crate) struct Interval {
    sealed: core::Interval,
    #[pyo3(get)]
    events: Py<PyList>,
    #[pyo3(get)]
    service_checks: Py<PyList>,
    #[pyo3(get)]
    corrections: Py<PyList>,
    #[pyo3(get)]
    late: Py<Late>,
}

impl Interval {
    pub(crate) fn new(py: Python<'_>, mut sealed: core::Interval) -> PyResult<Self> {
        let corrections = std::mem::take(&mut sealed.corrections)
            .into_iter()
            .map(|correction| Self::new(py, correction))
            .collect::<PyResult<Vec<_>>>()?;
        Ok(Self {
            events: convert::events(py, &std::mem::take(&mut sealed.events))?.unbind(),
            service_checks: convert::service_checks(
                py,
                &std::mem::take(&mut sealed.service_checks),
            )?
            .unbind(),
            corrections: PyList::new(py, corrections)?.unbind(),
            late: Py::new(py, Late(std::mem::take(&mut sealed.late)))?,
            sealed,
        })
    }
}

#[pymethods]
impl Interval {
    #[getter]
    fn start(&self) -> f64 {
        self.sealed.start
    }

    #[getter]
    fn end(&self) -> f64 {
        self.sealed.end
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.sealed.seconds
    }

    #[pyo3(signature = (*, idle = false))]
    fn rows(&self, py: Python<'_>, idle: bool) -> PyResult<Batches> {
        unlocked(py, "read an interval", || self.sealed.rows(idle)).map(Batches::from)
    }
}

/// The rows of a query; see `vitald.aggregator.interval.Answer`.
#[pyclass(frozen, module = "vitald._native")]
pub(crate) struct Answer(core::Answer);

impl From<core::Answer> for Answer {
    fn from(answer: core::Answer) -> Self {
        Self(answer)
    }
}

#[pymethods]
impl Answer {
    #[getter]
    fn start(&self) -> f64 {
        self.0.start
    }

    #[getter]
    fn end(&self) -> f64 {
        self.0.end
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.0.seconds
    }

    #[getter]
    fn complete(&self) -> bool {
        self.0.complete
    }

    fn rows(&self, py: Python<'_>) -> PyResult<Batches> {
        unlocked(py, "read an answer", || self.0.rows()).map(Batches::from)
    }
}

/// An iterator over batches: each is computed without the GIL and crosses at once.
#[pyclass(frozen, module = "vitald._native")]
pub(crate) struct Batches(Mutex<core::Rows>);

impl From<core::Rows> for Batches {
    fn from(rows: core::Rows) -> Self {
        Self(Mutex::new(rows))
    }
}

#[pymethods]
impl Batches {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let batch = unlocked(py, "read rows", || {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
        })?;
        batch.map(|rows| convert::rows(py, rows)).transpose()
    }
}

/// The late samples of an interval: a sequence whose rows are made when they are looked at.
#[pyclass(frozen, sequence, module = "vitald._native")]
pub(crate) struct Late(Vec<core::Row>);

#[pymethods]
impl Late {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = index.py();
        if let Ok(slice) = index.cast::<PySlice>() {
            let span = slice.indices(self.0.len().cast_signed())?;
            let wanted = std::iter::successors(Some(span.start), |at| Some(at + span.step));
            let rows = wanted.take(span.slicelength).map(|at| self.0[at.cast_unsigned()].clone());
            return Ok(convert::rows(py, rows.collect())?.into_any());
        }
        let index = index.extract::<isize>()?;
        let at = if index < 0 { index + self.0.len().cast_signed() } else { index };
        let row = usize::try_from(at).ok().and_then(|at| self.0.get(at));
        convert::row(py, row.ok_or_else(|| PyIndexError::new_err("no such row"))?.clone())
    }
}
