//! The vocabulary on its way into Python and back; the classes are those of vitald itself.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString, PyTuple};
use vitald_core::key::KeyRef;
use vitald_core::metric::{Event, MetricType, ServiceCheck};
use vitald_core::rows::Row;
use vitald_core::wire::dialect::{Dialect, GaugeSign, TagFormats};

use crate::histogram::Histogram;

/// What rows, events and service checks are made of, found once.
struct Classes {
    row: Py<PyAny>,
    event: Py<PyAny>,
    service_check: Py<PyAny>,
    /// The members of `MetricType`, in the order of the core's.
    types: Vec<Py<PyAny>>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

impl Classes {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        CLASSES.get_or_try_init(py, || {
            let metric = py.import("vitald.metric")?;
            let types = metric.getattr("MetricType")?;
            Ok(Self {
                row: py.import("vitald.aggregator.interval")?.getattr("Row")?.unbind(),
                event: metric.getattr("Event")?.unbind(),
                service_check: metric.getattr("ServiceCheck")?.unbind(),
                types: MetricType::ALL
                    .iter()
                    .map(|&kind| Ok(types.call1((kind.as_str(),))?.unbind()))
                    .collect::<PyResult<_>>()?,
            })
        })
    }
}

/// One batch of `vitald.aggregator.interval.Row`.
pub(crate) fn rows(py: Python<'_>, batch: Vec<Row>) -> PyResult<Bound<'_, PyList>> {
    let classes = Classes::get(py)?;
    let made = PyList::empty(py);
    for row in batch {
        made.append(row_of(py, classes, row)?)?;
    }
    Ok(made)
}

/// One row.
pub(crate) fn row(py: Python<'_>, row: Row) -> PyResult<Bound<'_, PyAny>> {
    row_of(py, Classes::get(py)?, row)
}

fn row_of<'py>(py: Python<'py>, classes: &Classes, mut row: Row) -> PyResult<Bound<'py, PyAny>> {
    let sketch = row.histogram.take();
    let histogram = sketch.map(|sketch| Py::new(py, Histogram::from(*sketch))).transpose()?;
    let key = row.key();
    // By position: the order of the dataclass's fields.
    classes.row.bind(py).call1((
        classes.types[key.kind() as usize].bind(py),
        key.name(),
        key_tags(py, key)?,
        row.count,
        row.sum,
        row.min,
        row.max,
        row.last,
        row.unique,
        histogram,
    ))
}

fn key_tags<'py>(py: Python<'py>, key: KeyRef<'_>) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, pairs(py, key.tags())?)
}

fn pairs<'py, 'a>(
    py: Python<'py>,
    tags: impl Iterator<Item = (&'a str, &'a str)>,
) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    tags.map(|(key, value)| PyTuple::new(py, [PyString::new(py, key), PyString::new(py, value)]))
        .collect()
}

fn tags<'py>(py: Python<'py>, tags: &[(String, String)]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, pairs(py, tags.iter().map(|(key, value)| (&**key, &**value)))?)
}

/// A list of `vitald.metric.Event`.
pub(crate) fn events<'py>(py: Python<'py>, events: &[Event]) -> PyResult<Bound<'py, PyList>> {
    let class = Classes::get(py)?.event.bind(py);
    let made = events.iter().map(|event| {
        class.call1((
            &event.title,
            &event.text,
            event.timestamp,
            &event.host,
            &event.aggregation_key,
            &event.priority,
            &event.source_type,
            &event.alert_type,
            tags(py, &event.tags)?,
        ))
    });
    PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)
}

/// A list of `vitald.metric.ServiceCheck`.
pub(crate) fn service_checks<'py>(
    py: Python<'py>,
    checks: &[ServiceCheck],
) -> PyResult<Bound<'py, PyList>> {
    let class = Classes::get(py)?.service_check.bind(py);
    let made = checks.iter().map(|check| {
        class.call1((
            &check.name,
            check.status,
            check.timestamp,
            &check.host,
            &check.message,
            tags(py, &check.tags)?,
        ))
    });
    PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)
}

/// Read an iterable of `vitald.metric.MetricType`, which is a `str`.
pub(crate) fn types(types: &Bound<'_, PyAny>) -> PyResult<Vec<MetricType>> {
    let one = |item: PyResult<Bound<'_, PyAny>>| {
        let name = item?.extract::<PyBackedStr>()?;
        let found = MetricType::ALL.into_iter().find(|&kind| kind.as_str() == &*name);
        found.ok_or_else(|| PyValueError::new_err(format!("cannot read type {name}: unknown")))
    };
    types.try_iter()?.map(one).collect()
}

/// Read a `vitald.wire.dialect.Dialect`.
pub(crate) fn dialect(dialect: &Bound<'_, PyAny>) -> PyResult<Dialect> {
    let unknown = |what| PyValueError::new_err(format!("cannot read dialect: unknown {what}"));
    let sign = dialect.getattr("gauge_sign")?.extract::<PyBackedStr>()?;
    let mut tag_formats = TagFormats::NONE;
    for format in dialect.getattr("tag_formats")?.try_iter()? {
        let name = format?.extract::<PyBackedStr>()?;
        let format = TagFormats::from_name(&name).ok_or_else(|| unknown("tag format"))?;
        tag_formats = tag_formats.with(format);
    }
    Ok(Dialect {
        gauge_sign: GaugeSign::from_name(&sign).ok_or_else(|| unknown("sign of gauges"))?,
        tag_formats,
        name_length: dialect.getattr("name_length")?.extract()?,
        tags: dialect.getattr("tags")?.extract()?,
    })
}
